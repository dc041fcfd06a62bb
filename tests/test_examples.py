"""The examples and what `lrreport new` writes: copied to a folder outside the repository, they run as they are."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrreport.errors import LrreportError
from lrreport.new import write_new
from lrreport.preflight import check_execution
from lrreport.study.load import load_study
from lrreport.sweep.execute import Limits
from lrreport.sweep.fork_server import ForkServer
from lrreport.sweep.run import Sweep
from lrreport.training.user_code.load import import_function
from lrreport.workflow import Workflow
from tests.archives import unpack

OWN_LOOP = {  # studies with lrreport's loop: what varies, what decides, and whether there are classes
    "cnn/study.toml": (("learning_rate",), "val_accuracy", True),
    "digits/study.toml": (("learning_rate",), "val_accuracy", True),
    "digits/weight_decay.toml": (("optimizer.weight_decay",), "val_accuracy", True),
    "digits/optimizers.toml": (("learning_rate", "optimizer"), "val_accuracy", True),
    "digits/imbalanced.toml": (("learning_rate",), "val_f1", True),
    "regression/study.toml": (("learning_rate",), "val_rmse", False),
}
# Tried by two steps at each level; of the rest the runs are made.
TRIED = {"digits/study.toml", "digits/weight_decay.toml", "digits/imbalanced.toml"}
FEWER = {  # levels of what cannot be shortened by an option
    "digits/optimizers.toml": (
        "0.3, 0.1, 0.03]",
        "0.1]",
        "0.03, 0.01, 0.003]",
        "0.01]",
        "0.01, 0.003, 0.001]",
        "0.001]",
    ),
}


def run(study: Path, command: str, *options: str) -> str:
    """Run a command on a study in a new process, from its folder, and return what it prints."""
    outputs = study.parent / "outputs"
    words = [sys.executable, "-P", "-m", "lrreport.cli", command, study.name, "--outputs", str(outputs), *options]
    done = subprocess.run(words, cwd=study.parent, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def report(study: Path, *options: str) -> tuple[dict[str, Any], Path]:
    """Make a study's report, and return its findings and its folder."""
    page = Path(run(study, "report", *options).splitlines()[-1])
    assert page.exists()
    return json.loads((page.parent / "findings.json").read_text()), page.parent


