"""The assessment: everything that findings read, computed once from measurements and passed on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lrreport.inference.candidates import find_candidates
from lrreport.inference.choice import Decision, decide
from lrreport.inference.failures import count_failures, find_guessing_limit
from lrreport.inference.measurements import Measurements, Point, collect_curves, find_point, tabulate_scores
from lrreport.inference.statistics import (
    ALPHA,
    Array,
    Comparisons,
    Estimate,
    compare_levels,
    estimate_crossed,
    estimate_mean,
    find_crossing,
    find_resolution,
)
from lrreport.study.metrics import Metric

TARGET_SHARE = 0.9  # of the way from guessing to the leader's mean; reaching it counts as arriving
CPU_SECONDS = "cpu_seconds"  # the metric of training time, spent per point of the axis


@dataclass(frozen=True)
class Standing:
    """Which levels may lead on a statistic, and how far each lies behind at most and at least; by level index."""

    may_lead: "pd.Series[bool]"
    at_most: "pd.Series[float]"
    at_least: "pd.Series[float]"
    comparisons: Comparisons
    levels: tuple[int, ...]

    @property
    def candidates(self) -> tuple[int, ...]:
        """The levels that may lead, in the study's order."""
        return tuple(int(i) for i in self.may_lead.index[self.may_lead])


