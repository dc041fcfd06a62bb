"""Claims, findings, and the evaluation of a claim by name."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.phrases import find_phrase
from lrreport.inference.statistics import Estimate
from lrreport.inference.words import quantify_levels
from lrreport.study.factors import thaw
from lrreport.study.formats import Quantity, capitalize

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

    Parameters are "level", "than", "metric", "by", "target", "value" and "than_value". `never` are verdicts that it cannot
    have, whatever is measured.
    """

    name: str
    parameters: tuple[str, ...]
    rule: str
    measure: Measure
    source: str = ""
    optional: tuple[str, ...] = ()
    never: tuple[Verdict, ...] = ()


VOCABULARY: dict[str, Claim] = {}


def add_claim(
    name: str,
    *parameters: str,
    rule: str,
    source: str = "",
    optional: tuple[str, ...] = (),
    never: tuple[Verdict, ...] = (),
) -> Callable[[Measure], Measure]:
    """Add the decorated measure to the vocabulary under a name."""

    def add(measure: Measure) -> Measure:
        VOCABULARY[name] = Claim(name, parameters, rule, measure, source, optional, never)
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
        return make_untestable(name, arguments, sentence, claim.rule, 0, evidence | reason.evidence)
    phrase = find_phrase(name, result.case)
    evidence = {**evidence, **result.evidence}
    fields = {key: quantity.text for key, quantity in evidence.items()} | names | dict(result.names)
    estimate = result.estimate
    numbers = (estimate.mean, estimate.low, estimate.high) if estimate else (math.nan,) * 3
    return Finding(
        name, arguments, result.verdict, capitalize(phrase.sentence.format_map(fields)), phrase.word.format_map(fields),
        phrase.size.format_map(fields), phrase.tone, claim.rule, result.n, result.n_means, *numbers, result.unit, evidence,
    )  # fmt: skip


def make_untestable(
    claim: str, arguments: dict[str, Any], sentence: str, rule: str, n: int, evidence: dict[str, Quantity]
) -> Finding:
    """Return the finding that `n` seeds cannot decide a claim."""
    return Finding(
        claim, arguments, "not testable", sentence, "Not testable", "", "neutral", rule, n, "seeds", evidence=evidence
    )
