"""Source "text": logs of lines such as "step:125/3125 val_loss:4.5 train_time:38.1s", a file per run."""

import re
from collections import defaultdict

import numpy as np

from lrreport.sources.folder import Folder
from lrreport.sources.guess import find_axis, guess_metric
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.spec import ImportSpec
from lrreport.sources.values import decode, parse_measurement

SUFFIXES = (".txt", ".log", ".out")
PAIR = re.compile(r"([A-Za-z_][\w/]*)\s*[:=]\s*([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))(?:/(\d+))?(?![\w.]*=)")


def find(folder: Folder) -> int:
    """Return how many text files have lines with an axis and a metric."""
    return sum(_is_log(folder, path) for path in folder.paths if path.casefold().endswith(SUFFIXES))


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Return a run per file; a number after "/" is the planned number of steps."""
    notes: list[Note] = []
    logs = []
    for path in folder.paths:
        if not path.casefold().endswith(SUFFIXES):
            continue
        log = _read_log(decode(folder.read(path), path), path, spec, notes)
        if log is None:
            notes.append(Note("excluded", f"{path}: has no lines with an axis and a metric"))
        else:
            logs.append(log)
    return logs, notes


def _is_log(folder: Folder, path: str) -> bool:
    with folder.locate(path).open("rb") as stream:
        start = stream.read(20_000).decode(errors="replace")
    return any(
        any(map(find_axis, names)) and any((guess := guess_metric(name)) and guess.quantity for name in names)
        for line in start.splitlines()
        if (names := [name for name, _, _ in PAIR.findall(line)])
    )


def _read_log(text: str, path: str, spec: ImportSpec, notes: list[Note]) -> RunLog | None:
    series: dict[tuple[str, str], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    last, planned = -np.inf, None
    body, newline, rest = text.rpartition("\n")
    if rest.strip() and newline:
        notes.append(Note("cut", f"{path}: the last line has no end and may be cut off, so it is left out"))
        text = body
    for line in text.splitlines():
        pairs = PAIR.findall(line)
        axes = {axis: (parse_measurement(value), total) for name, value, total in pairs if (axis := find_axis(name))}
        if spec.axis and spec.axis not in axes:
            continue
        axis = spec.axis or next(iter(axes), None)
        at = axes[axis][0] if axis else None
        if axis is None or at is None:
            continue
        last, planned = max(last, at), axes[axis][1] or planned
        for name, value, _ in pairs:
            guess = guess_metric(name)
            number = parse_measurement(value)
            if number is not None and not find_axis(name) and (name in spec.metrics or (guess and guess.quantity)):
                series[name, axis][0].append(at)
                series[name, axis][1].append(number)
    if not series:
        return None
    log = RunLog(run=path.rsplit(".", 1)[0].removesuffix(".full"), source=path)
    for (name, axis), (steps, values) in series.items():
        log.add(name, axis, steps, values)
    if planned:
        done = last >= float(planned)
        log.status = "completed" if done else "stopped"
        log.reason = "" if done else f"ends at {last:,.0f} of {int(planned):,}"
    return log
