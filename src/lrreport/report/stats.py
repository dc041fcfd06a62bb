"""Intervals, paired comparisons, power, and what a curve of validation loss says of itself."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import optimize, special
from statsmodels.stats.power import TTestPower

ALPHA = 0.05
POWER = 0.80
MANY = 1000  # seeds; nobody runs more
Vector: TypeAlias = Sequence[float] | np.ndarray[Any, Any] | pd.Series


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % t interval, the sd (n − 1) of the values, n, and the two-sided p of a mean of 0.

    With one value there is no sd, interval or p: they are NaN. With an sd of 0 the interval is the mean and p is NaN,
    since a spread that was not seen cannot be trusted to be 0.
    """

    mean: float
    low: float
    high: float
    sd: float
    n: int
    p: float


def estimate_mean(values: Vector) -> Estimate:
    """Return the mean of independent values with Student's t interval (Student, 1908)."""
    array = np.asarray(values, dtype=float)
    n, mean = len(array), float(array.mean())
    if n < 2:
        return Estimate(mean, math.nan, math.nan, math.nan, n, math.nan)
    sd = float(array.std(ddof=1))
    if sd <= 1e-12 * max(1.0, abs(mean)):  # equal but for rounding
        return Estimate(mean, mean, mean, 0.0, n, math.nan)
    error = sd / math.sqrt(n)
    half = float(special.stdtrit(n - 1, 1 - ALPHA / 2)) * error
    return Estimate(mean, mean - half, mean + half, sd, n, 2 * float(special.stdtr(n - 1, -abs(mean) / error)))


def adjust_holm(p_values: Vector) -> list[float]:
    """Return p-values adjusted for their number (Holm, 1979); a NaN counts as 1.

    Each is multiplied by the number of those not smaller, and is no smaller than the one before it. (statsmodels has
    the same, but collects garbage at each call, which takes a thousand times as long.)
    """
    p = np.nan_to_num(np.asarray(p_values, dtype=float), nan=1.0)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]).clip(max=1)
    return [float(one) for one in adjusted]


def find_p_values(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the two-sided p of a mean of 0, for each row of values (n_rows, n) by itself; NaN as in `estimate_mean`."""
    n = values.shape[1]
    if n < 2:
        return np.full(len(values), math.nan)
    means, sds = values.mean(axis=1), values.std(axis=1, ddof=1)
    spread = sds > 1e-12 * np.maximum(1.0, abs(means))
    t = np.divide(-abs(means), sds / math.sqrt(n), out=np.full(len(values), math.nan), where=spread)
    return np.asarray(2 * special.stdtr(n - 1, t))


def adjust_pairs(values: Mapping[float, Vector]) -> pd.DataFrame:
    """Return the p of the paired t test of every two keys (down and across), adjusted for all pairs (Holm).

    The values are in one order. The diagonal is NaN.
    """
    arrays = np.array([np.asarray(one, dtype=float) for one in values.values()]).reshape(len(values), -1)
    a, b = np.triu_indices(len(arrays), k=1)
    adjusted = np.full((len(arrays), len(arrays)), math.nan)
    adjusted[a, b] = adjusted[b, a] = adjust_holm(find_p_values(arrays[a] - arrays[b]))
    return pd.DataFrame(adjusted, index=list(values), columns=list(values))


def find_detectable(sd: float, n: int, n_tests: int = 1) -> float:
    """Return the smallest mean difference that a paired t test of n pairs sees in 80 % of studies (Cohen, 1988).

    With several tests each is made at 0.05 / n_tests (Bonferroni), which Holm's procedure improves on.
    """
    return _find_detectable_effect(n, n_tests) * sd


@lru_cache(maxsize=4096)
def _find_detectable_effect(n: int, n_tests: int) -> float:
    """Return the difference, in units of its sd, that is found in the right direction in 80 % of studies."""

    def miss(effect: float) -> float:
        # One tail of the two-sided test: the other adds nothing, and statsmodels has it as NaN for large effects.
        alpha = ALPHA / n_tests / 2
        return float(TTestPower().power(effect, nobs=n, alpha=alpha, alternative="larger")) - POWER

    high = 1.0
    while miss(high) < 0:
        high *= 2
    return float(optimize.brentq(miss, 0.0, high))


def find_n_needed(mean: float, sd: float, n_tests: int = 1) -> float:
    """Return how many pairs would see a difference of this mean and sd in 80 % of studies; infinity beyond MANY."""
    sizes = range(2, MANY + 1)
    place = bisect_left(sizes, -abs(mean) / sd, key=lambda n: -_find_detectable_effect(n, n_tests))
    return sizes[place] if place < len(sizes) else math.inf


def predict_next(values: Vector) -> tuple[float, float]:
    """Return the 95 % prediction interval for one more value: mean ± t·s·√(1 + 1/n) (Hahn and Meeker, 1991)."""
    estimate = estimate_mean(values)
    half = float(special.stdtrit(estimate.n - 1, 1 - ALPHA / 2)) * estimate.sd * math.sqrt(1 + 1 / estimate.n)
    return float(estimate.mean - half), float(estimate.mean + half)


def measure_mean_rise(curves: pd.DataFrame) -> "pd.Series[float]":
    """Return for each seed how much its curve rises from one epoch to the next, on average; where it falls counts as 0.

    `curves` has the epochs 0 … E down and the seeds across. (How far a point lies from the middle of its neighbours
    would call a smooth but curved descent rough.)
    """
    return curves.diff().iloc[1:].clip(lower=0).mean()


def measure_rises_from_earlier(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the last value of each seed (across) minus its values at the earlier epochs from 1 on (down)."""
    return curves.iloc[-1] - curves.loc[1:].iloc[:-1]


def measure_rise_from_best(curves: pd.DataFrame) -> "pd.Series[float]":
    """Return for each seed its last value minus its value at the best epoch of the other seeds' mean curve.

    Asking the other seeds keeps the difference from being positive by construction, as it would be with its own minimum.
    """
    trained = curves.loc[1:]
    best = {seed: trained.drop(columns=seed).mean(axis=1).idxmin() for seed in trained}
    return pd.Series({seed: trained[seed].iloc[-1] - trained.at[epoch, seed] for seed, epoch in best.items()})


def find_steepest_rate(rates: Vector, losses: Vector) -> float:
    """Return the rate at which a smoothed loss falls fastest in the logarithm of the rate; NaN if it never falls by a tenth.

    The range test of Smith (2017), read at the steepest point as in fastai (Howard and Gugger, 2020): an exponential
    moving average of 0.95 without its bias towards 0, up to its lowest point, before which it falls.
    """
    finite = np.asarray(losses, dtype=float)
    finite = finite[: int(np.isfinite(finite).cumprod().sum())]
    if len(finite) < 10:
        return math.nan
    smooth = pd.Series(finite).ewm(alpha=0.05).mean().to_numpy()
    lowest = int(smooth.argmin())
    if lowest < 5 or smooth[lowest] > 0.9 * smooth[0]:
        return math.nan
    slopes = np.gradient(smooth[: lowest + 1], np.log(np.asarray(rates, dtype=float)[: lowest + 1]))
    return float(np.asarray(rates)[int(slopes.argmin())])


def find_crossing(curve: Vector, level: float) -> float:
    """Return when a curve with values at 0, 1, 2, … first reaches a level, straight lines between; NaN if it never does."""
    values = np.asarray(curve, dtype=float)
    reached = np.flatnonzero(values >= level)
    if not len(reached):
        return math.nan
    after = int(reached[0])
    if after == 0:
        return 0.0
    before = values[after - 1]
    return float(after - 1 + (level - before) / (values[after] - before))
