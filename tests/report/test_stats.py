"""Statistics against closed forms, published worked examples and second routes."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from lrreport.report import stats

# Student (1908), The Probable Error of a Mean, Biometrika 6: additional hours of sleep for ten patients with a second
# drug over a first; he gives a mean of 1.58 and, in today's terms, t = 4.06.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def test_interval_and_p_of_students_own_example() -> None:
    estimate = stats.estimate_mean(SLEEP)
    assert estimate.mean == pytest.approx(1.58)
    assert estimate.sd == pytest.approx(1.2300, abs=1e-4)
    assert (estimate.low, estimate.high) == pytest.approx((0.7001, 2.4599), abs=1e-4)
    assert estimate.p == pytest.approx(0.002833, abs=1e-6)


def test_interval_by_hand() -> None:
    estimate = stats.estimate_mean([1.0, 2.0, 3.0])
    half = scipy_stats.t.ppf(0.975, 2) * 1.0 / math.sqrt(3)
    assert (estimate.low, estimate.high) == pytest.approx((2 - half, 2 + half))


def test_interval_and_p_agree_with_scipys_own_test() -> None:
    for values in (SLEEP, [1.0, 2.0, 3.5], [-0.2, 0.1, 0.05, -0.3, 0.2, 0.01]):
        estimate, test = stats.estimate_mean(values), scipy_stats.ttest_1samp(values, 0.0)
        assert estimate.p == pytest.approx(float(test.pvalue), rel=1e-9)
        assert (estimate.low, estimate.high) == pytest.approx(tuple(test.confidence_interval(0.95)), rel=1e-9)


def test_one_value_and_equal_values_have_no_test() -> None:
    one, equal = stats.estimate_mean([3.0]), stats.estimate_mean([2.0, 2.0])
    assert (one.mean, one.n) == (3.0, 1)
    assert all(map(math.isnan, (one.low, one.p, equal.p)))
    assert (equal.low, equal.high, equal.sd) == (2.0, 2.0, 0.0)


def test_t_agrees_with_sign_flips_for_eight_pairs() -> None:
    values = np.array([0.9, 1.6, -0.3, 0.7, 1.1, 0.2, 1.4, -0.5])
    flips = [abs(float(np.mean(values * signs))) for signs in product([1, -1], repeat=8)]
    exact = np.mean([one >= abs(values.mean()) - 1e-12 for one in flips])
    assert stats.estimate_mean(values).p == pytest.approx(exact, abs=0.02)


def test_holm_by_hand() -> None:
    # Holm (1979): sorted p times the number of tests not yet rejected, never falling.
    assert stats.adjust_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.adjust_holm([0.01, float("nan")]) == pytest.approx([0.02, 1.0])
    assert stats.adjust_holm([]) == []


def test_holm_agrees_with_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(0, 0.2, 30)
    assert stats.adjust_holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))


def test_pairs_are_adjusted_together() -> None:
    values = {1.0: [1.0, 2.0, 3.0], 2.0: [1.5, 2.4, 3.7], 3.0: [0.0, 5.0, 1.0]}
    pairs = [(1.0, 2.0), (1.0, 3.0), (2.0, 3.0)]
    p = [float(scipy_stats.ttest_rel(values[a], values[b]).pvalue) for a, b in pairs]
    adjusted = stats.adjust_pairs(values)
    for (a, b), expected in zip(pairs, multipletests(p, method="holm")[1], strict=True):
        assert adjusted.at[a, b] == adjusted.at[b, a] == pytest.approx(expected)
    assert np.isnan(np.diag(adjusted)).all()


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_many_tests_at_once_are_those_made_one_by_one(n: int) -> None:
    values = np.random.default_rng(0).normal(0.3, 1, (50, n))
    values[:2] = [[0.7], [-1e9]]  # without a spread
    one_by_one = [stats.estimate_mean(row).p for row in values]
    np.testing.assert_array_equal(stats.find_p_values(values), one_by_one)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_power_by_the_noncentral_t(n: int) -> None:
    detectable = stats.find_detectable(1.0, n)
    critical = scipy_stats.t.ppf(0.975, n - 1)
    shift = detectable * math.sqrt(n)
    power = scipy_stats.nct.sf(critical, n - 1, shift) + scipy_stats.nct.cdf(-critical, n - 1, shift)
    assert power == pytest.approx(0.8, abs=1e-4)
    assert stats.find_n_needed(detectable, 1.0) in (n, n + 1)


def test_many_are_needed_for_little() -> None:
    assert stats.find_n_needed(0.5, 1.0) == 34  # Cohen's tables: d = 0.5, paired, two-sided 0.05, power 0.80
    assert stats.find_n_needed(0.01, 1.0) == math.inf


@pytest.mark.parametrize("n_tests", [1, 3, 55])
def test_what_is_detectable_needs_just_these_seeds(n_tests: int) -> None:
    for n in (3, 5, 10):
        detectable = stats.find_detectable(2.0, n, n_tests)
        assert stats.find_n_needed(detectable * 1.0001, 2.0, n_tests) == n
        assert stats.find_n_needed(detectable * 0.9999, 2.0, n_tests) == n + 1


def test_prediction_interval_by_hand() -> None:
    low, high = stats.predict_next([1.0, 2.0, 3.0])
    half = scipy_stats.t.ppf(0.975, 2) * math.sqrt(1 + 1 / 3)
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_rises_count_and_falls_do_not() -> None:
    curves = pd.DataFrame({0: [9.0, 1.0, 4.0, 2.0], 1: [9.0, 4.0, 3.0, 2.0]})
    assert stats.measure_mean_rise(curves).to_dict() == {0: 1.0, 1: 0.0}


def test_rises_from_each_earlier_epoch() -> None:
    curves = pd.DataFrame({0: [9.0, 1.0, 4.0, 2.0]})
    assert stats.measure_rises_from_earlier(curves)[0].to_dict() == {1: 1.0, 2: -2.0}


def test_rise_from_best_asks_the_other_seeds() -> None:
    curves = pd.DataFrame({0: [9.0, 1.0, 2.0], 1: [9.0, 3.0, 1.0], 2: [9.0, 3.0, 1.0]})
    # The others of seed 0 are best at epoch 2, the last; those of seeds 1 and 2 are best there on average too.
    assert stats.measure_rise_from_best(curves).to_dict() == {0: 0.0, 1: 2.0 - 2.0, 2: 0.0}
    curves = pd.DataFrame({0: [9.0, 1.0, 1.5], 1: [9.0, 1.0, 2.0], 2: [9.0, 1.2, 1.1]})
    assert stats.measure_rise_from_best(curves).to_dict() == pytest.approx({0: 0.5, 1: 1.0, 2: -0.1})


def test_the_steepest_rate_is_where_a_smooth_loss_falls_fastest() -> None:
    rates = np.geomspace(1e-6, 10, 400)
    place = np.log10(rates)
    falling = 2.3 - 1.8 / (1 + np.exp(-6 * (place + 3)))  # half way down, and steepest, at 0.001
    losses = np.where(place > -1, falling + 50 * (place + 1), falling)
    assert 1e-3 < stats.find_steepest_rate(rates, losses) < 4e-3  # the moving average lags behind
    losses[350:] = np.nan
    assert 1e-3 < stats.find_steepest_rate(rates, losses) < 4e-3
    assert math.isnan(stats.find_steepest_rate(rates, np.full(400, 2.3)))
    assert math.isnan(stats.find_steepest_rate(rates, 2.3 + place - place[0]))
    assert math.isnan(stats.find_steepest_rate(rates, np.full(400, np.nan)))


@pytest.mark.parametrize(
    ("level", "when"), [(0.05, 0.0), (0.5, 0.5), (0.9, 1.0), (0.95, 2.5), (1.0, 3.0), (1.1, math.nan)]
)
def test_crossing_interpolates(level: float, when: float) -> None:
    assert stats.find_crossing([0.1, 0.9, 0.9, 1.0], level) == pytest.approx(when, nan_ok=True)


def test_a_loss_that_hardly_falls_or_only_at_once_suggests_no_rate() -> None:
    rates = np.geomspace(1e-6, 1, 100)
    assert math.isnan(stats.find_steepest_rate(rates, np.linspace(2.3, 2.2, 100)))
    jump = np.full(100, 50.0)
    jump[:3] = (60, 20, 10)
    assert math.isnan(stats.find_steepest_rate(rates, jump))
    assert not math.isnan(stats.find_steepest_rate(rates, np.linspace(2.3, 0.5, 100)))


def test_a_thousand_pairs_are_counted_and_more_are_not() -> None:
    assert stats.find_n_needed(1.0001 * stats.find_detectable(1.0, 1000), 1.0) == 1000
    assert stats.find_n_needed(0.9999 * stats.find_detectable(1.0, 1000), 1.0) == math.inf
