"""Numbers of an earlier report against the prediction intervals of ours, and the range test."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lrreport.errors import LrreportError
from lrreport.inference.assessment import assess
from lrreport.inference.claims import Finding
from lrreport.inference.published import check_differences, check_numbers, find_rounding
from lrreport.inference.range_test import suggest_rate
from lrreport.study.decide import Published, PublishedResult
from lrreport.study.factors import find_level, index_levels
from lrreport.study.study import parse_study
from lrreport.testing import check_finding, make_measurements

VALUES = [0.861, 0.858, 0.864, 0.860, 0.859]


def check(
    values: dict[str, float], digits: dict[str, int] | None = None, rate: float = 0.1, **more: float
) -> list[Finding]:
    results = [{"level": {"learning_rate": rate}, "values": values, "digits": digits or {}}]
    results += [{"level": {"learning_rate": 0.01}, "values": {"val_accuracy": value}} for value in more.values()]
    published = Published.model_validate({"title": "Earlier", "result": results})
    findings = check_numbers(assess(make_measurements({0.1: VALUES, 0.01: VALUES[::-1]}, published=published)))
    for finding in findings:
        check_finding(finding)
    return findings


def test_the_interval_is_that_of_one_new_run_for_all_numbers_together() -> None:
    [finding] = check({"val_accuracy": 0.8604})
    half = stats.t.ppf(0.975, 4) * np.std(VALUES, ddof=1) * math.sqrt(1.2)
    assert (finding.low, finding.high) == pytest.approx((np.mean(VALUES) - half, np.mean(VALUES) + half))
    both = check({"val_accuracy": 0.8604}, second=0.8604)
    half = stats.t.ppf(1 - 0.05 / 4, 4) * np.std(VALUES, ddof=1) * math.sqrt(1.2)
    assert both[0].high == pytest.approx(np.mean(VALUES) + half)


@pytest.mark.parametrize(
    ("value", "digits", "verdict"),
    [
        (0.8604, {}, "supported"),
        (0.9, {}, "supported"),  # printed with a single digit: anything from 0.85 to 0.95
        (0.9, {"val_accuracy": 3}, "contradicted"),
        (0.88, {}, "contradicted"),
        (0.87, {}, "supported"),  # 0.865 would have been printed so, and lies inside
        (0.87, {"val_accuracy": 4}, "contradicted"),
    ],
)
def test_numbers_are_compared_at_the_digits_they_were_printed_with(
    value: float, digits: dict[str, int], verdict: str
) -> None:
    [finding] = check({"val_accuracy": value}, digits)
    assert finding.verdict == verdict, finding.sentence


def test_the_digits_of_a_number_are_those_it_has() -> None:
    for value, expected in ((0.8845, 4), (0.9, 1), (12.0, 0), (300.0, 0), (1e-05, 5)):
        rounding = find_rounding(PublishedResult(level={}, values={"x": value}), "x")
        assert rounding == (expected, pytest.approx(0.5 * 10.0**-expected))


def test_words_of_reproduction(sentences: object) -> None:
    for name, value in (("inside", 0.8604), ("outside", 0.88)):
        [finding] = check({"val_accuracy": value}, {"val_accuracy": 4})
        sentences.check(f"published number, {name}", finding.sentence)  # type: ignore[attr-defined]
    alone = Published.model_validate(
        {"title": "E", "result": [{"level": {"learning_rate": 0.1}, "values": {"val_accuracy": 0.9}}]}
    )
    [finding] = check_numbers(assess(make_measurements({0.1: [0.9]}, published=alone)))
    assert finding.verdict == "not testable"
    sentences.check("published number, one seed", finding.sentence)  # type: ignore[attr-defined]


def test_levels_and_metrics_that_do_not_exist_are_refused() -> None:
    with pytest.raises(
        LrreportError, match=r"^published.result: the study has no level \{'learning_rate': 0.7\}; it has 0.1, 0.01$"
    ):
        check({"val_accuracy": 0.9}, rate=0.7)
    with pytest.raises(LrreportError, match="^published.result: no metric 'speed'; the metrics are val_accuracy$"):
        check({"speed": 0.9})


def test_a_published_level_is_found_by_short_names_and_by_tables() -> None:
    vary = {"learning_rate": [0.1, 0.01], "momentum": [0.0, 0.9]}
    result = {"learning_rate": 0.1, "momentum": 0.9, "test_accuracy": 0.9}
    study = parse_study({"name": "s", "vary": vary, "fixed": {"optimizer": "sgd"},
                         "published": {"title": "E", "result": [result]}}, "s")  # fmt: skip
    assert study.published is not None
    level = find_level(index_levels(study.levels), study.published.result[0].level)
    assert level is not None
    assert level.name == "0.1 with momentum 0.9"
    sizes = parse_study({"name": "s", "vary": {"hidden_sizes": [[8], [16, 8]]}}, "s")
    assert find_level(index_levels(sizes.levels), {"hidden_sizes": [16, 8]}) == sizes.levels[1]
    assert find_level(index_levels(study.levels), {"learning_rate": 0.1}) is None


def fall_at(rates: np.ndarray, where: float) -> np.ndarray:
    return 2.3 - 1.8 / (1 + np.exp(-6 * (np.log10(rates) - np.log10(where))))


def test_a_range_test_suggests_if_its_seeds_agree(sentences: object) -> None:
    rates = np.geomspace(1e-6, 10, 400)
    agree = suggest_rate(rates, [fall_at(rates, 1e-3), fall_at(rates, 2e-3)])
    assert agree.rate == pytest.approx(2e-3, rel=0.6)
    apart = suggest_rate(rates, [fall_at(rates, 1e-4), fall_at(rates, 1e-1)])
    assert apart.rate is None
    flat = suggest_rate(rates, [fall_at(rates, 1e-3), np.full(400, 2.3)])
    assert flat.rate is None
    for name, finding in (("agree", agree), ("apart", apart), ("flat", flat)):
        sentences.check(f"range test, {name}", finding.sentence)  # type: ignore[attr-defined]
    shifted = suggest_rate(rates, [fall_at(rates, 1e-3) - 50, fall_at(rates, 2e-3) + 7])
    assert shifted == agree


def compare(difference: float, low: float, high: float, **options: Any) -> Finding:
    pair = {"level": {"learning_rate": 0.1}, "than": {"learning_rate": 0.01}, "metric": "val_accuracy"}
    published = Published.model_validate(
        {"title": "Earlier", "difference": [{**pair, "difference": difference, "low": low, "high": high}]}
    )
    values = {0.1: VALUES, 0.01: [0.851, 0.853, 0.850, 0.852, 0.849]} | options.pop("values", {})
    [finding] = check_differences(assess(make_measurements(values, published=published, **options)))
    check_finding(finding)
    return finding


def test_a_difference_of_the_same_runs_agrees_to_the_digit() -> None:
    ours = np.array(VALUES) - [0.851, 0.853, 0.850, 0.852, 0.849]
    half = stats.t.ppf(0.975, 4) * ours.std(ddof=1) / math.sqrt(5)
    low, high = ours.mean() - half, ours.mean() + half
    finding = compare(round(ours.mean(), 4), round(low, 4), round(high, 4), paired=True)
    assert (finding.effect, finding.low, finding.high) == pytest.approx((ours.mean(), low, high))
    assert finding.verdict == "supported"
    assert finding.sentence.endswith("agrees with that of our runs to the digit (n = 5).")
    assert (finding.evidence["level"].value, finding.evidence["than"].value) == (0.1, 0.01)
    welch = compare(round(ours.mean(), 4), round(low, 4), round(high, 4), paired=False)
    assert welch.verdict == "supported"
    assert "lies inside ours, 0.94 points (" in welch.sentence


def test_a_difference_outside_of_our_interval_is_not_reproduced() -> None:
    finding = compare(0.03, 0.02, 0.04)
    assert (finding.verdict, finding.word) == ("contradicted", "Not reproduced")
    assert "of 3 points (95 % interval 2 to 4 points) lies outside ours, 1 points (" in finding.sentence


def test_a_difference_takes_two_seeds_of_each_level() -> None:
    finding = compare(0.03, 0.02, 0.04, values={0.01: [0.85]})
    assert finding.verdict == "not testable"
    assert finding.sentence == "Not testable for 0.1 against 0.01: it takes two seeds of each that trained."
    assert (finding.evidence["level"].value, finding.evidence["than"].value) == (0.1, 0.01)


def test_two_seeds_of_each_level_are_enough_for_a_difference() -> None:
    finding = compare(0.01, 0.0, 0.02, values={0.1: [0.86, 0.861], 0.01: [0.85, 0.852]})
    assert (finding.verdict, finding.evidence["n"].value) == ("supported", 2)


def test_a_difference_of_a_level_that_is_not_there_is_an_error() -> None:
    pair = {"level": {"learning_rate": 5}, "than": {"learning_rate": 0.1}, "metric": "val_accuracy"}
    published = Published.model_validate({"title": "E", "difference": [pair | {"difference": 0, "low": 0, "high": 0}]})
    with pytest.raises(LrreportError, match=r"published\.difference: the study has no level \{'learning_rate': 5\}"):
        check_differences(assess(make_measurements({0.1: VALUES}, published=published)))
