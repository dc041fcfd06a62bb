"""The choice: which levels may be the best, how far behind each lies, and what follows; everything else reads it here.

Let b be the best level. If the k − 1 one-sided upper limits of (b minus i) hold, which they do with probability 95 % over
all looks together, no level beats b, so b is among those that may be the best, and each level i lies behind b by less than
its limit against b, hence by less than `behind_at_most`. One event carries every statement (Edwards and Hsu, 1983).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from lrreport.inference.edges import Edge, find_edges
from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import (
    ALPHA,
    FLOAT_STEP,
    Array,
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
    more_seeds: Plan | None
    comparisons: Comparisons
    compared: tuple[int, ...]  # the levels in the rows and columns of `comparisons`
    within: "dict[Any, Decision]"

    @cached_property
    def candidates(self) -> tuple[int, ...]:
        """The levels that may be the best, in the study's order."""
        return tuple(int(index) for index in self.table.index[self.table.may_be_best])

    @cached_property
    def ruled_out(self) -> tuple[int, ...]:
        """The levels that were compared and are no better than another."""
        candidates = set(self.candidates)
        return tuple(index for index in self.compared if index not in candidates)


def find_candidates(comparisons: Comparisons, alpha: float, eligible: Array) -> tuple[Array, Array, Array]:
    """Return for each of k levels whether it may be the best, at most how far behind it lies, and at least how far.

    `alpha` is the error of each one-sided limit: that of the whole divided by k − 1. A level that is not `eligible` was
    ruled out before: it can neither be the best nor rule out another.
    """
    low, high = comparisons.find_limits(alpha)
    off = ~np.eye(len(low), dtype=bool)
    beaten = ((low > 0) & off & eligible[:, None]).any(axis=0)
    may_be_best = eligible & ~beaten
    at_most = np.where(may_be_best[:, None] & off, high, 0.0).max(axis=0, initial=0.0).clip(0)
    at_least = np.where(eligible[:, None] & off, low, 0.0).max(axis=0, initial=0.0).clip(0)
    return may_be_best, at_most, at_least


def find_share(number: int) -> float:
    """Return the share of the 5 % that look `number` spends, 1 / (m (m + 1)): 2.5 %, 0.83 %, 0.42 % …, all together 5 %."""
    return ALPHA / (number * (number + 1))


def share_error(measurements: Measurements, n_seeds: Mapping[int, int]) -> Look:
    """Return this look at the study, with its share of the 5 %: look m may be wrong with probability 5 % / (m (m + 1)).

    The shares of all looks add up to 5 %, however many there are (Kim and Nelson, 2001, plan looks with an indifference
    zone; shares that are fixed beforehand need no independence). A study whose `most` seeds are already there at its first
    look declares it the only look, and spends all 5 % on it. All remaining studies, including those without `most`, spend
    2.5 % on the first look: so a later report on more seeds is a valid second look. The same seeds again are the same look.
    """
    looks = measurements.looks
    if looks and looks[-1].n_seeds == dict(n_seeds):
        return looks[-1]
    number = max((look.number for look in looks), default=0) + 1
    dropped = tuple(sorted({index for look in looks for index in look.dropped}))
    only = measurements.most_seeds is not None and max(n_seeds.values(), default=0) >= measurements.most_seeds
    alpha = ALPHA if number == 1 and only else find_share(number)
    left = max(0.0, ALPHA - sum(look.alpha for look in looks))
    return Look(number=number, n_seeds=dict(n_seeds), alpha=min(alpha, left) if left > 1e-9 else 0.0, dropped=dropped)


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
    table: pd.DataFrame,
    trained: pd.DataFrame,
    look: Look,
    compared: tuple[int, ...],
    arrivals: "pd.Series[float] | None",
    n_comparisons: int | None = None,
) -> Decision:
    """Return the decision among some levels, in a family of `n_comparisons` (by default their number − 1)."""
    metric, margin = measurements.metric, measurements.margin
    n_comparisons = n_comparisons or max(1, len(compared) - 1)
    values = trained[list(compared)].to_numpy()
    resolution = measurements.resolution.get(metric.name) or find_resolution(trained.to_numpy().ravel())
    comparisons = compare_levels(values, measurements.paired, metric.sign, resolution)
    earlier = {
        i: past.number for past in reversed(measurements.looks) for i in past.dropped if past.number < look.number
    }
    eligible = np.array([i not in earlier for i in compared], dtype=bool)
    alpha = look.alpha / n_comparisons
    table = table.copy()
    table["may_be_best"], table["good_enough"] = False, False
    table["behind_at_most"], table["behind_at_least"] = math.inf, 0.0
    chooses = measurements.decide.prefer != "none"
    if alpha > 0 and compared and chooses:
        may, at_most, at_least = find_candidates(comparisons, alpha, eligible)
        at_most = np.minimum(
            at_most, math.inf if metric.low is None or metric.high is None else metric.high - metric.low
        )
    else:
        may, at_most, at_least = eligible, np.full(len(compared), math.inf), np.zeros(len(compared))
    rows = list(compared)
    table.loc[rows, "may_be_best"] = may
    table.loc[rows, "behind_at_most"], table.loc[rows, "behind_at_least"] = at_most, at_least
    if margin is not None:
        table.loc[rows, "good_enough"] = at_most <= margin
    table["dropped"] = [
        earlier.get(i, look.number if i in compared and not table.may_be_best[i] else 0) for i in table.index
    ]
    estimates = [estimate_mean(trained[i].dropna(), 1, resolution) for i in table.index]
    table["low"] = [metric.clip(estimate.low) for estimate in estimates]
    table["high"] = [metric.clip(estimate.high) for estimate in estimates]
    leader, tied = _find_leader(measurements, table)
    verdict, reason = _judge(table, leader, compared, look, margin)
    if leader is not None and not chooses:
        verdict, reason = "not testable", "no choice"
    chosen, preferred = leader, False
    equal = tuple(i for i in compared if i != leader and table.good_enough[i])
    if verdict in ("undecided", "not testable"):
        chosen = None
    elif equal:
        assert leader is not None
        chosen = _prefer(measurements, (leader, *equal), leader, arrivals)
        preferred = chosen != leader
        equal = tuple(i for i in sorted((leader, *equal)) if i != chosen)
    decision = Decision(
        table=table,
        verdict=verdict,
        reason=reason,
        leader=leader,
        chosen=chosen,
        equal=equal,
        tied=tied,
        preferred=preferred,
        margin=margin,
        alpha=look.alpha,
        n_comparisons=n_comparisons,
        look=look.model_copy(update={"dropped": tuple(int(i) for i in table.index[table.dropped > 0])}),
        edges=(),
        more_seeds=None,
        comparisons=comparisons,
        compared=compared,
        within={},
    )
    edges = find_edges(measurements, table, verdict)
    return replace(decision, edges=edges, more_seeds=_plan_more(measurements, decision))


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
    table: pd.DataFrame, leader: int | None, compared: tuple[int, ...], look: Look, margin: float | None
) -> tuple[Outcome, str]:
    """Return the verdict, and in a few words why nothing is chosen where that is so."""
    if leader is None:
        tried = table[table.n_runs > 0]
        return "not testable", "no runs" if tried.empty else "none learns" if (
            tried.n_failed == tried.n_runs
        ).all() else "no scores"
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
    if margin is not None and table.behind_at_most[leader] <= margin:
        return "good enough", ""
    return "undecided", "no margin" if margin is None else "too close"


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
