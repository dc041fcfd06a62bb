"""A whole study, report included, beside the plain way; runs in parallel beside runs in sequence; the overhead of a run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import Row, compare, take_turns, time_call
from lrreport.project import find_notebook
from lrreport.record.provenance import TRAINING_NOTEBOOK
from lrreport.record.store import Store
from lrreport.study.study import Study
from lrreport.sweep.execute import Limits, execute_notebook
from lrreport.sweep.fork_server import ForkServer
from lrreport.sweep.run import Sweep
from lrreport.training.files import find_data_root
from lrreport.workflow import Workflow

PLAIN = Path(__file__).with_name("plain.ipynb")
FASTER, PARALLEL, OVERHEAD = 10.0, 1.8, 0.25


def measure_studies(study: Study, folder: Path, n: int, n_images: int | None = None) -> Iterator[Row]:
    """Yield the rows on whole studies, n readings each, working in `folder`; the plain way uses the first `n_images`.

    Our report is left in `folder`/outputs.
    """
    whole = {
        "ours": lambda: make_report(study, folder / "outputs"),
        "plain": lambda: make_plainly(study, folder, n_images),
    }
    yield compare(
        "the whole study, report included", "one notebook after the other", "faster", take_turns(whole, n), FASTER
    )
    parts = {name: make_sweep(study, folder / name, n_jobs) for name, n_jobs in (("default", None), ("one", 1))}
    several = f"all {len(study.levels)} executions at once"
    cores = os.cpu_count() or 1
    target = PARALLEL if cores == 2 else None  # what two cores can give; state it elsewhere
    yield compare(several, "one by one", "faster", take_turns(parts, n), target)
    shares = tuple(share_overhead(study, folder) for _ in range(n))
    yield Row("kernel and imports", "one run by itself", "share", shares, OVERHEAD)


def make_report(study: Study, outputs: Path) -> None:
    """Make all runs of a study and its report, from nothing, as the command does."""
    shutil.rmtree(outputs, ignore_errors=True)
    write_settings(study, outputs.with_suffix(".toml"))
    call_lrreport("report", str(outputs.with_suffix(".toml")), "--name", study.name, "--outputs", str(outputs))


def call_lrreport(*arguments: str) -> None:
    """Run a command of lrreport in a new process; raise CalledProcessError if it fails."""
    command = [sys.executable, "-P", "-m", "lrreport.cli", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def write_settings(study: Study, path: Path) -> None:
    """Write what the study varies and fixes into a study file."""
    tables = {"vary": study.vary, "fixed": {name: value for name, value in study.fixed.items() if name != "model"}}
    lines = [f"seeds = {json.dumps(study.seeds.initial)}"]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_plainly(study: Study, folder: Path, n_images: int | None) -> None:
    """Execute the plain notebook with Papermill for each rate in sequence, and convert each to HTML."""
    for level in study.levels:
        rate = level.values["learning_rate"]
        executed = folder / f"plain-{rate}.ipynb"
        parameters = {
            "learning_rate": rate, "seeds": list(study.seeds.initial), "epochs": study.training_of(level).epochs,
            "data_root": str(find_data_root()), "n_images": n_images or 60_000,
        }  # fmt: skip
        options = [word for name, value in parameters.items() for word in ("-y", json.dumps({name: value}))]
        run_module("papermill", str(PLAIN), str(executed), "--kernel", "python3", "--no-progress-bar", *options)
        run_module("nbconvert", "--to", "html", str(executed))


def run_module(*words: str) -> None:
    """Run a Python module as a command, quietly; raise CalledProcessError if it fails."""
    subprocess.run(
        [sys.executable, "-m", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def make_sweep(study: Study, folder: Path, n_jobs: int | None) -> Callable[[], None]:
    """Return the training part of a study, from nothing, so many runs at once."""

    def run() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        runs = Workflow(study, folder).list_runs()
        with ForkServer() as server:  # as the command does
            sweep = Sweep(Store(folder / "runs"), folder / "failed", Limits(server=server))
            failures = sweep.run_all(runs, n_jobs)
        if failures:
            raise RuntimeError(f"runs failed: {failures}")

    return run


def share_overhead(study: Study, folder: Path) -> float:
    """Return the share of a run's time outside its cells and in the cell that imports: Papermill, kernel, imports."""
    settings = study.settings_of(study.levels[0])
    parameters = {name: settings[name] for name in ("learning_rate", "dataset", "batch_size", "epochs")}
    parameters["settings"] = {"validation_size": settings["validation_size"]}
    executed = folder / "one.ipynb"
    total = time_call(lambda: execute_notebook(find_notebook(TRAINING_NOTEBOOK), executed, parameters))
    cells = [cell for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    work = [
        cell["metadata"]["papermill"]["duration"] for cell in cells if "\nfrom lrreport" not in "".join(cell["source"])
    ]
    return 1 - float(sum(work)) / total
