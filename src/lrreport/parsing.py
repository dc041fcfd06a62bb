"""Settings out of a file or a notebook: checked, or refused in one line that names place, key, value and remedy."""

import difflib
import re
from functools import reduce
from typing import Any, TypeVar

from pydantic import ValidationError

from lrreport import LrreportError
from lrreport.settings import MOST_LEVELS, Settings, suggest

JARGON = {  # pydantic's words, in those of who writes a study file
    "Input should be a valid tuple": "it should be a list",
    "Tuple should have at least 1 item after validation, not 0": "it is empty",
    "Tuple should have at least 2 items after validation, not 0": "it is empty",
    "Tuple should have at least 2 items after validation, not 1": "one value alone is fixed, not varied",
    f"Tuple should have at most {MOST_LEVELS} items after validation, not": f"it has more than {MOST_LEVELS} values,",
}
M = TypeVar("M", bound=Settings)


def parse_settings(model: type[M], settings: dict[str, Any], place: str) -> M:
    """Return `model` with these settings, or raise LrreportError: one line with place, key, value and remedy."""
    try:
        return model.model_validate(settings)
    except ValidationError as err:
        errors = err.errors(include_url=False)
        # A list with a wrong item is also reported as too short, which it is not.
        errors = [error for error in errors if error["type"] != "too_short"] or errors
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise LrreportError(f"{place}: {_describe(model, errors[0])}{more}") from err


def _describe(model: type[Settings], error: Any) -> str:
    *parents, key = [part for part in error["loc"] if isinstance(part, str)] or [""]
    table = reduce(_descend, parents, model)
    path = ".".join([*parents, key])
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, table.model_fields, n=1)
        known = ", ".join(name for name in table.model_fields if name != "file")
        hint = f"did you mean {close[0]}?" if close else f"the keys here are {known}"
        return f"unknown key {path}; {hint}"
    if isinstance(error["input"], dict) and error["type"] == "value_error":  # about one setting beside the others
        within, _, problem = error["msg"].removeprefix("Value error, ").partition(": ")
        value = reduce(lambda table, name: table.get(name, {}), within.split("."), error["input"])
        return f"{'.'.join(filter(None, [path, within]))} = {_brief(value)}: {problem}"
    field = table.model_fields.get(key)
    remedy = f"; {field.description}" if field is not None and field.description else ""
    if error["type"] == "missing" and isinstance(error["loc"][-1], int):
        return f"{path}: too few values{remedy}"
    if error["type"] == "missing":
        return f"{path} is missing{remedy}"
    problem = error["msg"].removeprefix("Value error, ")
    if error["type"] == "literal_error":  # the remedy lists what there is
        names = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        problem = f"there is no such {key}{suggest(str(error['input']), names)}"
    for jargon, plain in JARGON.items():
        problem = problem.replace(jargon, plain)
    return f"{path} = {_brief(error['input'])}: {problem[0].lower()}{problem[1:]}{remedy}"


def _descend(model: type[Settings], key: str) -> type[Settings]:
    """Return the model behind a key; a key of a list of tables leads to the model of its entries."""
    found: Any = model.model_fields[key].annotation
    while not (isinstance(found, type) and issubclass(found, Settings)):
        found = found.__args__[0]
    return found


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
