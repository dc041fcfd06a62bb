"""What a claim is: a verdict, its evidence, the rule that decides it and a sentence; and how one is asked by name."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, wraps
from typing import Any, Literal

from lrreport.errors import LrreportError
from lrreport.report.formats import Quantity, format_rate, list_words
from lrreport.report.results import Results
from lrreport.report.stats import ALPHA, Estimate, adjust_holm
from lrreport.study import PublishedClaim

Verdict = Literal["supported", "contradicted", "not distinguishable", "not testable"]

METRICS = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
}


@dataclass(frozen=True)
class Claim:
    """One claim and what the results say of it.

    `evidence` holds every number that the sentence and the rule quote; `effect`, `low` and `high` are the estimate
    and its 95 % interval in `unit`, NaN where there is none.
    """

    name: str
    arguments: dict[str, Any]
    verdict: Verdict
    sentence: str
    rule: str
    n: int
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    evidence: dict[str, Quantity] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the claim as plain data; numbers that do not exist are null."""
        numbers = {key: getattr(self, key) for key in ("effect", "low", "high")}
        return {
            "claim": self.name,
            "arguments": self.arguments,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "rule": self.rule,
            "n": self.n,
            **{key: value if math.isfinite(value) else None for key, value in numbers.items()},
            "unit": self.unit,
            "evidence": {key: quantity.to_json() for key, quantity in self.evidence.items()},
        }


Asker = Callable[..., Claim]
VOCABULARY: dict[str, Asker] = {}


def claim(asker: Asker) -> Asker:
    """Add a claim to the vocabulary, under the name of its function.

    Sentences and rules are written for cross-entropy, in nats; of a loss of the user's own they tell in its own units.
    """

    @wraps(asker)
    def ask(results: Results, *arguments: Any, **options: Any) -> Claim:
        found = asker(results, *arguments, **options)
        if results.loss_unit == "nats":
            return found
        told = {key: getattr(found, key).replace("nats", results.loss_unit) for key in ("sentence", "rule", "unit")}
        return replace(found, **told)

    VOCABULARY[asker.__name__] = ask
    return ask


def ask(results: Results, published: PublishedClaim) -> Claim:
    """Return what our results say of an earlier report's claim.

    A rate that was left out of the study makes it not testable. Raises LrreportError, listing what is valid, for a claim,
    an argument or a metric that does not exist.
    """
    arguments = published.arguments
    check_claim(published, (*results.study.vary.learning_rate, *_rates_in(arguments)))
    absent = [rate for rate in _rates_in(arguments) if rate not in results.records]
    if absent:
        return not_testable(published.claim, arguments, f"there is no run at {list_rates(absent)}", absent=absent)
    return VOCABULARY[published.claim](results, **arguments)


def check_claim(published: PublishedClaim, rates: Sequence[float]) -> None:
    """Raise LrreportError unless the claim exists, has just these arguments, and they name rates and metrics we have."""
    place = f"published claim {published.says!r}"
    if published.claim not in VOCABULARY:
        raise LrreportError(f"{place}: no claim {published.claim!r}; the claims are {', '.join(VOCABULARY)}")
    wanted = list(inspect.signature(VOCABULARY[published.claim]).parameters)[1:]
    if set(published.arguments) != set(wanted):
        given = ", ".join(published.arguments) or "none"
        raise LrreportError(f"{place}: {published.claim} takes {', '.join(wanted) or 'no arguments'}, not {given}")
    metric = published.arguments.get("metric", "val_loss")
    if not isinstance(metric, str) or metric not in METRICS:
        raise LrreportError(f"{place}: no metric {metric!r}; the metrics are {', '.join(METRICS)}")
    _check_rates(place, _rates_in(published.arguments), rates)


def _check_rates(place: str, rates: list[Any], known: Sequence[float]) -> None:
    for rate in rates:
        if rate not in known:
            raise LrreportError(
                f"{place}: the study has no learning rate {rate!r}; it has {', '.join(map(format_rate, known))}"
            )
    if len(rates) == 2 and rates[0] == rates[1]:
        raise LrreportError(f"{place}: it compares {rates[0]!r} with itself; name two learning rates")


def not_testable(
    name: str, arguments: dict[str, Any], reason: str, rule: str = "", absent: Sequence[float] = ()
) -> Claim:
    """Return a claim that these results cannot decide, with the reason as its sentence; `absent` are rates without a run."""
    rates = _rates_in(arguments)
    about = f" for {' against '.join(map(format_rate, rates))}" if rates else ""
    evidence = quantify_rates("rate", rates) | quantify_rates("absent", absent)
    return Claim(name, arguments, "not testable", f"Not testable{about}: {reason}.", rule, n=0, evidence=evidence)


