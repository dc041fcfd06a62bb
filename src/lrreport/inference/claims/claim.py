"""Claims, findings, and the evaluation of a claim by name."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lrreport.errors import LrreportError
from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.phrases import find_phrase
from lrreport.inference.statistics import Estimate
from lrreport.inference.words import quantify_levels
from lrreport.study.decide import PublishedClaim
from lrreport.study.factors import Factor, Level, thaw
from lrreport.study.formats import Quantity, capitalize, format_setting
from lrreport.study.metrics import Metric

Verdict = Literal["supported", "contradicted", "undecided", "not testable"]
VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "undecided", "not testable")
OPPOSITE: dict[Verdict, Verdict] = {"supported": "contradicted", "contradicted": "supported"}


@dataclass(frozen=True)
class Finding:
    """A claim asked of measurements.

    `effect`, `low` and `high` are the estimate and its interval as the claim states it, on the metric's scale, NaN where
    there is none; low ≤ effect ≤ high. `evidence` holds every number that the sentence quotes. `n` counts `n_means`.
    """

    claim: str
    arguments: dict[str, Any]
    verdict: Verdict
    sentence: str
    word: str
    size: str
    tone: str
    rule: str
    n: int
    n_means: str
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    evidence: dict[str, Quantity] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data; numbers that do not exist are null."""
        numbers = {key: getattr(self, key) for key in ("effect", "low", "high")}
        return {
            **{key: value for key, value in vars(self).items() if key not in (*numbers, "evidence", "arguments")},
            "arguments": {key: thaw(value) for key, value in self.arguments.items()},
            **{key: value if math.isfinite(value) else None for key, value in numbers.items()},
            "evidence": {key: quantity.to_json() for key, quantity in self.evidence.items()},
        }


@dataclass(frozen=True)
class Result:
    """What a claim's measure returns: the verdict, the case of its phrases, and what these are filled with.

    `evidence` are the numbers of the sentence, `names` its words, both by the fields of the phrase.
    """

    case: str
    verdict: Verdict
    estimate: Estimate | None = None
    unit: str = ""
    n: int = 0
    n_means: str = "seeds"
    evidence: Mapping[str, Quantity] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


class Untestable(Exception):
    """Raised by a claim's measure where the measurements cannot decide it; the message is the reason, in a clause."""

    def __init__(self, reason: str, evidence: Mapping[str, Quantity] | None = None):
        super().__init__(reason)
        self.evidence = dict(evidence or {})


Measure = Callable[..., Result]


@dataclass(frozen=True)
class Claim:
    """An entry of the vocabulary: its parameters, its rule and its measure.

    Parameters are "level", "than", "metric", "by", "target", "value" and "than_value".
    """

    name: str
    parameters: tuple[str, ...]
    rule: str
    measure: Measure
    source: str = ""
    optional: tuple[str, ...] = ()


VOCABULARY: dict[str, Claim] = {}


def add_claim(
    name: str, *parameters: str, rule: str, source: str = "", optional: tuple[str, ...] = ()
) -> Callable[[Measure], Measure]:
    """Add the decorated measure to the vocabulary under a name."""

    def add(measure: Measure) -> Measure:
        VOCABULARY[name] = Claim(name, parameters, rule, measure, source, optional)
        return measure

    return add


