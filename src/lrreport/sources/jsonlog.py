"""Runs as JSON: the lines that `lrreport.log` writes, and an object per run with lists of values."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lrreport.sources.guess import find_axis, guess_metric, parse_status
from lrreport.sources.logs import AXES, Note, RunLog
from lrreport.sources.refusal import refuse_file
from lrreport.sources.values import flatten, parse_measurement

KEYS = ("run", "end", "final", "status", "reason", "seconds")


def is_run_log(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether JSON lines begin with {"run": {...}}."""
    return bool(rows) and isinstance(rows[0].get("run"), dict)


def read_run_logs(rows: Sequence[dict[str, Any]], path: str, notes: list[Note]) -> list[RunLog]:
    """Return the runs of JSON lines: {"run": settings}, then {"epoch": 1, METRIC: value}, last {"end": status}.

    A run without an end was stopped; a value null or not finite stands in a run that diverged.
    """
    logs: list[RunLog] = []
    series: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for number, row in enumerate(rows, 1):
        if "run" in row:
            _add_series(logs, series)
            if not isinstance(row["run"], dict):
                raise refuse_file(path, '"run" must be an object of settings', "correct that line", number)
            run = path.rsplit(".", 1)[0]
            log = RunLog(run=run, source=path, settings=flatten(row["run"]), status="stopped", reason="has no end")
            logs.append(log)
            continue
        log = logs[-1]
        if "end" in row:
            log.status, log.reason = parse_status(row["end"])
            log.reason = str(row.get("reason") or log.reason)
            final = row.get("final") or {}
            if not isinstance(final, dict):
                raise refuse_file(path, '"final" must be an object of metrics', "correct that line", number)
            log.final |= {name: value for name, cell in final.items() if (value := parse_measurement(cell)) is not None}
            continue
        axis = next((key for key in row if key in AXES and parse_measurement(row[key]) is not None), None)
        if axis is None:
            raise refuse_file(path, f"has none of {', '.join(AXES)}, so it is not a point of a run", "add it", number)
        for name, cell in row.items():
            if name in AXES or name in KEYS:
                continue
            value = float("nan") if cell is None else parse_measurement(cell)
            if value is None:
                notes.append(Note("excluded", f"{path}, line {number}: {name} is not a number"))
                continue
            at, values = series.setdefault((name, axis), ([], []))
            at.append(float(row[axis]))
            values.append(value)
    _add_series(logs, series)
    return logs


def _add_series(logs: Sequence[RunLog], series: dict[tuple[str, str], tuple[list[float], list[float]]]) -> None:
    """Move the points collected so far to the last run."""
    for (name, axis), (at, values) in series.items():
        logs[-1].add(name, axis, at, values)
    series.clear()


def read_run_object(content: dict[str, Any], path: str, notes: list[Note]) -> list[RunLog]:
    """Return the run of a JSON object: lists of numbers are its history, other values its settings and final values."""
    lists = {
        name: value
        for name, value in content.items()
        if isinstance(value, list)
        and value
        and all(parse_measurement(cell) is not None or cell is None for cell in value)
    }
    log = RunLog(run=path.rsplit(".", 1)[0], source=path)
    for name, value in flatten({key: value for key, value in content.items() if key not in lists}).items():
        guess = guess_metric(name)
        number = parse_measurement(value)
        if guess is not None and guess.quantity is not None and number is not None:
            log.final[name] = number
        else:
            log.settings[name] = value
    axes = {axis: name for name in lists if (axis := find_axis(name))}
    usual = Counter(len(value) for name, value in lists.items() if name not in axes.values()).most_common(1)
    for name, value in lists.items():
        if name in axes.values():
            continue
        values = [float("nan") if cell is None else parse_measurement(cell) for cell in value]
        axis = next((axis for axis, column in axes.items() if len(lists[column]) == len(value)), None)
        if axis:
            log.add(name, axis, lists[axes[axis]], values)
        else:
            log.add(name, "epoch" if len(value) == usual[0][0] else "step", range(len(value)), values)
    if lists and not axes:
        notes.append(Note("guess", "lists without an axis: the position in a list, from 0, is taken for its epoch"))
    return [log] if log.points or log.final else []