def why_untestable(results: Results, rates: Sequence[float], n_needed: int = 2) -> str:
    """Return why these rates cannot be judged or compared, or nothing if they can."""
    diverged = [rate for rate in rates if rate not in results.complete_rates]
    if diverged:
        where = f" at {list_rates(diverged)}" if len(rates) > 1 else ""
        return f"training diverged{where}"
    n = min(len(results.records[rate].seeds) for rate in rates)
    if n < n_needed:
        there = "is one seed only" if n == 1 else "are only two seeds"
        return (
            f"there {there}, and telling a difference from chance takes {'two' if n_needed == 2 else 'three'} or more"
        )
    return ""


@lru_cache(maxsize=8)
def find_learning(results: Results) -> list[float]:
    """Return the complete rates whose mean validation accuracy beats guessing by more than the margin.

    How soon a rate arrives, how steadily, and what it confuses means nothing for one that does not learn.
    """
    level = next(iter(results.records.values())).chance + results.study.margins.accuracy
    return [rate for rate in results.complete_rates if results.values(rate, "val_accuracy").mean() > level]


def why_no_way(results: Results, rates: Sequence[float]) -> str:
    """Return why the way of these rates to their end cannot be compared, or nothing if it can."""
    idle = [rate for rate in rates if rate not in find_learning(results)]
    if reason := why_untestable(results, rates):
        return reason
    where = f" at {list_rates(idle)}" if idle and len(rates) > 1 else ""
    return f"training{where} ends no better than guessing" if idle else ""


def list_rates(rates: Sequence[float]) -> str:
    """Return rates as a list in a sentence."""
    return list_words([format_rate(rate) for rate in rates])


def quantify_rates(name: str, rates: Sequence[float]) -> dict[str, Quantity]:
    """Return rates that a sentence lists as its evidence, numbered under one name."""
    return {f"{name}_{place}": Quantity(rate, "rate") for place, rate in enumerate(rates, start=1)}


def quantify(value: float, metric: str) -> Quantity:
    """Return a value of a metric as it is written."""
    return Quantity(value, "percent" if metric.endswith("accuracy") else "loss")


def quantify_limit(value: float, metric: str) -> Quantity:
    """Return an end of an interval of a metric as it is written; an accuracy lies between 0 and 1."""
    return quantify(min(max(value, 0.0), 1.0) if metric.endswith("accuracy") else value, metric)


def quantify_difference(value: float, metric: str) -> Quantity:
    """Return a difference between values of a metric: of accuracies in points, of losses in nats."""
    return Quantity(value, "points" if metric.endswith("accuracy") else "loss")


def name_unit(metric: str) -> str:
    """Return the unit of a difference between values of a metric."""
    return "points" if metric.endswith("accuracy") else "nats"


def find_margin(results: Results, metric: str) -> float:
    """Return what the study counts as small on a metric."""
    return results.study.margins.accuracy if metric.endswith("accuracy") else results.study.margins.loss


def decide_lead(leads: dict[float, Estimate]) -> tuple[Verdict, list[float]]:
    """Return the verdict on leading every other rate, and the rates that lead instead.

    Supported if each lead is told from 0 by itself: all of them must be, so nothing has to be adjusted (Berger's
    intersection-union test, 1982). Contradicted if any rate leads instead, adjusted for their number (Holm).
    """
    adjusted = dict(zip(leads, adjust_holm([lead.p for lead in leads.values()]), strict=True))
    ahead = [rate for rate, lead in leads.items() if adjusted[rate] < ALPHA and lead.mean < 0]
    if ahead:
        return "contradicted", ahead
    if all(lead.p < ALPHA and lead.mean > 0 for lead in leads.values()):
        return "supported", []
    return "not distinguishable", []


def note_pairs(estimate: Estimate, p: float) -> str:
    """Return what to add to a sentence whose interval leaves out 0 although the adjusted p does not."""
    if p < ALPHA or not (estimate.low > 0 or estimate.high < 0):
        return ""
    return " The interval by itself would tell them apart, but it does not allow for the {pairs} pairs compared."


def count_pairs(results: Results) -> int:
    """Return how many pairs of rates can be compared."""
    n = len(results.complete_rates)
    return n * (n - 1) // 2


def has_spread(estimate: Estimate) -> bool:
    """Return whether the values differ: without a spread there is nothing to judge a mean by."""
    return estimate.sd > 0


def _rates_in(arguments: dict[str, Any]) -> list[Any]:
    return [arguments[key] for key in ("learning_rate", "than") if key in arguments]
