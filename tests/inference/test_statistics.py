"""Statistics against closed forms, published worked examples and second routes."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from lrreport.inference import statistics as st

# Student (1908), The Probable Error of a Mean, Biometrika 6: additional hours of sleep for ten patients with a second
# drug over a first; he gives a mean of 1.58 and, in today's terms, t = 4.06.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def test_interval_and_p_of_students_example() -> None:
    estimate = st.estimate_mean(SLEEP)
    assert estimate.mean == pytest.approx(1.58)
    assert (estimate.low, estimate.high) == pytest.approx((0.7001, 2.4599), abs=1e-4)
    assert estimate.p == pytest.approx(0.002833, abs=1e-6)


@pytest.mark.parametrize("n_tests", [1, 3, 55])
def test_interval_and_p_agree_with_scipy_and_with_each_other(n_tests: int) -> None:
    for values in (SLEEP, [1.0, 2.0, 3.5], [-0.2, 0.1, 0.05, -0.3, 0.2, 0.01]):
        estimate, test = st.estimate_mean(values, n_tests), scipy_stats.ttest_1samp(values, 0.0)
        assert estimate.p == pytest.approx(min(1, n_tests * float(test.pvalue)), rel=1e-9)
        assert (estimate.low, estimate.high) == pytest.approx(tuple(test.confidence_interval(1 - 0.05 / n_tests)))
        assert (estimate.p > 0.05) == (estimate.low <= 0 <= estimate.high)


def test_a_negated_estimate_is_its_mirror_image() -> None:
    estimate = st.estimate_mean(SLEEP).negate()
    assert (estimate.low, estimate.mean, estimate.high) == pytest.approx((-2.4599, -1.58, -0.7001), abs=1e-4)


def test_one_value_has_no_interval_and_equal_values_have_that_of_rounding() -> None:
    single, equal = st.estimate_mean([3.0]), st.estimate_mean([2.0, 2.0], resolution=0.1)
    assert (single.mean, single.n) == (3.0, 1)
    assert all(map(math.isnan, (single.low, single.high, single.p)))
    half = float(scipy_stats.t.ppf(0.975, 1)) * 0.1 / math.sqrt(12) / math.sqrt(2)
    assert (equal.low, equal.high) == pytest.approx((2 - half, 2 + half))


def test_t_agrees_with_sign_flips_for_eight_pairs() -> None:
    values = np.array([0.9, 1.6, -0.3, 0.7, 1.1, 0.2, 1.4, -0.5])
    flips = [abs(float(np.mean(values * signs))) for signs in product([1, -1], repeat=8)]
    exact = np.mean([flip >= abs(values.mean()) - 1e-12 for flip in flips])
    assert st.estimate_mean(values).p == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(
    ("values", "step"),
    [([0.87, 0.9], 0.01), ([0.8725, 0.9], 0.0001), ([12.0, 100.0], 1.0), ([0.1], 0.1), ([1 / 3, 2 / 3], 6e-8 * 2 / 3)],
)
def test_the_resolution_of_values_is_that_of_their_digits(values: list[float], step: float) -> None:
    assert st.find_resolution([*values, math.nan]) == pytest.approx(step)


@pytest.mark.parametrize("sign", [1, -1])
def test_levels_are_compared_as_scipy_compares_them(sign: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.8, 0.02, (6, 4))
    values[1, 2] = math.nan  # a level has a seed less
    values[:5, 3] = math.nan  # and another has a single seed
    for paired in (True, False):
        table = st.compare_levels(values, paired, sign)
        for i, j in product(range(3), repeat=2):
            if i == j:
                continue
            x, y = values[:, i], values[:, j]
            if paired and 2 not in (i, j):
                test = scipy_stats.ttest_rel(x, y)
            else:
                test = scipy_stats.ttest_ind(x[np.isfinite(x)], y[np.isfinite(y)], equal_var=False)
            estimate = table.estimate(i, j, 6, 1)
            assert estimate.mean == pytest.approx(sign * (np.nanmean(x) - np.nanmean(y)))
            assert estimate.p == pytest.approx(float(test.pvalue))
            assert sorted((sign * estimate.low, sign * estimate.high)) == pytest.approx(
                list(test.confidence_interval())
            )
        assert np.isinf(table.error[3]).all()


def test_limits_are_one_sided() -> None:
    values = np.column_stack([SLEEP, np.zeros(10)])
    low, high = st.compare_levels(values, True).find_limits(0.025)
    assert (low[0, 1], high[0, 1]) == pytest.approx((0.7001, 2.4599), abs=1e-4)


def test_levels_without_spread_are_compared_by_their_rounding() -> None:
    table = st.compare_levels(np.array([[0.88, 0.87]] * 5), True, resolution=0.002)
    assert table.error[0, 1] == pytest.approx(0.002 * math.sqrt(2 / 12 / 5))


def test_levels_without_spread_that_are_not_paired_have_the_seeds_of_both() -> None:
    values = np.array([[0.88, 0.87]] * 4 + [[0.88, math.nan]] * 2)
    table = st.compare_levels(values, False, resolution=0.002)
    assert table.df[0, 1] == 6 + 4 - 2
    assert table.error[0, 1] == pytest.approx(0.002 * math.sqrt((1 / 6 + 1 / 4) / 12))


@pytest.mark.parametrize(("count", "n"), [(0, 5), (1, 5), (5, 5), (3, 30)])
def test_shares_agree_with_scipy(count: int, n: int) -> None:
    low, high = st.estimate_share(count, n)
    exact = scipy_stats.binomtest(count, n).proportion_ci(0.95 if 0 < count < n else 0.90, "exact")
    assert (low, high) == pytest.approx((exact.low, exact.high))
    assert st.estimate_share(0, 5)[1] == pytest.approx(0.4507, abs=1e-4)
    assert st.estimate_share(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("scores", [
    [[1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]],
    [[0.0, 1.0, 2.0, 3.5], [1.0, 2.5, 3.0, 4.0], [2.5, 3.0, 4.0, 5.0]],  # seeds and examples both differ
])  # fmt: skip
def test_crossed_intervals_by_hand(scores: list[list[float]]) -> None:
    table = np.array(scores)
    estimate = st.estimate_crossed(table)
    seeds, examples = table.mean(axis=1), table.mean(axis=0)
    of_seeds, of_examples = 4 * seeds.var(ddof=1), 3 * examples.var(ddof=1)
    rest = ((table - seeds[:, None] - examples + table.mean()) ** 2).sum() / 6
    total = max(of_seeds + of_examples - rest, of_seeds, of_examples)
    assert estimate.error**2 == pytest.approx(total / 12)
    df = max(2, total**2 / (of_seeds**2 / 2 + of_examples**2 / 3 + rest**2 / 6))
    assert estimate.high - estimate.mean == pytest.approx(scipy_stats.t.ppf(0.975, df) * estimate.error)
    alone = st.estimate_crossed(table[:1])
    assert alone.error == pytest.approx(table[0].std(ddof=1) / 2)


def test_crossed_intervals_cover_both_samples() -> None:
    """95 % intervals of 400 draws of 5 seeds and 200 examples hold the mean of all seeds and examples; t alone does not."""
    rng = np.random.default_rng(1)
    hits, plain = [], []
    spread = math.hypot(1.5, 0.1)
    truth = float(scipy_stats.norm.expect(lambda z: scipy_stats.logistic.cdf(1.5 + spread * z)))
    for _ in range(400):
        chance = 1.5 + rng.normal(0, 1.5, 200)[None, :] + rng.normal(0, 0.1, 5)[:, None]
        scores = (chance + rng.logistic(size=(5, 200)) > 0).astype(float)
        crossed, seeds = st.estimate_crossed(scores), st.estimate_mean(scores.mean(axis=1))
        hits.append(crossed.low <= truth <= crossed.high)
        plain.append(seeds.low <= truth <= seeds.high)
    assert 0.92 <= np.mean(hits) <= 0.985
    assert np.mean(plain) < 0.85


def test_prediction_interval_by_hand() -> None:
    low, high = st.predict_next([1.0, 2.0, 3.0], n_tests=2)
    half = scipy_stats.t.ppf(1 - 0.025 / 2, 2) * math.sqrt(1 + 1 / 3)
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_slopes_are_those_of_polyfit() -> None:
    curves = pd.DataFrame({0: [1.0, 3.0, 2.0], 1: [0.0, 1.0, 4.0]}, index=[2.0, 3.0, 5.0])
    expected = np.polyfit(curves.index, curves.to_numpy(), 1)[0]
    assert st.fit_slopes(curves) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("level", "when"), [(0.05, 0.0), (0.5, 0.5), (0.9, 1.0), (0.95, 2.5), (1.0, 3.0), (1.1, math.nan)]
)
def test_crossings_interpolate(level: float, when: float) -> None:
    assert st.find_crossing(pd.Series([0.1, 0.9, 0.9, 1.0]), level) == pytest.approx(when, nan_ok=True)


def test_crossings_use_the_index_and_skip_holes() -> None:
    curve = pd.Series([0.0, math.nan, 1.0], index=[100.0, 200.0, 300.0])
    assert st.find_crossing(curve, 0.5) == 200.0


def test_signs_by_hand() -> None:
    assert st.compare_signs(5, 0) == pytest.approx(2 * 0.5**5)
    assert st.compare_signs(0, 0) == 1.0


@pytest.mark.parametrize("sd", [0.3, 0.5, 1.0])
def test_a_plan_reaches_its_margin_and_not_before(sd: float) -> None:
    plan = st.plan_seeds(sd, 4, margin=0.5, alpha=0.025)
    n = int(plan.n)
    assert scipy_stats.t.ppf(0.975, n - 1) * sd / math.sqrt(n) <= 0.5
    assert n == 3 or scipy_stats.t.ppf(0.975, n - 2) * sd / math.sqrt(n - 1) > 0.5
    assert plan.low <= plan.n <= plan.high
    assert st.plan_seeds(100, 4, 0.5, 0.025).n == math.inf


def fall(rates: "np.ndarray", where: float = 1e-3, depth: float = 1.8) -> "np.ndarray":
    return 2.3 - depth / (1 + np.exp(-6 * (np.log10(rates) - np.log10(where))))


def test_the_steepest_rate_is_where_a_smooth_loss_falls_fastest() -> None:
    rates = np.geomspace(1e-6, 10, 400)
    exponents = np.log10(rates)
    losses = np.where(exponents > -1, fall(rates) + 50 * (exponents + 1), fall(rates))
    assert 1e-3 < st.find_steepest_rate(rates, losses) < 4e-3  # the moving average lags behind
    losses[350:] = np.nan
    assert 1e-3 < st.find_steepest_rate(rates, losses) < 4e-3
    assert math.isnan(st.find_steepest_rate(rates, np.full(400, 2.3)))
    assert math.isnan(st.find_steepest_rate(rates, 2.3 + exponents - exponents[0]))
    assert math.isnan(st.find_steepest_rate(rates, np.full(400, np.nan)))


@pytest.mark.parametrize("shift", [-100.0, -2.3, 5.0, 1000.0])
def test_a_constant_added_to_the_loss_changes_no_suggestion(shift: float) -> None:
    rates = np.geomspace(1e-6, 10, 400)
    noisy = fall(rates) + np.random.default_rng(0).normal(0, 0.1, 400)
    assert st.find_steepest_rate(rates, noisy + shift) == st.find_steepest_rate(rates, noisy)
    flat = np.random.default_rng(0).normal(0, 0.1, 400)
    assert math.isnan(st.find_steepest_rate(rates, flat + shift))


def test_noise_alone_suggests_hardly_ever_a_rate() -> None:
    rates, rng = np.geomspace(1e-6, 10, 200), np.random.default_rng(2)
    suggested = [st.find_steepest_rate(rates, rng.normal(2.3, 0.2, 200)) for _ in range(200)]
    assert np.mean(np.isfinite(suggested)) <= 0.05


def test_equal_values_have_no_spread_whatever_their_rounding() -> None:
    values = np.full((11, 2), 0.79)
    values[0, 0] = np.nan
    up, down = (st.compare_levels(scores, False, sign, 0.01) for scores, sign in ((values, 1), (1 - values, -1)))
    assert up.df[0, 1] == down.df[0, 1] == 19
    assert up.error[0, 1] == down.error[0, 1] > 0


def test_the_resolution_of_large_values_allows_for_their_rounding() -> None:
    assert st.find_resolution([100_000.1 + 0.2, 7.0]) == pytest.approx(0.1)


def test_one_seed_has_the_interval_of_its_examples() -> None:
    rows = np.array([[1.0, 0.0, 1.0, 1.0]])
    interval = scipy_stats.ttest_1samp(rows[0], 0).confidence_interval()
    alone = st.estimate_crossed(rows)
    assert (alone.low, alone.high) == pytest.approx((interval.low, interval.high))
    assert alone.n == 1


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_all_right_or_all_wrong_is_a_share_of_the_examples(n_seeds: int) -> None:
    """One miss in 1,000 has an interval of some width, and so has none."""
    right = st.estimate_crossed(np.ones((n_seeds, 1000), dtype=bool), n_tests=2)
    assert (right.mean, right.high, right.n) == (1.0, 1.0, n_seeds)
    assert right.low == pytest.approx(0.0125 ** (1 / 1000))
    wrong = st.estimate_crossed(np.zeros((n_seeds, 12), dtype=bool))
    assert (wrong.low, wrong.high) == (0.0, pytest.approx(scipy_stats.binomtest(0, 12).proportion_ci().high))
    errors = st.estimate_crossed(np.ones((n_seeds, 12)))
    assert errors.low == errors.high == 1.0


def test_equal_values_and_a_tiny_spread_are_distinguished() -> None:
    tiny = np.array([[0.5, 0.5], [0.5 + 1e-12, 0.5], [0.5 - 1e-12, 0.5]])
    assert st.compare_levels(tiny, False).error[0, 1] == pytest.approx(1e-12 / math.sqrt(3), rel=1e-3)
    rounded = np.array([[0.1 + 0.2, 0.5], [0.3, 0.5], [0.3, 0.5]])  # differ in the last bit
    assert st.compare_levels(rounded, False).error[0, 1] == 0


def test_plans_end_at_500_seeds() -> None:
    margin = float(scipy_stats.t.ppf(0.975, 499)) / math.sqrt(500)
    assert st.plan_seeds(1.0, 1e9, margin * (1 + 1e-9), 0.025).n == 500
    assert st.plan_seeds(1.0, 1e9, margin * (1 - 1e-9), 0.025).n == math.inf
    assert st.plan_seeds(1e-9, 10, 1.0, 0.025).n == 3


def test_no_difference_without_any_error_has_p_1() -> None:
    assert st.make_estimate(0.0, 0.0, 4, 5).p == 1.0
    assert st.make_estimate(0.1, 0.0, 4, 5).p == 0.0


def test_two_seeds_are_crossed_with_their_examples() -> None:
    rows = np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    of_seeds, of_examples = 4 * rows.mean(axis=1).var(ddof=1), 2 * rows.mean(axis=0).var(ddof=1)
    rest = ((rows - rows.mean(axis=1)[:, None] - rows.mean(axis=0) + rows.mean()) ** 2).sum() / 3
    total = max(of_seeds + of_examples - rest, of_seeds, of_examples)
    assert st.estimate_crossed(rows).error ** 2 == pytest.approx(total / 8)


def test_crossed_intervals_have_at_least_the_freedom_of_the_seeds() -> None:
    rows = np.array([[0.1], [0.2], [0.3], [0.5]]) + np.random.default_rng(0).normal(0, 0.01, (4, 6))
    estimate = st.estimate_crossed(rows)
    assert estimate.df == 3
    assert estimate.high - estimate.mean == pytest.approx(scipy_stats.t.ppf(0.975, 3) * estimate.error)
