"""The command that makes a study's report, with or without changed values."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.project import find_checkout
from lrreport.study.formats import format_rate
from lrreport.study.load import DEFAULT_STUDY, load_study
from lrreport.study.study import Study

CHANGED_NAME = re.compile(r"(-[0-9a-f]{6})+$")  # what a study's name gets each time its settings are changed
OPTIONS = {  # setting -> variable of make, option of lrreport
    "learning_rate": ("LRS", "--learning-rates"),
    "seeds": ("SEEDS", "--seeds"),
    "most_seeds": ("MOST_SEEDS", "--most-seeds"),
    "epochs": ("EPOCHS", "--epochs"),
    "device": ("DEVICE", "--device"),
    "name": ("NAME", "--name"),
}


def write_command(study: Study, **changes: Any) -> str:
    """Return the command that makes the report of a study with these values changed: `learning_rate`, `seeds`, `epochs` …

    It is `make report` for a study file of the checkout, else `lrreport report` with the file.
    """
    path, differences = find_file(study)
    wanted = {**differences, **{name: value for name, value in changes.items() if value is not None}}
    checkout = find_checkout()
    if path is not None and checkout is not None and path.is_relative_to(checkout):
        relative = path.relative_to(checkout).as_posix()
        parts = ["make report", *([] if relative == DEFAULT_STUDY else [f"STUDY={shlex.quote(relative)}"])]
        return " ".join([*parts, *(f"{OPTIONS[name][0]}={_quote(_write(value))}" for name, value in wanted.items())])
    file = shlex.quote(path.name if path is not None else f"{CHANGED_NAME.sub('', study.name)}.toml")
    return " ".join(
        ["lrreport report", file, *(f"{OPTIONS[name][1]} {_write(value)}" for name, value in wanted.items())]
    )


def _write(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 3 and all(isinstance(item, int) for item in value):
        low, high = min(value), max(value)
        if list(value) == list(range(low, high + 1)):
            return f"{low}-{high}"
    values = value if isinstance(value, list | tuple) else [value]
    return " ".join(format_rate(item) if isinstance(item, float) else str(item) for item in values)


def _quote(text: str) -> str:
    return f'"{text}"' if " " in text else text


def find_file(study: Study) -> tuple[Path | None, dict[str, Any]]:
    """Return the study file that gives this study, and the values to change for it; (None, {}) if there is no such file.

    Tries the study's file, then the checkout's files of the same name, then all its studies.
    """
    for path in _list_candidates(study):
        try:
            file = load_study(path)
        except LrreportError:
            continue
        changes = list_changes(study, file)
        try:
            if changes is not None and (made := file.with_changes(**changes)).digest() == study.digest():
                return path, changes | ({"name": study.name} if study.name not in (file.name, made.name) else {})
        except LrreportError:
            continue
    return study.file, {}


def _list_candidates(study: Study) -> Sequence[Path]:
    names = dict.fromkeys((study.name, CHANGED_NAME.sub("", study.name)))
    checkout = find_checkout()
    known = [study.file] if study.file is not None else []
    if checkout is not None:
        known += [checkout / "studies" / f"{name}.toml" for name in names]
        known += [path for name in names for path in sorted((checkout / "examples").glob(f"*/{name}.toml"))]
        known += [checkout / "examples" / name / "study.toml" for name in names]
        known += sorted((checkout / "studies").glob("*.toml"))
    return [path for path in dict.fromkeys(known) if path.is_file()]


def list_changes(study: Study, file: Study) -> dict[str, Any] | None:
    """Return the values that differ from the file's; None if any of them cannot be set on the command line."""
    changes: dict[str, Any] = {}
    if study.vary.keys() != file.vary.keys():
        return None
    for name, values in study.vary.items():
        if values != file.vary[name]:
            if name != "learning_rate":
                return None
            changes[name] = list(values)
    ours, theirs = study.fixed, file.fixed
    for name in ("epochs", "device"):
        if ours.get(name) != theirs.get(name) and name in ours:
            changes[name] = ours[name]
    if study.seeds.initial != file.seeds.initial:
        changes["seeds"] = list(study.seeds.initial)
    return changes
