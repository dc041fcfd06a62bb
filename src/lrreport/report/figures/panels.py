"""What several figures share: the panels of a study or of its levels, where their axes end, and what is said of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrreport.report.claims.claim import METRICS, list_rates, quantify
from lrreport.report.formats import count_nouns, format_count, format_rate, list_words
from lrreport.report.results import Found, Results

WIDE, NARROW = {"width": 7.6}, {"width": 4.0}  # inches; the narrow arrangement is for phones
LISTED = 16  # rates with names of their own; more have a scale of colours
FENCE = 3  # times the distance from the best to the three quarters: what lies beyond would press the others together
TABLE_ROWS = 300  # about so many at most in the table behind a figure


@dataclass(frozen=True)
class Panel:
    """What is drawn on one pair of axes: a metric of the results of a study or of one level, which `where` names."""

    metric: str
    results: Results
    where: str = ""


def list_panels(found: Found, metrics: Sequence[str], n_columns: int) -> list[Panel]:
    """Return the panels of a figure, row by row: in one column those of a metric follow one another, level by level."""
    if isinstance(found, Results):
        return [Panel(metric, found) for metric in metrics]
    levels = {f", {found.name(value)}": one for value, one in found.levels.items()}
    if n_columns == 1:
        return [Panel(metric, one, where) for metric in metrics for where, one in levels.items()]
    return [Panel(metric, one, where) for where, one in levels.items() for metric in metrics]


def find_outliers(found: Found) -> list[tuple[Results, float]]:
    """Return the rates that end on validation accuracy so far below the others that they would hide how these differ."""
    means = {
        (results, rate): float(results.values(rate, "val_accuracy").mean())
        for results in list_results(found)
        for rate in results.complete_rates
    }
    if not means:
        return []
    best = max(means.values())
    fence = best - FENCE * (best - float(np.quantile(list(means.values()), 0.25)))
    return [one for one, mean in means.items() if mean < fence]


def find_limits(found: Found, metrics: Sequence[str], by_epoch: bool) -> dict[str, float]:
    """Return where axes end so that outliers do not press the rest together: "accuracy" below, "loss" above, if they do.

    The values of all other rates lie within: those at their end, or of every epoch from 1 on.
    """
    outliers = find_outliers(found)
    limits: dict[str, float] = {}
    for metric in metrics if outliers else ():
        kind = metric.partition("_")[2]
        for results in list_results(found):
            for rate in results.complete_rates:
                if (results, rate) not in outliers:
                    values = results.curves(rate, metric).loc[1:] if by_epoch else results.values(rate, metric)
                    low, high = float(np.min(values)), float(np.max(values))
                    limits[kind] = (
                        min(low, limits.get(kind, low)) if kind == "accuracy" else max(high, limits.get(kind, high))
                    )
    return {kind: limit - 0.01 if kind == "accuracy" else limit + 0.05 * abs(limit) for kind, limit in limits.items()}


def list_results(found: Found) -> list[Results]:
    return [found] if isinstance(found, Results) else list(found.levels.values())


def compare_ends(found: Found, metric: str, first: str, last: str) -> str:
    """Return which rates end at the two ends of a metric; `first` is the word for its upper end, `last` for the lower.

    Of several levels, which rate ends best at each.
    """
    if isinstance(found, Results):
        return _compare_ends_of_study(found, metric, first, last)
    ends = []
    for value, results in found.levels.items():
        means = {rate: float(results.values(rate, metric).mean()) for rate in results.complete_rates}
        if means:
            best = (max if metric.endswith("accuracy") else min)(means, key=lambda rate: means[rate])
            unit = "" if metric.endswith("accuracy") else f" {results.loss_unit}"
            ends.append(f"at {format_rate(best)} with {found.name(value)} ({quantify(means[best], metric)}{unit})")
    which = first if metric.endswith("accuracy") else last
    if not ends:
        return "No learning rate trained to the end."
    return f"The mean {METRICS[metric]} ends {which} {list_words(ends)}."


def _compare_ends_of_study(results: Results, metric: str, first: str, last: str) -> str:
    means = {rate: float(results.values(rate, metric).mean()) for rate in results.complete_rates}
    diverged = [rate for rate in results.rates if rate not in means]
    broken = f" Training diverged at {list_rates(diverged)}." if 0 < len(diverged) <= LISTED else ""
    if len(diverged) > LISTED:
        broken = f" Training diverged at {count_nouns(len(diverged), 'learning rate')}."
    if not means:
        return f"No learning rate trained to the end.{broken}"
    high, low = max(means, key=lambda rate: means[rate]), min(means, key=lambda rate: means[rate])
    unit = "" if metric.endswith("accuracy") else f" {results.loss_unit}"
    upper, lower = (f"{quantify(means[rate], metric)}{unit}" for rate in (high, low))
    if len(means) == 1:
        return f"The mean {METRICS[metric]} of {format_rate(high)} ends at {upper}.{broken}"
    return (
        f"The mean {METRICS[metric]} ends {first} at {format_rate(high)}, {upper}, and {last} at {format_rate(low)}, {lower}."
        f"{broken}"
    )


def pick_evenly(rates: Sequence[float], n: int) -> list[float]:
    """Return the rates, or so many of them that lie evenly between the lowest and the highest by rank, in their order."""
    if len(rates) <= n:
        return list(rates)
    ranked = sorted(rates)
    picked = {ranked[round(place)] for place in np.linspace(0, len(rates) - 1, n)}
    return [rate for rate in rates if rate in picked]


def say_picked(picked: Sequence[float], rates: Sequence[float]) -> str:
    if len(picked) == len(rates):
        return ""
    return f", at {format_count(len(picked))} of the {format_count(len(rates))} learning rates, evenly spaced by rank"
