"""Settings as a user's notebook or command takes them: by short names, and as text."""

import json
import re
from collections.abc import Mapping
from typing import Any

from lrreport.errors import LrreportError

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)\}")


def name_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name; those of a table also by the last part of their path where that is unique.

    {"optimizer": {"name": "sgd", "momentum": 0.9}} → optimizer, optimizer.name, optimizer.momentum, momentum.
    """
    named: dict[str, Any] = dict(settings)
    short: dict[str, list[Any]] = {}
    waiting = [(name, value) for name, value in settings.items() if isinstance(value, Mapping)]
    while waiting:
        path, table = waiting.pop()
        for key, value in table.items():
            named[f"{path}.{key}"] = value
            short.setdefault(key, []).append(value)
            if isinstance(value, Mapping):
                waiting.append((f"{path}.{key}", value))
    return {key: values[0] for key, values in short.items() if len(values) == 1 and key != "name"} | named


def write_value(value: Any) -> str:
    """Return a value as text for a command: 0.001, 64, adam, true, [128, 64]; a table with a name is that name."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return str(value["name"])
    return json.dumps(value)


def fill_in(template: str, values: Mapping[str, Any], key: str) -> str:
    """Return a text with {name} replaced by values; raises LrreportError, naming the study's `key`, for an unknown setting."""

    def find(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = ", ".join(f"{{{name}}}" for name in values)
            raise LrreportError(f"{key}: there is no setting {match[0]}; there are {known}")
        return write_value(values[match[1]])

    return PLACEHOLDER.sub(find, template)
