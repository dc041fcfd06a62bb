"""Claims of an earlier report: check their arguments against the study, and ask them of our measurements."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lrreport.errors import LrreportError
from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import VOCABULARY, Claim, Finding, ask
from lrreport.study.decide import PublishedClaim
from lrreport.study.factors import Factor, Level
from lrreport.study.formats import format_setting
from lrreport.study.metrics import Metric


def ask_published(assessment: Assessment, published: PublishedClaim) -> Finding:
    """Return what our measurements say of an earlier report's claim, followed by the study's remark on it.

    Raises LrreportError as `check_published_claim` does.
    """
    measurements = assessment.measurements
    arguments = check_published_claim(published, measurements.factors, measurements.metrics, measurements.levels)
    for key in ("level", "than"):
        if key in arguments:
            arguments[key] = next(level.index for level in measurements.levels if level.values == arguments[key])
    finding = ask(published.claim, assessment, **arguments)
    return replace(finding, sentence=f"{finding.sentence} {published.remark}") if published.remark else finding


def check_published_claim(
    published: PublishedClaim,
    factors: Sequence[Factor],
    metrics: Mapping[str, Metric],
    levels: Sequence[Level] | None = None,
) -> dict[str, Any]:
    """Return the arguments of an earlier report's claim as plain data for `ask`, levels as tables of their values.

    `learning_rate` (or `level`, or the first factor's name) and `than` name values of the first factor; with two
    factors a table names both, and `levels` says which combinations there are, if not all. Raises LrreportError, in one
    line that says what there is, for anything unknown.
    """
    first = factors[0].name
    arguments = {
        "level" if key in ("learning_rate", first) else key: value for key, value in published.arguments.items()
    }
    try:
        if published.claim not in VOCABULARY:
            raise LrreportError(f"no claim {published.claim!r}; the claims are {', '.join(VOCABULARY)}")
        _check_names(VOCABULARY[published.claim], arguments, first)
        _check_numbers(arguments, metrics)
        checked = _check_levels(arguments, factors, levels)
        tuned = {key: _check_value(arguments[key], factors[-1]) for key in ("value", "than_value") if key in arguments}
        if tuned and len(factors) < 2:
            raise LrreportError(
                f"{published.claim} compares values of a second factor, and the study varies only {first}"
            )
    except LrreportError as err:
        raise LrreportError(f"published claim {published.says!r}: {err}") from None
    return arguments | checked | tuned


def _check_names(claim: Claim, arguments: Mapping[str, Any], first: str) -> None:
    """Raise LrreportError for unknown arguments of a claim, else for missing arguments; `first` is the name shown for a level."""
    known = [*claim.parameters, *claim.optional]
    if unknown := [key for key in arguments if key not in known]:
        takes = _list_arguments(known, first) or "none"
        raise LrreportError(f"{claim.name} has no argument {_list_arguments(unknown, first)}; it takes {takes}")
    if missing := [key for key in claim.parameters if key not in arguments]:
        raise LrreportError(f"{claim.name} needs {_list_arguments(missing, first)}")


def _list_arguments(keys: Sequence[str], first: str) -> str:
    return ", ".join(first if key == "level" else key for key in keys)


def _check_numbers(arguments: Mapping[str, Any], metrics: Mapping[str, Metric]) -> None:
    """Raise LrreportError for a metric that is unknown, or a distance or target that is no number on its scale."""
    metric, by, target = (arguments.get(key) for key in ("metric", "by", "target"))
    if metric is not None and (not isinstance(metric, str) or metric not in metrics):
        raise LrreportError(f"no metric {metric!r}; the metrics are {', '.join(metrics)}")
    if by is not None and not (_is_number(by) and by > 0):
        raise LrreportError(f"by is {by!r}; give a positive number on the metric's own scale")
    if target is not None and not _is_number(target):
        raise LrreportError(f"target is {target!r}; give a number on the metric's own scale")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _check_levels(
    arguments: Mapping[str, Any], factors: Sequence[Factor], levels: Sequence[Level] | None
) -> dict[str, dict[str, Any]]:
    """Return the levels among the arguments as tables of their values; raise LrreportError unless there are such."""
    checked = {key: _check_level(arguments[key], factors) for key in ("level", "than") if key in arguments}
    for key, values in checked.items():
        if levels is not None and not any(level.values == values for level in levels):
            known = ", ".join(level.name for level in levels)
            raise LrreportError(f"the study has no level {arguments[key]!r}; it has {known}")
    if len(checked) == 2 and checked["level"] == checked["than"]:
        raise LrreportError(f"it compares {arguments['level']!r} with itself; name two values")
    return checked


def _check_level(level: Any, factors: Sequence[Factor]) -> dict[str, Any]:
    if isinstance(level, Mapping):
        if set(level) != {factor.name for factor in factors}:
            keys = ", ".join(factor.name for factor in factors)
            raise LrreportError(f"a level has the keys {keys}, not {', '.join(level)}")
        return {factor.name: _check_value(level[factor.name], factor) for factor in factors}
    if len(factors) > 1:
        example = ", ".join(f"{factor.name} = {format_setting(factor.values[0])}" for factor in factors)
        raise LrreportError(f"the study varies two settings; name a level as a table such as {{ {example} }}")
    return {factors[0].name: _check_value(level, factors[0])}


def _check_value(wanted: Any, factor: Factor) -> Any:
    for value in factor.values:
        if value == wanted and isinstance(value, bool) == isinstance(wanted, bool):
            return value
    known = ", ".join(map(factor.format, factor.values))
    raise LrreportError(f"the study has no {factor.label} {wanted!r}; it has {known}")
