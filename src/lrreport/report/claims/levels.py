"""Across the levels of a second axis: does the best rate move?"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from lrreport.report.claims.claim import (
    Claim,
    Verdict,
    find_learning,
    not_testable,
    quantify_rates,
)
from lrreport.report.claims.differences import find_unbeaten
from lrreport.report.formats import Quantity, count_nouns, format_rate, format_setting, list_words
from lrreport.report.results import Levels, Results
from lrreport.report.stats import ALPHA
from lrreport.study import Study

METRIC = "val_accuracy"  # everything is compared and chosen on validation
MOVES_RULE = (
    "At each {axis}, the rates that the leading one does not beat on validation accuracy may be the best, in one-sided paired "
    "t tests over seeds at 0.05 divided by their number{tests} (Bonferroni). Supported if two of the values have no such rate "
    "in common; contradicted if one and the same rate, inside the range tried, beats every other with each value, each at 0.05 "
    "(all at once, so their number needs no correction). A shift smaller than "
    "the steps between the rates tried does not show."
)


def best_rate_moves(levels: Levels, brief: bool = False) -> Claim:
    """The best rate is another one at some value of the second axis than at some other.

    A rate whose run is missing may be the best; one at which training diverged is not. A `brief` sentence leaves out which
    rates may be the best at each value.
    """
    asked, n_tests, n = list_comparable(levels), count_tests(levels), len(levels.study.vary.seed)
    reason = "there is one seed only, and telling a difference from chance takes two or more" if n < 2 else ""
    if len(asked) < 2:
        reason = (
            reason or f"fewer than two values of the {levels.noun} have rates to compare that end better than guessing"
        )
    rule = MOVES_RULE.format(axis=levels.noun, tests="" if reason else f", {n_tests}")
    if reason:
        return not_testable("best_rate_moves", {}, reason, rule)
    may_lead = find_candidates(levels)
    evidence = {"n": Quantity(n, "count"), "n_tests": Quantity(n_tests, "count")}
    leads = {value: rates[0] for value, rates in may_lead.items()}
    for place, (value, rates) in enumerate(may_lead.items(), start=1):
        evidence |= quantify_level(f"value_{place}", value) | {f"lead_{place}": Quantity(leads[value], "rate")}
        evidence |= quantify_rates(f"best_{place}", rates)
    apart = [(a, b) for a, b in combinations(may_lead, 2) if not set(may_lead[a]) & set(may_lead[b])]
    leaders = {find_unbeaten(one, METRIC, 1) for one in asked.values()}
    whole = list(asked) == list(levels.study.levels()) and not levels.missing
    tried = all(len(one.complete_rates) == len(one.rates) for one in asked.values())
    values = zip(name_once(levels, may_lead), may_lead.values(), strict=True)
    each = "; ".join(f"{say_one_of(rates)} with {value}" for value, rates in values)
    detail = f" Allowing for {count_nouns(n_tests, 'comparison')}, what cannot be ruled out as the best is {each}."
    if apart:
        verdict: Verdict = "supported"
        a, b = name_once(levels, apart[-1])
        text = (
            f"The best rate moves with the {levels.noun}: {_say_leads(levels, leads)}, and no rate is left that may "
            f"be the best with both {a} and {b} (n = {n})."
        )
    elif whole and len(leaders) == 1 and len(next(iter(leaders))) == 1:
        verdict, [[rate]], detail = "contradicted", leaders, ""
        evidence |= {"rate": Quantity(rate, "rate")}
        opening, beyond = f"The best rate does not move with the {levels.noun}", ""
        if rate in (min(levels.study.vary.learning_rate), max(levels.study.vary.learning_rate)):
            verdict = "not distinguishable"  # the best may lie outside the range, and move there
            opening = f"Whether the best rate moves with the {levels.noun} is undecided"
            beyond = f", but it is {say_beyond(levels.study, rate)}"
        text = (
            f"{opening}: it is {format_rate(rate)} with {list_words(name_once(levels, asked))}, told apart from every other rate "
            f"{'tried' if tried else 'that trained to the end'}{beyond} (n = {n})."
        )
    else:
        verdict = "not distinguishable"
        shared = [rate for rate in levels.study.vary.learning_rate if all(rate in rates for rates in may_lead.values())]
        but = f", but {say_one_of(shared)} cannot be ruled out with any" if shared else ""
        but = ", but others cannot be ruled out" if len(set(leads.values())) == 1 else but
        text = f"Whether the best rate moves with the {levels.noun} is undecided: {_say_leads(levels, leads)}{but} (n = {n})."
        evidence |= quantify_rates("shared", shared)
    text += "" if brief else detail
    if left := [value for value in levels.study.levels() if value not in asked]:
        text += f" With {list_words(name_once(levels, left))} there are no two rates to compare."
        for place, value in enumerate(left, start=1):
            evidence |= quantify_level(f"left_{place}", value)
    return Claim("best_rate_moves", {}, verdict, text, rule, n, evidence=evidence)


def say_beyond(study: Study, rate: float) -> str:
    """Return of an end of the range tried which end it is, and where better rates may lie."""
    highest = rate == max(study.vary.learning_rate)
    return f"the {'highest' if highest else 'lowest'} tried, and better ones may lie {'above' if highest else 'below'}"


def list_comparable(levels: Levels) -> dict[Any, Results]:
    """Return the levels at which there are two rates or more to compare, of which some learn."""
    return {value: one for value, one in levels.levels.items() if len(one.complete_rates) > 1 and find_learning(one)}


def count_tests(levels: Levels) -> int:
    """Return how many rates are compared with the leading one of their level."""
    return sum(len(one.complete_rates) - 1 for one in list_comparable(levels).values())


def find_candidates(levels: Levels) -> dict[Any, tuple[float, ...]]:
    """Return the rates that may be the best with each value of the second axis, the leading one first.

    Each of these sets leaves out its best rate with a probability of 0.05 at most, for all of them together (Bonferroni).
    With one seed there is nothing to tell them by, and the sets are empty.
    """
    if len(levels.study.vary.seed) < 2:
        return {}
    alpha = 2 * ALPHA / max(1, count_tests(levels))  # one-sided
    return {
        value: (*find_unbeaten(one, METRIC, 1, alpha), *one.missing) for value, one in list_comparable(levels).items()
    }


def _say_leads(levels: Levels, leads: dict[Any, float]) -> str:
    """Return which rate leads at each value of the second axis."""
    names = name_once(levels, leads)
    if len(set(leads.values())) == 1:
        return f"{format_rate(next(iter(leads.values())))} leads with {list_words(names)}"
    first, *others = zip(map(format_rate, leads.values()), names, strict=True)
    return list_words(["{} leads with {}".format(*first), *("{} with {}".format(*one) for one in others)])


def say_absent(levels: Levels, value: Any) -> Claim:
    """Return that not every run finished, for a value of the second axis without any run."""
    arguments = {str(levels.study.vary.axis): value}
    text = f"There is no run with {levels.name(value)}."
    return Claim("all_finished", arguments, "contradicted", text, "", 0, evidence=quantify_level("value", value))


def say_one_of(rates: Sequence[float]) -> str:
    """Return rates as alternatives in a sentence, the highest first: "0.1, 0.01 or 0.001"."""
    *head, last = [format_rate(rate) for rate in sorted(rates, reverse=True)]
    return f"{', '.join(head)} or {last}" if head else last


def name_once(levels: Levels, values: Iterable[Any]) -> list[str]:
    """Return values of the second axis for a list in a sentence: the first with the name of the setting."""
    first, *others = values
    return [levels.name(first), *map(format_setting, others)]


def quantify_level(name: str, value: Any) -> dict[str, Quantity]:
    """Return the numbers of a value of a second axis as evidence; none of one in words."""
    if isinstance(value, tuple):
        return {f"{name}_{place}": Quantity(one, _kind(one)) for place, one in enumerate(value, start=1)}
    return {} if isinstance(value, bool | str) else {name: Quantity(value, _kind(value))}


def _kind(number: float) -> str:
    return "count" if isinstance(number, int) else "rate"
