"""Parse values of logs: numbers as text, nested settings, and safe JSON and YAML."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from lrreport.sources.refusal import refuse_file

INTEGER = re.compile(r"[-+]?\d{1,18}")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
ABSOLUTE_PATH = re.compile(r"(/|~|[A-Za-z]:[\\/]|\\\\|file:|s3:|gs:|https?:)")
NON_FINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
MISSING = ("", "na", "n/a", "null", "none", "-", "<na>")
LONGEST_TEXT = 200  # characters of a setting; more is a document, not a value
DEEPEST = 8  # tables within tables
MOST_KEYS = 5000  # per run
LARGEST_YAML = 1_000_000  # bytes
DEEPEST_YAML = 50
MOST_ALIASES = 100
# fmt: off
PRIVATE = frozenset(
    [
        "host", "hostname", "user", "username", "email", "cwd", "argv", "args_str", "command", "cmd", "cmdline",
        "executable", "program", "code_path", "codepath", "root_dir", "home", "node", "machine", "ip",
        "git_remote", "remote", "nodename", "login", "account",
    ]
)
# fmt: on


def parse_value(value: Any) -> Any:
    """Return a setting with its type: "0.001" → 0.001, "64" → 64, "True" → True, "None" → None, [1, 2] → "[1, 2]"."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str)[:LONGEST_TEXT]
    text = str(value).strip()
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    if text.casefold() in MISSING[:6]:
        return None
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text[:LONGEST_TEXT]


def parse_measurement(value: Any) -> float | None:
    """Return a number from a log, NaN and infinity included; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, str):
        text = value.strip().casefold().removeprefix("+")
        if text in NON_FINITE:
            return NON_FINITE[text]
        return float(text) if NUMBER.fullmatch(text) else None
    return None


def flatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings by dotted names: {"optimizer": {"lr": 0.1}} → {"optimizer.lr": 0.1}."""
    flat: dict[str, Any] = {}
    for name, value in _walk(settings, "", 0):
        flat[name] = value
        if len(flat) >= MOST_KEYS:
            break
    return flat


def _walk(settings: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < DEEPEST:
            yield from _walk(value, f"{name}.", depth + 1)
        else:
            yield name, "nested too deeply" if isinstance(value, Mapping) else value


def hide_private(settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return settings without hosts, users and commands, and how many were hidden.

    An absolute path becomes "path-" with six digits of its digest: two paths still differ, neither can be read.
    """
    public: dict[str, Any] = {}
    hidden = 0
    for name, value in settings.items():
        if name.rsplit(".", 1)[-1].casefold().lstrip("-") in PRIVATE:
            hidden += 1
        elif isinstance(value, str) and ABSOLUTE_PATH.match(value.strip()):
            public[name] = f"path-{hashlib.sha256(value.encode()).hexdigest()[:6]}"
            hidden += 1
        else:
            public[name] = value
    return public, hidden


def parse_json(content: bytes, path: str, line: int | None = None) -> Any:
    """Return the value of a JSON text, the file's or a line's; NaN and Infinity are read as Python reads them."""
    try:
        return json.loads(decode(content, path))
    except (ValueError, RecursionError) as err:
        problem = "nested too deeply" if isinstance(err, RecursionError) else str(err)
        raise refuse_file(path, f"not valid JSON ({problem}), perhaps cut off", "copy it again", line) from err


class _TextLoader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, for which a tag that it does not know is a text."""


def _construct_text(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else suffix


_TextLoader.add_multi_constructor("", _construct_text)


def parse_yaml(content: bytes, path: str) -> dict[str, Any]:
    """Return the top-level mapping of a YAML text, {} for an empty text; unknown tags are read as text."""
    if len(content) > LARGEST_YAML:
        raise refuse_file(path, f"larger than {LARGEST_YAML // 1_000_000} MB, so not a file of settings")
    text = decode(content, path)
    try:
        _check_structure(text, path)
        settings = yaml.load(text, Loader=_TextLoader)  # the safe loader's subclass above
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        problem = " ".join(str(err).split())[:120]
        raise refuse_file(path, f"not valid YAML ({problem})", "correct it") from err
    return {str(key): value for key, value in settings.items()} if isinstance(settings, dict) else {}


def _check_structure(text: str, path: str) -> None:
    """Raise LrreportError for YAML that is nested so deeply or has so many aliases that loading it takes forever."""
    depth = n_aliases = 0
    for event in yaml.parse(text, Loader=_TextLoader):
        n_aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_YAML:
            raise refuse_file(path, f"nested more than {DEEPEST_YAML} levels deep")
        if n_aliases > MOST_ALIASES:
            raise refuse_file(path, f"more than {MOST_ALIASES} YAML aliases", "write them out")


def decode(content: bytes, path: str) -> str:
    """Return UTF-8 text without a byte-order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise refuse_file(path, f"not UTF-8 text (byte {err.start:,})", "save it as UTF-8") from err
