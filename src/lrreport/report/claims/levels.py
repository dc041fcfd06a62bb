"""Claims across the levels of a second axis: does the best rate move, do the levels differ, and what to choose?"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from lrreport.report.claims.claim import (
    METRICS,
    Claim,
    Verdict,
    find_learning,
    has_spread,
    name_unit,
    not_testable,
    quantify,
    quantify_difference,
    quantify_limit,
    quantify_rates,
)
from lrreport.report.claims.differences import DETAILED_RATES, describe_power, find_unbeaten, rank_rates, say_power
from lrreport.report.formats import Quantity, count_nouns, format_rate, format_setting, list_words
from lrreport.report.results import Levels, Results
from lrreport.report.stats import ALPHA, adjust_holm, estimate_mean

METRIC = "val_accuracy"  # everything is compared and chosen on validation
LISTED = 6  # combinations that a sentence names
MOVES_RULE = (
    "At each {axis}, the rates that the leading one does not beat on validation accuracy may be the best, in one-sided paired "
    "t tests over seeds at 0.05 divided by their number{tests} (Bonferroni). Supported if two of the values have no such rate "
    "in common; contradicted if one and the same rate beats every other with each value, each at 0.05. A shift smaller than "
    "the steps between the rates tried does not show."
)
TUNED_RULE = (
    "Supported if the rate that leads with the one value beats every rate with the other on validation accuracy, in paired t "
    "tests over seeds at 0.05, two-sided. The p-value is the largest of these, times the number of rates among which the leading "
    "one was chosen (Bonferroni), and adjusted for all {pairs} of values (Holm); the interval is the unadjusted 95 % one between "
    "the two leading rates."
)
COMBINATION_RULE = (
    "The learning rate and {axis} with the highest mean validation accuracy; supported if they beat every other combination, "
    "each in a paired t test over seeds at 0.05. Test accuracy is read once, after the choice."
)
Combination = tuple[Any, float]  # a value of the second axis, and a rate


def best_rate_moves(levels: Levels, brief: bool = False) -> Claim:
    """The best rate is another one at some value of the second axis than at some other.

    A rate whose run is missing may be the best; one at which training diverged is not. A `brief` sentence leaves out which
    rates may be the best at each value.
    """
    asked, n_tests, n = list_comparable(levels), count_tests(levels), len(levels.study.vary.seed)
    reason = "there is one seed only, and telling a difference from chance takes two or more" if n < 2 else ""
    if len(asked) < 2:
        reason = reason or f"fewer than two values of the {levels.noun} have rates to compare that learn"
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
    values = zip(_name_once(levels, may_lead), may_lead.values(), strict=True)
    each = "; ".join(f"{_say_one_of(rates)} with {value}" for value, rates in values)
    detail = f" Allowing for {count_nouns(n_tests, 'comparison')}, the best may be {each}."
    if apart:
        verdict: Verdict = "supported"
        a, b = _name_once(levels, apart[-1])
        text = (
            f"The best rate moves with the {levels.noun}: {_say_leads(levels, leads)}, and no rate may be the best with both "
            f"{a} and {b} (n = {n})."
        )
    elif whole and len(leaders) == 1 and len(next(iter(leaders))) == 1:
        verdict, [[rate]], detail = "contradicted", leaders, ""
        evidence |= {"rate": Quantity(rate, "rate")}
        text = (
            f"The best rate does not move with the {levels.noun}: it is {format_rate(rate)} with "
            f"{list_words(_name_once(levels, asked))}, apart from every other rate "
            f"{'tried' if tried else 'that trained to the end'} (n = {n})."
        )
    else:
        verdict = "not distinguishable"
        shared = [rate for rate in levels.study.vary.learning_rate if all(rate in rates for rates in may_lead.values())]
        but = f", but {_say_one_of(shared)} may be the best with each" if shared else ""
        text = f"Whether the best rate moves with the {levels.noun} is undecided: {_say_leads(levels, leads)}{but} (n = {n})."
        evidence |= quantify_rates("shared", shared)
    text += "" if brief else detail
    if left := [value for value in levels.study.levels() if value not in asked]:
        text += f" With {list_words(_name_once(levels, left))} there are no two rates to compare."
        for place, value in enumerate(left, start=1):
            evidence |= quantify_level(f"left_{place}", value)
    return Claim("best_rate_moves", {}, verdict, text, rule, n, evidence=evidence)


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
    names = _name_once(levels, leads)
    if len(set(leads.values())) == 1:
        return f"{format_rate(next(iter(leads.values())))} leads with {list_words(names)}"
    first, *others = zip(map(format_rate, leads.values()), names, strict=True)
    return list_words(["{} leads with {}".format(*first), *("{} with {}".format(*one) for one in others)])


def say_absent(levels: Levels, value: Any) -> Claim:
    """Return that not every run finished, for a value of the second axis without any run."""
    arguments = {str(levels.study.vary.axis): value}
    text = f"There is no run with {levels.name(value)}."
    return Claim("all_finished", arguments, "contradicted", text, "", 0, evidence=quantify_level("value", value))


def _say_one_of(rates: Sequence[float]) -> str:
    *head, last = [format_rate(rate) for rate in sorted(rates, reverse=True)]
    return f"{', '.join(head)} or {last}" if head else last


def _name_once(levels: Levels, values: Iterable[Any]) -> list[str]:
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


def compare_tuned(levels: Levels) -> list[Claim]:
    """Return for every two levels whether one ends above the other, each with its rate chosen; of many, the leading one's."""
    leads = {value: rank_rates(one, METRIC, 1)[0] for value, one in levels.levels.items() if find_learning(one)}
    if len(leads) < 2 or len(levels.study.vary.seed) < 2:
        return []
    scores = {value: levels.levels[value].values(rate, METRIC) for value, rate in leads.items()}
    order = sorted(leads, key=lambda value: -float(scores[value].mean()))
    pairs = list(combinations(order, 2))
    p_values = adjust_holm([_test_tuned(levels, leads, *pair) for pair in pairs])
    return [
        _compare_tuned(levels, leads, pair, p, len(pairs))
        for pair, p in zip(pairs, p_values, strict=True)
        if len(order) <= DETAILED_RATES or pair[0] == order[0]
    ]


