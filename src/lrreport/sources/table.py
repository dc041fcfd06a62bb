"""Source "table": CSV, TSV, JSON and JSON lines; long or wide, a single file or a file per run, or an export of lrreport."""

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from lrreport.sources.beside import is_beside
from lrreport.sources.folder import Folder, parent
from lrreport.sources.guess import find_axis, is_seed, parse_status, slug
from lrreport.sources.jsonlog import is_run_log, read_run_logs, read_run_object
from lrreport.sources.logs import HISTORY_COLUMNS, Note, RunLog
from lrreport.sources.refusal import RefusalError, refuse_file
from lrreport.sources.roles import Roles, find_roles
from lrreport.sources.spec import ImportSpec
from lrreport.sources.table_files import SUFFIXES, make_frame, read_csv, read_json, read_lines, to_numbers

SPREAD_WORDS = frozenset(["std", "sd", "stderr", "sem", "ci", "se"])
TRUE = ("true", "yes", "1", "1.0", "y")


def find(folder: Folder) -> int:
    """Return how many files of the folder may be tables."""
    return len(_select(folder))


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Return the runs in all tables of the folder."""
    logs: list[RunLog] = []
    notes: list[Note] = []
    frames: dict[str, pd.DataFrame] = {}
    for path in _select(folder):
        if path.casefold().endswith((".csv", ".tsv")):
            frame, more = read_csv(folder, path)
            notes += more
            frames[path] = frame
        elif path.casefold().endswith(".json"):
            content, more = read_json(folder, path)
            if isinstance(content, pd.DataFrame):
                frames[path] = content
            else:
                logs += read_run_object(content, path, notes)
        else:
            rows, more = read_lines(folder, path)
            notes += more
            if is_run_log(rows):
                logs += read_run_logs(rows, path, notes)
            elif rows:
                frames[path] = make_frame(rows)
    logs += _read_frames(frames, spec, notes)
    return logs, notes


def _select(folder: Folder) -> list[str]:
    paths = [path for path in folder.paths if path.casefold().endswith(SUFFIXES)]
    data = [path for path in paths if not is_beside(path) and not path.rsplit("/", 1)[-1].startswith("meta_data")]
    return data or paths


def _read_frames(frames: dict[str, pd.DataFrame], spec: ImportSpec, notes: list[Note]) -> list[RunLog]:
    """Return the runs of all frames; files of a folder are parts of the same run where other folders have them too.

    Files of a folder with the same columns whose names differ only in numbers are separate runs.
    """
    known: dict[tuple[str, ...], Roles] = {}
    stems = Counter(path.rsplit("/", 1)[-1] for path in frames)
    alike = Counter((_mask_numbers(path), tuple(frame.columns)) for path, frame in frames.items())
    histories: dict[str, RunLog] = {}
    tables: list[RunLog] = []
    first: dict[tuple[str, ...], str] = {}  # tables of runs by their columns
    for path, frame in frames.items():
        if frame.empty:
            notes.append(Note("excluded", f"{path}: has a header and no rows"))
            continue
        columns = tuple(frame.columns)
        if _is_summary(frame):
            notes.append(Note("excluded", f"{path}: holds means or intervals over runs, and single runs are needed"))
            continue
        roles = known.setdefault(columns, find_roles(frame, spec, single=len(frames) == 1))
        is_part = stems[path.rsplit("/", 1)[-1]] > 1 and alike[_mask_numbers(path), columns] == 1
        name = parent(path) if is_part and parent(path) else path.rsplit(".", 1)[0]
        if set(HISTORY_COLUMNS) <= set(columns):
            _add_exported(frame, path, histories)
        elif roles.axes or roles.metric:
            for log in _read_history(frame, path, name, roles, spec):
                _merge(histories, log)
        else:
            tables += _read_rows(frame, path, name, roles)
            if len(frame) > 1:
                first.setdefault(columns, path)
    if len(first) > 1:
        left, right = list(first.values())[:2]
        raise RefusalError(
            f"{left} and {right} are tables with different columns; select those that belong together with import.paths",
            f"import.paths={left}",
        )
    return _join(histories, tables, notes)


def _mask_numbers(path: str) -> str:
    """Return a path with # for each number in the file's name: "a/lr0.1_s2.csv" → "a/lr#_s#.csv"."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", name)


