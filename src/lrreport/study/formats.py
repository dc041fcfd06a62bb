"""Format numbers for a reader: percent, points, rates, counts, probabilities, with a typographic minus sign."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Quantity:
    """A number and how it is written."""

    value: float
    text: str

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return the number and its text; a number that is not finite is null."""
        return {"value": self.value if math.isfinite(self.value) else None, "text": self.text}


def format_percent(fraction: float, digits: int = 2) -> str:
    """Return a fraction as percent: 0.8712 → "87.12 %"."""
    return f"{_signed(100 * fraction, f'.{digits}f')} %"


def format_points(fraction: float, digits: int = 2) -> str:
    """Return a difference of fractions as percentage points, without the unit: 0.0062 → "0.62"."""
    return _signed(100 * fraction, f".{digits}f")


def format_change(value: float, digits: int) -> str:
    """Return a change with its sign: 1.84 → "+1.8", -0.26 → "−0.3"; what rounds to zero has none: -0.02 → "0.0"."""
    text = _signed(value, f"+.{digits}f")
    return text if float(text.replace(MINUS, "-")) else text.lstrip("+")


def format_number(value: float, digits: int = 4) -> str:
    """Return a number with `digits` decimals: 0.29687 → "0.2969"; from 100 on with four significant digits."""
    if abs(value) < 100 or not math.isfinite(value):
        return _signed(value, f".{digits}f")
    return _signed(value, f",.{max(0, 3 - int(math.log10(abs(value))))}f")


def format_rate(rate: float) -> str:
    """Return a learning rate, or another setting of its kind, as people write it: 0.0005, 1.0, 1e-7, -0.5."""
    if rate == 0:
        return "0"
    if not math.isfinite(rate):
        return str(rate)
    exact = Decimal(repr(float(rate))).normalize()  # the fewest digits that give the same number
    if 1e-6 <= abs(rate) < 1e6:
        text = format(exact, "f")
        return text if "." in text else f"{text}.0"
    sign, (first, *rest), exponent = exact.as_tuple()
    mantissa = f"{first}.{''.join(map(str, rest))}" if rest else str(first)
    return f"{'-' if sign else ''}{mantissa}e{int(exponent) + len(rest)}"


def format_p(p: float) -> str:
    """Return a probability with its sign of comparison: "= 0.031", "< 0.001"; near 0.05 with an extra digit."""
    if p < 0.001:
        return "< 0.001"
    digits = 4 if f"{p:.3f}" == "0.050" else 3
    return f"= {p:.{digits}f}" if p < 0.9995 else "> 0.999"


def format_count(count: float) -> str:
    """Return a whole number with thousands separated: 55000 → "55,000"."""
    return f"{int(count):,}" if isinstance(count, int) or math.isfinite(count) else "∞"


def format_setting(value: Any) -> str:
    """Return the value of a setting: 5000 → "5,000", (128, 64) → "128 × 64", (0.9, 0.999) → "(0.9, 0.999)", true → "on"."""
    if isinstance(value, list | tuple):
        if not all(isinstance(item, int) for item in value):
            return f"({', '.join(map(format_setting, value))})"
        return " × ".join(map(format_setting, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "unknown"}[value]
    if isinstance(value, float):
        return format_rate(value)
    return format_count(value) if isinstance(value, int) else str(value)


def _signed(value: float, spec: str) -> str:
    text = format(value, spec)
    if float(text.replace(",", "")) == 0:  # no "-0.00"
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def list_words(words: list[str], conjunction: str = "and") -> str:
    """Return words as a list in a sentence: "a", "a and b", "a, b and c"."""
    *head, last = words
    return f"{', '.join(head)} {conjunction} {last}" if head else last


def count_nouns(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun: "1 seed", "5 seeds"."""
    return f"{format_count(count)} {noun if count == 1 else plural or f'{noun}s'}"


def capitalize(text: str) -> str:
    """Return a text with its first letter in upper case, the others as they are; a name such as kim_cnn stays as it is."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]