@dataclass(frozen=True)
class Assessment:
    """Measurements with what is derived from them.

    `scores` holds by metric the values where runs are compared (seeds × levels), of the seeds that did not fail, and
    `resolutions` their smallest steps, as declared or as the values were written. `arrivals` says when each run reaches
    `target`, a value of the deciding metric, on the axis (NaN: never; None: no curve or no target). `rises` is by how much
    the loss worsens from one evaluation to the next on average, a fall counting as 0; `relative_rises` the same divided by
    the mean loss (None where the loss may be 0 or negative).
    """

    measurements: Measurements
    decision: Decision
    point: Point
    curves: Mapping[str, pd.DataFrame]
    scores: Mapping[str, pd.DataFrame]
    resolutions: Mapping[str, float]
    guessing_limit: float
    target: float
    arrivals: pd.DataFrame | None
    loss: Metric | None
    rises: pd.DataFrame | None
    relative_rises: pd.DataFrame | None

    @property
    def compared(self) -> tuple[int, ...]:
        """The levels with a seed that trained."""
        return self.decision.compared

    @property
    def n_pairs(self) -> int:
        """How many pairs of levels are compared: the family of every pairwise statement."""
        return max(1, math.comb(len(self.compared), 2))

    def curve(self, level: int, metric: str) -> pd.DataFrame:
        """Return the curves of a level: points that all its seeds have down, the seeds that trained across."""
        frame = self.curves.get(metric)
        if frame is None:
            return pd.DataFrame()
        seeds = self.scores[self.measurements.decide.metric][level].dropna().index
        columns = [(level, seed) for seed in seeds if (level, seed) in frame.columns]
        if not columns:
            return pd.DataFrame()
        selected = frame[columns].dropna()
        return selected.set_axis([seed for _, seed in columns], axis=1)

    def compare(self, table: pd.DataFrame, level: int, than: int, resolution: float = 0.0, sign: int = 1) -> Estimate:
        """Return level minus than on a statistic (seeds × levels), one of all pairs of levels that are compared."""
        return self._compare_two(table, level, than, resolution, sign, self.n_pairs)

    def compare_scores(self, level: int, than: int, metric: str) -> Estimate:
        """Return the difference of two levels on a metric, level minus than, with its simultaneous interval."""
        return self.compare(self.scores[metric], level, than, self.resolutions[metric])

    def compare_alone(self, level: int, than: int, metric: str) -> Estimate:
        """Return the difference of two levels on a metric, level minus than, with the 95 % interval of this pair alone."""
        return self._compare_two(self.scores[metric], level, than, self.resolutions[metric], 1, n_tests=1)

    def _compare_two(
        self, table: pd.DataFrame, level: int, than: int, resolution: float, sign: int, n_tests: int
    ) -> Estimate:
        values = np.stack([table[level].to_numpy(), table[than].to_numpy()], axis=1)  # (n_seeds, 2)
        comparisons = compare_levels(values, self.measurements.paired, sign, resolution)
        return comparisons.estimate(0, 1, int(np.isfinite(values).sum(axis=0).min()), n_tests)

    def compare_all(self, levels: Sequence[int], metric: str) -> Array:
        """Return for every two levels (row and column) whether the first is clearly better (1) or worse (−1), else 0."""
        values, sign = self.scores[metric][list(levels)].to_numpy(), self.measurements.metrics[metric].sign
        comparisons = compare_levels(values, self.measurements.paired, sign, self.resolutions[metric])
        low, high = comparisons.find_limits(ALPHA / self.n_pairs / 2)
        signs: Array = (low > 0).astype(int) - (high < 0).astype(int)
        return signs

    def stand(self, table: pd.DataFrame, sign: int, resolution: float = 0.0) -> Standing:
        """Return which levels may lead on a statistic (seeds × levels), where a high value leads if sign is 1."""
        levels = tuple(i for i in self.compared if table[i].notna().any())
        comparisons = compare_levels(table[list(levels)].to_numpy(), self.measurements.paired, sign, resolution)
        alpha = self.decision.alpha / max(1, len(levels) - 1)
        eligible = np.ones(len(levels), dtype=bool)
        limits: tuple[Array, Array, Array] = find_candidates(comparisons, alpha, eligible)
        may, at_most, at_least = (pd.Series(values, index=list(levels)) for values in limits)
        return Standing(may, at_most, at_least, comparisons, levels)

    def stand_on(self, metric: str, sign: int) -> Standing:
        """Return which levels may be the best (sign 1) or the worst (sign −1) on a metric; the decision's, if it decides."""
        decision = self.decision
        if metric == self.measurements.decide.metric and sign == 1:
            table = decision.table.loc[list(decision.compared)]
            return Standing(
                table.may_be_best.astype(bool),
                table.behind_at_most,
                table.behind_at_least,
                decision.comparisons,
                self.compared,
            )
        return self.stand(self.scores[metric], sign * self.measurements.metrics[metric].sign, self.resolutions[metric])

    def estimate_score(self, level: int, metric: str, n_tests: int = 1) -> tuple[Estimate, int]:
        """Return a level's mean on a metric with its interval, and over how many examples this is taken (0: over seeds alone).

        Over seeds × examples where scores of single examples are stored for all its seeds (crossed random effects), else over
        seeds alone.
        """
        scores = self.scores[metric][level].dropna()
        by_seed = self.measurements.examples.get(metric, {}).get(level, {})
        rows = [by_seed[seed] for seed in scores.index if seed in by_seed]
        if rows and len(rows) == len(scores) and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1:
            return estimate_crossed(np.stack(rows), n_tests), len(rows[0])
        return estimate_mean(scores, n_tests, self.resolutions[metric]), 0


def _average_arrivals(arrivals: pd.DataFrame, trained: pd.DataFrame) -> "pd.Series[float]":
    """Return when each level arrives on average over its seeds that trained; NaN if any never does."""
    means = {level: arrivals[level][trained[level].notna()].mean(skipna=False) for level in arrivals}
    return pd.Series(means, dtype=float)


