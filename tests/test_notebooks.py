"""The committed notebooks: how they look, and that their checks turn red when something breaks."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lrreport.report import narrative, results
from lrreport.settings import RangeParameters, RangeTest
from lrreport.study import load_study

NOTEBOOKS = ("train.ipynb", "range_test.ipynb", "summary.ipynb")


def read_cells(repository: Path, name: str) -> list[dict[str, object]]:
    return list(json.loads((repository / "notebooks" / name).read_text())["cells"])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_are_short_executed_and_clean(repository: Path, name: str) -> None:
    notebook = json.loads((repository / "notebooks" / name).read_text())
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1))
    for cell in code:
        assert set(cell["metadata"]) <= {"tags"}
        source = "".join(cell["source"])
        if "parameters" not in cell["metadata"].get("tags", ()):
            assert len([line for line in source.splitlines() if line]) <= 8, source
        assert not re.search(r"^\s*(def|class|try|print)\b", source, re.MULTILINE)
        assert not [out for out in cell["outputs"] if out["output_type"] in ("stream", "error")]
    text = json.dumps(notebook)
    assert str(repository) not in text
    assert os.path.expanduser("~") not in text


def test_the_parameters_of_the_range_test_are_its_defaults(repository: Path) -> None:
    [cell] = [
        one for one in read_cells(repository, "range_test.ipynb") if "parameters" in one["metadata"].get("tags", ())
    ]  # type: ignore[attr-defined]
    given: dict[str, object] = {}
    exec("".join(cell["source"]), given)  # type: ignore[arg-type]
    default = load_study("studies/fashion_mnist.toml").model_copy(update={"range_test": RangeTest()}).range_parameters()
    assert default is not None
    assert {name: given[name] for name in RangeParameters.model_fields} == default.model_dump(mode="json")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_figure_states_its_message(repository: Path, name: str) -> None:
    outputs = [out for cell in read_cells(repository, name) for out in cell.get("outputs", [])]  # type: ignore[attr-defined]
    figures = [out for out in outputs if "image/svg+xml" in out.get("data", {})]
    assert figures
    assert all(len(out["metadata"]["image/svg+xml"]["alt"]) > 30 for out in figures)


def test_the_readme_quotes_the_answer_of_the_reference(repository: Path) -> None:
    answer = narrative.answer(results.load_results()).text
    assert f"    {answer}\n" in (repository / "README.md").read_text()


def check(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run nbval on a copy of the repository."""
    environment = {key: value for key, value in os.environ.items() if key != "LRREPORT_CI"}
    environment |= {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    return subprocess.run(
        [*command, f"notebooks/{name}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    for name in ("src", "notebooks", "studies", "outputs/reference", "pyproject.toml", "requirements.lock"):
        source, target = repository / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module", "old", "new"),
    [
        ("summary.ipynb", "report/claims/differences.py", 'side = "above" if estimate.mean > 0', 'side = "above" if estimate.mean < 0'),
        ("summary.ipynb", "report/claims/search_range.py", "No single rate is the best", "No rate is the best"),
        ("train.ipynb", "training/optimizers.py", '"adam": torch.optim.Adam,', '"adam": torch.optim.SGD,'),
        ("train.ipynb", "training/data.py", "div_(127.5).sub_(1)", "div_(255)"),
        ("range_test.ipynb", "training/optimizers.py", '"adam": torch.optim.Adam,', '"adam": torch.optim.SGD,'),
    ],
)  # fmt: skip
def test_what_breaks_turns_red(copy: Path, name: str, module: str, old: str, new: str) -> None:
    replace(copy / "src/lrreport" / module, old, new)
    done = check(copy, name)
    assert done.returncode == 1, done.stdout[-3000:]
    assert "failed" in done.stdout


@pytest.mark.slow
def test_an_unchanged_copy_is_green(copy: Path) -> None:
    done = check(copy, "summary.ipynb")
    assert done.returncode == 0, done.stdout[-3000:]
