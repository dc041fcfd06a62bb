"""Study files: what is read, and the one line that says what is wrong."""

from pathlib import Path

import pytest

from lrreport import LrreportError
from lrreport.settings import Parameters
from lrreport.study import load_study, parse_study

VARY = {"learning_rate": [0.1]}


def test_every_study_of_the_repository_loads(repository: Path) -> None:
    studies = {path.stem: load_study(path) for path in (repository / "studies").glob("*.toml")}
    assert set(studies) == {"fashion_mnist", "quick", "wide", "longer", "batch_size"}
    assert all(study.name == stem for stem, study in studies.items())


def test_default_study_has_the_published_numbers_and_claims() -> None:
    published = load_study("studies/fashion_mnist.toml").published
    assert published is not None
    numbers = {one.learning_rate: (one.train_loss, one.train_accuracy, one.test_accuracy) for one in published.result}
    assert numbers == {
        0.001: (0.32107, 0.8845, 0.8700),
        0.0005: (0.31332, 0.8812, 0.8658),
        0.0001: (0.4112, 0.8538, 0.8407),
    }
    assert len(published.claim) == 15


def test_a_run_has_one_rate_and_all_seeds_in_order() -> None:
    study = parse_study({"name": "x", "vary": {"learning_rate": [0.1, 0.01], "seed": [3, 1]}}, "here")
    assert [(run.learning_rate, run.seeds) for run in study.runs()] == [(0.1, (1, 3)), (0.01, (1, 3))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vary": {"learning_rate": [0]}}, "vary.learning_rate = 0: input should be greater than 0; give distinct positive learning rates, such as [0.001, 0.0001]"),
        ({"vary": {"learning_rate": [float("nan")]}}, "vary.learning_rate = nan: input should be a finite number; give distinct positive learning rates, such as [0.001, 0.0001]"),
        ({"vary": {"learning_rate": [True]}}, "vary.learning_rate = True: input should be a valid number; give distinct positive learning rates, such as [0.001, 0.0001]"),
        ({"vary": {"learning_rate": [0.1, 0.1]}}, "vary.learning_rate = [0.1, 0.1]: 0.1 appears twice; give distinct positive learning rates, such as [0.001, 0.0001]"),
        ({"vary": {"learning_rate": []}}, "vary.learning_rate = []: it is empty; give distinct positive learning rates, such as [0.001, 0.0001]"),
        ({}, "vary is missing; add a table [vary] with learning_rate = [0.001, 0.0001]"),
        ({"vary": VARY, "fixed": {"epochs": 0}}, "fixed.epochs = 0: input should be greater than or equal to 1; give a whole number from 1 on, such as 5"),
        ({"vary": VARY, "fixed": {"epochz": 1}}, "unknown key fixed.epochz; did you mean epochs?"),
        ({"vary": VARY, "range_test": {"lowest": 1.0, "highest": 0.1}}, "range_test.highest = 0.1: it must be above the lowest rate; give a number above the lowest rate, such as 10.0"),
        ({"vary": VARY, "colour": 1}, "unknown key colour; the keys here are name, title, vary, fixed, margins, range_test, published"),
        ({"vary": VARY, "name": "runs"}, "name = 'runs': 'runs' is a folder that lrreport keeps for itself; use letters, digits, '.', '_', '+' and '-' (not 'runs' or 'reference')"),
        ({"vary": VARY | {"batch_size": [0, 1]}}, "vary.batch_size = 0: input should be greater than or equal to 1; in a list of two or more values, give a whole number from 1 on, such as 64"),
        ({"vary": VARY | {"batch_size": 32}}, "vary.batch_size = 32: it should be a list; in a list of two or more values, give a whole number from 1 on, such as 64"),
        ({"vary": VARY | {"batch_size": [32]}}, "vary.batch_size = [32]: one value alone is fixed, not varied; in a list of two or more values, give a whole number from 1 on, such as 64"),
        ({"vary": VARY | {"batch_size": [32, 32]}}, "vary.batch_size = [32, 32]: 32 appears twice; in a list of two or more values, give a whole number from 1 on, such as 64"),
        ({"vary": VARY | {"batch_size": list(range(1, 14))}}, "vary.batch_size = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]: it has more than 12 values, 13; in a list of two or more values, give a whole number from 1 on, such as 64"),
        ({"vary": VARY | {"batchsize": [1, 2]}}, "unknown key vary.batchsize; did you mean batch_size?"),
        ({"vary": VARY | {"batch_size": [1, 2], "epochs": [1, 2]}}, "vary.epochs = [1, 2]: batch_size varies already, and one setting may beside the learning rate and the seed; leave one of the two out"),
        ({"vary": VARY | {"optimizer": ["adam", "sdg"]}}, "vary.optimizer = 'sdg': there is no such optimizer (did you mean 'sgd'?); in a list of two or more values, give \"adam\", \"adamw\", \"sgd\" or \"rmsprop\", or your own as \"module:function\""),
        ({"vary": VARY | {"batch_size": [1, 2]}, "fixed": {"batch_size": 128}}, "fixed.batch_size = 128: the study varies it, so leave it out of [fixed]"),
        ({"vary": VARY | {"momentum": [0.0, 0.9]}}, "vary.momentum = [0.0, 0.9]: it belongs to optimizer \"sgd\" or \"rmsprop\", not to 'adam'; leave it out"),
        ({"vary": VARY | {"optimizer": ["adam", "adamw"]}, "fixed": {"momentum": 0.9}}, "fixed.momentum = 0.9: it belongs to optimizer \"sgd\" or \"rmsprop\", not to 'adam'; leave it out"),
        ({"vary": VARY | {"batch_size": [1, 2]}, "published": {"title": "t"}}, "vary.batch_size = [1, 2]: an earlier report is checked with one batch_size; leave out this or [published]"),
        ({"vary": VARY | {"hidden_sizes": [64, 32]}}, "vary.hidden_sizes = 64: it should be a list; give a list of two or more such lists, such as [[128, 64], [64]] (and 1 more)"),
        ({"vary": VARY | {"hidden_sizes": [[64], [64]]}}, "vary.hidden_sizes = [[64], [64]]: [64] appears twice; give a list of two or more such lists, such as [[128, 64], [64]]"),
        ({"vary": VARY, "fixed": {"dataset": "Fashion-MNIST"}}, "fixed.dataset = 'Fashion-MNIST': there is no such dataset (did you mean 'fashion_mnist'?); give \"fashion_mnist\", \"mnist\", \"kmnist\", \"qmnist\", \"cifar10\" or \"sample\", or your own as \"module:function\""),
        ({"vary": VARY, "fixed": {"schedule": "OneCycle"}}, "fixed.schedule = 'OneCycle': there is no such schedule (did you mean 'one_cycle'?); give \"constant\", \"cosine\", \"one_cycle\", \"step\" or \"linear_warmup\""),
        ({"vary": VARY, "fixed": {"schedule": 5}}, "fixed.schedule = 5: there is no such schedule; give \"constant\", \"cosine\", \"one_cycle\", \"step\" or \"linear_warmup\""),
        ({"vary": VARY, "fixed": {"model": "mine.py:make"}}, "fixed.model = 'mine.py:make': not of the form module:function, with a dot between a package and its module, and without .py; give \"mlp\", or your own as \"module:function\""),
        ({"vary": VARY, "fixed": {"model": "sub/mine:make"}}, "fixed.model = 'sub/mine:make': not of the form module:function, with a dot between a package and its module, and without .py; give \"mlp\", or your own as \"module:function\""),
        ({"vary": VARY, "fixed": {"schedule": "linear_warmup", "warmup_epochs": 5.5}}, "fixed.warmup_epochs = 5.5: training ends after 5, so the rate would never be reached; make it shorter"),
        ({"vary": VARY, "fixed": {"schedule": "step", "step_epochs": 5}}, "fixed.step_epochs = 5: training ends after 5, so the rate would never fall; make it shorter"),
        ({"vary": VARY | {"epochs": [2, 9]}, "fixed": {"schedule": "step", "step_epochs": 5}}, "fixed.step_epochs = 5: training ends after 2, so the rate would never fall; make it shorter"),
        ({"vary": VARY, "name": "my study"}, "name = 'my study': it has other characters, begins with another than a letter or digit, or is too long; use letters, digits, '.', '_', '+' and '-' (not 'runs' or 'reference')"),
        ({"vary": VARY, "published": {"title": "t", "result": [{"learning_rate": 0.1, "loss": 1}]}}, "unknown key published.result.loss; the keys here are learning_rate, train_loss, train_accuracy, test_accuracy"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(LrreportError) as error:
        parse_study({"name": "x", **settings}, "my.toml")
    assert str(error.value) == f"my.toml: {message}"


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[vary\n")
    with pytest.raises(LrreportError, match=r"broken\.toml: not a TOML file: .*line 1"):
        load_study(broken)
    with pytest.raises(LrreportError, match=r"nowhere\.toml: cannot read the study .*studies/quick\.toml"):
        load_study(tmp_path / "nowhere.toml")


def test_changed_settings_get_a_name_of_their_own() -> None:
    study = load_study("studies/quick.toml")
    assert study.changed() == study
    longer = study.changed(epochs=7)
    assert longer.fixed.epochs == 7
    assert longer.name.startswith("quick-")
    assert longer.name != study.changed(epochs=8).name
    assert study.changed(epochs=7, name="mine").name == "mine"
    with pytest.raises(LrreportError, match="command line: fixed.epochs = 0: "):
        study.changed(epochs=0)


def test_parameters_of_a_run_hold_every_fixed_setting() -> None:
    study = load_study("studies/fashion_mnist.toml")
    run = next(study.runs())
    assert run == Parameters(learning_rate=0.001, seeds=(0, 1, 2, 3, 4), **study.fixed.model_dump())


def test_a_second_axis_gives_a_run_for_each_combination() -> None:
    study = load_study("studies/batch_size.toml")
    runs = [(run.batch_size, run.learning_rate) for run in study.runs()]
    assert runs == [(size, rate) for size in (16, 128, 1024) for rate in study.vary.learning_rate]
    assert (
        parse_study(study.model_dump(mode="json", exclude_none=True), "again").levels().keys() == study.levels().keys()
    )
    assert study.changed(epochs=2).levels()[16].fixed.epochs == 2


def test_an_option_counts_for_the_values_it_belongs_to() -> None:
    vary = VARY | {"optimizer": ["adam", "sgd", "rmsprop"]}
    study = parse_study({"name": "x", "vary": vary, "fixed": {"momentum": 0.9, "nesterov": True}}, "here")
    found = {value: (one.fixed.momentum, one.fixed.nesterov) for value, one in study.levels().items()}
    assert found == {"adam": (None, None), "sgd": (0.9, True), "rmsprop": (0.9, None)}


def test_lists_are_values_of_a_second_axis() -> None:
    study = parse_study({"name": "x", "vary": VARY | {"hidden_sizes": [[], [64], [128, 64]]}}, "here")
    assert list(study.levels()) == [(), (64,), (128, 64)]
    assert [run.hidden_sizes for run in study.runs()] == [(), (64,), (128, 64)]


def test_one_range_test_is_enough_where_epochs_vary() -> None:
    study = parse_study({"name": "x", "vary": VARY | {"epochs": [1, 2]}, "range_test": {}}, "here")
    assert [one.range_parameters() is not None for one in study.levels().values()] == [True, False]


def test_what_varies_is_not_replaced_from_the_command_line() -> None:
    study = parse_study({"name": "x", "vary": VARY | {"epochs": [1, 2]}}, "here")
    with pytest.raises(
        LrreportError, match="^command line: epochs varies in this study; change it in the study's file$"
    ):
        study.changed(epochs=3)


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
    with pytest.raises(LrreportError, match="unknown key file; the keys here are name, title, "):
        load_study(file)
