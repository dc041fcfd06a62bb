"""Claims about the way there: how soon a rate reaches a level, and how steadily its validation loss falls."""

from functools import lru_cache
from math import comb

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
from lrreport.report.stats import ALPHA, Estimate, adjust_pairs, estimate_mean, find_crossing, measure_mean_rise

LEVEL = (
    "the lowest validation accuracy at which a rate better than guessing ends, seed by seed, which all of them reach (straight "
    "lines between epochs)"
)
ARRIVAL_RULE = f"Paired t test over seeds at 0.05 on the epochs needed to reach {LEVEL}"
SOONER_RULE = (
    f"{ARRIVAL_RULE}; p-values are adjusted for all pairs of rates (Holm), the interval is the unadjusted 95 % one."
)
SLOWEST_RULE = (
    f"{ARRIVAL_RULE}. Supported if it is later than every other rate; contradicted if another is later (Holm)."
)
RISES = "how much the validation loss rises from one epoch to the next, on average (a fall counts as 0)"
STABLE_RULE = (
    f"Paired t test over seeds at 0.05 on {RISES}; p-values are adjusted for all pairs of rates (Holm), the interval "
    "is the unadjusted 95 % one."
)
MOST_STABLE_RULE = (
    f"Paired t test over seeds at 0.05 on {RISES}. "
    "Supported if it rises less than that of every other rate; contradicted if another's rises less (Holm)."
)


@lru_cache(maxsize=8)
def measure_arrival(results: Results, unit: str = "epochs") -> pd.DataFrame:
    """Return when each rate (across) reaches, for each seed (down), the lowest accuracy at which one that learns ends.

    In epochs, or in CPU seconds of training.
    """
    curves = {rate: results.curves(rate, "val_accuracy") for rate in find_learning(results)}
    levels = pd.DataFrame({rate: curve.iloc[-1] for rate, curve in curves.items()}).min(axis=1)
    frame = pd.DataFrame(
        {rate: {seed: find_crossing(curve[seed], levels[seed]) for seed in curve} for rate, curve in curves.items()}
    )
    return frame if unit == "epochs" else _convert_to_seconds(results, frame)


@lru_cache(maxsize=8)
def adjust_arrivals(results: Results) -> pd.DataFrame:
    """Return the p of the paired t test of every two rates' epochs to the level, adjusted for all of them (Holm)."""
    return adjust_pairs(measure_arrival(results).to_dict("series"))


@lru_cache(maxsize=8)
def measure_rises(results: Results) -> pd.DataFrame:
    """Return how much the validation loss rises in an epoch, on average, for each rate (across) and seed (down)."""
    return pd.DataFrame({rate: measure_mean_rise(results.curves(rate, "val_loss")) for rate in find_learning(results)})


@lru_cache(maxsize=8)
def adjust_rises(results: Results) -> pd.DataFrame:
    """Return the p of the paired t test of every two rates' rises, adjusted for all of them (Holm)."""
    return adjust_pairs(measure_rises(results).to_dict("series"))


def _convert_to_seconds(results: Results, arrivals: pd.DataFrame) -> pd.DataFrame:
    seconds = arrivals.copy()
    for rate in arrivals:
        spent = results.curves(rate, "cpu_seconds").cumsum()
        for seed in arrivals.index:
            seconds.at[seed, rate] = np.interp(arrivals.at[seed, rate], spent.index, spent[seed])
    return seconds


@claim
def sooner(results: Results, learning_rate: float, than: float) -> Claim:
    """One rate reaches a level that all reach in fewer epochs than another."""
    arguments = {"learning_rate": learning_rate, "than": than}
    reason = why_no_way(results, [learning_rate, than]) or _without_epochs(results)
    if reason:
        return not_testable("sooner", arguments, reason, SOONER_RULE)
    arrivals = measure_arrival(results)
    lead = estimate_mean(arrivals[than] - arrivals[learning_rate])
    if not has_spread(lead):
        reason = "both take the same time in every seed" if lead.mean == 0 else "the lead is the same in every seed"
        return not_testable("sooner", arguments, reason, SOONER_RULE)
    adjusted = adjust_arrivals(results)
    p = float(adjusted.at[learning_rate, than])
    verdict = _decide_paired(lead, p)
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "than": Quantity(than, "rate"),
        "p": Quantity(p, "p"),
        "pairs": Quantity(comb(len(adjusted), 2), "count"),
        "level": quantify(_mean_level(results), "val_accuracy"),
        "epochs": Quantity(float(arrivals[learning_rate].mean()), "epochs"),
        "than_epochs": Quantity(float(arrivals[than].mean()), "epochs"),
        "low": Quantity(lead.low, "epochs"),
        "high": Quantity(lead.high, "epochs"),
        "n": Quantity(lead.n, "count"),
    }
    seconds, times = _compare_seconds(results, learning_rate, than)
    evidence |= times
    how = {"supported": "sooner than", "contradicted": "later than", "not distinguishable": "about when"}[verdict]
    opening = (
        f"{{rate}} reaches {{level}} validation accuracy, which every rate better than guessing reaches, {how} {{than}}"
    )
    if verdict == "not distinguishable":
        opening = "Which of {rate} and {than} first reaches {level} validation accuracy is undecided"
    text = (
        f"{opening}: after {{epochs}} against {{than_epochs}} epochs (95 % interval of the lead {{low}} to {{high}}, "
        f"n = {{n}}, p {{p}}){seconds}.{note_pairs(lead, p)}"
    )
    return Claim(
        "sooner", arguments, verdict, text.format_map(evidence), SOONER_RULE, lead.n,
        lead.mean, lead.low, lead.high, "epochs", evidence,
    )  # fmt: skip


