"""Validate settings from a file or a notebook; errors name the source, key, value and remedy."""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from lrreport.errors import LrreportError
from lrreport.study.frozen import FrozenModel
from lrreport.study.settings import NAMED, suggest

PLAIN_WORDS = {  # pydantic's messages, in the terms of a study file
    "Input should be a valid tuple": "it should be a list",
    "Input should be a valid dictionary": "it should be a table",
    "Tuple should have at least 1 item after validation, not 0": "it is empty",
}
LONGEST = 80  # characters of a value that a message shows
M = TypeVar("M", bound=FrozenModel)


def parse_settings(
    model: type[M], settings: Any, where: str, within: str = "", locate: Callable[[str], str] | None = None
) -> M:
    """Return `model` with these settings, or raise LrreportError with source (`where`), key, value and remedy.

    `within` is the path of the table that the settings come from, for the message; `locate` gives the full path of a
    key where they come from several tables.
    """
    locate = locate or (lambda path: ".".join(filter(None, [within, path])))
    try:
        return model.model_validate(settings)
    except ValidationError as err:
        errors = err.errors(include_url=False)
        # A list with a wrong item is also reported as too short, which it is not.
        errors = [error for error in errors if error["type"] != "too_short"] or errors
        more = f" (the first of {len(errors)} problems)" if len(errors) > 1 else ""
        raise LrreportError(f"{where}: {_describe(model, errors[0], locate)}{more}") from err


def _describe(model: type[FrozenModel], error: Any, locate: Callable[[str], str]) -> str:
    names = [part for part in error["loc"] if isinstance(part, str)]
    table, keys = _walk(model, names)
    path = locate(".".join(keys)) or "the file"
    key = keys[-1] if keys else ""
    if error["type"] == "extra_forbidden":
        known = [name for name in table.model_fields if name not in ("file", "notes")]
        known = [str(table.model_fields[name].alias or name) for name in known]
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the keys here are {', '.join(known)}"
        return f"unknown key {shorten(path)}; {hint}"
    problem = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict) and error["type"] == "value_error" and ": " in problem:
        # Raised by a model about a combination of settings: "setting: problem".
        inner, _, problem = problem.partition(": ")
        value: Any = error["input"]
        for name in inner.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return f"{locate('.'.join([*keys, inner]))} = {brief(value)}: {problem}"
    field = table.model_fields.get(key)
    remedy = f"; {field.description}" if field is not None and field.description else ""
    if error["type"] == "missing" and isinstance(error["loc"][-1], int):
        return f"{path}: too few values{remedy}"
    if error["type"] == "missing":
        return f"{path} is missing{remedy}"
    if error["type"] == "literal_error":  # the remedy lists what there is
        known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        problem = f"there is no such {key}{suggest(str(error['input']), known)}"
    for jargon, plain in PLAIN_WORDS.items():
        problem = re.sub(rf"{jargon}( or instance of \w+)?", plain, problem)
    return f"{path} = {brief(error['input'])}: {problem[:1].lower()}{problem[1:]}{remedy}"


def _walk(model: type[FrozenModel], names: list[str]) -> tuple[type[FrozenModel], list[str]]:
    """Return the model that has the last name as a key, and the path of keys to it, without union tags."""
    table, keys = model, list[str]()
    for index, name in enumerate(names):
        if keys and keys[-1] in NAMED and (name in NAMED[keys[-1]] or name == "own"):
            models: Mapping[str, type[FrozenModel]] = NAMED[keys[-1]]
            table = models.get(name, FrozenModel)  # a tag: which of the models it is
            continue
        keys.append(name)
        field = table.model_fields.get(name) or next(
            (field for field in table.model_fields.values() if field.alias == name), None
        )
        inner = None if field is None else _find_model(field.annotation)
        if inner is not None and index < len(names) - 1:
            table = inner
    return table, keys


def _find_model(annotation: Any) -> type[FrozenModel] | None:
    """Return the settings behind an annotation, such as those of the entries of a list of tables."""
    if isinstance(annotation, type) and issubclass(annotation, FrozenModel):
        return annotation
    inner = (_find_model(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def shorten(text: str) -> str:
    """Return a text as a single line of printable characters, shortened for a message."""
    text = "".join(letter if letter.isprintable() else "�" for letter in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def brief(value: Any) -> str:
    """Return the shortened repr of a value for a message."""
    return shorten(repr(value))
