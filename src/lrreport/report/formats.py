"""Numbers as a reader sees them: percent, points, nats, rates, probabilities; a minus sign is a minus sign."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

MINUS = "\N{MINUS SIGN}"


def format_percent(fraction: float) -> str:
    """Return a fraction as percent: 0.8712 → "87.12 %"."""
    return f"{_signed(100 * fraction, '.2f')} %"


def format_points(fraction: float) -> str:
    """Return a difference of fractions as percentage points, without the unit: 0.0062 → "0.62"."""
    return _signed(100 * fraction, ".2f")


def format_loss(nats: float) -> str:
    """Return a cross-entropy in nats: 0.29687 → "0.2969"; beyond 100 it is rounded to three digits."""
    return _signed(nats, ".4f") if abs(nats) < 100 else _signed(nats, ".3g")


def format_rate(rate: float) -> str:
    """Return a learning rate, or another setting of its kind, as people write it: 0.0005, 1.0, 1e-7."""
    if rate == 0:
        return "0"
    if 1e-6 <= rate < 1e6:
        return str(np.format_float_positional(rate, trim="0"))
    mantissa, _, exponent = np.format_float_scientific(rate, trim="-").partition("e")
    return f"{mantissa}e{int(exponent)}"


def format_p(p: float) -> str:
    """Return a probability with its sign of comparison: "= 0.031", "< 0.001"; near 0.05 with a digit more."""
    if p < 0.001:
        return "< 0.001"
    digits = 4 if f"{p:.3f}" == "0.050" else 3
    return f"= {p:.{digits}f}" if p < 0.9995 else "> 0.999"


def format_count(count: float) -> str:
    """Return a whole number with thousands separated: 55000 → "55,000"."""
    return f"{int(count):,}" if math.isfinite(count) else "∞"


def format_epochs(value: float) -> str:
    """Return a number of epochs, which may lie between two: "1.73"."""
    return _signed(value, ".2f")


def format_seconds(value: float) -> str:
    """Return seconds with three digits or so: "0.05", "4.83", "120.5"."""
    return _signed(value, ".1f" if value >= 10 else ".2f")


def format_ratio(value: float) -> str:
    """Return a ratio: "1.84"."""
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def format_setting(value: Any) -> str:
    """Return a setting of a study: 5000 → "5,000", (128, 64) → "128 × 64", (0.9, 0.999) → "(0.9, 0.999)", true → "on"."""
    if isinstance(value, list | tuple):
        if not all(isinstance(one, int) for one in value):
            return f"({', '.join(map(format_setting, value))})"
        return " × ".join(map(format_setting, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "unknown"}[value]
    if isinstance(value, float):
        return format_rate(value)
    return format_count(value) if isinstance(value, int) else str(value)


def name_level(axis: str, value: Any) -> str:
    """Return what a setting at one of its values is called: "batch size 32"."""
    if axis.replace("_", " ") == "hidden sizes" and not value:
        return "no hidden layers"
    return f"{axis.replace('_', ' ')} {format_setting(value)}"


def _signed(value: float, spec: str) -> str:
    text = format(value, spec)
    if float(text) == 0:  # no "-0.00"
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


FORMATS = {
    "percent": format_percent,
    "points": format_points,
    "loss": format_loss,
    "rate": format_rate,
    "p": format_p,
    "count": format_count,
    "epochs": format_epochs,
    "seconds": format_seconds,
    "ratio": format_ratio,
}


@dataclass(frozen=True)
class Quantity:
    """A number and how it is written: a kind of FORMATS."""

    value: float
    kind: str

    def __str__(self) -> str:
        return FORMATS[self.kind](self.value)

    def to_json(self) -> dict[str, Any]:
        """Return the number, its kind and its text; a number that is not finite is null."""
        value = self.value if math.isfinite(self.value) else None
        return {"value": value, "kind": self.kind, "text": str(self)}


def list_words(words: list[str]) -> str:
    """Return words as a list in a sentence: "a", "a and b", "a, b and c"."""
    *head, last = words
    return f"{', '.join(head)} and {last}" if head else last


def count_nouns(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun: "1 seed", "5 seeds"."""
    return f"{format_count(count)} {noun if count == 1 else plural or f'{noun}s'}"


def capitalize(text: str) -> str:
    """Return a text with its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]
