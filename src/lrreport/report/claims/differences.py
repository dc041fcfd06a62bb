"""Claims about where rates end: whether one differs from another, and which is best or worst."""

from dataclasses import replace
from functools import lru_cache
from itertools import combinations

import pandas as pd

from lrreport.report.claims.claim import (
    METRICS,
    Claim,
    Verdict,
    claim,
    count_pairs,
    decide_lead,
    find_learning,
    find_margin,
    has_spread,
    list_rates,
    name_unit,
    not_testable,
    note_pairs,
    quantify,
    quantify_difference,
    quantify_rates,
    why_untestable,
)
from lrreport.report.formats import Quantity, count_nouns, list_words
from lrreport.report.results import Results
from lrreport.report.stats import ALPHA, MANY, Estimate, adjust_pairs, estimate_mean, find_detectable, find_n_needed

DETAILED_RATES = 6  # with more, each rate is compared with the leading one only
SHOWN_RATES = 12  # with more, only so many of the best are told of one by one
PAIRED_RULE = (
    "Paired t test over seeds at 0.05, two-sided; p-values are adjusted for all {pairs} of rates (Holm), "
    "the interval is the unadjusted 95 % one."
)
BEST_RULE = (
    "Supported if it beats every other rate, each in a paired t test over seeds at 0.05; "
    "contradicted if any other rate beats it, adjusted for their number (Holm), or is itself the best by this rule."
)


@claim
def higher(results: Results, learning_rate: float, than: float, metric: str) -> Claim:
    """One rate ends higher than another on a metric."""
    return _compare(results, "higher", learning_rate, than, metric, sign=1)


@claim
def lower(results: Results, learning_rate: float, than: float, metric: str) -> Claim:
    """One rate ends lower than another on a metric."""
    return _compare(results, "lower", learning_rate, than, metric, sign=-1)


@claim
def slightly_higher(results: Results, learning_rate: float, than: float, metric: str) -> Claim:
    """One rate ends higher than another on a metric, by less than the study's margin."""
    return _limit(results, _compare(results, "slightly_higher", learning_rate, than, metric, sign=1), metric)


@claim
def slightly_lower(results: Results, learning_rate: float, than: float, metric: str) -> Claim:
    """One rate ends lower than another on a metric, by less than the study's margin."""
    return _limit(results, _compare(results, "slightly_lower", learning_rate, than, metric, sign=-1), metric)


@claim
def best(results: Results, learning_rate: float, metric: str) -> Claim:
    """One rate ends better than every other on a metric: the highest accuracy, the lowest loss."""
    return _lead(results, "best", learning_rate, metric, sign=1 if metric.endswith("accuracy") else -1)


@claim
def worst(results: Results, learning_rate: float, metric: str) -> Claim:
    """One rate ends worse than every other on a metric: the lowest accuracy, the highest loss."""
    return _lead(results, "worst", learning_rate, metric, sign=-1 if metric.endswith("accuracy") else 1)


def _compare(results: Results, name: str, rate: float, than: float, metric: str, sign: int) -> Claim:
    arguments = {"learning_rate": rate, "than": than, "metric": metric}
    n_pairs = count_pairs(results)
    rule = PAIRED_RULE.format(pairs=count_nouns(n_pairs, "pair"))
    reason = why_untestable(results, [rate, than])
    if reason:
        return not_testable(name, arguments, reason, rule)
    estimate = estimate_mean(results.values(rate, metric) - results.values(than, metric))
    p = float(adjust_metric(results, metric).at[rate, than])
    if not has_spread(estimate):
        reason = f"{METRICS[metric]} differs by the same amount in every seed, so there is no spread to judge it by"
        return not_testable(name, arguments, reason, rule)
    verdict: Verdict = "not distinguishable"
    if p < ALPHA:
        verdict = "supported" if sign * estimate.mean > 0 else "contradicted"
    evidence = {
        "rate": Quantity(rate, "rate"),
        "than": Quantity(than, "rate"),
        "difference": quantify_difference(abs(estimate.mean), metric),
        "low": quantify_difference(estimate.low, metric),
        "high": quantify_difference(estimate.high, metric),
        "n": Quantity(estimate.n, "count"),
        "p": Quantity(p, "p"),
        "pairs": Quantity(n_pairs, "count"),
    }
    if p >= ALPHA:
        evidence |= describe_power(estimate, metric, n_pairs)
    sentence = _say_apart(estimate, metric) if p < ALPHA else _say_not_apart(estimate, metric, evidence)
    return Claim(
        name, arguments, verdict, sentence.format_map(evidence), rule, estimate.n,
        estimate.mean, estimate.low, estimate.high, name_unit(metric), evidence,
    )  # fmt: skip


