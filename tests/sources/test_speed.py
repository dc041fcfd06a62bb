"""1,000 runs × 1,000 points × 5 metrics: read in a minute and 1.5 GB, reported in 30 CPU seconds and 1 GB."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lrreport.imports import import_runs
from lrreport.record.contents import CONTENTS
from lrreport.study.load import load_study

MEASURE = """
import sys, time
from pathlib import Path
from lrreport.sources import inspect, write_study
start = time.monotonic()
imported = inspect(Path(sys.argv[1]))
seconds = time.monotonic() - start
# Not ru_maxrss, which begins at what the parent process used.
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, peak, len(imported.runs), len(imported.history))
Path(sys.argv[1]).with_suffix(".toml").write_text(write_study(imported, Path(sys.argv[1]).name))
"""
REPORT = """
import sys, time
from pathlib import Path
from lrreport.report.document import make_document
from lrreport.report.explorer import explore
from lrreport.report.load import assess_report, load_report
start = time.process_time()
loaded = load_report(sys.argv[1])
assessment = assess_report(loaded)
document = make_document(loaded, assessment)
document.explorer(explore(assessment.measurements, loaded.kept))
document.write(sys.argv[1])
seconds = time.process_time() - start
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, peak, len(loaded.kept))
"""


def run(code: str, folder: Path) -> list[float]:
    output = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    ).stdout
    return list(map(float, output.split()))


def write_runs(folder: Path, many: bool) -> None:
    draw, epochs, parts = np.random.default_rng(0), np.arange(1, 1001), []
    for index in range(1000):
        rate, seed = (0.1, 0.03, 0.01, 0.003, 0.001)[index % 5], index // 5
        names = ("train_loss", "val_loss", "train_acc", "val_acc", "test_acc")
        part = pd.DataFrame({"epoch": epochs} | {name: 0.5 / epochs + draw.random(1000) / 9 for name in names})
        if many:
            part.to_csv(folder / f"lr{rate}_s{seed}.csv", index=False)
        parts.append(part.assign(lr=rate, seed=seed))
    if not many:
        pd.concat(parts).to_csv(folder / "all.csv", index=False)


@pytest.fixture(scope="module")
def thousand_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thousand") / "files"
    folder.mkdir()
    write_runs(folder, many=True)
    return folder


@pytest.fixture(scope="module")
def inspected(thousand_files: Path) -> list[float]:
    """Seconds, memory and counts of a look at these files, whose study then lies beside them."""
    return run(MEASURE, thousand_files)


@pytest.fixture(scope="module")
def inspected_as_one(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The same of a single file with all runs."""
    folder = tmp_path_factory.mktemp("thousand") / "file"
    folder.mkdir()
    write_runs(folder, many=False)
    return run(MEASURE, folder)


@pytest.mark.slow
@pytest.mark.parametrize("logs", ["inspected", "inspected_as_one"])
def test_a_thousand_runs(request: pytest.FixtureRequest, logs: str) -> None:
    seconds, megabytes, n_runs, n_points = request.getfixturevalue(logs)
    assert (n_runs, n_points) == (1000, 5_000_000)
    assert seconds <= 60
    assert megabytes <= 1500


@pytest.mark.slow
def test_a_report_on_a_thousand_imported_runs(tmp_path: Path, thousand_files: Path, inspected: list[float]) -> None:
    study, folder = load_study(thousand_files.with_suffix(".toml")), tmp_path / "report"
    folder.mkdir()
    (folder / CONTENTS).write_text(import_runs(study, folder).to_text())
    seconds, megabytes, n_runs = run(REPORT, folder)
    assert n_runs == 1000
    assert seconds <= 30
    assert megabytes <= 1000
