"""Study files: those of the checkout, their default names, and the error of a file that is missing or no TOML."""

from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.study.load import load_study


def test_every_study_of_the_checkout_loads_without_old_keys(repository: Path) -> None:
    paths = [*(repository / "studies").rglob("*.toml"), *(repository / "examples").glob("*/*.toml")]
    studies = {path: load_study(path) for path in paths}
    assert {study.name for study in studies.values()} >= {"fashion_mnist", "quick", "wide", "longer", "batch_size"}
    assert not [path for path, study in studies.items() if study.notes]


def test_default_study_has_the_published_numbers_and_claims() -> None:
    published = load_study("studies/fashion_mnist.toml").published
    assert published is not None
    numbers = {result.level["learning_rate"]: result.values for result in published.result}
    assert numbers == {
        0.001: {"train_loss": 0.32107, "train_accuracy": 0.8845, "test_accuracy": 0.8700},
        0.0005: {"train_loss": 0.31332, "train_accuracy": 0.8812, "test_accuracy": 0.8658},
        0.0001: {"train_loss": 0.4112, "train_accuracy": 0.8538, "test_accuracy": 0.8407},
    }
    assert published.result[0].digits == {"train_loss": 5, "train_accuracy": 4, "test_accuracy": 4}
    assert len(published.claim) == 15


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[vary\n")
    with pytest.raises(LrreportError, match=r"broken\.toml: not a TOML file: .*line 1"):
        load_study(broken)
    with pytest.raises(LrreportError, match=r"nowhere\.toml: cannot read the study .*studies/quick\.toml"):
        load_study(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("path", "name"),
    [("mine.toml", "mine"), ("my_net/study.toml", "my_net"), ("a folder of mine/study.toml", "a-folder-of-mine"), ("ü/study.toml", "study")],
)  # fmt: skip
def test_a_study_is_called_as_its_file_or_folder(tmp_path: Path, path: str, name: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("[vary]\nlearning_rate = [0.1]\n")
    assert load_study(file).name == name
    assert load_study(file).folder == file.parent
    file.write_text('name = "other"\n' + file.read_text())
    assert load_study(file).name == "other"
    file.write_text('file = "x"\n' + file.read_text())
    with pytest.raises(LrreportError, match="unknown key file"):
        load_study(file)


def test_settings_of_other_programs_keep_their_names(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[producer]\ncommand = "train {momentum} {seed}"\n[vary]\nmomentum = [0.0, 0.9]\n[fixed]\nweight_decay = 0.1\n'
    )
    study = load_study(file)
    assert study.settings_of(study.levels[1]) == {"weight_decay": 0.1, "momentum": 0.9}
    assert [factor.name for factor in study.factors] == ["momentum"]
    file.write_text('[import]\nfrom = "table"\n[vary]\nweight_decay = [0.0, 0.1]\n')
    assert [factor.name for factor in load_study(file).factors] == ["weight_decay"]


@pytest.mark.parametrize(
    "text",
    [
        "[vary]\nlearning_rate = [[0.1, 0.2]]\n",
        "[vary]\nlearning_rate = [2024-01-01]\n",
        "[vary]\nlearning_rate = [0.1]\n[fixed]\nstart = 2024-01-01\n",
        "[vary]\noptimizer = [{ name = 'sgd', learning_rate = ['0.1', 0.2] }]\n",
        "[producer]\ncommand = 'x {a}'\n[vary]\na = [1, 2]\n[fixed]\nb = inf\n",
        "[margins]\nloss = 0.1\n[metrics]\nloss = 0.1\n[vary]\nlearning_rate = [0.1]\n",
    ],
)
def test_values_that_no_record_could_hold_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(LrreportError) as error:
        load_study(file)
    assert "\n" not in str(error.value)