@lru_cache(maxsize=16)
def adjust_metric(results: Results, metric: str) -> pd.DataFrame:
    """Return the p of the paired t test of every two rates that can be compared, adjusted for all of them (Holm)."""
    return adjust_pairs({rate: results.values(rate, metric) for rate in results.complete_rates})


def _say_apart(estimate: Estimate, metric: str) -> str:
    side = "above" if estimate.mean > 0 else "below"
    unit = name_unit(metric)
    return (
        f"The {METRICS[metric]} of {{rate}} ends {{difference}} {unit} {side} that of {{than}} "
        f"(95 % interval {{low}} to {{high}} {unit}, n = {{n}}, p {{p}})."
    )


def _say_not_apart(estimate: Estimate, metric: str, evidence: dict[str, Quantity]) -> str:
    unit = name_unit(metric)
    note = note_pairs(estimate, evidence["p"].value)
    allowing = " when all {pairs} pairs are allowed for" if note else ""
    text = (
        f"On {METRICS[metric]}, {{rate}} and {{than}} cannot be told apart{allowing}: their means lie {{difference}} {unit} "
        f"apart (95 % interval {{low}} to {{high}} {unit}, n = {{n}}, p {{p}})."
    )
    return f"{text}{note} {say_power(metric, evidence)}"


def describe_power(estimate: Estimate, metric: str, n_tests: int = 1) -> dict[str, Quantity]:
    """Return the smallest difference that this many seeds see with 80 % power, and how many would see ours."""
    return {
        "detectable": quantify_difference(find_detectable(estimate.sd, estimate.n, n_tests), metric),
        "n_needed": Quantity(find_n_needed(estimate.mean, estimate.sd, n_tests), "count"),
    }


def say_power(metric: str, evidence: dict[str, Quantity]) -> str:
    """Return what a study of this size could see, as a template for its evidence."""
    needed = "about {n_needed}" if evidence["n_needed"].value <= MANY else "more than a thousand"
    if metric.endswith("accuracy") and evidence["detectable"].value >= 1:
        return f"{{n}} seeds are too few to see any difference with 80 % power; one as large as observed would take {needed}."
    return (
        f"With {{n}} seeds the smallest difference seen with 80 % power is {{detectable}} {name_unit(metric)}; "
        f"one as large as observed here would take {needed} seeds."
    )


def _limit(results: Results, plain: Claim, metric: str) -> Claim:
    """Add to a difference that it is slight: its interval lies within the margin."""
    margin = quantify_difference(find_margin(results, metric), metric)
    evidence = {**plain.evidence, "margin": margin}
    rule = f"{plain.rule} “Slightly” is supported if the whole interval lies within {margin} {name_unit(metric)} of 0."
    if plain.verdict != "supported":
        return replace(plain, rule=rule, evidence=evidence)
    nearest, farthest = sorted((abs(plain.low), abs(plain.high)))
    verdict: Verdict = "not distinguishable"
    where = "crosses"
    if farthest < margin.value:
        verdict, where = "supported", "lies within"
    elif nearest > margin.value:
        verdict, where = "contradicted", "lies beyond"
    size = f"The interval {where} the {margin} {name_unit(metric)} that count as slight."
    return replace(plain, verdict=verdict, rule=rule, sentence=f"{plain.sentence} {size}", evidence=evidence)


def rank_rates(results: Results, metric: str, sign: int) -> list[float]:
    """Return the rates that can be compared, by mean, the one with the highest sign · mean first."""
    return sorted(results.complete_rates, key=lambda rate: -sign * float(results.values(rate, metric).mean()))


def choose_pairs(results: Results) -> list[tuple[float, float]]:
    """Return the pairs of rates that a report compares in words, the better on validation accuracy first.

    With many rates these are the pairs of the leading one only, and at most with the best of the others; a rate that
    does not learn is in none.
    """
    order = [rate for rate in rank_rates(results, "val_accuracy", sign=1) if rate in find_learning(results)]
    return (
        list(combinations(order, 2))
        if len(order) <= DETAILED_RATES
        else [(order[0], rate) for rate in order[1:SHOWN_RATES]]
    )