def ask(name: str, assessment: Assessment, **arguments: Any) -> Finding:
    """Return what measurements say of a claim; levels are named by index, metrics by name."""
    claim = VOCABULARY[name]
    levels = [arguments[key] for key in ("level", "than") if key in arguments]
    evidence = quantify_levels(
        assessment.measurements, {key: arguments[key] for key in ("level", "than") if key in arguments}
    )
    names = {key: assessment.measurements.levels[arguments[key]].name for key in ("level", "than") if key in arguments}
    try:
        result = claim.measure(assessment, **arguments)
    except Untestable as reason:
        about = " against ".join(assessment.measurements.levels[i].name for i in levels)
        sentence = f"Not testable{f' for {about}' if about else ''}: {reason}."
        return Finding(
            name, arguments, "not testable", sentence, "Not testable", "", "neutral", claim.rule, 0, "seeds",
            evidence=evidence | reason.evidence,
        )  # fmt: skip
    phrase = find_phrase(name, result.case)
    evidence = {**evidence, **result.evidence}
    fields = {key: quantity.text for key, quantity in evidence.items()} | names | dict(result.names)
    estimate = result.estimate
    numbers = (estimate.mean, estimate.low, estimate.high) if estimate else (math.nan,) * 3
    return Finding(
        name, arguments, result.verdict, capitalize(phrase.sentence.format_map(fields)), phrase.word.format_map(fields),
        phrase.size.format_map(fields), phrase.tone, claim.rule, result.n, result.n_means, *numbers, result.unit, evidence,
    )  # fmt: skip


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
    location, first = f"published claim {published.says!r}", factors[0]
    if published.claim not in VOCABULARY:
        raise LrreportError(f"{location}: no claim {published.claim!r}; the claims are {', '.join(VOCABULARY)}")
    claim = VOCABULARY[published.claim]
    renamed = {
        "level" if key in ("learning_rate", first.name) else key: value for key, value in published.arguments.items()
    }
    if set(renamed) - set(claim.optional) != set(claim.parameters):
        wanted = ", ".join("learning_rate" if key == "level" else key for key in claim.parameters) or "no arguments"
        raise LrreportError(
            f"{location}: {published.claim} takes {wanted}, not {', '.join(published.arguments) or 'none'}"
        )
    metric = renamed.get("metric")
    if metric is not None and (not isinstance(metric, str) or metric not in metrics):
        raise LrreportError(f"{location}: no metric {metric!r}; the metrics are {', '.join(metrics)}")
    by = renamed.get("by")
    if by is not None and (isinstance(by, bool) or not isinstance(by, int | float) or not 0 < by < math.inf):
        raise LrreportError(f"{location}: by is {by!r}; give a positive number on the metric's own scale")
    target = renamed.get("target")
    if target is not None and (
        isinstance(target, bool) or not isinstance(target, int | float) or not math.isfinite(target)
    ):
        raise LrreportError(f"{location}: target is {target!r}; give a number on the metric's own scale")
    checked = {key: _check_level(location, renamed[key], factors) for key in ("level", "than") if key in renamed}
    for key, values in checked.items():
        if levels is not None and not any(level.values == values for level in levels):
            raise LrreportError(
                f"{location}: the study has no level {renamed[key]!r}; it has {', '.join(level.name for level in levels)}"
            )
    if len(checked) == 2 and checked["level"] == checked["than"]:
        raise LrreportError(f"{location}: it compares {renamed['level']!r} with itself; name two values")
    tuned = {
        key: _check_value(location, renamed[key], factors[-1]) for key in ("value", "than_value") if key in renamed
    }
    if tuned and len(factors) < 2:
        raise LrreportError(
            f"{location}: {published.claim} compares values of a second factor, and the study varies only {first.name}"
        )
    return renamed | checked | tuned


def _check_level(location: str, level: Any, factors: Sequence[Factor]) -> dict[str, Any]:
    if isinstance(level, Mapping):
        if set(level) != {factor.name for factor in factors}:
            raise LrreportError(
                f"{location}: a level has the keys {', '.join(factor.name for factor in factors)}, not {', '.join(level)}"
            )
        return {factor.name: _check_value(location, level[factor.name], factor) for factor in factors}
    if len(factors) > 1:
        example = ", ".join(f"{factor.name} = {format_setting(factor.values[0])}" for factor in factors)
        raise LrreportError(
            f"{location}: the study varies two settings; name a level as a table such as {{ {example} }}"
        )
    return {factors[0].name: _check_value(location, level, factors[0])}


def _check_value(location: str, value_given: Any, factor: Factor) -> Any:
    matching = [
        value
        for value in factor.values
        if value == value_given and isinstance(value, bool) == isinstance(value_given, bool)
    ]
    if not matching:
        known = ", ".join(map(factor.format, factor.values))
        raise LrreportError(f"{location}: the study has no {factor.label} {value_given!r}; it has {known}")
    return matching[0]


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
    if not published.remark:
        return finding
    return Finding(**{**vars(finding), "sentence": f"{finding.sentence} {published.remark}"})
