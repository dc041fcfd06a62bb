"""What the explorer draws: the runs, their curves on every axis, and the losses of steps, from measurements and records."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from lrreport.inference.measurements import AXES, END, WITH_OUTCOME, Measurements, Seed
from lrreport.record.record import KeptRecord
from lrreport.report.explorer.pack import Floats
from lrreport.study.metrics import Metric

Run: TypeAlias = tuple[int, Seed]  # level index and seed
Records: TypeAlias = Mapping[Run, KeptRecord]
Codes: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

N_VALUES = 400_000  # of all curves: 2.1 MB of base64; with more, only every k-th point is drawn
N_STEP_VALUES = 60_000  # of step losses: 0.24 MB; beyond, a point stands for several steps
SECONDS_AXIS, SECONDS = "seconds", "s"  # the axis, and the unit of a metric that can serve as a clock


@dataclass(frozen=True)
class Runs:
    """The runs by level and seed: their keys in this order, the status of each, and all seeds."""

    keys: list[Run]
    status: dict[Run, str]
    frame: pd.DataFrame  # a row per run, in the order of the keys

    @property
    def seeds(self) -> list[Seed]:
        return sort_seeds(seed for _, seed in self.keys)

    @property
    def index_of(self) -> dict[Run, int]:
        return {key: index for index, key in enumerate(self.keys)}


def sort_seeds(seeds: Iterable[Seed]) -> list[Seed]:
    """Return the seeds, each once: numbers first, then texts."""
    return sorted(set(seeds), key=lambda seed: (isinstance(seed, str), seed))


def list_runs(measurements: Measurements) -> Runs:
    """Return all runs in the order of their levels and seeds."""
    frame = measurements.runs
    order = {seed: index for index, seed in enumerate(sort_seeds(frame.seed))}
    ranked = frame.assign(_rank=frame.seed.map(order)).sort_values(["level", "_rank"], kind="stable")
    ranked = ranked.drop(columns="_rank").reset_index(drop=True)
    keys = [(int(level), seed) for level, seed in zip(ranked.level, ranked.seed, strict=True)]
    return Runs(keys, dict(zip(keys, ranked.status, strict=True)), ranked)


# Curves


@dataclass(frozen=True)
class Curve:
    """A metric of a run: its values, and on each axis the positions of its points."""

    run: Run
    metric: str
    axis: str  # on which it was recorded
    values: Floats
    positions: dict[str, Floats]

    @property
    def key(self) -> tuple[str, str]:
        return self.metric, self.axis


@dataclass(frozen=True)
class Clock:
    """Seconds since a run began by position on an axis, from the metric that records them."""

    metric: Metric
    axis: str
    of_run: dict[Run, tuple[Floats, Floats]]  # positions and seconds


@dataclass(frozen=True)
class Rows:
    """The rows of all values as arrays: indices of run, metric and axis (−1: none of these), position and value."""

    run: Codes
    metric: Codes
    axis: Codes
    at: Floats
    value: Floats


def read_rows(measurements: Measurements, runs: Runs) -> Rows:
    """Return the values as arrays; there may be millions, so each column of names is compared once."""
    values, seeds = measurements.values, runs.seeds
    seed_codes, seed_names = pd.factorize(values.seed)
    index_of = {seed: index for index, seed in enumerate(seeds)}
    seed_of = np.array([index_of.get(seed, -1) for seed in seed_names] or [-1], dtype=np.int64)[seed_codes]
    run_of = np.full((len(measurements.levels), len(seeds) + 1), -1, dtype=np.int64)  # the last column: no such seed
    for index, (level, seed) in enumerate(runs.keys):
        run_of[level, index_of[seed]] = index
    return Rows(
        run=run_of[values.level.to_numpy(dtype=np.int64), seed_of],
        metric=_index_names(values.metric, list(measurements.metrics)),
        axis=_index_names(values.axis, [*AXES, END]),
        at=values["at"].to_numpy(dtype=float),
        value=values.value.to_numpy(dtype=float, na_value=np.nan),
    )


def _index_names(column: "pd.Series[str]", names: Sequence[str]) -> Codes:
    codes, categories = pd.factorize(column)
    index_of = {name: index for index, name in enumerate(names)}
    indices: Codes = np.array([index_of.get(str(name), -1) for name in categories] or [-1], dtype=np.int64)[codes]
    return indices


@dataclass(frozen=True)
class Recorded:
    """All that was recorded of the runs: curves, step losses, and final values (n_runs, n_metrics), NaN where none."""

    runs: Runs
    curves: list[Curve]
    losses: dict[Run, Floats]
    finals: Floats
    clock: Clock | None
    steps_per_epoch: dict[int, float]  # by level


def read_recorded(measurements: Measurements, records: Records) -> Recorded:
    """Return what was recorded, from the values of the measurements and the step losses of the records."""
    runs = list_runs(measurements)
    rows, losses = read_rows(measurements, runs), _load_step_losses(runs, records)
    steps_per_epoch = _find_steps_per_epoch(runs, rows, losses)
    clock = find_clock(measurements, runs, rows)
    curves = _collect_curves(measurements, runs, rows, clock, steps_per_epoch)
    finals = tabulate_finals(measurements, runs, rows, curves, clock)
    return Recorded(runs, curves, losses, finals, clock, steps_per_epoch)


def tabulate_finals(
    measurements: Measurements, runs: Runs, rows: Rows, curves: Sequence[Curve], clock: Clock | None
) -> Floats:
    """Return each metric at the end of each run, (n_runs, n_metrics).

    Where a run that ended well has no value at the end, the last of its curve stands for it; for seconds
    the sum.
    """
    finals = np.full((len(runs.keys), len(measurements.metrics)), np.nan)
    rank, index_of = {name: index for index, name in enumerate(measurements.metrics)}, runs.index_of
    for curve in curves:
        finite = curve.values[np.isfinite(curve.values)]
        if len(finite) and runs.status[curve.run] in WITH_OUTCOME:
            timed = clock is not None and curve.metric == clock.metric.name and curve.run in clock.of_run
            last = clock.of_run[curve.run][1][-1] if clock and timed else finite[-1]
            finals[index_of[curve.run], rank[curve.metric]] = last
    end = (rows.axis == len(AXES)) & (rows.run >= 0) & (rows.metric >= 0) & np.isfinite(rows.value)
    finals[rows.run[end], rows.metric[end]] = rows.value[end]
    return finals


def find_clock(measurements: Measurements, runs: Runs, rows: Rows) -> Clock | None:
    """Return the times of points in seconds, from a metric in seconds with a curve; None if there is none.

    Seconds that each point took are summed up; those that grow from point to point in every run count from its start.
    """
    for index, metric in enumerate(measurements.metrics.values()):
        if metric.unit != SECONDS:
            continue
        points = np.flatnonzero((rows.metric == index) & (rows.axis >= 0) & (rows.axis < AXES.index(SECONDS_AXIS)))
        if not len(points):
            continue
        axis = rows.axis[points].min()
        points = points[(rows.axis[points] == axis) & (rows.run[points] >= 0)]
        points = points[np.lexsort((rows.at[points], rows.run[points]))]
        of_run = {}
        for part in np.split(points, np.flatnonzero(np.diff(rows.run[points])) + 1):
            of_run[runs.keys[rows.run[part[0]]]] = (rows.at[part], np.nan_to_num(rows.value[part]))
        if not all(_counts_up(seconds) for _, seconds in of_run.values()):
            of_run = {run: (at, np.cumsum(seconds)) for run, (at, seconds) in of_run.items()}
        return Clock(metric, AXES[axis], of_run)
    return None


def _counts_up(seconds: Floats) -> bool:
    """Whether seconds count from the start of a run: they never fall, and double at least once."""
    positive = seconds[seconds > 0]
    return bool((np.diff(seconds) >= 0).all() and len(positive) > 1 and positive[-1] >= 2 * positive[0])


def _collect_curves(
    measurements: Measurements, runs: Runs, rows: Rows, clock: Clock | None, steps_per_epoch: Mapping[int, float]
) -> list[Curve]:
    """Return all curves by run, metric and axis."""
    metrics = list(measurements.metrics)
    there = (rows.run >= 0) & (rows.metric >= 0) & (rows.axis >= 0) & (rows.axis < len(AXES)) & np.isfinite(rows.at)
    key = (rows.run * len(metrics) + rows.metric) * len(AXES) + rows.axis
    order = np.lexsort((rows.at, key))
    order = order[there[order]]
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    native = set(zip(rows.metric[order][starts].tolist(), rows.axis[order][starts].tolist(), strict=True))
    curves = []
    for points in np.split(order, starts[1:]) if len(starts) else []:
        run, metric, axis = runs.keys[rows.run[points[0]]], int(rows.metric[points[0]]), AXES[rows.axis[points[0]]]
        at, values = rows.at[points], rows.value[points]
        positions = {axis: at}
        if axis == "epoch" and run[0] in steps_per_epoch and (metric, AXES.index("step")) not in native:
            positions["step"] = at * steps_per_epoch[run[0]]
        if clock and axis == clock.axis and run in clock.of_run and (metric, AXES.index(SECONDS_AXIS)) not in native:
            positions[SECONDS_AXIS] = np.interp(at, *clock.of_run[run])
        curves.append(Curve(run, metrics[metric], axis, np.where(np.isfinite(values), values, np.nan), positions))
    return curves


def thin_curves(curves: Sequence[Curve]) -> dict[tuple[str, str], int]:
    """Return by metric and axis the stride that thins all curves to N_VALUES points or little more."""
    longest: dict[tuple[str, str], int] = {}
    for curve in curves:
        longest[curve.key] = max(longest.get(curve.key, 0), len(curve.values))
    low, high = 1, max(longest.values(), default=1)
    while low < high:  # the largest number of points per curve that fits
        most = (low + high + 1) // 2
        n = sum(math.ceil(len(curve.values) / math.ceil(longest[curve.key] / most)) for curve in curves)
        low, high = (most, high) if n <= N_VALUES else (low, most - 1)
    return {key: math.ceil(n / low) for key, n in longest.items()}


def pick_every(n: int, every: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return the indices of every k-th of n points, and of the last."""
    return np.union1d(np.arange(0, n, every), [n - 1]).astype(np.int64) if n else np.zeros(0, np.int64)


