"""What a range test suggests: the learning rate at which the loss falls fastest, if its seeds agree."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from lrreport.inference.statistics import Vector, find_steepest_rate
from lrreport.study.formats import Quantity, count_nouns, format_count, format_rate

AGREEMENT = 10  # seeds whose steepest rates lie further apart suggest nothing


@dataclass(frozen=True)
class Suggestion:
    """What a range test says, in a sentence; `rate` is None where it suggests none."""

    sentence: str
    rate: float | None
    evidence: dict[str, Quantity] = field(default_factory=dict)


def suggest_rate(rates: Vector, losses: Iterable[Vector]) -> Suggestion:
    """Return the rate that a range test suggests, from the rate of each step and the losses (n_seeds, n_steps)."""
    steepest = [find_steepest_rate(rates, curve) for curve in losses]
    fell, n = sorted(rate for rate in steepest if not math.isnan(rate)), len(steepest)
    evidence = {
        key: Quantity(rate, format_rate(rate)) for key, rate in (("first", float(rates[0])), ("last", float(rates[-1])))
    }
    evidence["n"] = Quantity(n, format_count(n))
    opening = f"A range test from {evidence['first']} to {evidence['last']}, one step at each rate,"
    if len(fell) < n:
        evidence["n_flat"] = Quantity(n - len(fell), format_count(n - len(fell)))
        seeds = count_nouns(n - len(fell), "seed")
        return Suggestion(
            f"{opening} suggests no rate: the loss of {seeds} never fell clearly (n = {n}).", None, evidence
        )
    evidence |= {"lowest": _quantify_roughly(fell[0]), "highest": _quantify_roughly(fell[-1])}
    span = f"between {evidence['lowest']} and {evidence['highest']}"
    if fell[-1] > AGREEMENT * fell[0]:
        evidence["agreement"] = Quantity(AGREEMENT, format_count(AGREEMENT))
        text = f"{opening} suggests no rate: the loss falls fastest {span}, by more than a factor of {AGREEMENT} apart (n = {n})."
        return Suggestion(text, None, evidence)
    middle = _quantify_roughly(math.exp(sum(map(math.log, fell)) / n))
    text = f"{opening} suggests about {middle}: there the loss falls fastest, from seed to seed {span} (n = {n})."
    return Suggestion(text, middle.value, evidence | {"suggestion": middle})


def _quantify_roughly(rate: float) -> Quantity:
    rounded = float(f"{rate:.1g}")
    return Quantity(rounded, format_rate(rounded))
