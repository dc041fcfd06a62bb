"""Scales of figures: from values to coordinates, round ticks that never collide, and labels kept apart."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lrreport.report.svg import SIZE, measure_text, shorten
from lrreport.study.factors import Factor
from lrreport.study.formats import MINUS, format_rate

DECADES = 4.5  # on an axis with this many or more, labels are written 1e-5


@dataclass(frozen=True)
class Scale:
    """A mapping of values from `low` to `high` to coordinates from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        low, high, value = (_log(v) if self.log else v for v in (self.low, self.high, value))
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Return whether a value lies on the scale."""
        slack = 1e-9 * (self.high - self.low)
        return self.low - slack <= value <= self.high + slack


def _log(value: float) -> float:
    return math.log10(value) if value > 0 else math.nan


def make_scale(values: Iterable[float], start: float, end: float, *, pad: float = 0.05, log: bool = False) -> Scale:
    """Return a scale that holds all finite values, with a share `pad` of room at both ends."""
    finite = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - (abs(low) * 0.01 or 1), high + (abs(high) * 0.01 or 1))
    if log:
        room = (high / low) ** pad
        return Scale(low / room, high * room, start, end, log=True)
    return Scale(low - pad * (high - low), high + pad * (high - low), start, end)


Tick = tuple[float, str]


def list_ticks(
    scale: Scale, factor: float = 1.0, most: int = 6, size: float = SIZE, vertical: bool = False
) -> list[Tick]:
    """Return round values on a scale with their labels, no finer than needed; values are written times `factor`.

    Labels never run into each other, and there are at least two on a scale of some length.
    """
    if scale.log:
        return _fit(scale, _list_log_ticks(scale, factor), size, vertical)
    best: list[Tick] = []
    for n in range(max(2, most), 0, -1):
        step = _round_step((scale.high - scale.low) * factor / n)
        first = math.ceil(round(scale.low * factor / step, 6))
        last = math.floor(round(scale.high * factor / step, 6))
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        ticks = [(i * step / factor, write_number(i * step, digits)) for i in range(first, last + 1)]
        fitting = _fit(scale, ticks, size, vertical)
        if len(fitting) == len(ticks) > 1:
            return ticks
        best = max(best, fitting, key=len)
    middle = (scale.low + scale.high) / 2
    return best or [(middle, write_number(float(f"{middle * factor:.3g}"), 0 if abs(middle * factor) >= 100 else 2))]


def write_number(value: float, digits: int) -> str:
    """Return a number for an axis: few digits, a true minus sign, 2e-5 and 3e+7 instead of many zeros."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return (
            format_rate(float(f"{value:.12g}")).replace("-", MINUS, 1)
            if value < 0
            else format_rate(float(f"{value:.12g}"))
        )
    text = f"{value:,.{digits}f}"
    return "0" if float(text.replace(",", "")) == 0 else text.replace("-", MINUS)


def _round_step(step: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least `step`."""
    if not step > 0 or not math.isfinite(step):
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _list_log_ticks(scale: Scale, factor: float) -> list[Tick]:
    low, high = scale.low * factor, scale.high * factor
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for marks in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        values = [m * 10.0**d for d in decades for m in marks if low <= m * 10.0**d <= high]
        if len(values) >= 3:
            break
    if len(values) < 3:  # within a small part of a decade
        return list_ticks(Scale(scale.low, scale.high, scale.start, scale.end), factor)
    return [(v / factor, write_value(float(f"{v:.6g}"), math.log10(high / low))) for v in values]


def write_value(value: float, decades: float) -> str:
    """Return a positive value as it stands on an axis of so many decades: 0.001, or 1e-3 where there are many."""
    if decades < DECADES:
        return format_rate(value)
    mantissa, _, exponent = np.format_float_scientific(value, trim="-").partition("e")
    return f"{mantissa}e{int(exponent)}"


def _fit(scale: Scale, ticks: Sequence[Tick], size: float, vertical: bool) -> list[Tick]:
    """Return those ticks, from the first on, whose labels keep a distance."""
    fitting: list[Tick] = []
    end = -math.inf
    step = 1 if scale.end >= scale.start else -1
    for value, label in ticks:
        at = step * scale(value)
        half = size * 0.7 if vertical else measure_text(label, size) / 2 + 4
        if at - half >= end:
            fitting.append((value, label))
            end = at + half
    return fitting


def label_levels(factor: Factor, scale: Scale, size: float = SIZE) -> list[Tick]:
    """Return the values of a factor as ticks on its axis: all of them, or those that there is room for.

    A factor without numbers has its values at 0, 1, 2, …
    """
    if not factor.numeric:
        room = abs(scale(1) - scale(0)) - 8 if len(factor.values) > 1 else abs(scale.end - scale.start)
        return [(float(i), shorten(factor.format(v), max(room, 2 * size), size)) for i, v in enumerate(factor.values)]
    values = sorted(factor.values)
    decades = math.log10(values[-1] / values[0]) if scale.log else 0.0
    labels = [(float(v), write_value(v, decades) if decades >= DECADES else factor.format(v)) for v in values]
    for every in range(1, len(labels) + 1):
        some = labels[::every]
        if len(_fit(scale, some, size, False)) == len(some):
            return some
    return labels[:1]


def scale_factor(factor: Factor, start: float, end: float) -> Scale:
    """Return the scale of a factor's axis: logarithmic where `Factor.is_log`, ordinal where it has no numbers."""
    if factor.numeric:
        return make_scale(map(float, factor.values), start, end, pad=0.06, log=factor.is_log)
    n = len(factor.values)
    return Scale(-0.5, n - 0.5, start, end)


def place_value(factor: Factor, value: object) -> float:
    """Return where a value of a factor lies on its axis."""
    return float(value) if factor.numeric else float(factor.values.index(value))  # type: ignore[arg-type]


def spread_labels(wanted: Sequence[float], low: float, high: float, gap: float = SIZE + 2) -> list[float]:
    """Return coordinates near those wanted, in any order, at least `gap` apart and between `low` and `high`."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    gap = min(gap, (high - low) / max(1, len(wanted) - 1)) if len(wanted) > 1 else gap
    placed: list[float] = []
    for i in order:
        placed.append(max(wanted[i], low, placed[-1] + gap if placed else low))
    limit = high
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    result = [0.0] * len(wanted)
    for index, i in enumerate(order):
        result[i] = placed[index]
    return result
