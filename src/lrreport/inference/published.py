"""The numbers of an earlier report against prediction intervals for one new run of ours, and its differences."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from lrreport.errors import LrreportError
from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import Finding, Verdict, make_untestable
from lrreport.inference.statistics import predict_next
from lrreport.inference.words import count, count_seeds, quantify_levels, write_value
from lrreport.study.decide import PublishedDifference, PublishedResult
from lrreport.study.factors import find_level, index_levels
from lrreport.study.formats import Quantity
from lrreport.study.metrics import Metric

RULE = (
    "The interval in which one new run of ours would lie, for all numbers of the earlier report at once with 95 % (Bonferroni). "
    "Supported if it holds a value that the earlier report would have printed as it did. Outside, our settings do not reproduce "
    "the number, which says nothing against it. Source: Hahn and Meeker (1991)."
)

DIFFERENCE_RULE = (
    "Supported if the 95 % interval of our own difference, of this pair alone, holds the one of the earlier report at the digits "
    "that it printed. Where both are of the same runs, difference and interval should agree to the digit."
)


def check_numbers(assessment: Assessment) -> list[Finding]:
    """Return for each number of the earlier report whether one new run of ours might have given it.

    Raises LrreportError for a level or metric that the study does not have.
    """
    published = assessment.measurements.published
    if published is None:
        return []
    checks = [
        (_find_level(assessment, result.level, result.values, "result"), result, metric)
        for result in published.result
        for metric in result.values
    ]
    testable = sum(_count_values(assessment, level, metric) > 1 for level, _, metric in checks)
    return [_check_number(assessment, level, result, metric, max(1, testable)) for level, result, metric in checks]


def check_differences(assessment: Assessment) -> list[Finding]:
    """Return for each difference of the earlier report whether our interval contains it.

    Raises LrreportError for a level or metric that the study does not have.
    """
    published = assessment.measurements.published
    return [_check_difference(assessment, pair) for pair in published.difference] if published is not None else []


def _find_level(assessment: Assessment, values: Mapping[str, Any], metrics: Iterable[str], key: str) -> int:
    levels = assessment.measurements.levels
    level = find_level(index_levels(levels), values)
    if level is None:
        known = ", ".join(level.name for level in levels)
        raise LrreportError(f"published.{key}: the study has no level {values}; it has {known}")
    for metric in metrics:
        if metric not in assessment.measurements.metrics:
            known = ", ".join(assessment.measurements.metrics)
            raise LrreportError(f"published.{key}: no metric {metric!r}; the metrics are {known}")
    return level.index


def _count_values(assessment: Assessment, level: int, metric: str) -> int:
    return int(assessment.scores[metric][level].notna().sum())


def find_rounding(result: PublishedResult, metric: str) -> tuple[int, float]:
    """Return with how many decimals a number was printed, and half a step of its last digit."""
    digits = result.digits.get(metric, find_digits(result.values[metric]))
    return digits, 0.5 * 10.0**-digits


def find_digits(value: float) -> int:
    """Return how many decimals a number has as Python writes it."""
    return max(0, -int(Decimal(repr(float(value))).normalize().as_tuple().exponent))


def _check_number(assessment: Assessment, level: int, result: PublishedResult, name: str, n_numbers: int) -> Finding:
    measurements, metric = assessment.measurements, assessment.measurements.metrics[name]
    value, (digits, half) = result.values[name], find_rounding(result, name)
    scores, n = assessment.scores[name][level].dropna(), _count_values(assessment, level, name)
    label, level_name = metric.label, measurements.levels[level].name
    evidence = {
        **quantify_levels(measurements, {"level": level}),
        "published": Quantity(value, _set_digits(metric, digits).format(value)),
        "n": count(n),
    }
    arguments = {"level": level, "metric": name}
    if n < 2:
        reason = f"the study has {'one seed' if n else 'no seed'} of {level_name} with a {label}"
        sentence = f"the earlier report gives {evidence['published']} {label} for {level_name}, and {reason}."
        return make_untestable("published_number", arguments, f"Not testable: {sentence}", RULE, n, evidence)
    low, high = predict_next(scores, n_numbers, assessment.resolutions[name])
    inside = low <= value + half + 1e-12 and value - half - 1e-12 <= high
    mean, edges = float(scores.mean()), () if inside else (value,)
    verdict: Verdict = "supported" if inside else "contradicted"
    evidence |= {
        "mean": write_value(metric, mean),
        "low": write_value(metric, metric.clip(low), edges, unit=False),
        "high": write_value(metric, metric.clip(high), edges),
    }
    relation = "lies inside" if inside else "lies outside"
    end = "" if inside else ": our settings do not reproduce it"
    sentence = (
        f"{level_name}: the earlier {label} of {evidence['published']} {relation} the interval {evidence['low']} to "
        f"{evidence['high']} in which one new run of ours would lie (95 %, all numbers "
        f"at once; n = {evidence['n']}){end}."
    )
    return Finding(
        "published_number", arguments, verdict, sentence, "Reproduced" if inside else "Not reproduced",
        evidence["published"].text, "good" if inside else "neutral", RULE, n, "seeds", mean, low, high, metric.unit, evidence,
    )  # fmt: skip


def _check_difference(assessment: Assessment, pair: PublishedDifference) -> Finding:
    level, than = (_find_level(assessment, values, [pair.metric], "difference") for values in (pair.level, pair.than))
    measurements, arguments = assessment.measurements, {"level": level, "than": than, "metric": pair.metric}
    metric, named = measurements.metrics[pair.metric], quantify_levels(measurements, {"level": level, "than": than})
    names = f"{measurements.levels[level].name} against {measurements.levels[than].name}"
    counts = [_count_values(assessment, index, pair.metric) for index in (level, than)]
    if min(counts) < 2:
        sentence = f"Not testable for {names}: it takes two seeds of each that trained."
        return make_untestable("published_difference", arguments, sentence, DIFFERENCE_RULE, min(counts), named)
    estimate = assessment.compare_alone(level, than, pair.metric)
    theirs = {"difference": pair.difference, "low": pair.low, "high": pair.high}
    ours = {"difference": estimate.mean, "low": estimate.low, "high": estimate.high}
    digits = max(map(find_digits, theirs.values())) if pair.digits is None else pair.digits
    printed, half = _set_digits(metric, digits), 0.5 * 10.0**-digits + 1e-12
    evidence = named | {
        key: Quantity(value, printed.format_difference(value, unit=not key.endswith("low")))
        for key, value in {**{f"published_{key}": value for key, value in theirs.items()}, **ours}.items()
    }
    evidence["n"] = Quantity(float(estimate.n), count_seeds(*counts))
    exact = all(abs(ours[key] - value) <= half for key, value in theirs.items())
    holds = exact or estimate.low - half <= pair.difference <= estimate.high + half
    n = f"n = {evidence['n']}"
    end = f"lies {'inside' if holds else 'outside'} ours, {{difference}} ({{low}} to {{high}}, {n})"
    if exact:
        end = f"agrees with that of our runs to the digit ({n})"
    sentence = (
        f"{names}: the earlier difference in {metric.label} of {evidence['published_difference']} (95 % interval "
        f"{evidence['published_low']} to {evidence['published_high']}) {end.format_map(evidence)}."
    )
    return Finding(
        "published_difference", arguments, "supported" if holds else "contradicted", sentence,
        "Reproduced" if holds else "Not reproduced", evidence["published_difference"].text,
        "good" if holds else "neutral", DIFFERENCE_RULE, estimate.n, "seeds", estimate.mean, estimate.low, estimate.high,
        metric.difference_unit, evidence,
    )  # fmt: skip


def _set_digits(metric: Metric, digits: int) -> Metric:
    """Return a metric that is written as a number with so many decimals on its own scale was printed."""
    return metric.model_copy(update={"digits": max(0, digits - 2) if metric.scale == "fraction" else digits})
