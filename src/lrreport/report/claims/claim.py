"""What a claim is: a verdict, its evidence, the rule that decides it and a sentence; and how one is asked by name."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lrreport import LrreportError
from lrreport.report.formats import Quantity, count_nouns, format_rate, list_words
from lrreport.report.results import Results
from lrreport.report.stats import Estimate
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
    """Add a claim to the vocabulary, under the name of its function."""
    VOCABULARY[asker.__name__] = asker
    return asker


def ask(results: Results, published: PublishedClaim) -> Claim:
    """Return what our results say of an earlier report's claim.

    Raises LrreportError, listing what is valid, for a claim, an argument, a rate or a metric that does not exist.
    """
    check_claim(published, results.study.vary.learning_rate)
    arguments = published.arguments
    absent = [rate for rate in _rates_in(arguments) if rate not in results.records]
    if absent:
        return not_testable(published.claim, arguments, f"there is no run at {list_rates(absent)}")
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
    if metric not in METRICS:
        raise LrreportError(f"{place}: no metric {metric!r}; the metrics are {', '.join(METRICS)}")
    for rate in _rates_in(published.arguments):
        if rate not in rates:
            known = ", ".join(map(format_rate, rates))
            raise LrreportError(f"{place}: the study has no learning rate {rate!r}; it has {known}")


def not_testable(name: str, arguments: dict[str, Any], reason: str, rule: str = "") -> Claim:
    """Return a claim that these results cannot decide, with the reason as its sentence."""
    return Claim(name, arguments, "not testable", f"Not testable: {reason}.", rule, n=0)


def why_untestable(results: Results, rates: Sequence[float], n_needed: int = 2) -> str:
    """Return why these rates cannot be judged or compared, or nothing if they can."""
    diverged = [rate for rate in rates if rate not in results.complete_rates]
    if diverged:
        return f"training diverged at {list_rates(diverged)}"
    n = min(len(results.records[rate].seeds) for rate in rates)
    if n < n_needed:
        return f"there is {count_nouns(n, 'seed')} only, and telling a difference from chance takes {n_needed} or more"
    return ""


def list_rates(rates: Sequence[float]) -> str:
    """Return rates as a list in a sentence."""
    return list_words([format_rate(rate) for rate in rates])


def quantify(value: float, metric: str) -> Quantity:
    """Return a value of a metric as it is written."""
    return Quantity(value, "percent" if metric.endswith("accuracy") else "loss")


def quantify_difference(value: float, metric: str) -> Quantity:
    """Return a difference between values of a metric: of accuracies in points, of losses in nats."""
    return Quantity(value, "points" if metric.endswith("accuracy") else "loss")


def name_unit(metric: str) -> str:
    """Return the unit of a difference between values of a metric."""
    return "points" if metric.endswith("accuracy") else "nats"


def find_margin(results: Results, metric: str) -> float:
    """Return what the study counts as small on a metric."""
    return results.study.margins.accuracy if metric.endswith("accuracy") else results.study.margins.loss


def has_spread(estimate: Estimate) -> bool:
    """Return whether the values differ: without a spread there is nothing to judge a mean by."""
    return estimate.sd > 0


def _rates_in(arguments: dict[str, Any]) -> list[Any]:
    return [arguments[key] for key in ("learning_rate", "than") if key in arguments]
