"""The committed notebooks: how they look, and that their checks turn red when something breaks."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = ("train.ipynb", "range_test.ipynb", "summary.ipynb")


def read_cells(repository: Path, name: str) -> list[dict[str, Any]]:
    return list(json.loads((repository / "notebooks" / name).read_text())["cells"])


def list_lines(cell: dict[str, Any]) -> list[str]:
    return [line for line in "".join(cell["source"]).splitlines() if line.strip()]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_are_short_executed_and_clean(repository: Path, name: str) -> None:
    notebook = json.loads((repository / "notebooks" / name).read_text())
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        assert set(cell["metadata"]) <= {"tags"}
        source = "".join(cell["source"])
        assert not re.search(r"^\s*(def|class|try|print)\b", source, re.MULTILINE)
        assert not [out for out in cell["outputs"] if out["output_type"] in ("stream", "error")]
    plain = [len(list_lines(cell)) for cell in code if "parameters" not in cell["metadata"].get("tags", ())]
    assert max(plain) <= 8
    assert statistics.median(plain) <= 3
    text = json.dumps(notebook)
    assert str(repository) not in text
    assert os.path.expanduser("~") not in text


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_prose_stands_before_every_code_cell(repository: Path, name: str) -> None:
    cells = read_cells(repository, name)
    for before, cell in zip([{"cell_type": ""}, *cells], cells, strict=False):
        if cell["cell_type"] == "code":
            assert before["cell_type"] == "markdown", "".join(cell["source"])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_prose_is_true_of_any_data(repository: Path, name: str) -> None:
    prose = " ".join(
        "".join(cell["source"]) for cell in read_cells(repository, name) if cell["cell_type"] == "markdown"
    )
    assert not re.search(r"shirt|coat|handwritten|fashion|MNIST", prose, re.IGNORECASE)
    assert "$$" not in prose


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_figure_says_what_it_shows(repository: Path, name: str) -> None:
    outputs = [out for cell in read_cells(repository, name) for out in cell.get("outputs", [])]
    images = [out for out in outputs if "image/svg+xml" in out.get("data", {})]
    assert all(len(out["metadata"]["image/svg+xml"]["alt"]) > 30 for out in images)
    html = "".join("".join(out["data"]["text/html"]) for out in outputs if "text/html" in out.get("data", {}))
    labels = re.findall(r'<svg class="figure[^>]*aria-label="([^"]*)"', html)
    assert all(len(label) > 20 for label in labels)
    assert images or labels


def test_the_introductions_of_the_report_stay_in_the_notebook(repository: Path) -> None:
    prose = [cell for cell in read_cells(repository, "summary.ipynb") if cell["cell_type"] == "markdown"]
    assert all(cell["metadata"].get("tags") == ["notebook"] for cell in prose)


def test_the_summary_takes_a_folder_and_a_target(repository: Path) -> None:
    [cell] = [c for c in read_cells(repository, "summary.ipynb") if "parameters" in c["metadata"].get("tags", ())]
    namespace: dict[str, object] = {}
    exec("".join(cell["source"]), namespace)
    assert (namespace["folder"], namespace["target"]) == ("", "")


def test_the_readme_quotes_the_answer_of_the_reference(repository: Path) -> None:
    from lrreport.report import document, load

    loaded = load.load_report()
    answer = document.make_document(loaded, load.assess_report(loaded)).story.answer.text
    assert answer in (repository / "README.md").read_text()


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
        ("summary.ipynb", "inference/claims/phrases.toml", "ends {difference} above", "ends {difference} over"),
        ("summary.ipynb", "inference/candidates.py", "beaten = ((low > 0)", "beaten = ((low > 1)"),
        ("summary.ipynb", "report/figures/decision.py", 'kind = "best" if row.may_be_best', 'kind = "out" if row.may_be_best'),
        ("range_test.ipynb", "training/range_test.py", "optimizer.set_rate(rate)", "optimizer.set_rate(2 * rate)"),
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
