"""Whole studies from the command line to the page, in real processes."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lrreport.report.load import load_report
from lrreport.sweep.worker import escape_braces

pytestmark = pytest.mark.slow


def report(outputs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lrreport.cli", "report", "studies/quick.toml", "--outputs", str(outputs)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


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
    findings = json.loads((outputs / "quick/findings.json").read_text())
    text = html.unescape(re.sub(r"<[^>]*>", "", page)).replace("\N{NO-BREAK SPACE}", " ")
    assert findings["answer"] in text
    sentences = [
        finding["sentence"]
        for finding in findings["findings"]
        if finding["claim"] not in ("choice", "best_combination")
    ]
    assert not [sentence for sentence in sentences if sentence not in text]  # the choice is the first screen's
    for name in ("scores", "curves"):
        assert (outputs / f"quick/{name}.pdf").read_bytes().startswith(b"%PDF")
        assert "<svg" in (outputs / f"quick/{name}.svg").read_text()


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


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--learning-rates", "10", "1e30", "0.001"], "Choose 0.001|Undecided|Only 0.001"),
        (["--learning-rates", "0.001", "--seeds", "0"], "one seed|more seeds|0.001"),
        (["--seeds", "0 1", "--learning-rates", " ".join(str(1 / 2**power) for power in range(3, 7))], "seeds"),
    ],
)  # fmt: skip
def test_unusual_studies_make_a_report(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = report(tmp_path, "--epochs", "2", *arguments)
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout
    findings = json.loads((Path(done.stdout.splitlines()[-1]).parent / "findings.json").read_text())
    assert all("nan" not in finding["sentence"] for finding in findings["findings"])
    assert "Choose" not in findings["answer"] or "--seeds" not in arguments


def test_a_range_test_is_shown_behind_the_grid(outputs: Path, repository: Path, tmp_path: Path) -> None:
    study = tmp_path / "ranged.toml"
    text = (repository / "studies/quick.toml").read_text()
    text = re.sub(r'title = ".*"', "title = '<script>alert(1)</script>'", text)
    study.write_text(f"{text}\n[range_test]\nlowest = 1e-6\nhighest = 10.0\nsteps = 300\n")
    command = [sys.executable, "-m", "lrreport.cli", "report", str(study), "--outputs", str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [contents] = outputs.glob("ranged*/study.json")
    curve = load_report(contents.parent).range_tests[""]
    assert curve.losses.shape == (5, 300)
    page = (contents.parent / "report.html").read_text()
    assert "<script>alert" not in page  # a title is text
    assert "&lt;script&gt;alert(1)" in page
    page = html.unescape(page).replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r"A range test from 0\.000001 to 10\.0, one step at each rate, suggests about 0\.00\d", page)
    ran = {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/record.json")}
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert ran == {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/record.json")}


def test_two_factors_are_run_and_reported(outputs: Path, tmp_path: Path) -> None:
    study = tmp_path / "optimizers.toml"
    study.write_text(
        "seeds = [0, 1, 2]\n[vary]\nlearning_rate = [0.1, 0.001]\n"
        "optimizer = ['adam', { name = 'sgd', momentum = 0.9, nesterov = true }]\n"
        "[fixed]\ndataset = 'sample'\nepochs = 2\nvalidation_size = 500\n[range_test]\nsteps = 100\n"
    )
    command = [sys.executable, "-m", "lrreport.cli", "report", str(study), "--outputs", str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = load_report(outputs / "optimizers")
    optimizers = {
        run.record.settings["optimizer"]["name"]: run.record.settings["optimizer"] for run in loaded.kept.values()
    }
    assert optimizers["sgd"] == {"name": "sgd", "momentum": 0.9, "nesterov": True}
    assert set(optimizers) == {"adam", "sgd"}
    assert len(loaded.kept) == 12
    assert len(loaded.range_tests) == 2
    command[3] = "status"
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(printed) == 6
    assert all(" fresh" in line for line in printed)
    command[3:5] = ["runs"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sum("momentum 0.9" in line and "used by optimizers" in line for line in printed) == 7


def test_runs_come_back_from_an_export(outputs: Path, tmp_path: Path) -> None:
    """The report on exported runs decides as the original does."""
    command = [sys.executable, "-P", "-m", "lrreport.cli"]
    folder = tmp_path / "exported"
    subprocess.run(
        [*command, "export", "studies/quick.toml", "--outputs", str(outputs), "--to", str(folder)], check=True
    )
    done = subprocess.run([*command, "import", str(folder), "--name", "again"], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": ""})  # fmt: skip
    assert done.returncode == 0, done.stderr
    study = tmp_path / "again.toml"
    text = study.read_text().replace("paired = false", "paired = true")
    text = re.sub(r'metric = "[^"]*"', 'metric = "val_accuracy"\nmargin = 0.005', text, count=1)
    study.write_text(re.sub(r"(\[metrics\.val_accuracy\]\n)", r"\1chance = 0.1\n", text))
    done = subprocess.run([*command, "report", str(study), "--outputs", str(tmp_path / "outputs")], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, theirs = (
        json.loads((folder / "findings.json").read_text())["decision"]
        for folder in (outputs / "quick", tmp_path / "outputs/again")
    )
    assert ours["verdict"] == theirs["verdict"]
    means = [{row["name"]: round(row["mean"], 9) for row in decision["table"]} for decision in (ours, theirs)]
    assert means[0] == means[1]
    bounds = [{row["name"]: row["behind_at_most"] for row in decision["table"]} for decision in (ours, theirs)]
    assert bounds[0] == pytest.approx(bounds[1], abs=1e-4)


def test_two_reports_are_compared(outputs: Path, tmp_path: Path) -> None:
    done = report(tmp_path, "--learning-rates", "0.01 0.001", "--seeds", "0-2", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    second = Path(done.stdout.splitlines()[-1]).parent
    page = tmp_path / "comparison.html"
    command = [
        sys.executable,
        "-m",
        "lrreport.cli",
        "compare",
        str(outputs / "quick"),
        str(second),
        "--page",
        str(page),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "settings (" in printed
    assert "  epochs: 5 -> 2" in printed
    assert "  seeds: 5 seeds: 0, 1, 2, 3, 4 -> 3 seeds: 0, 1, 2" in printed
    assert "mean of 0.01: " in printed
    assert "<h2>settings</h2>" in page.read_text()
    command[4:6] = [str(outputs / "quick"), str(outputs / "quick")]
    assert "no difference" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_training_notebook_runs_from_any_folder(repository: Path, tmp_path: Path) -> None:
    notebook = str(repository / "notebooks/train.ipynb")
    command = [sys.executable, "-m", "papermill", escape_braces(notebook), "out.ipynb"]
    settings = {"learning_rate": 0.003, "dataset": "sample", "settings": {"validation_size": 500}, "epochs": 1}
    options = ["-y", json.dumps(settings)]
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
