"""How findings name levels and write numbers: nouns, lists, intervals, and digits that never round onto a threshold."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import Estimate
from lrreport.study.formats import Quantity, format_count, format_p, format_percent, list_words
from lrreport.study.metrics import Metric

LISTED = 6  # levels that a sentence names; of more, the first of them and a count
MOST_DIGITS = 8
Write = Callable[[Metric, float], str]


def name_nouns(measurements: Measurements) -> tuple[str, str]:
    """Return what a level is called, singular and plural: ("rate", "rates"), ("combination", "combinations")."""
    if len(measurements.factors) > 1:
        return "combination", "combinations"
    label = measurements.factors[0].label
    if label == "learning rate":
        return "rate", "rates"
    return name_factor(label)


def name_factor(label: str) -> tuple[str, str]:
    """Return a factor's label for a value and for several: ("batch size", "batch sizes")."""
    return (f"value of {label}", f"values of {label}") if label.endswith("s") else (label, f"{label}s")


def count_levels(measurements: Measurements, n: int) -> str:
    """Return a number of levels with its noun: "3 rates"."""
    noun, several = name_nouns(measurements)
    return f"{format_count(n)} {noun if n == 1 else several}"


def list_levels(measurements: Measurements, levels: Iterable[int], conjunction: str = "and") -> str:
    """Return levels as a list in a sentence: "0.1, 0.01 and 0.001"; of many, the first few and how many more.

    With two factors, levels that share a value of the second are listed together: "0.1 and 0.01 with batch size 32".
    """
    levels = list(levels)
    shown = levels if len(levels) <= LISTED else levels[: LISTED - 1]
    more = [f"{len(levels) - len(shown)} more"] if len(shown) < len(levels) else []
    if len(measurements.factors) < 2:
        return list_words([measurements.levels[i].name for i in shown] + more, conjunction)
    first, second = measurements.factors
    groups: dict[Any, list[str]] = {}
    for i in shown:
        values = measurements.levels[i].values
        groups.setdefault(values[second.name], []).append(first.name_value(values[first.name]))
    parts = [f"{list_words(names, conjunction)} with {second.name_value(value)}" for value, names in groups.items()]
    return list_words(parts + more, conjunction)


def quantify_levels(measurements: Measurements, levels: Mapping[str, int]) -> dict[str, Quantity]:
    """Return the numeric values of levels that a sentence names, as its evidence, under the keys of `levels`."""
    quantities = {}
    for key, index in levels.items():
        for factor in measurements.factors:
            value = measurements.levels[index].values[factor.name]
            if factor.numeric:
                name = key if factor is measurements.factors[0] else f"{key}_{factor.name}"
                quantities[name] = Quantity(float(value), factor.format(value))
    return quantities


def quantify_list(measurements: Measurements, key: str, levels: Sequence[int]) -> dict[str, Quantity]:
    """Return the numeric values of levels that a sentence lists, numbered under `key`; of many, the count of the rest."""
    shown = list(levels) if len(levels) <= LISTED else list(levels)[: LISTED - 1]
    quantities = quantify_levels(measurements, {f"{key}_{number}": i for number, i in enumerate(shown, start=1)})
    if len(shown) < len(levels):
        quantities[f"{key}_more"] = count(len(levels) - len(shown))
    return quantities


def count(n: float) -> Quantity:
    """Return a whole number as it is written."""
    return Quantity(float(n), format_count(n))


def write_share(share: float, unit: bool = True) -> Quantity:
    """Return a share of seeds as whole percent: 0.4507 → "45 %"; without its unit if `unit` is false."""
    text = format_percent(share, 0)
    return Quantity(share, text if unit else text.removesuffix(" %"))


def write_value(metric: Metric, value: float, beside: Sequence[float] = (), unit: bool = True) -> Quantity:
    """Return a value of a metric, with as many digits as it takes not to round onto a threshold that it lies `beside`."""
    return Quantity(value, _refine(metric, Metric.format, [value], beside).format(value, unit))


def write_difference(metric: Metric, value: float, beside: Sequence[float] = (0.0,), unit: bool = True) -> Quantity:
    """Return a difference on a metric, with as many digits as it takes not to round onto 0 or another threshold."""
    return Quantity(value, _refine(metric, Metric.format_difference, [value], beside).format_difference(value, unit))


def _refine(metric: Metric, write: Write, values: Sequence[float], beside: Sequence[float]) -> Metric:
    """Return a metric with as many digits as it takes to write no value like a threshold that it does not equal."""
    for digits in range(metric.digits, MOST_DIGITS):
        refined = metric.model_copy(update={"digits": digits})
        if all(
            write(refined, value) != write(refined, threshold) or np.isclose(value, threshold, rtol=1e-9, atol=1e-12)
            for value in values
            for threshold in beside
        ):
            return refined
    return metric


def quantify_difference(
    metric: Metric, estimate: Estimate, n: str = "", margin: float | None = None
) -> dict[str, Quantity]:
    """Return difference, low, high, n and p of an estimated difference on a metric, turned so that it is not negative.

    So the estimate lies inside its interval as written, whichever level the sentence puts first; all three have the same
    digits. `signed` keeps the sign.
    """
    turned = estimate if estimate.mean >= 0 else estimate.negate()
    beside = (0.0,) if margin is None else (0.0, margin, -margin)
    low, high = map(metric.clip_difference, (turned.low, turned.high))
    refined = _refine(metric, Metric.format_difference, (low, high), beside)
    return {
        "difference": Quantity(turned.mean, refined.format_difference(turned.mean)),
        "low": Quantity(low, refined.format_difference(low, unit=False)),
        "high": Quantity(high, refined.format_difference(high)),
        "signed": write_difference(metric, estimate.mean, ()),
        "n": Quantity(float(estimate.n), n or format_count(estimate.n)),
        "p": Quantity(estimate.p, format_p(estimate.p) if math.isfinite(estimate.p) else "unknown"),
    }


def count_seeds(*counts: int) -> str:
    """Return the n of a comparison: "5", or "5 and 4" where two levels have unequal numbers of seeds."""
    return list_words([format_count(n) for n in dict.fromkeys(counts)])


def name_unit(axis: str) -> str:
    """Return what the numbers on an axis count: "epochs", "steps", "samples", "seconds"."""
    return axis if axis.endswith("s") else f"{axis}s"