def list_runs(study: Path) -> list[dict[str, Any]]:
    records = [json.loads(path.read_text()) for path in (study.parent / "outputs/runs").glob("*/record.json")]
    return [record for record in records if record["kind"] == "run"]


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_LOOP)
def test_an_example_runs_where_it_is_copied_to(repository: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "a folder of mine"
    shutil.copytree(repository / "examples" / Path(name).parent, copy)
    study = copy / Path(name).name
    changes = iter(FEWER.get(name, ()))
    for old, new in zip(changes, changes, strict=True):
        assert old in study.read_text()
        study.write_text(study.read_text().replace(old, new))
    factors, metric, has_classes = OWN_LOOP[name]
    read = load_study(study)
    assert tuple(factor.name for factor in read.factors) == factors
    assert read.decide.metric == metric
    rates = read.vary["learning_rate"][:2] if factors == ("learning_rate",) else ()
    options = ["--seeds", "0", "1", "--epochs", "2", *(["--learning-rates", *map(str, rates)] if rates else [])]
    read = read.with_changes(seeds=[0, 1], epochs=2, learning_rate=rates or None)
    if name == "regression/study.toml":  # the only one whose report is made
        findings, _ = report(study, *options)
        assert findings["answer"]
    elif name in TRIED:
        check_execution([read.training_of(level) for level in read.levels], str(copy), None, print)
        return
    else:
        work = Workflow(read, copy / "outputs")
        with ForkServer() as server:
            sweep = Sweep(work.store, tmp_path / "failed", Limits(server=server))
            assert sweep.run_all(work.list_runs(), 2) == {}
    records = list_runs(study)
    assert len(records) == 2 * len(read.levels)
    assert all(bool(record["description"]["class_names"]) == has_classes for record in records)
    assert all(metric in record["metrics"] for record in records)
    [module] = copy.glob("*.py")
    module.write_text(module.read_text().replace("    return", "    assert True\n    return", 1))
    status = run(study, "status", *options)
    assert status.count(f"stale (seeds 0, 1): {module.stem} changed") == len(read.levels)


def test_examples_are_short(repository: Path) -> None:
    modules = [
        path for name in ("cnn", "digits", "regression") for path in (repository / "examples" / name).glob("*.py")
    ]
    assert len(modules) == 3
    assert all(len(path.read_text().splitlines()) < 60 for path in modules)
    assert {load_study(repository / "examples" / name).name for name in OWN_LOOP} == {
        "cnn", "digits", "weight_decay", "optimizers", "imbalanced", "regression",
    }  # fmt: skip


def test_the_units_of_the_regression_example_are_metres(repository: Path) -> None:
    study = load_study(repository / "examples/regression/study.toml")
    metrics = {name: study.find_metric(name) for name in ("val_rmse", "test_mae", "val_loss", "val_r2")}
    assert {name: metric.unit for name, metric in metrics.items() if metric} == {
        "val_rmse": "m", "test_mae": "m", "val_loss": "m²", "val_r2": "",
    }  # fmt: skip


@pytest.mark.slow
def test_a_new_study_with_code_runs_as_it_is(tmp_path: Path) -> None:
    write_new("my-waves.1", tmp_path, with_code=True)
    study = tmp_path / "my-waves.1.toml"
    findings, _ = report(study, "--epochs", "1", "--seeds", "0", "1", "--learning-rates", "0.01", "0.001")
    assert findings["answer"]
    assert {record["settings"]["model"]["name"] for record in list_runs(study)} == {"my_waves_1:make_network"}


@pytest.mark.parametrize(
    ("name", "with_code"),
    [("plain", False), ("waves", True), ("3-waves", True), ("random", True), ("torch", True), ("class", True)],
)
def test_a_new_study_can_be_read(tmp_path: Path, name: str, with_code: bool) -> None:
    files = write_new(f"{name}.toml" if name == "plain" else name, tmp_path, with_code)
    study = load_study(files[0])
    assert study.name == name
    if with_code:  # no module of that name stands before it
        assert import_function("dataset", study.fixed["dataset"], str(tmp_path))
    assert len(files) == 1 + with_code
    with pytest.raises(LrreportError) as error:
        write_new(name, tmp_path, with_code)
    assert str(error.value) == f"{files[0]}: already exists; choose another name, or remove it"


def test_a_new_study_needs_a_name_that_a_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(LrreportError, match="new: name = 'a/b': "):
        write_new("a/b", tmp_path, False)
    assert not list(tmp_path.iterdir())


def test_the_runs_of_other_people_have_the_intervals_that_their_authors_published(
    repository: Path, tmp_path: Path
) -> None:
    shutil.copytree(repository / "examples/logs", tmp_path / "logs")
    findings, _ = report(tmp_path / "logs/study.toml")
    differences = findings["earlier_report"]["numbers"]
    assert len(differences) == 5
    assert all(finding["claim"] == "published_difference" for finding in differences)
    assert all("agrees with that of our runs to the digit (n = 5)" in finding["sentence"] for finding in differences)


REPLAY = """\
import pathlib, shutil, sys
name = f"{sys.argv[2]}-{sys.argv[4]}"
shutil.copytree(f"recorded/{name}", pathlib.Path("LOGS", name))
"""


def check_trainer(study: Path) -> None:
    """Make the report of a trainer's study, and check that it has all that the trainer logged."""
    findings, _ = report(study)
    assert "all 6 runs finished" in findings["kicker"]
    assert findings["decision"]["metric"] == "val_accuracy"
    for record in list_runs(study):
        points = {series["metric"]: len(series["at"]) for series in record["history"]}
        assert points["val_accuracy"] == points["val_loss"] == points["train_loss"] == 6
        assert ("test_accuracy" in record["final"] or "test_accuracy" in points) == (study.parent.name == "lightning")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "logs"), [("lightning", "logs"), ("hugging_face", "out")])
def test_the_files_of_a_trainer_make_a_report(repository: Path, tmp_path: Path, name: str, logs: str) -> None:
    """A command that writes what the real trainer wrote, with its study as it is."""
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(repository / "examples" / name / "study.toml", folder)
    unpack(repository / f"tests/sources/data/trainers/{name}.tar.xz", folder)
    (folder / logs).rename(folder / "recorded")
    (folder / "train.py").write_text(REPLAY.replace("LOGS", logs))
    check_trainer(folder / "study.toml")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "package"), [("lightning", "lightning"), ("hugging_face", "transformers")])
def test_a_trainer_that_knows_nothing_of_lrreport(repository: Path, tmp_path: Path, name: str, package: str) -> None:
    pytest.importorskip(package, reason=f"{package} is none of our requirements")
    shutil.copytree(repository / "examples" / name, tmp_path / name)
    check_trainer(tmp_path / name / "study.toml")


def test_the_docs_show_the_trainers_studies(repository: Path) -> None:
    text = (repository / "docs/your-own.md").read_text()
    for name in ("lightning", "hugging_face"):
        study = (repository / "examples" / name / "study.toml").read_text()
        assert "".join(f"    {line}" if line.strip() else line for line in study.splitlines(keepends=True)) in text
