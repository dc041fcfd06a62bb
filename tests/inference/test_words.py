"""How numbers are written: with as many digits as it takes not to look like a threshold."""

import pytest

from lrreport.inference.statistics import Estimate
from lrreport.inference.words import quantify_difference
from lrreport.study.metrics import Metric, find_metric

MARGIN = 0.005


@pytest.fixture(scope="module")
def metric() -> Metric:
    metric = find_metric("val_accuracy")
    assert metric
    return metric


def write_ends(metric: Metric, low: float, high: float, margin: float | None = MARGIN) -> tuple[str, str]:
    quantities = quantify_difference(metric, Estimate((low + high) / 2, low, high), margin=margin)
    return quantities["low"].text, quantities["high"].text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.004, ("0.10", "0.40 points")),
        (0.00001, 0.004, ("0.001", "0.400 points")),
        (0.001, 0.00501, ("0.100", "0.501 points")),
        (-0.00499, 0.0061, ("\N{MINUS SIGN}0.499", "0.610 points")),
        (0.0, 0.005, ("0.00", "0.50 points")),
        (0.0099, 0.99999, ("0.99", "100.00 points")),
        (-1.7, 2.5, ("\N{MINUS SIGN}100.00", "100.00 points")),  # no two accuracies are farther apart
    ],
)
def test_an_end_is_not_written_like_a_threshold(
    metric: Metric, low: float, high: float, expected: tuple[str, str]
) -> None:
    assert write_ends(metric, low, high) == expected


def test_without_a_margin_zero_is_the_only_threshold(metric: Metric) -> None:
    assert write_ends(metric, 0.001, 0.00501, margin=None) == ("0.10", "0.50 points")
    assert write_ends(metric, 0.00001, 0.00501, margin=None) == ("0.001", "0.501 points")
    assert write_ends(metric, -0.99999, 1.0, margin=None) == ("\N{MINUS SIGN}100.00", "100.00 points")
