"""Source "wandb": local folders of Weights & Biases, and CSV exports of a chart."""

import math
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from lrreport.sources.folder import Folder, parent
from lrreport.sources.guess import find_axis
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.refusal import RefusalError, refuse_file
from lrreport.sources.spec import ImportSpec
from lrreport.sources.table_files import read_csv, to_numbers
from lrreport.sources.values import flatten, parse_json, parse_measurement, parse_yaml
from lrreport.sources.wandb_file import WandbRun, read_wandb_file

SAMPLE = 500  # rows that W&B's `history()` returns, chosen at random


def find(folder: Folder) -> int:
    """Return the number of runs and chart exports."""
    return len(_find_runs(folder)) + sum(_is_chart(folder, path) for path in folder.paths)


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Return the runs of local folders, merged by their id over resumes, and those of chart exports."""
    notes: list[Note] = []
    logs: dict[str, RunLog] = {}
    for run_folder, path in _find_runs(folder).items():
        log = _read_run(folder, run_folder, path, spec, notes)
        if log.run in logs:
            known = logs[log.run]
            notes.append(Note("duplicate", "folders with the id of an earlier run, whose points are put together"))
            known.points += log.points
            known.final |= log.final
            known.status, known.reason = log.status, log.reason
        else:
            logs[log.run] = log
    for path in folder.paths:
        if _is_chart(folder, path):
            for log in _read_chart(folder, path, spec, notes):
                if log.run in logs:
                    logs[log.run].points += log.points
                else:
                    logs[log.run] = log
    return list(logs.values()), notes


def _find_runs(folder: Folder) -> dict[str, str | None]:
    """Return folders of runs in order of time, each with its .wandb file, or None where only files/ is left."""
    runs: dict[str, str | None] = {}
    for path in folder.paths:
        run_folder, _, name = path.rpartition("/")
        if name.endswith(".wandb"):
            runs[run_folder or path] = path
        elif name == "wandb-summary.json" and run_folder.endswith("files"):
            runs.setdefault(parent(run_folder), None)
    return runs


def _read_run(folder: Folder, run_folder: str, path: str | None, spec: ImportSpec, notes: list[Note]) -> RunLog:
    run = read_wandb_file(folder.read(path), path) if path else WandbRun(run_id=run_folder.rsplit("-", 1)[-1])
    config, summary = f"{run_folder}/files/config.yaml", f"{run_folder}/files/wandb-summary.json"
    if config in folder.paths:
        run.settings = parse_yaml(folder.read(config), config) | run.settings
    whole = parse_json(folder.read(summary), summary) if summary in folder.paths else {}
    run.summary = (whole if isinstance(whole, dict) else {}) | run.summary
    log = RunLog(run=run.run_id or run_folder.rsplit("/", 1)[-1], source=run_folder)
    log.settings = flatten(
        {name: _unwrap(value) for name, value in run.settings.items() if name not in ("_wandb", "wandb_version")}
    )
    if run.started:
        log.started = datetime.fromtimestamp(run.started, UTC).isoformat(timespec="seconds")
    seconds = parse_measurement(run.summary.get("_runtime"))
    log.seconds = math.nan if seconds is None else seconds
    _add_history(log, run.history, spec, notes)
    _judge_end(log, run, whole if isinstance(whole, dict) else {}, notes)
    logged = {name for row in run.history for name in flatten(row)}
    for name, value in flatten(run.summary).items():  # what was never logged, such as the score on the test data
        number = parse_measurement(value)
        if number is not None and not name.startswith("_") and name not in logged:
            log.final[name] = number
    return log


def _unwrap(value: Any) -> Any:
    """Return a setting of config.yaml, which stands below "value"."""
    return value["value"] if isinstance(value, dict) and "value" in value and set(value) <= {"value", "desc"} else value


def _add_history(log: RunLog, rows: list[dict[str, Any]], spec: ImportSpec, notes: list[Note]) -> None:
    """Add the points of all rows, on epochs where each row of a metric has its own, else on W&B's step."""
    columns: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    kinds: dict[str, str | None] = {}  # name -> the axis that it is, looked up once
    for number, row in enumerate(rows):
        row = flatten(row) if any(isinstance(cell, dict) for cell in row.values()) else row
        axes: dict[str, float] = {}
        values: dict[str, float] = {}
        for name, cell in row.items():
            value = parse_measurement(cell)
            if value is None:
                continue
            if name not in kinds:
                kinds[name] = find_axis(name)
            axis = kinds[name]
            if axis is None:
                values[name] = value
            elif axis not in axes or name != "_step":
                axes[axis] = value
        step = parse_measurement(row.get("_step"))
        point = (
            step if step is not None else float(number),
            axes.get("epoch", math.nan),
            axes.get(spec.axis or "", math.nan),
        )
        for name, value in values.items():
            if not name.startswith("_"):
                columns[name].append((*point, value))
    for name, points in columns.items():
        _add_points(log, name, np.array(points), spec, notes)


