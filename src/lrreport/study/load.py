"""Load a study from its TOML file, by a path from here or from the checkout."""

import re
import tomllib
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.project import expand_user, find_checkout, find_studies
from lrreport.study.legacy import upgrade_settings
from lrreport.study.printed import PrintedFloat
from lrreport.study.study import Study, parse_study

DEFAULT_STUDY = "studies/fashion_mnist.toml"
LARGEST_FILE = 1_000_000  # bytes
DEEPEST = 50  # tables and lists inside each other


def load_study(path: Path | str) -> Study:
    """Return the study in a TOML file, named by `name_study` unless the file has a name.

    A path that does not exist from here is also looked for in the checkout.
    Raises LrreportError that names file, key, value and remedy.
    """
    file, checkout = expand_user(path), find_checkout()
    if not file.is_absolute() and not file.exists() and checkout is not None:
        file = checkout / file
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise LrreportError(
                f"{path}: larger than {LARGEST_FILE // 1_000_000} MB, so not a study; name another file"
            )
        text = content.decode().removeprefix("\ufeff").replace("\r\n", "\n")
        settings = tomllib.loads(text, parse_float=PrintedFloat)
        if _is_deeper(settings, DEEPEST):
            raise RecursionError
    except (OSError, ValueError, RecursionError) as err:
        if isinstance(err, OSError):
            known = ", ".join(f"studies/{study.name}" for study in find_studies() if study.parent.name == "studies")
            hint = f"there are {known}" if known else "lrreport new NAME writes a study"
            raise LrreportError(f"{path}: cannot read the study ({err.strerror}); {hint}") from err
        problem = "nested too deeply" if isinstance(err, RecursionError) else " ".join(str(err).split())
        raise LrreportError(f"{path}: not a TOML file: {problem}; lrreport new NAME writes an example") from err
    if reserved := [key for key in ("file", "notes") if key in settings]:
        raise LrreportError(f"{path}: unknown key {reserved[0]}")
    builtin = "producer" not in settings and "import" not in settings  # other programs have settings of the same names
    upgraded, notes = upgrade_settings(settings) if builtin else (settings, [])
    settings = {"name": name_study(file.resolve()), **upgraded, "file": file.resolve(), "notes": tuple(notes)}
    return parse_study(settings, str(path))


def _is_deeper(value: Any, depth: int) -> bool:
    """Return whether tables and lists are nested deeper than `depth`."""
    layer = [value]
    for _ in range(depth):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(value, dict | list) for value in layer)


def name_study(file: Path) -> str:
    """Return the default name of a study: the file's, or the folder's for study.toml."""
    if file.stem != "study":
        return file.stem
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", file.parent.name).strip("-.") or file.stem
