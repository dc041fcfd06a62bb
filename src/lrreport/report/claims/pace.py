"""Claims about the way there: how soon a rate reaches a level, and how smoothly its validation loss falls."""

import math
from functools import lru_cache

import numpy as np
import pandas as pd

from lrreport.report.claims.claim import (
    Claim,
    Verdict,
    claim,
    decide_lead,
    find_learning,
    has_spread,
    not_testable,
    note_pairs,
    quantify,
    why_no_way,
)
from lrreport.report.formats import Quantity
from lrreport.report.results import Results
from lrreport.report.stats import ALPHA, Estimate, adjust_pairs, estimate_mean, find_crossing, measure_roughness

LEVEL = (
    "the validation accuracy at which the slowest rate that learns ends, seed by seed (straight lines between epochs)"
)
ARRIVAL_RULE = f"Paired t test over seeds at 0.05 on the epochs needed to reach {LEVEL}"
SOONER_RULE = (
    f"{ARRIVAL_RULE}; p-values are adjusted for all pairs of rates (Holm), the interval is the unadjusted 95 % one."
)
SLOWEST_RULE = (
    f"{ARRIVAL_RULE}. Supported if it is later than every other rate; contradicted if another is later (Holm)."
)
ROUGHNESS = (
    "the logarithm of the roughness, the mean over the inner epochs of the distance of the validation loss from the "
    "middle of its neighbours"
)
STABLE_RULE = (
    f"Paired t test over seeds at 0.05 on {ROUGHNESS}; p-values are adjusted for all pairs of rates (Holm), the interval "
    "is the unadjusted 95 % one."
)
MOST_STABLE_RULE = (
    f"Paired t test over seeds at 0.05 on {ROUGHNESS}. "
    "Supported if it is smoother than every other rate; contradicted if another is (Holm)."
)


@lru_cache(maxsize=8)
def measure_arrival(results: Results, unit: str = "epochs") -> pd.DataFrame:
    """Return when each rate (across) reaches, for each seed (down), the accuracy at which the slowest rate that learns ends.

    In epochs, or in CPU seconds of training.
    """
    curves = {rate: results.curves(rate, "val_accuracy") for rate in find_learning(results)}
    arrivals: dict[float, dict[int, float]] = {}
    for rate, curve in curves.items():
        arrivals[rate] = {}
        for seed in curve:
            level = min(other[seed].iloc[-1] for other in curves.values())
            arrivals[rate][seed] = find_crossing(curve[seed], level)
    frame = pd.DataFrame(arrivals)
    return frame if unit == "epochs" else _convert_to_seconds(results, frame)


@lru_cache(maxsize=8)
def adjust_arrivals(results: Results) -> dict[frozenset[float], float]:
    """Return the p of the paired t test of every two rates' epochs to the level, adjusted for all of them (Holm)."""
    return adjust_pairs(measure_arrival(results).to_dict("series"))


@lru_cache(maxsize=8)
def measure_log_roughness(results: Results) -> pd.DataFrame:
    """Return the logarithm of the roughness of each rate (across) and seed (down)."""
    frame = pd.DataFrame({rate: measure_roughness(results.curves(rate, "val_loss")) for rate in find_learning(results)})
    return np.log(frame.clip(lower=1e-12))  # a straight line has a roughness of 0


@lru_cache(maxsize=8)
def adjust_roughness(results: Results) -> dict[frozenset[float], float]:
    """Return the p of the paired t test of every two rates' logarithms of roughness, adjusted for all (Holm)."""
    return adjust_pairs(measure_log_roughness(results).to_dict("series"))


def _convert_to_seconds(results: Results, arrivals: pd.DataFrame) -> pd.DataFrame:
    seconds = arrivals.copy()
    for rate in arrivals:
        spent = results.curves(rate, "cpu_seconds").cumsum()
        for seed in arrivals.index:
            seconds.at[seed, rate] = np.interp(arrivals.at[seed, rate], spent.index, spent[seed])
    return seconds


