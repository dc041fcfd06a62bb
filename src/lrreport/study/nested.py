"""Settings as nested tables: paths, short names, and learning rates that belong to a value of another factor."""

import math
import re
from typing import Any

from lrreport.study.legacy import DEFAULT_NAMES, MOVED

SHORT_NAMES = {name: f"{setting}.{option}" for name, (setting, option, _) in MOVED.items()}


def resolve_name(name: str) -> str:
    """Return the path of a setting: a short name such as "momentum" is that of its table, "optimizer.momentum"."""
    return SHORT_NAMES.get(name, name)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_plain(value: Any) -> bool:
    """Return whether a value can be stored in a record: a finite number, a text, a truth value, or lists and tables of these."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(inner) for key, inner in value.items())
    return (
        all(map(is_plain, value))
        if isinstance(value, list | tuple)
        else value is None or isinstance(value, bool | int | str)
    )


def flatten_tables(vary: dict[str, Any], builtin: bool) -> dict[str, Any]:
    """Return {"optimizer.momentum": [...]} for {"optimizer": {"momentum": [...]}}; short names of the built-in loop as paths."""
    flat: dict[str, Any] = {}
    for name, values in vary.items():
        if isinstance(values, dict):
            flat |= {f"{name}.{option}": levels for option, levels in values.items()}
        else:
            flat[resolve_name(name) if builtin else name] = values
    return flat


def holds_out_none(fixed: Any) -> bool:
    return isinstance(fixed, dict) and (fixed.get("validation") == "none" or fixed.get("validation_size") == 0)


def choose_nothing(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a study without validation examples: test values are shown and nothing is chosen by them."""
    decide = settings.get("decide", {})
    if not isinstance(decide, dict):
        return settings
    for key, value in decide.items():
        if key in ("metric", "at") and isinstance(value, str) and re.search(r"\bval_", value):
            raise ValueError(f"decide.{key}: the study holds out no validation examples; leave it out")
    return {**settings, "decide": {"metric": "test_accuracy", **decide, "prefer": "none"}}


def list_rates(value: Any) -> list[float]:
    """Return the learning rates that belong to a value of another factor."""
    rates = value.get("learning_rate", []) if isinstance(value, dict) else []
    return list(rates) if isinstance(rates, list | tuple) else [rates]


def without_rates(value: Any) -> Any:
    if not isinstance(value, dict) or "learning_rate" not in value:
        return value
    return {key: item for key, item in value.items() if key != "learning_rate"}


def set_path(settings: dict[str, Any], path: str, value: Any, builtin: bool) -> None:
    """Set a setting by its path: "optimizer.momentum" is the key momentum of the table optimizer.

    For the built-in loop a missing table is the default's.
    """
    table, _, option = path.rpartition(".")
    if not table:
        settings[path] = value
        return
    inner = settings.get(table, DEFAULT_NAMES.get(table, {}) if builtin else {})
    settings[table] = {**(inner if isinstance(inner, dict) else {"name": inner}), option: value}
