"""Intervals and tests: t, paired and Welch, simultaneous, exact, crossed, prediction; and how many seeds are enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import special

ALPHA = 0.05
MOST_PLANNED = 500  # seeds; a plan beyond says "more than 500"
FLOAT_NOISE = 1e-14  # relative rounding of a mean of equal numbers
FLOAT_STEP = 6e-8  # relative rounding of float32, in which many logs are written
Array: TypeAlias = "np.ndarray[Any, Any]"
Vector: TypeAlias = "Sequence[float] | Array | pd.Series"


@dataclass(frozen=True)
class Estimate:
    """A mean or difference with its interval and, where a t test made them, standard error, degrees of freedom, n and p of 0.

    `low` and `high` are the ends of an interval at 1 − 0.05 / n_tests, and `p` is multiplied by the same n_tests
    (Bonferroni), so p ≤ 0.05 if and only if the interval does not contain 0. With one value they are NaN.
    """

    mean: float
    low: float
    high: float
    error: float = math.nan
    df: float = math.nan
    n: int = 0
    p: float = math.nan

    def negate(self) -> "Estimate":
        """Return the estimate of the opposite difference."""
        return Estimate(-self.mean, -self.high, -self.low, self.error, self.df, self.n, self.p)


@dataclass(frozen=True)
class Comparisons:
    """Differences of means between every two of k levels, as arrays (k, k): row minus column, better is positive."""

    difference: Array
    error: Array  # inf where a level has fewer than two values
    df: Array

    def find_limits(self, alpha: float) -> tuple[Array, Array]:
        """Return the one-sided lower and upper limits (k, k) of each difference, each wrong with probability `alpha`."""
        half = special.stdtrit(self.df, 1 - alpha) * self.error
        return self.difference - half, self.difference + half

    def estimate(self, i: int, j: int, n: int, n_tests: int) -> Estimate:
        """Return the difference of level i minus level j, one of `n_tests` comparisons."""
        return make_estimate(float(self.difference[i, j]), float(self.error[i, j]), float(self.df[i, j]), n, n_tests)


def make_estimate(mean: float, error: float, df: float, n: int, n_tests: int = 1, alpha: float = ALPHA) -> Estimate:
    """Return the t interval and p of a mean with this standard error, one of `n_tests` (Student, 1908; Bonferroni)."""
    if not math.isfinite(error):
        return Estimate(mean, math.nan, math.nan, math.nan, df, n, math.nan)
    half = float(special.stdtrit(df, 1 - alpha / n_tests / 2)) * error
    t = abs(mean) / error if error > 0 else math.inf if mean else 0.0
    p = min(1.0, 2 * n_tests * float(special.stdtr(df, -t)))
    return Estimate(mean, mean - half, mean + half, error, df, n, p)


def find_resolution(values: Vector) -> float:
    """Return the smallest step of values as they were written: 0.01 for 0.87 and 0.9, at least the rounding of float32.

    A spread below it says nothing: rounding to a step r alone has a standard deviation of r / √12.
    """
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array)]
    largest = float(np.abs(array).max(initial=0.0))
    smallest = FLOAT_STEP * largest if largest else FLOAT_STEP
    if np.isin(array, (0.0, 1.0)).all():  # a loss of 0 or a share of 1 does not tell how it was rounded
        return smallest
    for digits in range(7):
        step = 10.0**-digits
        if step < smallest:
            break
        if np.allclose(array, np.round(array, digits), rtol=0, atol=1e-9):
            return step
    return smallest


def estimate_mean(values: Vector, n_tests: int = 1, resolution: float = 0.0, alpha: float = ALPHA) -> Estimate:
    """Return the mean of independent values with Student's t interval (Student, 1908); one of `n_tests` such means.

    The standard deviation is at least that of rounding to `resolution`.
    """
    array = np.asarray(values, dtype=float)
    n = len(array)
    mean = float(array.mean()) if n else math.nan
    if n < 2:
        return Estimate(mean, math.nan, math.nan, math.nan, 0, n, math.nan)
    sd = max(float(array.std(ddof=1)), resolution / math.sqrt(12))
    return make_estimate(mean, sd / math.sqrt(n), n - 1, n, n_tests, alpha)


def compare_levels(values: Array, paired: bool, sign: int = 1, resolution: float = 0.0) -> Comparisons:
    """Return the difference of every two levels of `values` (n_seeds, k), NaN where a seed has none.

    Seed by seed where `paired` and two levels have values of just the same seeds (Student's paired t), else Welch's t
    (1947), by design and never by looking at the values. No error is below that of rounding to `resolution`. Each
    difference is that of the two levels' means, so a level with the highest mean is never behind another.
    """
    there = np.isfinite(values)  # (n_seeds, k)
    n = there.sum(axis=0)
    filled = np.where(there, values, 0.0)
    sizes = np.maximum(n, 1)
    means = sign * filled.sum(axis=0) / sizes
    centred = np.where(there, sign * filled - means, 0.0)
    products = centred.T @ centred  # (k, k)
    noise = n * (FLOAT_NOISE * np.abs(filled).max(axis=0, initial=0.0)) ** 2
    squares = np.where(np.diagonal(products) > noise, np.diagonal(products), 0.0)  # equal values have no spread
    freedom = np.maximum(n - 1, 1)
    of_mean = squares / freedom / sizes  # variance of each mean
    welch = of_mean[:, None] + of_mean[None, :]
    parts = of_mean**2 / freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        df = welch**2 / (parts[:, None] + parts[None, :])
    df = np.where(np.isfinite(df), df, n[:, None] + n[None, :] - 2.0)
    variance = welch
    if paired:
        counts = there.T.astype(float) @ there
        same = (counts == n[:, None]) & (counts == n[None, :])
        of_pairs = (squares[:, None] + squares[None, :] - 2 * products).clip(0) / freedom / sizes
        variance, df = np.where(same, of_pairs, welch), np.where(same, freedom[:, None] * np.ones_like(df), df)
    inverse = 1.0 / sizes
    floor = resolution**2 / 12 * (inverse[:, None] + inverse[None, :])
    few = (n[:, None] < 2) | (n[None, :] < 2)
    error = np.where(few, np.inf, np.sqrt(np.maximum(variance, floor)))
    return Comparisons(means[:, None] - means[None, :], error, np.maximum(df, 1.0))


def estimate_share(count: int, n: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the exact interval of a share, count of n (Clopper and Pearson, 1934); one-sided where count is 0 or n.

    >>> estimate_share(0, 5)[1]  # no seed of 5: up to 45 % may
    0.45072...
    """
    if n == 0:
        return 0.0, 1.0
    if count == 0:
        return 0.0, 1 - alpha ** (1 / n)
    if count == n:
        return alpha ** (1 / n), 1.0
    low = float(special.betaincinv(count, n - count + 1, alpha / 2))
    return low, float(special.betaincinv(count + 1, n - count, 1 - alpha / 2))


def estimate_crossed(scores: Array, n_tests: int = 1) -> Estimate:
    """Return the mean of scores (n_seeds, n_examples) over seeds × examples, both of them samples.

    Crossed random effects: the variance of the mean is (MS_seeds + MS_examples − MS_rest) / (n_seeds · n_examples), with
    Satterthwaite's degrees of freedom (Obuchowski and Rockette, 1995). With one seed it covers the examples only. Where all
    are right or all are wrong (bool) there is no variance to go by, and the interval is that of a share of the examples.
    """
    are_right, scores = scores.dtype == bool, np.asarray(scores, dtype=float)
    n_seeds, n_examples = scores.shape
    mean = float(scores.mean())
    if are_right and mean in (0.0, 1.0):
        low, high = estimate_share(round(mean) * n_examples, n_examples, ALPHA / n_tests / 2)
        return Estimate(mean, low, high, n=n_seeds)
    if n_seeds < 2:
        return make_estimate(mean, float(scores.std(ddof=1)) / math.sqrt(n_examples), n_examples - 1, 1, n_tests)
    by_seed, by_example = scores.mean(axis=1), scores.mean(axis=0)
    of_seeds = n_examples * float(by_seed.var(ddof=1))
    of_examples = n_seeds * float(by_example.var(ddof=1))
    rest = scores - by_seed[:, None] - by_example[None, :] + mean
    freedom = (n_seeds - 1, n_examples - 1, (n_seeds - 1) * (n_examples - 1))
    of_rest = float((rest**2).sum()) / freedom[2]
    total = max(of_seeds + of_examples - of_rest, of_seeds, of_examples)
    parts = sum(square**2 / df for square, df in zip((of_seeds, of_examples, of_rest), freedom, strict=True))
    df = max(total**2 / parts, n_seeds - 1) if parts else n_seeds - 1
    return make_estimate(mean, math.sqrt(total / (n_seeds * n_examples)), df, n_seeds, n_tests)


def predict_next(values: Vector, n_tests: int = 1, resolution: float = 0.0) -> tuple[float, float]:
    """Return the prediction interval for one more value: mean ± t·s·√(1 + 1/n) (Hahn and Meeker, 1991)."""
    estimate = estimate_mean(values, n_tests, resolution)
    half = (estimate.high - estimate.mean) * math.sqrt(estimate.n + 1)
    return estimate.mean - half, estimate.mean + half


def fit_slopes(curves: pd.DataFrame) -> Array:
    """Return the least-squares slope of each column of `curves` over its index."""
    at = curves.index.to_numpy(dtype=float)
    centred = at - at.mean()
    slopes: Array = centred @ curves.to_numpy() / (centred @ centred)
    return slopes


def find_crossing(curve: "pd.Series[float]", level: float) -> float:
    """Return where a curve first reaches a level from below, straight lines between its points; NaN if it never does."""
    known = curve.dropna()
    reached = np.flatnonzero(known.to_numpy() >= level)
    if not len(reached):
        return math.nan
    after = int(reached[0])
    if after == 0:
        return float(known.index[0])
    (x0, x1), (y0, y1) = known.index[after - 1 : after + 1], known.iloc[after - 1 : after + 1]
    return float(x0 + (x1 - x0) * (level - y0) / (y1 - y0))


def compare_signs(n_first: int, n_second: int) -> float:
    """Return the exact two-sided p of a sign test (Dixon and Mood, 1946): so many pairs each way, ties left out."""
    n = n_first + n_second
    fewer = min(n_first, n - n_first)
    return min(1.0, 2 * float(special.bdtr(fewer, n, 0.5)))


@dataclass(frozen=True)
class Plan:
    """How many seeds per level bring a limit below the margin, with the 80 % range of that number; inf beyond MOST_PLANNED."""

    n: float
    low: float
    high: float


def plan_seeds(sd: float, df: float, margin: float, alpha: float) -> Plan:
    """Return how many seeds bring the upper limit, wrong with probability `alpha`, against an equal level below the margin.

    `sd` is that of the differences of single seeds, known with `df` degrees of freedom. Only the spread goes in and never
    the observed difference: no observed power (Hoenig and Heisey, 2001).
    """
    sizes = np.arange(3, MOST_PLANNED + 1)
    half = special.stdtrit(sizes - 1.0, 1 - alpha) / np.sqrt(sizes)
    numbers = []
    for quantile in (df, float(special.chdtri(df, 0.1)), float(special.chdtri(df, 0.9))):
        enough = np.flatnonzero(half * sd * math.sqrt(df / quantile) <= margin)
        numbers.append(float(sizes[enough[0]]) if len(enough) else math.inf)
    n, low, high = numbers
    return Plan(n, low, high)


def find_steepest_rate(rates: Vector, losses: Vector) -> float:
    """Return the rate at which a smoothed loss falls fastest in the logarithm of the rate; NaN if it never falls clearly.

    The range test of Smith (2017), read at the steepest point as in fastai (Howard and Gugger, 2020). The loss is smoothed
    by an exponential moving average of 0.95 and read up to its lowest point. A clear fall is ten standard errors of that
    average, estimated from the differences between neighbouring steps, so a constant added to the loss changes nothing.
    """
    finite = np.asarray(losses, dtype=float)
    finite = finite[: int(np.isfinite(finite).cumprod().sum())]
    if len(finite) < 10:
        return math.nan
    smooth = pd.Series(finite).ewm(alpha=0.05).mean().to_numpy()
    lowest = int(smooth.argmin())
    noise = float(np.median(np.abs(np.diff(finite)))) / 0.954  # 0.954 = 0.6745 · √2: the median of |difference| of two
    start = float(np.median(finite[: max(5, len(finite) // 20)]))
    if lowest < 5 or not start - smooth[lowest] > 10 * noise * math.sqrt(0.05 / 1.95):
        return math.nan
    slopes = np.gradient(smooth[: lowest + 1], np.log(np.asarray(rates, dtype=float)[: lowest + 1]))
    return float(np.asarray(rates)[int(slopes.argmin())])