def _is_summary(frame: pd.DataFrame) -> bool:
    """Return whether a table holds statistics over runs instead of runs."""
    words = {word for name in frame.columns for word in slug(name).split("_")}
    return bool(words & SPREAD_WORDS) and not any(is_seed(name) or find_axis(name) for name in frame.columns)


def _read_rows(frame: pd.DataFrame, path: str, name: str, roles: Roles) -> list[RunLog]:
    """Return a run per row, with final values only."""
    metrics = {column: to_numbers(frame[column], path) for column in roles.metrics}
    splits = frame[roles.split].astype(str) if roles.split else None
    logs = []
    for index in range(len(frame)):
        run = str(frame[roles.run].iloc[index]) if roles.run else name if len(frame) == 1 else f"{name}#{index + 1}"
        log = RunLog(run=run, source=path, settings=_settings(frame, roles, index))
        _describe(log, frame, roles, index)
        for column, (values, present) in metrics.items():
            if present[index]:
                metric = column.removeprefix("final.")
                log.final[f"{splits.iloc[index]}_{metric}" if splits is not None else metric] = float(values[index])
        logs.append(log)
    return logs if splits is None else _merge_splits(logs)


def _merge_splits(logs: list[RunLog]) -> list[RunLog]:
    """Merge rows that hold the values of different splits of the same run."""
    merged: dict[Hashable, list[RunLog]] = {}
    for log in logs:
        key = (log.source, tuple(sorted((name, str(value)) for name, value in log.settings.items())))
        partner = next((run for run in merged.setdefault(key, []) if not set(run.final) & set(log.final)), None)
        if partner:
            partner.final |= log.final
        else:
            merged[key].append(log)
    return [log for group in merged.values() for log in group]


def _read_history(frame: pd.DataFrame, path: str, name: str, roles: Roles, spec: ImportSpec) -> Iterator[RunLog]:
    """Yield the runs of a table that has an axis: a run per value of its run column, else per combination of settings."""
    metrics = {
        column: to_numbers(frame[column], path) for column in [*roles.metrics, *([roles.value] if roles.value else [])]
    }
    axes = {axis: to_numbers(frame[column], path)[0] for axis, column in roles.axes.items()}
    groups = _group(frame, roles)
    kinds = roles.metric or roles.split  # the column that says what a row's values are
    codes, labels = _factorize(frame[kinds]) if kinds else (np.zeros(len(frame), dtype=int), [""])
    for key, rows in groups:
        run = name if len(groups) == 1 and not roles.run else f"{name}/{key}" if not roles.run else str(key)
        log = RunLog(run=run, source=path, settings=_settings(frame, roles, int(rows[0])))
        _describe(log, frame, roles, int(rows[-1]))
        for code in dict.fromkeys(codes[rows].tolist()):
            chosen = rows[codes[rows] == code]
            for column, (values, present) in metrics.items():
                named = f"{labels[code]}_{column}" if roles.split else column
                metric = str(labels[code]) if roles.metric else named
                _add_points(log, metric, axes, values, present, chosen, spec)
        yield log


def _group(frame: pd.DataFrame, roles: Roles) -> list[tuple[Any, np.ndarray]]:
    """Return the rows (m,) of each run."""
    keys = [column for column in roles.list_keys() if frame[column].nunique(dropna=False) > 1]
    if not keys:
        whole = frame[roles.run].iloc[0] if roles.run else "all"
        return [(whole, np.arange(len(frame)))]
    coded = [_factorize(frame[key]) for key in keys]
    rows = pd.DataFrame({index: codes for index, (codes, _) in enumerate(coded)})
    groups = rows.groupby(list(rows.columns), sort=False).indices
    named = {key if isinstance(key, tuple) else (key,): indices for key, indices in groups.items()}
    return [
        ("_".join(labels[code] for code, (_, labels) in zip(key, coded, strict=True)), np.sort(indices))
        for key, indices in named.items()
    ]


