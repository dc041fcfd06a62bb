"""The output of a source: a `RunLog` per run, and the frames of runs and history made from them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lrreport.sources.refusal import RefusalError
from lrreport.sources.values import parse_value

STATUSES = ("completed", "diverged", "failed", "stopped", "unknown")
AXES = ("epoch", "step", "samples", "seconds")
RUN_COLUMNS = ["run", "source", "status", "reason", "seed", "replicate", "started", "seconds"]
HISTORY_COLUMNS = ["run", "metric", "axis", "at", "value"]
ROUNDING = 1e-7  # relative: what is left of a value after float32, or after printing ten digits
MOST_SETTINGS = 2000  # names over all runs; more are dumps of an environment, and every comparison would be slow


@dataclass(frozen=True)
class Note:
    """Something that was left out, merged, missing or guessed: what, why and how many times.

    `kind` is "excluded", "duplicate", "hole", "guess", "cut", "length", "failure" or "remark".
    """

    kind: str
    text: str
    count: int = 1


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: its path below the folder, its size in bytes and its SHA-256 (hexadecimal)."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Points:
    """A metric's values in a run, in the order written; `at` and `values` are float arrays (n,)."""

    metric: str
    axis: str
    at: np.ndarray
    values: np.ndarray


@dataclass
class RunLog:
    """A run as its source describes it, with the source's names of settings and metrics."""

    run: str
    source: str
    settings: dict[str, Any] = field(default_factory=dict)
    status: str = "unknown"
    reason: str = ""
    started: str = ""
    seconds: float = math.nan
    final: dict[str, float] = field(default_factory=dict)
    points: list[Points] = field(default_factory=list)

    def add(self, metric: str, axis: str, at: Any, values: Any) -> None:
        """Append points of a metric; `at` and `values` have the same length."""
        at, values = np.asarray(at, dtype=float), np.asarray(values, dtype=float)
        if len(at):
            self.points.append(Points(metric, axis, at, values))


def make_frames(logs: Sequence[RunLog]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frames of runs (a row per run) and history (a row per value), names as in the source.

    `runs` has RUN_COLUMNS, then setting.NAME and final.METRIC in order of first appearance. `run`, `metric` and `axis`
    of `history` are categories, `at` and `value` floats; points stand in the order in which they were written.
    """
    _make_unique(logs)
    settings = list(dict.fromkeys(name for log in logs for name in log.settings))
    if len(settings) > MOST_SETTINGS:
        raise RefusalError(
            f"{logs[0].source}: {len(settings):,} names of settings, more than the {MOST_SETTINGS:,} that can be read;  "
            "select fewer files with import.paths",
            f"import.paths={logs[0].source}",
        )
    finals = list(dict.fromkeys(name for log in logs for name in log.final))
    columns: dict[str, Any] = {
        "run": [log.run for log in logs],
        "source": [log.source for log in logs],
        "status": [log.status for log in logs],
        "reason": [log.reason for log in logs],
        "seed": [""] * len(logs),
        "replicate": np.zeros(len(logs), dtype=int),
        "started": [log.started for log in logs],
        "seconds": np.array([log.seconds for log in logs], dtype=float),
    }
    for name in settings:
        values = pd.Series([parse_value(log.settings.get(name)) for log in logs], dtype=object)
        columns[f"setting.{name}"] = _unify_numbers(values)
    for name in finals:
        columns[f"final.{name}"] = np.array([log.final.get(name, math.nan) for log in logs], dtype=float)
    return pd.DataFrame(columns), make_history(logs)


def make_history(logs: Sequence[RunLog]) -> pd.DataFrame:
    """Return the points of all runs in a frame with HISTORY_COLUMNS."""
    chunks = [(index, points) for index, log in enumerate(logs) for points in log.points]
    metrics = list(dict.fromkeys(points.metric for _, points in chunks))
    number = {metric: index for index, metric in enumerate(metrics)}
    lengths = [len(points.at) for _, points in chunks]

    def repeat(codes: Iterable[int], categories: Sequence[str]) -> pd.Categorical:
        return pd.Categorical.from_codes(np.repeat(np.fromiter(codes, np.int32), lengths), categories=list(categories))

    empty = [np.empty(0)]
    return pd.DataFrame(
        {
            "run": repeat((index for index, _ in chunks), [log.run for log in logs]),
            "metric": repeat((number[points.metric] for _, points in chunks), metrics),
            "axis": repeat((AXES.index(points.axis) for _, points in chunks), AXES),
            "at": np.concatenate([points.at for _, points in chunks] or empty),
            "value": np.concatenate([points.values for _, points in chunks] or empty),
        }
    )


def _unify_numbers(values: pd.Series) -> pd.Series:
    """Replace numbers that differ only in type (1 and 1.0) or by rounding with the shortest of them."""
    kinds = {type(value) for value in values if value is not None}
    if float not in kinds or not kinds <= {int, float}:
        return values
    numbers = sorted({float(value) for value in values if value is not None})
    shortest: dict[float, float] = {}
    group: list[float] = []
    for number in [*numbers, math.inf]:
        if group and number - group[0] > ROUNDING * abs(number):
            shortest |= dict.fromkeys(group, min(group, key=lambda value: (len(repr(value)), value)))
            group = []
        group.append(number)
    return values.map(lambda value: None if value is None else shortest.get(float(value), float(value))).astype(object)


def _make_unique(logs: Sequence[RunLog]) -> None:
    """Number runs whose names are equal: "a", "a#2"."""
    seen: dict[str, int] = {}
    for log in logs:
        seen[log.run] = seen.get(log.run, 0) + 1
        if seen[log.run] > 1:
            log.run = f"{log.run}#{seen[log.run]}"
