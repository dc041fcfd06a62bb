"""Parse `lrreport import --set KEY=VALUE` into keys and values of the study file to be written."""

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from lrreport.errors import LrreportError
from lrreport.study.metrics import MetricDeclaration
from lrreport.study.nested import flatten_tables
from lrreport.study.parsing import parse_settings, shorten

EXAMPLE = "such as import.duplicates=last"


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `inspect`: options of [import], `vary` and `metrics`.

    A key without a table belongs to [import], and a value that is not TOML is text. Raises LrreportError for anything
    else.
    """
    tables: dict[str, Any] = {"import": {}, "vary": {}, "metrics": {}}
    for text in assignments:
        parsed = _parse(text)
        _update(tables, parsed if next(iter(parsed)) in tables else {"import": parsed})
    vary = tables["vary"]
    factors = [vary] if isinstance(vary, str) else vary
    if isinstance(factors, dict):
        factors = flatten_tables(factors, builtin=False)
        factors = {name: values if isinstance(values, list) else [values] for name, values in factors.items()}
    for name in ("import", "metrics"):
        if not isinstance(tables[name], dict):
            raise LrreportError(f"--set {name}: is a table; name a key in it, {EXAMPLE}")
    if "folder" in tables["import"]:
        raise LrreportError("--set import.folder: the folder is the argument of the command; leave it out")
    return {
        **tables["import"],
        "vary": factors,
        "metrics": {
            name: parse_settings(MetricDeclaration, declared, "--set", within=f"metrics.{name}")
            for name, declared in tables["metrics"].items()
        },
    }


def _parse(text: str) -> dict[str, Any]:
    """Return KEY=VALUE as the tables that it means in TOML."""
    key, equals, value = text.partition("=")
    for line in (text, f"{key} = {json.dumps(value.strip())}"):
        try:
            if equals and "\n" not in text and (parsed := tomllib.loads(line)):
                return parsed
        except tomllib.TOMLDecodeError:
            continue
    raise LrreportError(f"--set {shorten(text)!r}: not KEY=VALUE, {EXAMPLE}")


def _update(table: dict[str, Any], changes: dict[str, Any]) -> None:
    """Set the keys of nested tables, where a later value replaces an earlier value."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _update(table[key], value)
        else:
            table[key] = value