# Losses of each step


def _load_step_losses(runs: Runs, records: Records) -> dict[Run, Floats]:
    losses = {}
    for run in runs.keys:
        step_losses = records[run].load_arrays("step_losses").get("step_losses") if run in records else None
        if step_losses is not None and len(step_losses):
            values = np.asarray(step_losses, dtype=float).ravel()
            finite = np.flatnonzero(np.isfinite(values))
            if len(finite):  # what follows the last finite loss says nothing
                losses[run] = np.where(np.isfinite(values), values, np.nan)[: finite[-1] + 1]
    return losses


def bin_steps(losses: Floats, size: int) -> Floats:
    """Return the losses (1, n_steps), or of each `size` steps their mean, lowest and highest (3, n_bins).

    A bin is NaN where any of its steps is; the last bin has the remaining steps.
    """
    if size == 1:
        return losses[np.newaxis]
    starts = np.arange(0, len(losses), size)
    if not len(starts):
        return np.empty((3, 0))
    sizes = np.diff([*starts, len(losses)])
    means = np.add.reduceat(losses.astype(float), starts) / sizes
    return np.stack([means, np.minimum.reduceat(losses, starts), np.maximum.reduceat(losses, starts)])


def _find_steps_per_epoch(runs: Runs, rows: Rows, losses: Mapping[Run, Floats]) -> dict[int, float]:
    """Return by level how many steps an epoch takes, from the runs that have most epochs, where both are known."""
    epochs, there = np.zeros(len(runs.keys)), (rows.axis == AXES.index("epoch")) & (rows.run >= 0)
    np.maximum.at(epochs, rows.run[there], np.nan_to_num(rows.at[there]))
    latest: dict[int, tuple[float, float]] = {}
    for run, last in zip(runs.keys, epochs.tolist(), strict=True):
        if run in losses and last >= latest.get(run[0], (1.0, 0.0))[0]:
            latest[run[0]] = (last, len(losses[run]) / last)
    return {level: float(round(ratio)) for level, (_, ratio) in latest.items() if ratio >= 1}


def convert_steps(at: Floats, run: Run, steps_per_epoch: Mapping[int, float], clock: Clock | None) -> dict[str, Floats]:
    if run[0] not in steps_per_epoch:
        return {}
    epochs = at / steps_per_epoch[run[0]]
    if clock is None or clock.axis != "epoch" or run not in clock.of_run:
        return {"epoch": epochs}
    return {"epoch": epochs, "seconds": np.interp(epochs, *clock.of_run[run])}


# Descriptions
