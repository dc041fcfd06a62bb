"""Published numbers with the digits that they were printed with, in which they are compared."""

from typing import Any

from lrreport.study.metrics import split_name


class PrintedFloat(float):
    """A float from a TOML file with the number of decimals that it was written with."""

    digits: int

    def __new__(cls, text: str) -> "PrintedFloat":
        number = super().__new__(cls, text)
        mantissa, _, exponent = text.lower().replace("_", "").partition("e")
        number.digits = max(0, len(mantissa.partition(".")[2]) - int(exponent or 0))
        return number


def read_result(result: Any) -> Any:
    """Return a published result as level and values: metrics are known by their names, the rest are settings."""
    if not isinstance(result, dict) or "level" in result:
        return result
    numbers = {name: value for name, value in result.items() if split_name(name) is not None}
    digits = {name: value.digits for name, value in numbers.items() if isinstance(value, PrintedFloat)}
    level = {name: value for name, value in result.items() if name not in numbers}
    return {"level": level, "values": numbers, "digits": digits}


def read_difference(difference: Any) -> Any:
    """Return a published difference with the decimals that its numbers were printed with."""
    if not isinstance(difference, dict) or "digits" in difference:
        return difference
    digits = [value.digits for value in difference.values() if isinstance(value, PrintedFloat)]
    return {**difference, "digits": max(digits)} if digits else difference
