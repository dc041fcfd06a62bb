"""How the report's cost grows with the number of runs: synthesised records, and the report written from them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.measure import Row
from lrreport.publish import write_report
from lrreport.report.freshness import PAGE
from lrreport.sweep.execute import Limits
from lrreport.testing import write_report_folder
from lrreport.workflow import notify

N_RUNS = (10, 100, 1000)  # of which each learning rate has
N_SEEDS, N_EPOCHS = 5, 20
MOST_SECONDS, MOST_MEMORY, MOST_PAGE = 30.0, 1500.0, 5.0  # of the largest report; memory and page in MB


def measure_growth(folder: Path, n: int, sizes: Sequence[int] = N_RUNS) -> Iterator[Row]:
    """Yield time, memory and size of the largest report, and how the cost per run grew from the smaller report.

    `folder` is the working folder; each size is measured n times.
    """
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    memory: dict[int, list[float]] = {size: [] for size in sizes}
    for size in sizes:
        write_report_folder(folder / "made", size // N_SEEDS, N_SEEDS, N_EPOCHS)
        for _ in range(n):
            spent, peak = _write_report(folder)
            seconds[size].append(spent)
            memory[size].append(peak)
        page = (folder / "made" / PAGE).stat().st_size / 1e6
        shutil.rmtree(folder / "runs")
    before, last = sizes[-2:]
    report = f"report on {last} runs"
    growth = tuple(a / b * before / last for a, b in zip(sorted(seconds[last]), sorted(seconds[before]), strict=True))
    every = {f"{size} runs": times for size, times in seconds.items()}
    yield Row(report, "", "seconds", tuple(seconds[last]), MOST_SECONDS, every)
    yield Row("seconds a run", f"report on {before} runs", "growth", growth, 1.0, every)
    yield Row(f"memory of a {report}", "", "megabytes", tuple(memory[last]), MOST_MEMORY)
    for_one = tuple(a / b * before / last for a, b in zip(memory[last], memory[before], strict=True))
    yield Row("memory a run", f"report on {before} runs", "growth", for_one, 1.0)
    yield Row(f"page of a {report}", "", "megabytes", (page,), MOST_PAGE)


def _write_report(folder: Path) -> tuple[float, float]:
    """Write the report in a new process; return its seconds, and the peak memory of it and its kernel in MB."""
    start, peak = time.perf_counter(), 0.0
    process = psutil.Popen([sys.executable, "-m", "benchmarks.growth", str(folder)], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = [process, *process.children(recursive=True)]
            peak = max(peak, sum(_resident_megabytes(member) for member in family))
        time.sleep(0.1)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "benchmarks.growth")
    return time.perf_counter() - start, peak


def _resident_megabytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def main(folder: str) -> None:
    """Write the report on the study in `folder`/made, as `lrreport report` does once its runs are there."""
    write_report(Path(folder) / "made", Limits(), notify)


if __name__ == "__main__":
    main(*sys.argv[1:])
