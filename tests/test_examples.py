"""The examples and what `lrreport new` writes: copied to a folder outside the repository, they run as they are."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lrreport import LrreportError
from lrreport.new import write_new
from lrreport.study import load_study
from lrreport.training.own_code import import_function

EXAMPLES = {"cnn": "the network of nets:make_cnn", "digits": "examples of digits:load"}


def report(study: Path, *options: str) -> dict[str, object]:
    """Make a study's report in a process of its own, from its folder, and return its findings."""
    outputs = study.parent / "outputs"
    command = [sys.executable, "-m", "lrreport.cli", "report", study.name, "--outputs", str(outputs), *options]
    done = subprocess.run(command, cwd=study.parent, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.splitlines()[-1])
    assert page.exists()
    return json.loads((page.parent / "findings.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_where_it_is_copied_to(repository: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a folder of mine"
    shutil.copytree(repository / "examples" / name, folder)
    findings = report(folder / "study.toml", "--seeds", "0", "1", "--epochs", "2")
    assert EXAMPLES[name] in findings["paragraphs"]["conditions"]["text"]  # type: ignore[index]
    [module] = folder.glob("*.py")
    code = module.read_text().replace("return", "assert True\n    return", 1)
    module.write_text(code)
    command = [sys.executable, "-m", "lrreport.cli", "status", "study.toml", "--outputs", str(folder / "outputs"),
               "--seeds", "0", "1", "--epochs", "2"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert f"stale ({module.stem} changed)" in done.stdout


def test_examples_are_short(repository: Path) -> None:
    modules = list((repository / "examples").rglob("*.py"))
    assert len(modules) == len(EXAMPLES)
    assert all(len(path.read_text().splitlines()) < 60 for path in modules)
    assert {load_study(path).name for path in (repository / "examples").rglob("*.toml")} == set(EXAMPLES)


@pytest.mark.slow
def test_a_new_study_with_code_runs_as_it_is(tmp_path: Path) -> None:
    write_new("my-waves.1", tmp_path, with_code=True)
    findings = report(tmp_path / "my-waves.1.toml", "--epochs", "1", "--seeds", "0", "1")
    assert "the network of my_waves_1:make_network" in findings["paragraphs"]["conditions"]["text"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "with_code"),
    [("plain", False), ("waves", True), ("3-waves", True), ("random", True), ("torch", True), ("class", True)],
)
def test_a_new_study_can_be_read(tmp_path: Path, name: str, with_code: bool) -> None:
    files = write_new(f"{name}.toml" if name == "plain" else name, tmp_path, with_code)
    study = load_study(files[0])
    assert study.name == name
    if with_code:  # no module of that name stands before it
        assert import_function("dataset", study.fixed.dataset, str(tmp_path))
    assert len(files) == 1 + with_code
    with pytest.raises(LrreportError) as error:
        write_new(name, tmp_path, with_code)
    assert str(error.value) == f"{files[0]}: is there already; choose another name, or remove it"


def test_a_new_study_needs_a_name_that_a_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(LrreportError, match="new: name = 'a/b': "):
        write_new("a/b", tmp_path, False)
    assert not list(tmp_path.iterdir())
