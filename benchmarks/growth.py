"""How the report's cost grows with the number of runs: synthesised records, and the report written from them."""

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import psutil

from lrreport.bench.measure import Row
from lrreport.provenance import Identity
from lrreport.record import EpochRow, RunRecord, Score, SeedResult, replace_file, save_record
from lrreport.report.freshness import CONTENTS, PAGE, Places, describe_contents
from lrreport.settings import Parameters
from lrreport.study import Study, parse_study
from lrreport.workflow import Workflow

N_RUNS = (10, 100, 1000)  # learning rates, each with
N_SEEDS, N_EPOCHS = 5, 20
MOST_SECONDS, MOST_MEMORY, MOST_PAGE = 30.0, 1500.0, 5.0  # of the largest report; memory and page in MB


def measure_growth(folder: Path, n: int, sizes: Sequence[int] = N_RUNS) -> Iterator[Row]:
    """Yield time, memory and size of the largest report, and how the cost of one run grew from the smaller one.

    `folder` is a place to work in; each size is measured n times over.
    """
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    memory: dict[int, list[float]] = {size: [] for size in sizes}
    for size in sizes:
        write_study(folder / "made", size, N_SEEDS, N_EPOCHS)
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
    """Write the report in a process of its own; return its seconds, and the peak memory of it and its kernel in MB."""
    start, peak = time.perf_counter(), 0.0
    process = psutil.Popen([sys.executable, "-m", "lrreport.bench.growth", str(folder)], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = [process, *process.children(recursive=True)]
            peak = max(peak, sum(_resident_megabytes(one) for one in family))
        time.sleep(0.1)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "lrreport.bench.growth")
    return time.perf_counter() - start, peak


def _resident_megabytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def make_study(rates: Sequence[float], seeds: Sequence[int], epochs: int, **settings: Any) -> Study:
    """Return a study of the embedded sample with these rates, seeds and epochs."""
    fixed = {"dataset": "sample", "validation_size": 500, "epochs": epochs}
    vary = {"learning_rate": list(rates), "seed": list(seeds)} | settings.pop("vary", {})
    return parse_study({"name": "made", "vary": vary, "fixed": fixed, **settings}, "synthesised")


def write_study(
    folder: Path, n_rates: int, n_seeds: int, n_epochs: int, batch_sizes: Sequence[int] | None = None
) -> Path:
    """Write the folder of a study with records of drawn numbers, as a sweep would leave them, and return it.

    The best rate lies in the middle, and moves with the batch size if that varies; the highest diverges for one seed in
    its second half.
    """
    rng = np.random.default_rng(0)
    rates = [float(f"{rate:.3g}") for rate in np.geomspace(1, 1e-5, n_rates)]
    vary = {"batch_size": list(batch_sizes)} if batch_sizes else {}
    title = f"{n_rates} rates, {n_seeds} seeds, {n_epochs} epochs"
    study = make_study(rates, range(n_seeds), n_epochs, title=title, vary=vary)
    places = {}
    for value, level in study.levels().items():
        folders = {}
        for parameters in level.runs():
            rate = parameters.learning_rate
            record, arrays = draw_record(rng, parameters, broken=rate == max(rates))
            folders[rate] = f"../runs/{record.identity.key}"
            (folder / folders[rate]).mkdir(parents=True, exist_ok=True)
            save_record(folder / folders[rate], record, arrays)
        places[value] = Places(folders)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / CONTENTS, describe_contents(study, places).encode())
    return folder


def draw_record(rng: np.random.Generator, parameters: Parameters, broken: bool) -> tuple[RunRecord, dict[str, Any]]:
    """Return a record and its arrays, with numbers drawn around a curve of this rate; `broken` if its first seed diverges."""
    n_epochs, per_epoch = parameters.epochs, math.ceil(1500 / parameters.batch_size)
    far = abs(np.log10(parameters.learning_rate / (10**-2.5 * parameters.batch_size / 64)))
    arrays: dict[str, Any] = {"test_labels": np.arange(1000, dtype=np.uint8) % 10}
    seeds = []
    for seed in parameters.seeds:
        n = max(1, n_epochs // 2) if broken and seed == 0 else n_epochs
        losses = 0.3 + 0.3 * far + 2 * np.exp(-np.arange(n + 1) / (1 + far)) + rng.normal(0, 0.01, n + 1)
        rows = tuple(
            make_row(epoch, float(loss), float(1 / (1 + loss)), float(loss)) for epoch, loss in enumerate(losses)
        )
        arrays[f"step_losses_{seed}"] = rng.normal(losses[-1], 0.1, per_epoch * n).astype(np.float32)
        final = {}
        if n == n_epochs:
            last = Score(loss=rows[-1].val_loss, accuracy=rows[-1].val_accuracy)
            final = {"train": last, "validation": last, "test": last}
            arrays[f"test_predictions_{seed}"] = rng.integers(0, 10, 1000).astype(np.uint8)
        seeds.append(SeedResult(seed=seed, status="completed" if final else "diverged", epochs=rows, **final))
    identity = Identity(
        parameters=parameters.model_dump(mode="json"), notebook="0" * 64, code={"training/loop.py": "1" * 64},
        data={"images": "2" * 64}, torch="2.13.0", device="cpu",
    )  # fmt: skip
    record = RunRecord(
        identity=identity, split_sizes={"train": 1500, "validation": 500, "test": 1000}, n_parameters=109386,
        class_names=tuple("abcdefghij"), seeds=tuple(seeds),
        facts={"commit": "3" * 40, "python": "3.11.2", "packages": {"torch": "2.13.0"}},
    )  # fmt: skip
    return record, arrays


def make_row(epoch: int, val_loss: float, val_accuracy: float, train_loss: float) -> EpochRow:
    """Return the row of an epoch that took one second, the untrained network's none."""
    return EpochRow(
        epoch=epoch,
        train_loss=train_loss,
        train_accuracy=val_accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        cpu_seconds=1.0 if epoch else 0.0,
    )


def main(folder: str) -> None:
    """Write the report on the study in `folder`/made, as `lrreport report` does once its runs are there."""
    outputs = Path(folder)
    Workflow(make_study([0.1], [0], 1), outputs).write_report(outputs / "made", Event())


if __name__ == "__main__":
    main(*sys.argv[1:])
