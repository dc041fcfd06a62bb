"""Which levels may be the best, and how far behind each lies.

Let b be the best level. If the k − 1 one-sided upper limits of (b minus i) hold, which they do with probability 95 % over
all looks together, no level beats b, so b is among those that may be the best, and each level i lies behind b by less than
its limit against b, hence by less than `behind_at_most`. One event carries every statement (Edwards and Hsu, 1983).
"""

import math

import numpy as np
import pandas as pd

from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import Array, Comparisons
from lrreport.study.decide import Look


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


def bound_levels(
    measurements: Measurements,
    outcomes: pd.DataFrame,
    comparisons: Comparisons,
    look: Look,
    compared: tuple[int, ...],
    alpha: float,
) -> pd.DataFrame:
    """Return the outcomes with which levels may be the best, how far each lies behind, and the look that ruled it out.

    Without an error to spend, and where the study chooses nothing, no level is ruled out and none has a limit.
    """
    metric, margin = measurements.metric, measurements.margin
    earlier = {
        i: past.number for past in reversed(measurements.looks) for i in past.dropped if past.number < look.number
    }
    may_be_best = np.array([i not in earlier for i in compared], dtype=bool)
    at_most, at_least = np.full(len(compared), math.inf), np.zeros(len(compared))
    if alpha > 0 and compared and measurements.decide.prefer != "none":
        may_be_best, at_most, at_least = find_candidates(comparisons, alpha, may_be_best)
        if metric.low is not None and metric.high is not None:
            at_most = np.minimum(at_most, metric.high - metric.low)
    table = outcomes.assign(may_be_best=False, good_enough=False, behind_at_most=math.inf, behind_at_least=0.0)
    rows = list(compared)
    table.loc[rows, "may_be_best"] = may_be_best
    table.loc[rows, "behind_at_most"], table.loc[rows, "behind_at_least"] = at_most, at_least
    if margin is not None:
        table.loc[rows, "good_enough"] = at_most <= margin
    table["dropped"] = [
        earlier.get(i, look.number if i in compared and not table.may_be_best[i] else 0) for i in table.index
    ]
    return table
