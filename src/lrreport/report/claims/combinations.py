"""Across the levels of a second axis: do they differ once each has its best rate, and which combination to choose?"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from lrreport.report.claims.claim import (
    METRICS,
    Claim,
    Verdict,
    find_learning,
    has_spread,
    list_rates,
    name_unit,
    not_testable,
    quantify,
    quantify_difference,
    quantify_limit,
    quantify_rates,
)
from lrreport.report.claims.differences import (
    DETAILED_RATES,
    describe_power,
    rank_rates,
    say_power,
    say_unbeaten,
    say_without_spread,
)
from lrreport.report.claims.levels import METRIC, name_once, quantify_level, say_one_of
from lrreport.report.formats import Quantity, count_nouns, format_rate
from lrreport.report.results import Levels
from lrreport.report.stats import ALPHA, Estimate, adjust_holm, estimate_mean

LISTED = 6  # combinations that a sentence names
TUNED_RULE = (
    "Supported if the rate that leads with the one value beats every rate with the other on validation accuracy, in paired t "
    "tests over seeds at 0.05, two-sided. The p-value is the largest of these times the number of rates among which the leading "
    "one was chosen (Bonferroni) or, if that is smaller, the largest against every other rate, those with its own value too "
    "(intersection–union).{holm} The interval is the unadjusted 95 % one between the two leading rates."
)
COMBINATION_RULE = (
    "The learning rate and {axis} with the highest mean validation accuracy; supported if they beat every other combination, "
    "each in a paired t test over seeds at 0.05. They are beaten all at once, so their "
    "number needs no correction (intersection–union). "
    "Test accuracy is read once, after the choice."
)
Combination = tuple[Any, float]  # a value of the second axis, and a rate


@dataclass(frozen=True)
class Tuned:
    """The leading rate of one level against every rate of another: its p, and the rate that it is told from least."""

    p: float
    nearest: float
    estimate: Estimate


def compare_tuned(levels: Levels) -> list[Claim]:
    """Return for every two levels whether one ends above the other, each with its rate chosen; of many, the leading one's."""
    leads = {value: rank_rates(one, METRIC, 1)[0] for value, one in levels.levels.items() if find_learning(one)}
    if len(leads) < 2 or len(levels.study.vary.seed) < 2:
        return []
    scores = {value: levels.levels[value].values(rate, METRIC) for value, rate in leads.items()}
    order = sorted(leads, key=lambda value: -float(scores[value].mean()))
    pairs = list(combinations(order, 2))
    tests = [judge_lead(levels, leads[a], a, b) for a, b in pairs]
    p_values = adjust_holm([test.p for test in tests])
    return [
        _compare_tuned(levels, leads, pair, test, p, len(pairs))
        for pair, test, p in zip(pairs, tests, p_values, strict=True)
        if len(order) <= DETAILED_RATES or pair[0] == order[0]
    ]


def judge_lead(levels: Levels, rate: float, a: Any, b: Any) -> Tuned:
    """Return how the leading rate of level `a` does against every rate of level `b`.

    It must beat them all, so the largest p counts (Berger's intersection-union test, 1982). Any rate of its level might have
    led, so it counts as often as there are such rates; not so if it beats these as well, since one rate only can do that.
    """
    ours, theirs = levels.levels[a], levels.levels[b]
    lead = ours.values(rate, METRIC)
    against = {other: estimate_mean(lead - theirs.values(other, METRIC)) for other in theirs.complete_rates}
    own = [estimate_mean(lead - ours.values(other, METRIC)) for other in ours.complete_rates if other != rate]
    nearest = max(against, key=lambda other: _find_p(against[other]))
    p, p_own = _find_p(against[nearest]), max(map(_find_p, own), default=0.0)
    return Tuned(min(1.0, len(ours.complete_rates) * p, max(p, p_own)), nearest, against[nearest])


def _find_p(lead: Estimate) -> float:
    """Return the two-sided p of a lead: 1 for what does not lead, or has no spread to judge it by."""
    return lead.p if lead.mean > 0 and has_spread(lead) else 1.0


def _compare_tuned(
    levels: Levels, leads: dict[Any, float], pair: tuple[Any, Any], test: Tuned, p: float, n_pairs: int
) -> Claim:
    a, b = pair
    name, arguments = "higher_when_tuned", {"value": a, "than_value": b}
    holm = f" It is adjusted for all {count_nouns(n_pairs, 'pair')} of values (Holm)." if n_pairs > 1 else ""
    rule = TUNED_RULE.format(holm=holm)
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
    missing = levels.levels[b].missing
    reason = f"{METRICS[METRIC]} differs by the same amount in every seed" if not has_spread(estimate) else ""
    if missing:
        runs = f"the run of {list_rates(missing)} is" if len(missing) == 1 else f"the runs of {list_rates(missing)} are"
        reason = f"{runs} missing with {levels.name(b)}, and might be the best there"
        evidence |= quantify_rates("missing", missing)
    if reason:
        text = f"Not testable for {one} against {other}: {reason}."
        return Claim(name, arguments, "not testable", text, rule, estimate.n, evidence=evidence)
    span = f"(95 % interval {{low}} to {{high}} {unit}, n = {{n}}, p {{p}})."
    verdict: Verdict = "supported"
    text = f"Each with its leading rate, {one} ends {{difference}} {unit} of {METRICS[METRIC]} above {other} {span}"
    if p >= ALPHA:
        verdict = "not distinguishable"
        text = (
            f"Each with its leading rate, {one} and {other} cannot be told apart: their means lie {{difference}} {unit} of "
            f"{METRICS[METRIC]} apart {span}"
        )
        if estimate.low > 0:
            text += " The interval by itself would tell them apart, but it allows neither for the choice of the rates nor for "
            text += "the {pairs} pairs compared." if n_pairs > 1 else "the other rates."
        decisive = test.estimate if has_spread(test.estimate) else estimate
        if decisive is test.estimate and test.nearest != leads[b]:
            evidence |= {
                "nearest": Quantity(test.nearest, "rate"),
                "nearest_difference": quantify_difference(abs(decisive.mean), METRIC),
            }
            where = "ahead" if decisive.mean > 0 else "behind"
            text += f" Against {{nearest}} with {levels.name(b)}, which decides, it lies {{nearest_difference}} {unit} {where}."
        evidence |= describe_power(decisive, METRIC, n_pairs * len(levels.levels[a].complete_rates))
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
        reason = "every combination tried ends no better than guessing" if scores else "training diverged everywhere"
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
        values = name_once(levels, by_value)
        names = [f"{say_one_of(own)} with {value}" for value, own in zip(values, by_value.values(), strict=True)]
        alike = [one for one in listed if one != leader and not has_spread(tests[one])]
        for place, (level, own) in enumerate(alike, start=1):
            evidence |= quantify_level(f"alike_value_{place}", level) | {f"alike_{place}": Quantity(own, "rate")}
        text = (
            f"No single combination is the best: {say_unbeaten([*names, *more], len(unbeaten))}. "
            f"{best} has the highest mean, {reached}.{say_without_spread([_name(levels, one) for one in alike])}"
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
