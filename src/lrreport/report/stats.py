"""Intervals, paired comparisons, power, and what a curve of validation loss says of itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

ALPHA = 0.05
POWER = 0.80
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
    test = stats.ttest_1samp(array, 0.0)
    low, high = test.confidence_interval(1 - ALPHA)
    return Estimate(mean, float(low), float(high), sd, n, float(test.pvalue))


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm, 1979); a NaN counts as 1."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(np.nan_to_num(p_values, nan=1.0), method="holm")[1]]


def adjust_pairs(values: Mapping[float, Vector]) -> dict[frozenset[float], float]:
    """Return the p of the paired t test of every two keys, adjusted for all of them (Holm); values are in one order."""
    tests = {
        frozenset(pair): estimate_mean(np.subtract(values[pair[0]], values[pair[1]])).p
        for pair in combinations(values, 2)
    }
    return dict(zip(tests, adjust_holm(list(tests.values())), strict=True))


def find_detectable(sd: float, n: int) -> float:
    """Return the smallest mean difference that a paired t test of n pairs sees in 80 % of studies (Cohen, 1988)."""
    return float(TTestPower().solve_power(nobs=n, alpha=ALPHA, power=POWER)) * sd


def find_n_needed(mean: float, sd: float) -> float:
    """Return how many pairs would see a difference of this mean and sd in 80 % of studies (Cohen, 1988).

    Infinity for an effect below a hundredth of the sd, which would take tens of thousands.
    """
    effect = abs(mean) / sd
    if effect < 0.01:
        return math.inf
    # statsmodels' solver does not converge where a handful of pairs is enough, so these are tried one by one.
    few = (n for n in range(2, 20) if TTestPower().power(effect, nobs=n, alpha=ALPHA) >= POWER)
    return next(few, None) or math.ceil(TTestPower().solve_power(effect_size=effect, alpha=ALPHA, power=POWER))


def predict_next(values: Vector) -> tuple[float, float]:
    """Return the 95 % prediction interval for one more value: mean ± t·s·√(1 + 1/n) (Hahn and Meeker, 1991)."""
    estimate = estimate_mean(values)
    half = stats.t.ppf(1 - ALPHA / 2, estimate.n - 1) * estimate.sd * math.sqrt(1 + 1 / estimate.n)
    return float(estimate.mean - half), float(estimate.mean + half)


def measure_roughness(curves: pd.DataFrame) -> "pd.Series[float]":
    """Return for each seed the mean of |v(e) − (v(e−1) + v(e+1))/2| over the inner epochs from 1 on.

    `curves` has the epochs 0 … E down and the seeds across; it takes E ≥ 3, else the result is NaN.
    """
    trained = curves.loc[1:]
    bend = trained - (trained.shift(1) + trained.shift(-1)) / 2
    return bend.abs().mean()


def measure_rise_from_best(curves: pd.DataFrame) -> "pd.Series[float]":
    """Return for each seed its last value minus its value at the best epoch of the other seeds' mean curve.

    Asking the other seeds keeps the difference from being positive by construction, as it would be with its own minimum.
    """
    trained = curves.loc[1:]
    best = {seed: trained.drop(columns=seed).mean(axis=1).idxmin() for seed in trained}
    return pd.Series({seed: trained[seed].iloc[-1] - trained.at[epoch, seed] for seed, epoch in best.items()})


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
