"""Whole studies from the command line to the page, in real processes."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrreport.report.results import Levels, load_results
from lrreport.sweep.worker import escape_braces

pytestmark = pytest.mark.slow


def report(outputs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lrreport.cli", "report", "studies/quick.toml", "--outputs", str(outputs)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def read_metrics(outputs: Path) -> dict[str, Any]:
    """Return all that the records hold but facts and times."""
    metrics = {}
    for path in sorted(outputs.glob("runs/*/record.json")):
        record = json.loads(path.read_text())
        for seed in record["seeds"]:
            for row in seed["epochs"]:
                del row["cpu_seconds"]
        metrics[path.parent.name] = {key: record[key] for key in ("identity", "seeds", "arrays", "n_parameters")}
    return metrics


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs of a 'study' ü")
    done = report(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "quick/report.html")
    return folder


def test_a_report_asks_for_nothing_and_carries_its_findings(outputs: Path) -> None:
    page = (outputs / "quick/report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page
    answer = json.loads((outputs / "quick/findings.json").read_text())["answer"]
    assert answer in html.unescape(page).replace("\N{NO-BREAK SPACE}", " ")
    assert page.count("<img ") == page.count('alt="') == 2
    for name in ("accuracy", "curves"):
        assert (outputs / f"quick/{name}.pdf").read_bytes().startswith(b"%PDF")
        assert "<svg" in (outputs / f"quick/{name}.svg").read_text()
    assert "nan" not in re.sub(r"base64,[^\"]*|<details class=\"code\">.*?</details>", "", page, flags=re.DOTALL)


def test_a_second_report_does_nothing(outputs: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert report(outputs).returncode == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_same_records_give_the_same_bytes(outputs: Path) -> None:
    page = outputs / "quick/report.html"
    first = page.read_bytes()
    (outputs / "quick/.made-from").unlink()
    assert report(outputs).returncode == 0
    assert page.read_bytes() == first


def test_one_job_gives_the_same_bits(outputs: Path, tmp_path: Path) -> None:
    assert report(tmp_path, "--jobs", "1").returncode == 0
    assert read_metrics(tmp_path) == read_metrics(outputs)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--learning-rates", "10", "1e30", "0.001"], "Only 0.001|Choose 0.001|No single rate"),
        (["--learning-rates", "0.001"], "with one rate there is nothing to choose from"),
        (["--learning-rates", "0.001 0.0001", "--seeds", "0"], "one seed cannot tell a difference from chance"),
        (["--learning-rates", "0.001 0.0001", "--epochs", "1"], "Choose 0.001|No single rate"),
        (["--seeds", "0 1", "--learning-rates", " ".join(str(1 / 2**place) for place in range(3, 15))], "Choose|No single rate"),
    ],
)  # fmt: skip
def test_unusual_studies_make_a_report(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = report(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout
    findings = json.loads((Path(done.stdout.splitlines()[-1]).parent / "findings.json").read_text())
    assert all("nan" not in one["sentence"] for one in findings["claims"])


def test_a_range_test_is_shown_behind_the_grid(outputs: Path, repository: Path, tmp_path: Path) -> None:
    study = tmp_path / "ranged.toml"
    text = (repository / "studies/quick.toml").read_text()
    study.write_text(f"{text}\n[range_test]\nlowest = 1e-6\nhighest = 10.0\nsteps = 300\n")
    command = [sys.executable, "-m", "lrreport.cli", "report", str(study), "--outputs", str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [contents] = outputs.glob("ranged*/study.json")
    curves = load_results(contents.parent).range_test
    assert curves is not None
    assert curves.losses.shape == (5, 300)
    said = json.loads((contents.parent / "findings.json").read_text())["paragraphs"]["range_test"]
    assert said["text"].startswith("A range test from 0.000001 to 10.0, one step at each rate, suggests about 0.00")
    assert 1e-4 < said["evidence"]["suggestion"]["value"] < 1e-2
    page = html.unescape((contents.parent / "report.html").read_text()).replace("\N{NO-BREAK SPACE}", " ")
    assert said["text"] in page
    assert "Vertical lines are the 3 rates of the study." in page
    ran = {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/record.json")}
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert ran == {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/record.json")}


def test_a_second_axis_is_run_and_reported(outputs: Path, tmp_path: Path) -> None:
    study = tmp_path / "optimizers.toml"
    study.write_text(
        "[vary]\nlearning_rate = [0.1, 0.001]\nseed = [0, 1, 2]\noptimizer = ['adam', 'sgd']\n"
        "[fixed]\nmomentum = 0.9\nnesterov = true\ndataset = 'sample'\nepochs = 2\nvalidation_size = 500\n"
        "[range_test]\nsteps = 100\n"
    )
    command = [sys.executable, "-m", "lrreport.cli", "report", str(study), "--outputs", str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    levels = load_results(outputs / "optimizers")
    assert isinstance(levels, Levels)
    settings = {value: one.records[0.1].identity.parameters for value, one in levels.levels.items()}
    assert {value: (one["optimizer"], one["momentum"], one["nesterov"]) for value, one in settings.items()} == {
        "adam": ("adam", None, None), "sgd": ("sgd", 0.9, True),
    }  # fmt: skip
    assert all(one.range_test is not None for one in levels.levels.values())
    rows = (outputs / "optimizers/results.csv").read_text().splitlines()
    assert rows[0].startswith("optimizer,learning_rate,seed,status,")
    assert len(rows) == 13
    command[3] = "status"
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [" ".join(line.split()) for line in said] == [
        f"{name}, optimizer {value} fresh" for value in ("adam", "sgd") for name in ("0.1", "0.001", "range test")
    ]
    command[3:5] = ["runs"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (
        len(
            re.findall(
                r"learning rate 0\.\d+, 3 seeds, 2 epochs, optimizer sgd, momentum 0\.9, .* used by optimizers", said
            )
        )
        == 2
    )


def test_a_title_is_text_not_markup(outputs: Path, repository: Path, tmp_path: Path) -> None:
    study = tmp_path / "quick.toml"
    text = (repository / "studies/quick.toml").read_text()
    study.write_text(re.sub(r'title = ".*"', "title = '<script>alert(1)</script>'", text))
    command = [
        sys.executable,
        "-m",
        "lrreport.cli",
        "report",
        str(study),
        "--outputs",
        str(outputs),
        "--name",
        "marked",
    ]
    assert subprocess.run(command, check=False).returncode == 0
    page = (outputs / "marked/report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_training_notebook_runs_from_any_folder(repository: Path, tmp_path: Path) -> None:
    notebook = str(repository / "notebooks/train.ipynb")
    command = [sys.executable, "-m", "papermill", escape_braces(notebook), "out.ipynb"]
    settings = {"learning_rate": "0.003", "dataset": "sample", "validation_size": "500", "epochs": "1"}
    options = [word for item in settings.items() for word in ("-p", *item)]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "--output-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(repository / "notebooks/summary.ipynb")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
