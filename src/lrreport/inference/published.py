"""The numbers of an earlier report against prediction intervals for one new run of ours."""

from decimal import Decimal

from lrreport.errors import LrreportError
from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import Finding, Verdict
from lrreport.inference.statistics import predict_next
from lrreport.inference.words import count, quantify_levels, write_value
from lrreport.study.decide import PublishedResult
from lrreport.study.formats import Quantity
from lrreport.study.metrics import Metric

RULE = (
    "The interval in which one new run of ours would lie, for all numbers of the earlier report at once with 95 % (Bonferroni). "
    "Supported if it holds a value that the earlier report would have printed as it did. Outside, our settings do not reproduce "
    "the number, which says nothing against it. Source: Hahn and Meeker (1991)."
)


def check_numbers(assessment: Assessment) -> list[Finding]:
    """Return for each number of the earlier report whether one new run of ours might have given it.

    Raises LrreportError for a level or metric that the study does not have.
    """
    published = assessment.measurements.published
    if published is None:
        return []
    checks = [
        (_find_level(assessment, result), result, metric) for result in published.result for metric in result.values
    ]
    testable = sum(_count_values(assessment, level, metric) > 1 for level, _, metric in checks)
    return [_check_number(assessment, level, result, metric, max(1, testable)) for level, result, metric in checks]


def _find_level(assessment: Assessment, result: PublishedResult) -> int:
    levels = assessment.measurements.levels
    matching = [level.index for level in levels if dict(level.values) == dict(result.level)]
    if not matching:
        known = ", ".join(level.name for level in levels)
        raise LrreportError(f"published.result: the study has no level {result.level}; it has {known}")
    for metric in result.values:
        if metric not in assessment.measurements.metrics:
            known = ", ".join(assessment.measurements.metrics)
            raise LrreportError(f"published.result: no metric {metric!r}; the metrics are {known}")
    return matching[0]


def _count_values(assessment: Assessment, level: int, metric: str) -> int:
    return int(assessment.scores[metric][level].notna().sum())


def find_rounding(result: PublishedResult, metric: str) -> tuple[int, float]:
    """Return with how many decimals a number was printed, and half a step of its last digit."""
    value = result.values[metric]
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    digits = result.digits.get(metric, max(0, -int(exponent)))
    return digits, 0.5 * 10.0**-digits


def _check_number(assessment: Assessment, level: int, result: PublishedResult, name: str, n_numbers: int) -> Finding:
    measurements, metric = assessment.measurements, assessment.measurements.metrics[name]
    value, (digits, half) = result.values[name], find_rounding(result, name)
    own = assessment.scores[name][level].dropna()
    label, level_name = metric.label, measurements.levels[level].name
    evidence = {
        **quantify_levels(measurements, {"level": level}),
        "published": _write_printed(metric, value, digits),
        "n": count(len(own)),
    }
    arguments = {"level": level, "metric": name}
    if len(own) < 2:
        reason = f"the study has {'one seed' if len(own) else 'no seed'} of {level_name} with a {label}"
        sentence = (
            f"Not testable: the earlier report gives {evidence['published']} {label} for {level_name}, and {reason}."
        )
        return Finding("published_number", arguments, "not testable", sentence, "Not testable", "", "neutral",
                       RULE, len(own), "seeds",
                       evidence=evidence)  # fmt: skip
    low, high = predict_next(own, n_numbers, assessment.resolutions[name])
    inside = low <= value + half + 1e-12 and value - half - 1e-12 <= high
    mean = float(own.mean())
    verdict: Verdict = "supported" if inside else "contradicted"
    edges = () if inside else (value,)
    evidence |= {
        "mean": write_value(metric, mean),
        "low": write_value(metric, metric.clip(low), edges, unit=False),
        "high": write_value(metric, metric.clip(high), edges),
    }
    relation = "lies inside" if inside else "lies outside"
    end = "" if inside else ": our settings do not reproduce it"
    sentence = (
        f"{level_name}: the earlier {label} of {evidence['published']} {relation} the interval {evidence['low']} to "
        f"{evidence['high']} in which one new run of ours would lie (n = {evidence['n']}){end}."
    )
    return Finding(
        "published_number", arguments, verdict, sentence, "Reproduced" if inside else "Not reproduced",
        evidence["published"].text,
        "good" if inside else "neutral", RULE, len(own), "seeds", mean, low, high, metric.unit, evidence,
    )  # fmt: skip


def _write_printed(metric: Metric, value: float, digits: int) -> Quantity:
    shown = max(0, digits - 2) if metric.scale == "fraction" else digits
    return Quantity(value, metric.model_copy(update={"digits": shown}).format(value))