def assess(measurements: Measurements) -> Assessment:
    """Return what findings need to know of measurements."""
    curves = collect_curves(measurements)
    point = find_point(measurements, curves)
    tables = {name: tabulate_scores(measurements, curves, point, name) for name in measurements.metrics}
    deciding = tables[measurements.decide.metric]
    limit = find_guessing_limit(measurements, deciding)
    outcomes, trained = count_failures(measurements, deciding, limit)
    target = _find_target(measurements, trained, curves)
    arrivals = _find_arrivals(measurements, trained, curves, target)
    decision = decide(
        measurements, outcomes, trained, None if arrivals is None else _average_arrivals(arrivals, trained)
    )
    loss = measurements.find_loss()
    scores = {name: table.where(trained.notna()) for name, table in tables.items()}
    declared = measurements.resolution
    resolutions = {
        name: declared.get(name) or find_resolution(table.to_numpy().ravel()) for name, table in scores.items()
    }
    rises = None if loss is None or loss.name not in curves else _measure_rises(curves[loss.name], loss.sign, trained)
    return Assessment(
        measurements=measurements,
        decision=decision,
        point=point,
        curves=curves,
        scores=scores,
        resolutions=resolutions,
        guessing_limit=limit,
        target=target,
        arrivals=arrivals,
        loss=loss,
        rises=None if rises is None else rises[0],
        relative_rises=None if rises is None else rises[1],
    )


def _find_target(measurements: Measurements, trained: pd.DataFrame, curves: Mapping[str, pd.DataFrame]) -> float:
    """Return nine tenths of the way from guessing, or else from the untrained network, to the best mean; NaN without."""
    metric = measurements.metric
    means = metric.sign * trained.mean()
    if means.isna().all():
        return math.nan
    start = metric.chance
    frame = curves.get(metric.name)
    if start is None and frame is not None and len(frame) and frame.index[0] == 0:
        start = float(frame.iloc[0].mean())
    if start is None:
        return math.nan
    return start + TARGET_SHARE * (metric.sign * float(means.max()) - start)


def _find_arrivals(
    measurements: Measurements, trained: pd.DataFrame, curves: Mapping[str, pd.DataFrame], target: float
) -> pd.DataFrame | None:
    frame, sign = curves.get(measurements.decide.metric), measurements.metric.sign
    if frame is None or math.isnan(target) or (frame.index > 0).sum() < 2:
        return None
    arrivals = pd.DataFrame(np.nan, index=trained.index, columns=trained.columns)
    for level, seed in trained.stack().index.swaplevel():
        if (level, seed) in frame.columns:
            arrivals.at[seed, level] = find_crossing(sign * frame[level, seed], sign * target)
    return arrivals


def _measure_rises(
    frame: pd.DataFrame, sign: int, trained: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame | None] | None:
    """Return how much each curve worsens per evaluation, absolutely and relative to its mean (seeds × levels)."""
    if len(frame) < 2:
        return None
    # With forward filling, a missing value neither adds nor removes a step.
    steps = (-sign * frame.ffill().diff()).clip(lower=0)
    n_points = frame.notna().sum()
    rises = steps.sum() / (n_points - 1).where(n_points > 1)
    means = frame[frame.index > 0].mean()
    keep = trained.notna()

    def unstack(values: "pd.Series[float]") -> pd.DataFrame:
        table = values.unstack("level")
        return table.reindex(index=keep.index, columns=keep.columns).where(keep)

    positive = bool(frame.min().min() > 0)
    return unstack(rises), unstack(rises / means) if positive else None


def find_seconds(assessment: Assessment, level: int) -> float:
    """Return the mean CPU seconds until a level's seeds reach the target; NaN without times or where any never does."""
    spent = assessment.curves.get(CPU_SECONDS)
    if spent is None or assessment.arrivals is None:
        return math.nan
    seconds = []
    for seed, at in assessment.arrivals[level].items():
        if (level, seed) in spent.columns and not math.isnan(
            assessment.scores[assessment.measurements.decide.metric].at[seed, level]
        ):
            total = spent[level, seed].fillna(0).cumsum()
            seconds.append(float(np.interp(at, total.index, total)) if not math.isnan(at) else math.nan)
    return float(np.mean(seconds)) if seconds else math.nan


def share_machine(measurements: Measurements, levels: tuple[int, ...]) -> bool:
    """Return whether all runs of these levels were made on the same host and processor, as far as known."""
    runs = measurements.runs[measurements.runs.level.isin(levels)]
    return all(runs[fact].nunique(dropna=False) <= 1 for fact in ("host", "cpu") if fact in runs)
