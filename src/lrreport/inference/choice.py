"""The choice: the verdict, the level that is chosen and those as good as it; everything else reads it here."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from lrreport.inference.candidates import bound_levels
from lrreport.inference.edges import Edge, find_edges
from lrreport.inference.looks import find_share, share_error
from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import (
    ALPHA,
    FLOAT_STEP,
    Comparisons,
    Plan,
    compare_levels,
    estimate_mean,
    find_resolution,
    plan_seeds,
)
from lrreport.study.decide import Look

Outcome = Literal["best", "good enough", "undecided", "not testable"]
FEWEST_SEEDS = 3  # with fewer, nothing is chosen


@dataclass(frozen=True)
class Decision:
    """Which level to choose, and all that the choice rests on.

    `table` has a row per level: mean, low and high (95 % t interval of the seeds that trained), n (seeds that trained),
    n_runs, n_failed, failed_low, failed_high, may_be_best, behind_at_most (≥ 0, on the metric's scale), behind_at_least
    (a lower limit of how far another level is ahead, 0 if none is), good_enough, dropped (the look that ruled it out, 0
    for none). `leader` has the highest mean of those that may be the best; `chosen` is None unless the verdict is "best" or
    "good enough". `reason` says why there is no choice. `equal` are practically as good as the chosen level, `tied` share
    the leader's mean exactly. `within` holds the same for each value of a second factor.
    """

    table: pd.DataFrame
    verdict: Outcome
    reason: str
    leader: int | None
    chosen: int | None
    equal: tuple[int, ...]
    tied: tuple[int, ...]
    preferred: bool
    margin: float | None
    alpha: float
    n_comparisons: int
    look: Look
    edges: tuple[Edge, ...]
    comparisons: Comparisons
    compared: tuple[int, ...]  # the levels in the rows and columns of `comparisons`
    more_seeds: Plan | None = None
    within: "dict[Any, Decision]" = field(default_factory=dict)

    @cached_property
    def candidates(self) -> tuple[int, ...]:
        """The levels that may be the best, in the study's order."""
        return tuple(int(index) for index in self.table.index[self.table.may_be_best])

    @cached_property
    def ruled_out(self) -> tuple[int, ...]:
        """The levels that were compared and are no better than another."""
        candidates = set(self.candidates)
        return tuple(index for index in self.compared if index not in candidates)


def decide(
    measurements: Measurements,
    outcomes: pd.DataFrame,
    trained: pd.DataFrame,
    arrivals: "pd.Series[float] | None" = None,
) -> Decision:
    """Return the decision, given the outcomes per level and the scores that count (seeds × levels) of `count_failures`.

    `arrivals` by level serve `prefer = "fastest"`.
    """
    table = outcomes
    look = share_error(measurements, {int(i): int(n) for i, n in table.n_runs.items()})
    decision = _decide_among(measurements, table, trained, look, tuple(table.index[table.n > 0]), arrivals)
    if len(measurements.factors) < 2:
        return decision
    by_value = _group_by_second(measurements, decision.compared)
    n_comparisons = sum(max(0, len(levels) - 1) for levels in by_value.values())
    within = {
        value: _decide_among(replace(measurements, looks=()), table, trained, look, levels, arrivals, n_comparisons)
        for value, levels in by_value.items()
    }
    return replace(decision, within=within)


def _group_by_second(measurements: Measurements, compared: tuple[int, ...]) -> dict[Any, tuple[int, ...]]:
    factor = measurements.factors[1]
    return {
        value: tuple(i for i in compared if measurements.levels[i].values[factor.name] == value)
        for value in factor.values
    }


def _decide_among(
    measurements: Measurements,
    outcomes: pd.DataFrame,
    trained: pd.DataFrame,
    look: Look,
    compared: tuple[int, ...],
    arrivals: "pd.Series[float] | None",
    n_comparisons: int | None = None,
) -> Decision:
    """Return the decision among some levels, in a family of `n_comparisons` (by default their number − 1)."""
    metric = measurements.metric
    n_comparisons = n_comparisons or max(1, len(compared) - 1)
    resolution = measurements.resolution.get(metric.name) or find_resolution(trained.to_numpy().ravel())
    comparisons = compare_levels(trained[list(compared)].to_numpy(), measurements.paired, metric.sign, resolution)
    table = bound_levels(measurements, outcomes, comparisons, look, compared, look.alpha / n_comparisons)
    estimates = [estimate_mean(trained[i].dropna(), 1, resolution) for i in table.index]
    table["low"] = [metric.clip(estimate.low) for estimate in estimates]
    table["high"] = [metric.clip(estimate.high) for estimate in estimates]
    leader, tied = _find_leader(measurements, table)
    verdict, reason = _judge(measurements, table, leader, compared, look)
    chosen, equal = _choose(measurements, table, leader, verdict, compared, arrivals)
    decision = Decision(
        table=table,
        verdict=verdict,
        reason=reason,
        leader=leader,
        chosen=chosen,
        equal=equal,
        tied=tied,
        preferred=chosen is not None and chosen != leader,
        margin=measurements.margin,
        alpha=look.alpha,
        n_comparisons=n_comparisons,
        look=look.model_copy(update={"dropped": tuple(int(i) for i in table.index[table.dropped > 0])}),
        edges=find_edges(measurements, table, verdict),
        comparisons=comparisons,
        compared=compared,
    )
    return replace(decision, more_seeds=_plan_more(measurements, decision))


def _find_leader(measurements: Measurements, table: pd.DataFrame) -> tuple[int | None, tuple[int, ...]]:
    """Return the level with the best mean of those that may be the best, and those that share it exactly.

    Ties go to the level with the fewest failures, then to the first in order of values, so the order of levels is irrelevant.
    """
    rows = table[table.may_be_best & (table.n > 0)]
    if rows.empty:
        return None, ()
    means = measurements.metric.sign * rows["mean"]
    best = float(means.max())
    same = rows[means >= best - FLOAT_STEP * abs(best)]
    order = sorted(same.index, key=lambda i: (same.n_failed[i] / same.n_runs[i], _order_level(measurements, int(i))))
    return int(order[0]), tuple(int(i) for i in order) if len(order) > 1 else ()


def _order_level(measurements: Measurements, index: int) -> tuple[Any, ...]:
    values = measurements.levels[index].values
    return tuple(values[factor.name] if factor.numeric else str(values[factor.name]) for factor in measurements.factors)


def _judge(
    measurements: Measurements, table: pd.DataFrame, leader: int | None, compared: tuple[int, ...], look: Look
) -> tuple[Outcome, str]:
    """Return the verdict, and in a few words why nothing is chosen where that is so."""
    if leader is None:
        tried = table[table.n_runs > 0]
        failed = (tried.n_failed == tried.n_runs).all()
        return "not testable", "no runs" if tried.empty else "none learns" if failed else "no scores"
    if measurements.decide.prefer == "none":
        return "not testable", "no choice"
    if (table.n_runs > 0).sum() == 1:
        return "not testable", "one level"
    if table.n[leader] < 2:
        return "not testable", "one trained" if table.n_failed[leader] else "one seed"
    if look.alpha == 0:
        return "not testable", "error spent"
    if table.n[leader] < FEWEST_SEEDS:
        return "undecided", "few trained" if table.n_failed[leader] else "two seeds"
    if len([i for i in compared if table.may_be_best[i]]) == 1:
        return "best", ""
    margin = measurements.margin
    if margin is not None and table.behind_at_most[leader] <= margin:
        return "good enough", ""
    return "undecided", "no margin" if margin is None else "too close"


def _choose(
    measurements: Measurements,
    table: pd.DataFrame,
    leader: int | None,
    verdict: Outcome,
    compared: tuple[int, ...],
    arrivals: "pd.Series[float] | None",
) -> tuple[int | None, tuple[int, ...]]:
    """Return the chosen level, None if there is none, and the levels that are practically as good."""
    equal = tuple(i for i in compared if i != leader and table.good_enough[i])
    if leader is None or verdict in ("undecided", "not testable"):
        return None, equal
    chosen = _prefer(measurements, (leader, *equal), leader, arrivals)
    return chosen, tuple(i for i in sorted((leader, *equal)) if i != chosen)


def _prefer(
    measurements: Measurements, equal: tuple[int, ...], leader: int, arrivals: "pd.Series[float] | None"
) -> int:
    """Return which of levels that are practically equal the study prefers."""
    prefer, first = measurements.decide.prefer, measurements.factors[0]
    if prefer == "fastest" and arrivals is not None:
        known = arrivals.reindex(list(equal)).dropna()
        return int(known.idxmin()) if len(known) else leader
    if prefer not in ("lowest", "highest"):
        return leader
    values = {i: measurements.levels[i].values[first.name] for i in equal}
    ranks = values if first.numeric else {i: first.values.index(value) for i, value in values.items()}
    extreme = min(ranks.values()) if prefer == "lowest" else max(ranks.values())
    best = [i for i in equal if ranks[i] == extreme]
    return leader if leader in best else min(best, key=lambda i: _order_level(measurements, i))


def _plan_more(measurements: Measurements, decision: Decision) -> Plan | None:
    """Return how many seeds per level would decide at the next look, from the largest spread of a difference that does not.

    None where there is a choice, no margin, or no spread to plan from.
    """
    leader, margin = decision.leader, decision.margin
    if decision.chosen is not None or leader is None or margin is None or decision.table.n[leader] < 2:
        return None
    row, compared = decision.compared.index(leader), decision.compared
    spreads = []
    for column, i in enumerate(compared):
        n = min(decision.table.n[leader], decision.table.n[i])
        if i != leader and decision.table.may_be_best[i] and n >= 2:
            error, df = decision.comparisons.error[row, column], decision.comparisons.df[row, column]
            spreads.append((float(error) * math.sqrt(n), float(df)))
    if not spreads:
        return None
    number = decision.look.number + 1
    left = ALPHA - sum(look.alpha for look in measurements.looks if look.number < decision.look.number) - decision.alpha
    alpha = min(find_share(number), left) / decision.n_comparisons
    return plan_seeds(*max(spreads), margin=margin, alpha=alpha) if alpha > 1e-9 else None
