"""Measurements: all that a study measured, as a tidy frame of values and a frame of runs; and the tables read from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from lrreport.study.decide import Decide, Look, Published
from lrreport.study.factors import Factor, Level
from lrreport.study.formats import format_setting
from lrreport.study.metrics import Metric, split_name

Seed: TypeAlias = int | str
AXES = ("epoch", "step", "samples", "seconds")  # the first of them that a metric has is the axis of its curves
END = "end"  # the axis of values that stand for a whole run
WITH_OUTCOME = ("completed", "unknown")  # a run of another status has no final value to compare
RUN_COLUMNS = ("level", "seed", "status", "reason", "last")
VALUE_COLUMNS = ("level", "seed", "metric", "axis", "at", "value")


@dataclass(frozen=True)
class Measurements:
    """What a study measured: levels × seeds × metrics.

    `runs` has a row per run (RUN_COLUMNS, and facts such as host and cpu), `values` a row per value (VALUE_COLUMNS; axis
    "end" and `at` NaN for a value of the whole run). `planned` are the seeds that every level should have. `most_seeds`
    is the largest number of seeds per level that the study declares, None if it declares none. `resolution` is the
    smallest step of a metric where it is known (1 / number of examples). `examples` holds, by metric, level and seed,
    scores (n_examples,) whose mean is the metric of that run.
    """

    title: str
    factors: tuple[Factor, ...]
    levels: tuple[Level, ...]
    metrics: dict[str, Metric]
    decide: Decide
    paired: bool
    runs: pd.DataFrame
    values: pd.DataFrame
    planned: tuple[Seed, ...] = ()
    looks: tuple[Look, ...] = ()
    published: Published | None = None
    most_seeds: int | None = None
    resolution: Mapping[str, float] = field(default_factory=dict)
    examples: Mapping[str, Mapping[int, Mapping[Seed, np.ndarray[Any, Any]]]] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.metrics[self.decide.metric]

    @property
    def margin(self) -> float | None:
        """The largest difference on the metric that decides that counts as small; None if there is none."""
        return self.decide.margin if self.decide.margin is not None else self.metric.margin

    def find_margin(self, metric: str) -> float | None:
        """Return the margin of any metric, None if it has none."""
        return self.margin if metric == self.decide.metric else self.metrics[metric].margin

    def find_counterpart(self, prefix: str, quantity: str | None = None) -> Metric | None:
        """Return the metric of the deciding metric's quantity, or of `quantity`, on another split, if measured.

        `prefix` is that of the metric's name: "val", "test", "train" or "final_train".
        """
        parts = split_name(self.decide.metric)
        quantity = quantity or (parts[1] if parts else None)
        return self.metrics.get(f"{prefix}_{quantity}")

    def find_loss(self) -> Metric | None:
        """Return the metric that shows how training went: the loss, or another that should fall, of the deciding split."""
        parts = split_name(self.decide.metric)
        loss = self.find_counterpart(parts[0], "loss") if parts else None
        falling = [
            metric for metric in self.metrics.values() if metric.split == self.metric.split and metric.better == "lower"
        ]
        return loss or (self.metric if self.metric in falling else next(iter(falling), None))

    def list_missing(self) -> list[tuple[int, Seed]]:
        """Return the planned runs, level by level, that have no outcome: never made, crashed or stopped."""
        made = self.runs[self.runs.status.isin((*WITH_OUTCOME, "diverged"))]
        there = set(zip(made.level, made.seed, strict=True))
        return [
            (level.index, seed) for level in self.levels for seed in self.planned if (level.index, seed) not in there
        ]


@dataclass(frozen=True)
class Point:
    """Where on the axis runs are compared: in words ("after the last epoch"), and the position if it is the same for all."""

    text: str
    axis: str
    at: float | None


def collect_curves(measurements: Measurements) -> dict[str, pd.DataFrame]:
    """Return by metric its curves: points on the axis down, (level, seed) across; the index is named after the axis."""
    values = measurements.values
    on_axis = values.axis != END
    curves = {}
    for metric in values.metric[on_axis].unique():
        of_metric = on_axis & (values.metric == metric)
        axis = min(values.axis[of_metric].unique(), key=AXES.index)
        of_axis = values[of_metric & (values.axis == axis)]
        frame = of_axis.pivot(index="at", columns=["level", "seed"], values="value").sort_index()
        curves[str(metric)] = frame.rename_axis(index=axis)
    return curves


def list_outcomes(measurements: Measurements) -> "pd.MultiIndex":
    """Return (level, seed) of the runs that have an outcome and did not diverge."""
    rows = measurements.runs[measurements.runs.status.isin(WITH_OUTCOME)]
    return pd.MultiIndex.from_arrays([rows.level, rows.seed], names=["level", "seed"])


def find_point(measurements: Measurements, curves: Mapping[str, pd.DataFrame]) -> Point:
    """Return where runs are compared, by the study's `decide.at`.

    "last" is the last point of every run where they are equally long, else the last that all of them have; "end" is each
    run's last point.
    """
    decide, frame = measurements.decide, curves.get(measurements.decide.metric)
    axis = str(frame.index.name) if frame is not None else END
    if decide.best_of is not None:
        best_of = measurements.metrics[decide.best_of]
        extreme = "highest" if best_of.better == "higher" else "lowest"
        best = "best evaluation" if decide.best_of == decide.metric else f"{extreme} {best_of.label}"
        return Point(f"at each run's {best}", axis, None)
    if not isinstance(decide.at, str):
        return Point(f"at {name_position(axis, decide.at)}", axis, float(decide.at))
    if frame is None:
        return Point("at the end", axis, None)
    if decide.at == "end":
        return Point("at the end of each run", axis, None)
    outcomes = frame[frame.columns.intersection(list_outcomes(measurements))]
    points = pd.Series(outcomes.index, index=outcomes.index, dtype=float)
    lasts = outcomes.notna().mul(points, axis=0).where(outcomes.notna()).max().dropna()
    if lasts.nunique() > 1:
        common = outcomes.dropna()
        if common.empty:
            return Point("at a point that all runs have", axis, float("nan"))
        at = float(common.index[-1])
        return Point(f"at {name_position(axis, at)}, the last that all runs have", axis, at)
    text = f"at the end ({name_position(axis, float(lasts.iloc[0]))})" if len(lasts) else "at the end"
    return Point(text, axis, None)


def name_position(axis: str, at: float) -> str:
    """Return a point on an axis in words: "epoch 5", "step 2,000"."""
    return f"{axis} {format_position(at)}"


def format_position(at: float) -> str:
    """Return a point on an axis as a number: "5", "2,000", "0.5"."""
    return format_setting(int(at) if float(at).is_integer() else float(at))


def tabulate_scores(
    measurements: Measurements, curves: Mapping[str, pd.DataFrame], point: Point, metric: str
) -> pd.DataFrame:
    """Return a metric where runs are compared: seeds down, levels across (all of them), NaN where a run has no value.

    A metric without a curve has the value of the whole run, wherever metrics with curves are compared.
    """
    runs = list_outcomes(measurements)
    frame, best_of = curves.get(metric), measurements.decide.best_of
    if frame is None or (point.at is None and best_of is None):
        scores = _list_finals(measurements, metric)
        if frame is not None:
            scores = scores.combine_first(frame.ffill().iloc[-1])
    elif best_of is None:
        scores = frame.loc[point.at] if point.at in frame.index else pd.Series(np.nan, index=frame.columns)
    else:
        scores = _pick_at_best(frame, curves.get(best_of), measurements.metrics[best_of].sign)
    scores = scores.reindex(runs).astype(float)
    scores = scores.where(np.isfinite(scores))
    table = scores.unstack("level") if len(scores) else pd.DataFrame(dtype=float)
    seeds = sorted(set(measurements.runs.seed), key=lambda seed: (isinstance(seed, str), seed))
    return table.reindex(index=seeds, columns=[level.index for level in measurements.levels])


def _list_finals(measurements: Measurements, metric: str) -> "pd.Series[float]":
    values = measurements.values
    rows = values[(values.axis == END) & (values.metric == metric)]
    return rows.set_index(["level", "seed"]).value.astype(float)


def _pick_at_best(frame: pd.DataFrame, of: pd.DataFrame | None, sign: int) -> "pd.Series[float]":
    """Return the value of each curve at the point, after the start, where another metric's curve is best."""
    picked = {}
    for run in frame:
        if of is None or run not in of or not of[run].loc[of.index > 0].notna().any():
            continue
        at = (sign * of[run].loc[of.index > 0]).idxmax()
        picked[run] = frame[run].get(at, np.nan)
    return pd.Series(
        picked, dtype=float, index=pd.MultiIndex.from_tuples(picked, names=["level", "seed"]) if picked else None
    )