def _compare_seconds(results: Results, rate: float, than: float) -> tuple[str, dict[str, Quantity]]:
    """Return how a sentence compares the CPU seconds of two rates, with its numbers; or why they cannot be compared."""
    if len(results.find_machines([rate, than])) > 1:
        return "; their CPU seconds are not testable, since the two were run on different machines", {}
    seconds = measure_arrival(results, "seconds")
    return ", and {seconds} against {than_seconds} CPU seconds of training", {
        "seconds": Quantity(float(seconds[rate].mean()), "seconds"),
        "than_seconds": Quantity(float(seconds[than].mean()), "seconds"),
    }


@lru_cache(maxsize=8)
def _mean_level(results: Results) -> float:
    ends = pd.DataFrame({rate: results.values(rate, "val_accuracy") for rate in find_learning(results)})
    return float(ends.min(axis=1).mean())


@claim
def slowest(results: Results, learning_rate: float) -> Claim:
    """One rate reaches a level that all reach later than every other."""
    arguments = {"learning_rate": learning_rate}
    reason = _why_no_lead(results, learning_rate)
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
    """The validation loss of one rate rises less on its way than that of another."""
    arguments = {"learning_rate": learning_rate, "than": than}
    reason = why_no_way(results, [learning_rate, than]) or _without_epochs(results)
    if reason:
        return not_testable("more_stable", arguments, reason, STABLE_RULE)
    rises = measure_rises(results)
    estimate = estimate_mean(rises[than] - rises[learning_rate])
    if not has_spread(estimate):
        never = not rises[[learning_rate, than]].to_numpy().any()
        reason = (
            f"their validation losses {'never rise' if never else 'rise by amounts that differ alike in every seed'}"
        )
        return not_testable("more_stable", arguments, reason, STABLE_RULE)
    adjusted = adjust_rises(results)
    p = float(adjusted.at[learning_rate, than])
    verdict = _decide_paired(estimate, p)
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "than": Quantity(than, "rate"),
        "p": Quantity(p, "p"),
        "pairs": Quantity(comb(len(adjusted), 2), "count"),
        "rise": quantify(float(rises[learning_rate].mean()), "val_loss"),
        "than_rise": quantify(float(rises[than].mean()), "val_loss"),
        "low": quantify(estimate.low, "val_loss"),
        "high": quantify(estimate.high, "val_loss"),
        "n": Quantity(estimate.n, "count"),
    }
    opening = {
        "supported": "The validation loss of {rate} rises less on its way than that of {than}",
        "contradicted": "The validation loss of {rate} rises more on its way than that of {than}",
        "not distinguishable": "Which validation loss rises less on its way, that of {rate} or {than}, is undecided",
    }[verdict]
    text = (
        f"{opening}: by {{rise}} against {{than_rise}} nats an epoch on average (95 % interval of the difference "
        f"{{low}} to {{high}}, n = {{n}}, p {{p}}).{note_pairs(estimate, p)}"
    )
    return Claim(
        "more_stable", arguments, verdict, text.format_map(evidence), STABLE_RULE, estimate.n,
        estimate.mean, estimate.low, estimate.high, "nats", evidence,
    )  # fmt: skip


@claim
def most_stable(results: Results, learning_rate: float) -> Claim:
    """The validation loss of one rate rises less on its way than that of every other."""
    arguments = {"learning_rate": learning_rate}
    reason = _why_no_lead(results, learning_rate)
    if reason:
        return not_testable("most_stable", arguments, reason, MOST_STABLE_RULE)
    rises = measure_rises(results)
    leads = {rate: estimate_mean(rises[rate] - rises[learning_rate]) for rate in rises if rate != learning_rate}
    verdict, _ = decide_lead(leads)
    nearest = min(leads, key=lambda rate: leads[rate].mean)
    estimate = leads[nearest]
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "nearest": Quantity(nearest, "rate"),
        "rise": quantify(float(rises[learning_rate].mean()), "val_loss"),
        "nearest_rise": quantify(float(rises[nearest].mean()), "val_loss"),
        "low": quantify(estimate.low, "val_loss"),
        "high": quantify(estimate.high, "val_loss"),
        "n": Quantity(estimate.n, "count"),
    }
    opening = {
        "supported": "The validation loss of {rate} rises least on its way",
        "contradicted": "The validation loss of {rate} does not rise least on its way",
        "not distinguishable": "Whether the validation loss of {rate} rises least on its way is undecided",
    }[verdict]
    text = (
        f"{opening}: by {{rise}} nats an epoch on average, and that of {{nearest}} by {{nearest_rise}} (95 % interval "
        "of the difference {low} to {high}, n = {n})."
    )
    return Claim(
        "most_stable", arguments, verdict, text.format_map(evidence), MOST_STABLE_RULE, estimate.n,
        estimate.mean, estimate.low, estimate.high, "nats", evidence,
    )  # fmt: skip


def _without_others(results: Results, rate: float) -> str:
    return "" if set(find_learning(results)) - {rate} else "there is no other rate to compare it with"


def _without_epochs(results: Results) -> str:
    return "" if results.study.fixed.epochs >= 2 else "the way there takes at least two epochs"


def _why_no_lead(results: Results, rate: float) -> str:
    return why_no_way(results, [rate]) or _without_others(results, rate) or _without_epochs(results)


def _decide_paired(lead: Estimate, p: float) -> Verdict:
    if not p < ALPHA:
        return "not distinguishable"
    return "supported" if lead.mean > 0 else "contradicted"