def _test_tuned(levels: Levels, leads: dict[Any, float], a: Any, b: Any) -> float:
    """Return the p of the leading rate of one level against every rate of another.

    It must beat them all, so the largest p counts (Berger's intersection-union test, 1982); and any rate of its level
    might have led, so it counts as often as there are such rates.
    """
    ours, theirs = levels.levels[a], levels.levels[b]
    lead = ours.values(leads[a], METRIC)
    tests = [estimate_mean(lead - theirs.values(rate, METRIC)) for rate in theirs.complete_rates]
    if not all(test.mean > 0 and has_spread(test) for test in tests):
        return 1.0
    return min(1.0, len(ours.complete_rates) * max(test.p for test in tests))


def _compare_tuned(levels: Levels, leads: dict[Any, float], pair: tuple[Any, Any], p: float, n_pairs: int) -> Claim:
    a, b = pair
    name, arguments = "higher_when_tuned", {"value": a, "than_value": b}
    rule = TUNED_RULE.format(pairs=count_nouns(n_pairs, "pair"))
    ours, theirs = (levels.levels[value].values(leads[value], METRIC) for value in pair)
    estimate = estimate_mean(ours - theirs)
    unit, (one, other) = name_unit(METRIC), (_name(levels, (value, leads[value])) for value in pair)
    evidence = {
        **quantify_level("value", a),
        "rate": Quantity(leads[a], "rate"),
        **quantify_level("than_value", b),
        "than_rate": Quantity(leads[b], "rate"),
        "difference": quantify_difference(abs(estimate.mean), METRIC),
        "low": quantify_difference(estimate.low, METRIC),
        "high": quantify_difference(estimate.high, METRIC),
        "n": Quantity(estimate.n, "count"),
        "p": Quantity(p, "p"),
        "pairs": Quantity(n_pairs, "count"),
    }
    if not has_spread(estimate):
        text = f"Not testable for {one} against {other}: {METRICS[METRIC]} differs by the same amount in every seed."
        return Claim(name, arguments, "not testable", text, rule, estimate.n, evidence=evidence)
    span = f"(95 % interval {{low}} to {{high}} {unit}, n = {{n}}, p {{p}})."
    verdict: Verdict = "supported"
    text = f"Each with its leading rate, {one} ends {{difference}} {unit} of {METRICS[METRIC]} above {other} {span}"
    if p >= ALPHA:
        verdict = "not distinguishable"
        evidence |= describe_power(estimate, METRIC, n_pairs * len(levels.levels[a].complete_rates))
        text = (
            f"Each with its leading rate, {one} and {other} cannot be told apart: their means lie {{difference}} {unit} of "
            f"{METRICS[METRIC]} apart {span}"
        )
        if estimate.low > 0:
            text += " The interval by itself would tell them apart, but it allows neither for the choice of the rates nor for "
            text += "the {pairs} pairs compared." if n_pairs > 1 else "the other rates."
        text += f" {say_power(METRIC, evidence)}"
    return Claim(
        name, arguments, verdict, text.format_map(evidence), rule, estimate.n,
        estimate.mean, estimate.low, estimate.high, unit, evidence,
    )  # fmt: skip


