"""Source "mlflow": the file store (mlruns/EXPERIMENT/RUN/) and the SQLite database."""

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lrreport.sources.folder import Folder
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.refusal import refuse_file
from lrreport.sources.spec import ImportSpec
from lrreport.sources.sqlite import is_database, open_database, read_rows
from lrreport.sources.values import decode, parse_measurement, parse_yaml

STATUSES = {  # by number in files, by word in databases
    **dict.fromkeys(("3", "FINISHED"), ("completed", "")),
    **dict.fromkeys(("4", "FAILED"), ("failed", "MLflow says FAILED")),
    **dict.fromkeys(("5", "KILLED"), ("stopped", "MLflow says KILLED")),
    **dict.fromkeys(("1", "RUNNING"), ("unknown", "MLflow says RUNNING")),
    **dict.fromkeys(("2", "SCHEDULED"), ("unknown", "MLflow says SCHEDULED")),
}
PARENT = "mlflow.parentRunId"
TABLES = {"runs", "params", "metrics", "tags"}
LARGEST_FINITE = 1.797e308  # SQLite's stand-in for infinity
Measurement = tuple[int, float, float]  # step, time in ms, value


def find(folder: Folder) -> int:
    """Return how many runs of file stores and databases there are."""
    databases = sum(is_database(folder, path, TABLES) for path in folder.paths)
    return databases + len(_find_runs(folder))


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Return the runs that were not deleted; parents of nested runs, which repeat a child's values, are left out."""
    notes: list[Note] = []
    logs = [_read_run(folder, run_folder, files, spec, notes) for run_folder, files in _find_runs(folder).items()]
    for path in folder.paths:
        if is_database(folder, path, TABLES):
            logs += _read_database(folder, path, spec, notes)
    remaining = [(log, above) for log, above, deleted in logs if spec.deleted or not deleted]
    if len(remaining) < len(logs):
        notes.append(Note("excluded", "runs that were deleted in MLflow", len(logs) - len(remaining)))
    parents = {above for _, above in remaining if above}
    runs = [log for log, _ in remaining if log.run not in parents]
    if len(runs) < len(remaining):
        notes.append(
            Note("excluded", "parents of nested runs, which repeat the values of a child", len(remaining) - len(runs))
        )
    return runs, notes


def _find_runs(folder: Folder) -> dict[str, list[str]]:
    """Return the folders of runs, each with its files: those with meta.yaml and params/, metrics/ or tags/."""
    files: dict[str, list[str]] = defaultdict(list)
    run_folders = {path.rpartition("/")[0] for path in folder.paths if path.rpartition("/")[2] == "meta.yaml"}
    for path in folder.paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            run_folder = "/".join(parts[:depth])
            if run_folder in run_folders and parts[depth] in ("params", "metrics", "tags") and len(parts) > depth + 1:
                files[run_folder].append(path)
                break
    return {run_folder: files[run_folder] for run_folder in sorted(files) if ".trash" not in run_folder}


def _read_run(
    folder: Folder, run_folder: str, files: list[str], spec: ImportSpec, notes: list[Note]
) -> tuple[RunLog, str, bool]:
    """Return a run of a file store, its parent's id and whether it was deleted."""
    meta = parse_yaml(folder.read(f"{run_folder}/meta.yaml"), f"{run_folder}/meta.yaml")
    log = RunLog(
        run=str(meta.get("run_id") or meta.get("run_uuid") or run_folder.rsplit("/", 1)[-1]), source=run_folder
    )
    _describe(log, meta.get("status"), meta.get("start_time"), meta.get("end_time"))
    above = ""
    for path in files:
        kind, _, name = path.removeprefix(f"{run_folder}/").partition("/")
        if kind == "tags" and name == PARENT:
            above = decode(folder.read(path), path).strip()
        elif kind == "params":
            log.settings[name] = decode(folder.read(path), path).strip()
        elif kind == "metrics":
            _add_metric(log, name, _parse_lines(decode(folder.read(path), path), path, notes), spec, notes)
    return log, above, meta.get("lifecycle_stage") == "deleted"