def _add_points(log: RunLog, name: str, points: np.ndarray, spec: ImportSpec, notes: list[Note]) -> None:
    """Add a metric whose `points` (n, 4) are steps, epochs, positions on the declared axis, and values."""
    steps, epochs, declared, values = points.T
    if spec.axis and spec.axis != "step":
        known = ~np.isnan(declared)
        if not known.all():
            text = f"{log.source}: values of {name} without {spec.axis}"
            notes.append(Note("excluded", text, int((~known).sum())))
        log.add(name, spec.axis, declared[known], values[known])
    elif spec.axis:
        log.add(name, "step", steps if np.isnan(declared).any() else declared, values)
    elif not np.isnan(epochs).any() and (epochs % 1 == 0).all() and len(np.unique(epochs)) == len(epochs):
        log.add(name, "epoch", epochs, values)
    else:
        log.add(name, "step", steps, values)


def _judge_end(log: RunLog, run: WandbRun, whole: dict[str, Any], notes: list[Note]) -> None:
    """Set the status from the exit code, and compare the last step with that of the summary file."""
    words = {0: ("completed", ""), 255: ("stopped", "interrupted")}
    if run.exit_code is None:
        log.status, log.reason = "unknown", "the file has no exit code, so the run is not known to have finished"
    else:
        log.status, log.reason = words.get(run.exit_code, ("failed", f"exit code {run.exit_code}"))
    last = max((step for row in run.history if (step := parse_measurement(row.get("_step"))) is not None), default=None)
    planned = parse_measurement(whole.get("_step"))
    if run.cut:
        notes.append(Note("cut", "W&B files end in a record that is cut off; it is left out"))
    if last is not None and planned is not None and last < planned:
        log.status, log.reason = "stopped", f"the file ends at step {last:,.0f}, the run went on to {planned:,.0f}"
        notes.append(Note("cut", "W&B files end before the last step that the run's summary names"))


def _is_chart(folder: Folder, path: str) -> bool:
    """Return whether a CSV file is the export of a chart, from its header."""
    if not path.casefold().endswith(".csv"):
        return False
    with folder.locate(path).open("rb") as stream:
        header = stream.readline(1_000_000)
    return b" - " in header and b"__MIN" in header and b"__MAX" in header


def _read_chart(folder: Folder, path: str, spec: ImportSpec, notes: list[Note]) -> list[RunLog]:
    """Return the runs of a chart: columns "RUN - METRIC", beside "..__MIN" and "..__MAX", which must be equal."""
    frame, more = read_csv(folder, path)
    notes += more
    axis_column, *columns = frame.columns
    axis = spec.axis or find_axis(axis_column)
    if axis is None:
        raise RefusalError(
            f'{path}: the axis "{axis_column}" is not known; set import.axis to "epoch" or "step"', "import.axis=step"
        )
    at, _ = to_numbers(frame[axis_column], path)
    names = [name for name in columns if not name.endswith(("__MIN", "__MAX"))]
    endings = [{name.split(" - ", start)[-1] for start in range(1, name.count(" - ") + 1)} for name in names]
    shared = set.intersection(*endings) if endings and all(endings) else set()
    if not shared:
        raise refuse_file(
            path, 'its columns are not "RUN - METRIC" with a common metric', "export each chart to a file of its own"
        )
    metric = min(shared, key=len) if len(shared) > 1 else next(iter(shared))
    logs = []
    for name in names:
        values, present = to_numbers(frame[name], path)
        for bound in ("__MIN", "__MAX"):
            if name + bound in frame.columns:
                _refuse_grouped(frame, name, bound, path)
        run = name.removesuffix(f" - {metric}")
        log = RunLog(run=run, source=path, settings={"legend": run})
        log.add(metric, axis, at[present], values[present])
        logs.append(log)
    notes.append(
        Note("guess", f"{path}: a chart's export may be sampled or smoothed; the file does not say", len(names))
    )
    if len(frame) == SAMPLE or (len(np.unique(np.diff(at))) == 1 and np.diff(at)[0] > 1):
        notes.append(Note("guess", f"{path}: evenly spaced or exactly {SAMPLE} rows, so probably sampled"))
    return logs


def _refuse_grouped(frame: pd.DataFrame, name: str, bound: str, path: str) -> None:
    values, present = to_numbers(frame[name], path)
    bounds, bounded = to_numbers(frame[name + bound], path)
    if (values[present & bounded] != bounds[present & bounded]).any():
        raise refuse_file(
            path,
            f"{name} is the mean of a group ({bound[2:]} differs from it), and single runs are needed",
            "export the chart without grouping",
        )