@claim
def sooner(results: Results, learning_rate: float, than: float) -> Claim:
    """One rate reaches the level at which the slowest ends in fewer epochs than another."""
    arguments = {"learning_rate": learning_rate, "than": than}
    reason = why_no_way(results, [learning_rate, than])
    if reason:
        return not_testable("sooner", arguments, reason, SOONER_RULE)
    arrivals, seconds = measure_arrival(results), measure_arrival(results, "seconds")
    lead = estimate_mean(arrivals[than] - arrivals[learning_rate])
    if not has_spread(lead):
        reason = "both take the same time in every seed" if lead.mean == 0 else "the lead is the same in every seed"
        return not_testable("sooner", arguments, reason, SOONER_RULE)
    p = adjust_arrivals(results)[frozenset((learning_rate, than))]
    verdict = _decide_paired(lead, p)
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "than": Quantity(than, "rate"),
        "p": Quantity(p, "p"),
        "pairs": Quantity(len(adjust_arrivals(results)), "count"),
        "level": quantify(_mean_level(results), "val_accuracy"),
        "epochs": Quantity(float(arrivals[learning_rate].mean()), "epochs"),
        "than_epochs": Quantity(float(arrivals[than].mean()), "epochs"),
        "seconds": Quantity(float(seconds[learning_rate].mean()), "seconds"),
        "than_seconds": Quantity(float(seconds[than].mean()), "seconds"),
        "low": Quantity(lead.low, "epochs"),
        "high": Quantity(lead.high, "epochs"),
        "n": Quantity(lead.n, "count"),
    }
    how = {"supported": "sooner than", "contradicted": "later than", "not distinguishable": "about when"}[verdict]
    opening = f"{{rate}} reaches {{level}} validation accuracy, where the slowest rate ends, {how} {{than}}"
    if verdict == "not distinguishable":
        opening = "Which of {rate} and {than} first reaches {level} validation accuracy is undecided"
    text = (
        f"{opening}: after {{epochs}} against {{than_epochs}} epochs (95 % interval of the lead {{low}} to {{high}}, "
        f"n = {{n}}, p {{p}}), and {{seconds}} against {{than_seconds}} CPU seconds of training.{note_pairs(lead, p)}"
    )
    return Claim(
        "sooner", arguments, verdict, text.format_map(evidence), SOONER_RULE, lead.n,
        lead.mean, lead.low, lead.high, "epochs", evidence,
    )  # fmt: skip


@lru_cache(maxsize=8)
def _mean_level(results: Results) -> float:
    ends = pd.DataFrame({rate: results.values(rate, "val_accuracy") for rate in find_learning(results)})
    return float(ends.min(axis=1).mean())


@claim
def slowest(results: Results, learning_rate: float) -> Claim:
    """One rate reaches the level at which the slowest ends later than every other."""
    arguments = {"learning_rate": learning_rate}
    reason = why_no_way(results, [learning_rate]) or _without_others(results, learning_rate)
    if reason:
        return not_testable("slowest", arguments, reason, SLOWEST_RULE)
    arrivals = measure_arrival(results)
    leads = {
        rate: estimate_mean(arrivals[learning_rate] - arrivals[rate]) for rate in arrivals if rate != learning_rate
    }
    verdict, _ = decide_lead(leads)
    nearest = min(leads, key=lambda rate: leads[rate].mean)
    estimate = leads[nearest]
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "nearest": Quantity(nearest, "rate"),
        "level": quantify(_mean_level(results), "val_accuracy"),
        "epochs": Quantity(float(arrivals[learning_rate].mean()), "epochs"),
        "nearest_epochs": Quantity(float(arrivals[nearest].mean()), "epochs"),
        "low": Quantity(estimate.low, "epochs"),
        "high": Quantity(estimate.high, "epochs"),
        "n": Quantity(estimate.n, "count"),
    }
    opening = {
        "supported": "{rate} is the slowest",
        "contradicted": "{rate} is not the slowest",
        "not distinguishable": "Whether {rate} is the slowest is undecided",
    }[verdict]
    text = (
        f"{opening}: it takes {{epochs}} epochs to reach {{level}} validation accuracy, and {{nearest}}, the nearest, takes "
        "{nearest_epochs} (95 % interval of the difference {low} to {high}, n = {n})."
    )
    return Claim(
        "slowest", arguments, verdict, text.format_map(evidence), SLOWEST_RULE, estimate.n,
        estimate.mean, estimate.low, estimate.high, "epochs", evidence,
    )  # fmt: skip