def _parse_lines(text: str, path: str, notes: list[Note]) -> list[Measurement]:
    """Return the measurements of a metric's file: lines "time value", "time value step" or with a data set after it."""
    rows: list[Measurement] = []
    for number, line in enumerate(lines := text.split("\n"), 1):
        fields = line.split()
        if not fields:
            continue
        time, value = parse_measurement(fields[0]), parse_measurement(fields[1]) if len(fields) > 1 else None
        step = parse_measurement(fields[2]) if len(fields) > 2 else 0.0
        unended = number == len(lines)  # a step 45 that is cut off may read 4
        if unended or time is None or value is None or step is None:
            if unended:
                notes.append(Note("cut", f"{path}: the last line is cut off, so it is left out"))
                continue
            raise refuse_file(path, 'not "time value step"', "correct it", number)
        rows.append((int(step), time, value))
    if not rows:
        notes.append(Note("excluded", f"{path}: holds no value"))
    return rows


def _add_metric(log: RunLog, name: str, rows: list[Measurement], spec: ImportSpec, notes: list[Note]) -> None:
    """Add a metric's values by step; where all were logged without a step, the latest is the final value."""
    distinct = list(dict.fromkeys(rows))
    if len(distinct) < len(rows):
        notes.append(Note("duplicate", "lines of metrics that repeat another exactly", len(rows) - len(distinct)))
    if not distinct:
        return
    if all(step == 0 for step, _, _ in distinct):
        log.final[name] = max(distinct, key=lambda row: (row[1], row[2]))[2]
        if len(distinct) > 1:
            text = f"values of {name} that were all logged at step 0; the latest counts as the final value"
            notes.append(Note("guess", text, len(distinct)))
        return
    log.add(name, spec.axis or "step", [row[0] for row in distinct], [row[2] for row in distinct])


def _read_database(folder: Folder, path: str, spec: ImportSpec, notes: list[Note]) -> list[tuple[RunLog, str, bool]]:
    """Return the runs of a database, each with its parent's id and whether it was deleted."""
    with open_database(folder, path) as database:
        runs = read_rows(database, path, "SELECT run_uuid, status, start_time, end_time, lifecycle_stage FROM runs")
        params = read_rows(database, path, "SELECT run_uuid, key, value FROM params")
        tags = read_rows(database, path, f"SELECT run_uuid, value FROM tags WHERE key = '{PARENT}'")
        metrics = read_rows(
            database, path, "SELECT run_uuid, key, step, timestamp, value, is_nan FROM metrics ORDER BY rowid"
        )
    above = {str(run): str(value) for run, value in tags}
    logs: dict[str, tuple[RunLog, str, bool]] = {}
    for run, status, start, end, stage in runs:
        log = RunLog(run=str(run), source=path)
        _describe(log, status, start, end)
        logs[str(run)] = (log, above.get(str(run), ""), stage == "deleted")
    for run, name, value in params:
        if str(run) in logs:
            logs[str(run)][0].settings[str(name)] = value
    for (run, name), rows in _group_metrics(metrics, path).items():
        if run in logs:
            _add_metric(logs[run][0], name, rows, spec, notes)
    return list(logs.values())


def _group_metrics(metrics: Iterable[tuple[Any, ...]], path: str) -> dict[tuple[str, str], list[Measurement]]:
    grouped: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for run, name, step, time, value, is_nan in metrics:
        number = math.nan if is_nan else parse_measurement(value)
        if number is None:
            raise refuse_file(path, f"metric {name} of run {run} has no value", "copy the database again")
        number = math.copysign(math.inf, number) if abs(number) >= LARGEST_FINITE else number
        grouped[str(run), str(name)].append((int(step or 0), float(time or 0), number))
    return grouped


def _describe(log: RunLog, status: Any, start: Any, end: Any) -> None:
    log.status, log.reason = STATUSES.get(str(status), ("unknown", ""))
    first, last = parse_measurement(start), parse_measurement(end)
    if first and 0 < first < 1e14:
        log.started = datetime.fromtimestamp(first / 1000, UTC).isoformat(timespec="seconds")
        if last and last >= first:
            log.seconds = (last - first) / 1000
