"""Failures are outcomes: a seed has failed if it diverged or ends no better than guessing."""

import math

import pandas as pd

from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import estimate_share

SHARE = 0.1  # of the way from guessing to the best mean, below which a seed counts as no better than guessing


def find_guessing_limit(measurements: Measurements, scores: pd.DataFrame) -> float:
    """Return the score up to which a seed counts as no better than guessing; NaN where it is unknown what guessing gives.

    That is a tenth of the way from chance to the best mean, but never nearer to chance than the margin, or a tenth of what
    is left between chance and the best possible value if that is less. The means are of seeds beyond the limit.
    """
    metric = measurements.metric
    if metric.chance is None:
        return math.nan
    sign, chance = metric.sign, metric.chance
    bound = metric.high if sign > 0 else metric.low
    steps = [step for step in (measurements.margin, SHARE * abs(bound - chance) if bound is not None else None) if step]
    least = min(steps, default=0.0)
    gains = sign * (scores - chance)
    limit = least
    while SHARE * float(best := gains.where(gains > limit).mean().max()) > limit:  # fewer seeds are left each time
        limit = SHARE * float(best)
    return chance + sign * limit


def count_failures(measurements: Measurements, scores: pd.DataFrame, limit: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table of outcomes per level (n_runs, n_failed, failed_low, failed_high, n, mean) and the scores that count.

    A seed failed whose score is not better than `limit`; the second (seeds × levels) has NaN there. `failed_low` and
    `failed_high` are the exact 95 % interval of the share of seeds that fail.
    """
    sign = measurements.metric.sign
    trained = scores.where(sign * scores > sign * limit) if math.isfinite(limit) else scores
    diverged = measurements.runs[measurements.runs.status == "diverged"].groupby("level").size()
    table = pd.DataFrame(index=pd.Index(range(len(measurements.levels)), name="level"))
    n_diverged = diverged.reindex(table.index, fill_value=0)
    table["n_runs"] = scores.notna().sum() + n_diverged
    table["n_diverged"] = n_diverged
    table["n_failed"] = table.n_runs - trained.notna().sum()
    shares = [estimate_share(int(failed), int(n)) for failed, n in zip(table.n_failed, table.n_runs, strict=True)]
    table["failed_low"], table["failed_high"] = [low for low, _ in shares], [high for _, high in shares]
    table["n"], table["mean"] = trained.notna().sum(), trained.mean()
    return table, trained