@claim
def more_stable(results: Results, learning_rate: float, than: float) -> Claim:
    """The validation loss of one rate is smoother than that of another."""
    arguments = {"learning_rate": learning_rate, "than": than}
    reason = why_no_way(results, [learning_rate, than]) or _without_inner_epochs(results)
    if reason:
        return not_testable("more_stable", arguments, reason, STABLE_RULE)
    roughness = measure_log_roughness(results)
    estimate = estimate_mean(roughness[than] - roughness[learning_rate])
    if not has_spread(estimate):
        return not_testable("more_stable", arguments, "their roughness has no spread over seeds", STABLE_RULE)
    p = adjust_roughness(results)[frozenset((learning_rate, than))]
    verdict = _decide_paired(estimate, p)
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "than": Quantity(than, "rate"),
        "p": Quantity(p, "p"),
        "pairs": Quantity(len(adjust_roughness(results)), "count"),
        **_describe_ratio(estimate),
    }
    opening = {
        "supported": "The validation loss of {rate} is smoother than that of {than}: {than} is {ratio} times as rough",
        "contradicted": "The validation loss of {rate} is rougher than that of {than}: {than} is {ratio} times as rough",
        "not distinguishable": (
            "Which of {rate} and {than} has the smoother validation loss is undecided: {than} is {ratio} times as rough"
        ),
    }[verdict]
    text = f"{opening} (95 % interval {{low}} to {{high}}, n = {{n}}, p {{p}}).{note_pairs(estimate, p)}"
    sentence = text.format_map(evidence)
    return Claim(
        "more_stable", arguments, verdict, sentence, STABLE_RULE, estimate.n,
        math.exp(estimate.mean), math.exp(estimate.low), math.exp(estimate.high), "ratio", evidence,
    )  # fmt: skip


@claim
def most_stable(results: Results, learning_rate: float) -> Claim:
    """The validation loss of one rate is smoother than that of every other."""
    arguments = {"learning_rate": learning_rate}
    reason = (
        why_no_way(results, [learning_rate])
        or _without_others(results, learning_rate)
        or _without_inner_epochs(results)
    )
    if reason:
        return not_testable("most_stable", arguments, reason, MOST_STABLE_RULE)
    roughness = measure_log_roughness(results)
    leads = {
        rate: estimate_mean(roughness[rate] - roughness[learning_rate]) for rate in roughness if rate != learning_rate
    }
    verdict, _ = decide_lead(leads)
    nearest = min(leads, key=lambda rate: leads[rate].mean)
    estimate = leads[nearest]
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "nearest": Quantity(nearest, "rate"),
        **_describe_ratio(estimate),
    }
    opening = {
        "supported": "{rate} has the smoothest validation loss",
        "contradicted": "{rate} does not have the smoothest validation loss",
        "not distinguishable": "Whether {rate} has the smoothest validation loss is undecided",
    }[verdict]
    text = f"{opening}: that of {{nearest}} is {{ratio}} times as rough (95 % interval {{low}} to {{high}}, n = {{n}})."
    return Claim(
        "most_stable", arguments, verdict, text.format_map(evidence), MOST_STABLE_RULE, estimate.n,
        math.exp(estimate.mean), math.exp(estimate.low), math.exp(estimate.high), "ratio", evidence,
    )  # fmt: skip


def _describe_ratio(estimate: Estimate) -> dict[str, Quantity]:
    return {
        "ratio": Quantity(math.exp(estimate.mean), "ratio"),
        "low": Quantity(math.exp(estimate.low), "ratio"),
        "high": Quantity(math.exp(estimate.high), "ratio"),
        "n": Quantity(estimate.n, "count"),
    }


def _without_others(results: Results, rate: float) -> str:
    return "" if set(find_learning(results)) - {rate} else "there is no other rate to compare it with"


def _without_inner_epochs(results: Results) -> str:
    return "" if results.study.fixed.epochs >= 3 else "roughness takes at least 3 epochs"


def _decide_paired(lead: Estimate, p: float) -> Verdict:
    if not p < ALPHA:
        return "not distinguishable"
    return "supported" if lead.mean > 0 else "contradicted"