@lru_cache(maxsize=16)
def find_unbeaten(results: Results, metric: str, sign: int, alpha: float = ALPHA) -> tuple[float, ...]:
    """Return the rates that the leading one does not beat in a paired t test at `alpha`, itself first."""
    leader, *others = rank_rates(results, metric, sign)
    tests = {rate: estimate_mean(results.values(leader, metric) - results.values(rate, metric)) for rate in others}
    return (leader, *(rate for rate, test in tests.items() if not test.p < alpha))


def say_unbeaten(names: list[str], n: int) -> str:
    """Return that what has these names may be the best; they stand for n rates or combinations."""
    if n == 2:
        return f"{list_words(names)} cannot be told apart on {METRICS['val_accuracy']}"
    return f"{list_words(names)} may each be the best on {METRICS['val_accuracy']}"


def say_without_spread(names: list[str]) -> str:
    """Return a sentence on what the leading one differs from by the same amount in every seed; nothing if there is none."""
    if not names:
        return ""
    return f" From {list_words(names)} it differs by the same amount in every seed, which leaves no spread to judge that by."


def _lead(results: Results, name: str, rate: float, metric: str, sign: int) -> Claim:
    arguments = {"learning_rate": rate, "metric": metric}
    others = [other for other in results.complete_rates if other != rate]
    reason = why_untestable(results, [rate]) or ("" if others else "there is no other rate to compare it with")
    if reason:
        return not_testable(name, arguments, reason, BEST_RULE)
    values = results.values(rate, metric)
    leads = {other: estimate_mean(sign * (values - results.values(other, metric))) for other in others}
    if not all(map(has_spread, leads.values())):
        reason = f"{METRICS[metric]} differs by the same amount in every seed, so there is no spread to judge it by"
        return not_testable(name, arguments, reason, BEST_RULE)
    verdict, beaten_by = decide_lead(leads)
    leader = find_unbeaten(results, metric, sign)
    if verdict == "not distinguishable" and len(leader) == 1:
        verdict, beaten_by = "contradicted", [*leader]  # it is the best itself, told apart from each of the others
    nearest = min(beaten_by or others, key=lambda other: abs(leads[other].mean) if beaten_by else leads[other].mean)
    estimate = leads[nearest]
    evidence = {
        "rate": Quantity(rate, "rate"),
        "mean": quantify(float(values.mean()), metric),
        "nearest": Quantity(nearest, "rate"),
        "difference": quantify_difference(abs(estimate.mean), metric),
        "low": quantify_difference(estimate.low, metric),
        "high": quantify_difference(estimate.high, metric),
        "n": Quantity(estimate.n, "count"),
        "others": Quantity(len(others), "count"),
        **quantify_rates("beaten_by", beaten_by),
    }
    extreme = ("highest" if sign > 0 else "lowest") + f" {METRICS[metric]}"
    unit = name_unit(metric)
    if verdict == "supported":
        every = "every other rate" if len(others) > 1 else "the other rate"
        text = (
            f"{{rate}} has the {extreme}, {{mean}} on average, apart from {every}; the nearest, {{nearest}}, is "
            f"{{difference}} {unit} away (95 % interval {{low}} to {{high}} {unit}, n = {{n}})."
        )
    elif verdict == "contradicted":
        text = (
            f"{{rate}} does not have the {extreme}: {list_rates(beaten_by)} {'ends' if len(beaten_by) == 1 else 'end'} "
            f"{'above' if sign > 0 else 'below'} it, {{nearest}} by {{difference}} {unit} "
            f"(95 % interval {{low}} to {{high}} {unit}, n = {{n}})."
        )
        evidence |= {
            "low": quantify_difference(-estimate.high, metric),
            "high": quantify_difference(-estimate.low, metric),
        }
    else:
        text = f"Which rate has the {extreme} is undecided among {list_rates(leader)}."
        evidence |= quantify_rates("unbeaten", leader) | describe_power(estimate, metric)
        text += f" Against {{nearest}} the difference is {{difference}} {unit}. {say_power(metric, evidence)}"
    return Claim(
        name, arguments, verdict, text.format_map(evidence), BEST_RULE, estimate.n,
        estimate.mean, estimate.low, estimate.high, unit, evidence,
    )  # fmt: skip