def best_combination(levels: Levels) -> Claim:
    """One learning rate with one value of the second axis is to be chosen: it has the highest validation accuracy."""
    name, rule = "best_combination", COMBINATION_RULE.format(axis=levels.noun)
    scores = {
        (value, rate): results.values(rate, METRIC)
        for value, results in levels.levels.items()
        for rate in results.complete_rates
    }
    if not any(map(find_learning, levels.levels.values())):
        reason = (
            "no combination tried learns, each ends no better than guessing"
            if scores
            else "training diverged everywhere"
        )
        return not_testable(name, {}, reason, rule)
    leader, *others = sorted(scores, key=lambda one: -float(scores[one].mean()))
    value, rate = leader
    validation = estimate_mean(scores[leader])
    test = estimate_mean(levels.levels[value].values(rate, "test_accuracy"))
    evidence = {
        "rate": Quantity(rate, "rate"),
        **quantify_level("value", value),
        "validation": quantify(validation.mean, METRIC),
        "test": quantify(test.mean, METRIC),
        "n": Quantity(validation.n, "count"),
        "n_combinations": Quantity(len(scores), "count"),
    }
    best = _name(levels, leader)
    if validation.n < 2:
        text = (
            f"{best} has the highest validation accuracy, {{validation}} ({{test}} on test), but one seed cannot tell a "
            "difference from chance: run more seeds before choosing."
        )
        return Claim(name, {}, "not testable", text.format_map(evidence), rule, 1, evidence=evidence)
    evidence |= {"low": quantify_limit(test.low, METRIC), "high": quantify_limit(test.high, METRIC)}
    tests = {one: estimate_mean(scores[leader] - scores[one]) for one in others}
    unbeaten = [leader, *(one for one, found in tests.items() if not found.p < ALPHA)]
    reached = "{validation}, and reaches {test} on test (95 % interval {low} to {high}, n = {n})"
    verdict: Verdict = "supported"
    text = (
        f"Choose {best}: of the {{n_combinations}} combinations that trained to the end it has the highest validation "
        f"accuracy, {reached}."
    )
    if len(unbeaten) > 1 or not others:
        verdict = "not distinguishable" if others else "not testable"
        listed, left = [one for one in scores if one in unbeaten[:LISTED]], len(unbeaten) - LISTED
        for place, (level, own) in enumerate(listed, start=1):
            evidence |= quantify_level(f"value_{place}", level) | {f"rate_{place}": Quantity(own, "rate")}
        more = [f"{left} more"] if left > 0 else []
        evidence |= {"n_more": Quantity(left, "count")} if left > 0 else {}
        by_value = {level: [own for other, own in listed if other == level] for level, _ in listed}
        values = _name_once(levels, by_value)
        names = [f"{_say_one_of(own)} with {value}" for value, own in zip(values, by_value.values(), strict=True)]
        text = (
            f"No single combination is the best: {list_words([*names, *more])} cannot be told apart on validation accuracy. "
            f"{best} has the highest mean, {reached}."
        )
        if not others:
            text = f"Only {best} trained to the end: it has a validation accuracy of {reached}."
    return Claim(
        name, {}, verdict, text.format_map(evidence), rule, validation.n,
        validation.mean, validation.low, validation.high, "fraction", evidence,
    )  # fmt: skip


def _name(levels: Levels, combination: Combination) -> str:
    value, rate = combination
    return f"{format_rate(rate)} with {levels.name(value)}"