def _factorize(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return codes (n,) of a column's values, and the values as texts."""
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return codes, list(map(str, values))


def _add_points(
    log: RunLog, metric: str, axes: dict[str, np.ndarray], values: np.ndarray, present: np.ndarray, rows: np.ndarray,
    spec: ImportSpec,
) -> None:  # fmt: skip
    """Add a metric's points on the declared axis, else on epochs where each has a single value, else on steps."""
    rows = rows[present[rows]]
    if not len(rows):
        return
    if not axes:  # a long table without an axis
        log.final[metric] = float(values[rows[-1]])
        return
    if spec.axis is not None and spec.axis not in axes:
        raise RefusalError(
            f"{log.source}: has no column for import.axis = {spec.axis}; there are {', '.join(axes)}",
            f"import.axis={next(iter(axes))}",
        )
    axis: str = spec.axis or next(axis for axis in ("epoch", "step", "samples", "seconds") if axis in axes)
    at = axes[axis][rows]
    if spec.axis is None and axis == "epoch" and "step" in axes:
        whole = not np.isnan(at).any() and bool((at % 1 == 0).all())
        if not whole or (len(np.unique(at)) < len(at) and len(np.unique(axes["step"][rows])) > len(np.unique(at))):
            axis, at = "step", axes["step"][rows]
    if np.isnan(at).any():
        missing = int(np.isnan(at).sum())
        fallback = next((name for name in axes if name != axis), axis)
        raise RefusalError(
            f"{log.source}: {missing} values of {metric} have no {axis}; fill it in or set import.axis",
            f"import.axis={fallback}",
        )
    log.add(metric, axis, at, values[rows])


def _settings(frame: pd.DataFrame, roles: Roles, index: int) -> dict[str, Any]:
    cells = {column.removeprefix("setting."): frame[column].iloc[index] for column in roles.settings}
    return {name: getattr(cell, "item", lambda cell=cell: cell)() for name, cell in cells.items()}


def _describe(log: RunLog, frame: pd.DataFrame, roles: Roles, index: int) -> None:
    """Set status, start and duration of a run from a row."""
    if roles.status:
        log.status, log.reason = parse_status(frame[roles.status].iloc[index])
        if "reason" in frame.columns and isinstance(frame["reason"].iloc[index], str):
            log.reason = frame["reason"].iloc[index]
            log.settings.pop("reason", None)
    if roles.failure and str(frame[roles.failure].iloc[index]).casefold() in TRUE:
        log.status, log.reason = "diverged", f"the source says {roles.failure}"
    if roles.seconds:
        value = to_numbers(frame[roles.seconds].iloc[[index]], log.source)[0][0]
        log.seconds = float(value)
    if roles.started and not _is_missing(frame[roles.started].iloc[index]):
        log.started = str(frame[roles.started].iloc[index])


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _merge(histories: dict[str, RunLog], log: RunLog) -> None:
    """Add a run's points to those of the same run from another file."""
    if log.run not in histories:
        histories[log.run] = log
        return
    known = histories[log.run]
    known.points += log.points
    known.final |= log.final
    known.settings |= log.settings


def _add_exported(frame: pd.DataFrame, path: str, histories: dict[str, RunLog]) -> None:
    """Add a history as `lrreport export` writes it: columns run, metric, axis, at, value."""
    at, _ = to_numbers(frame["at"], path)
    values, present = to_numbers(frame["value"], path)
    for (run, metric, axis), rows in frame.groupby(["run", "metric", "axis"], sort=False).indices.items():
        log = histories.setdefault(str(run), RunLog(run=str(run), source=path))
        rows = np.sort(rows)[present[np.sort(rows)]]
        log.add(str(metric), str(axis), at[rows], values[rows])


def _join(histories: dict[str, RunLog], tables: list[RunLog], notes: list[Note]) -> list[RunLog]:
    """Return all runs; rows of a table of runs are merged into the histories of the same name."""
    if not histories:
        return tables
    names: dict[str, RunLog] = {}
    for run, log in histories.items():
        names |= {run.rsplit("/", 1)[-1]: log, run: log}
    rows = {log.run: log for log in tables}
    if tables and not set(rows) & set(names):
        notes.append(Note("excluded", f"{tables[0].source}: names none of the runs that have a history", len(tables)))
        return list(histories.values())
    for run, row in rows.items():
        if run in names:
            log = names[run]
            log.settings |= row.settings
            log.final |= row.final
            log.started, log.seconds = (
                row.started or log.started,
                row.seconds if row.seconds == row.seconds else log.seconds,
            )
            if row.status != "unknown" or row.reason:
                log.status, log.reason = row.status, row.reason
        else:
            histories[run] = row
    return list(histories.values())


def read_run(frame: pd.DataFrame, path: str, run: str, spec: ImportSpec) -> RunLog:
    """Return the run of a table that has an axis and no settings, as a logger writes it."""
    roles = find_roles(frame, spec, single=False)
    roles.settings, roles.run = [], None
    if not roles.axes:
        raise refuse_file(path, "has no column epoch or step, so it is not a history")
    return next(_read_history(frame, path, run, roles, spec))
