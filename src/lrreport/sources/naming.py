"""Names of settings and seeds in an import: guess the usual names, and rename."""

from collections.abc import Mapping, Sequence
from typing import Any

from lrreport.errors import LrreportError
from lrreport.sources.cells import key_of
from lrreport.sources.guess import ABBREVIATED, is_seed, name_setting
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.refusal import RefusalError
from lrreport.sources.spec import ImportSpec
from lrreport.sources.values import parse_value


def _list_values(logs: Sequence[RunLog]) -> dict[str, tuple[str, ...]]:
    """Return the keys of each setting's values, run by run."""
    names = dict.fromkeys(name for log in logs for name in log.settings)
    return {name: tuple(key_of(parse_value(log.settings.get(name))) for log in logs) for name in names}


def guess_names(logs: Sequence[RunLog], declared: Mapping[str, str], where: str) -> dict[str, str]:
    """Return {usual name: the source's own} of settings that vary, but for those that are declared."""
    values = _list_values(logs)
    names = list(values)
    mapping: dict[str, str] = {}
    for usual in [usual for usual in ABBREVIATED if usual in map(name_setting, names) and usual not in declared]:
        called = [name for name in names if name_setting(name) == usual and len(set(values[name])) > 1]
        numbers = [
            name for name in called if all(isinstance(parse_value(log.settings.get(name)), int | float) for log in logs)
        ]
        exact = [name for name in called if name == usual]
        choice = numbers if len(numbers) == 1 else exact if exact and (not numbers or exact[0] in numbers) else called
        if len(choice) > 1 and usual == "learning_rate" and len({values[name] for name in choice}) > 1:
            raise RefusalError(
                f"{where}: {' and '.join(choice)} may both be the learning rate; select it with "
                "import.settings.learning_rate",
                f"import.settings.learning_rate={choice[0]}",
            )
        if choice and choice[0] != usual and usual not in names:
            mapping[usual] = choice[0]
    return mapping


def guess_seed(logs: Sequence[RunLog], notes: list[Note], where: str) -> str:
    """Return the name of the setting that is the seed, "" if none is."""
    values = {name: column for name, column in _list_values(logs).items() if is_seed(name)}
    varying = [name for name, column in values.items() if len(set(column)) > 1] or list(values)[:1]
    if len({values[name] for name in varying}) > 1:
        raise RefusalError(
            f"{where}: {' and '.join(varying)} may both be the seed; select it with import.seed",
            f"import.seed={varying[0]}",
        )
    if varying:
        notes.append(Note("guess", f"{varying[0]} is taken for the seed"))
    return varying[0] if varying else ""


def rename_settings(
    spec: ImportSpec, logs: list[RunLog], notes: list[Note], where: str
) -> tuple[list[RunLog], ImportSpec]:
    """Rename settings as the study calls them, and the seed "seed"."""
    there = {name for log in logs for name in log.settings}
    for usual, name in spec.settings.items():
        if name not in there:
            raise LrreportError(
                f"{where}: import.settings.{usual}: no run has a setting {name}; they have {_sample(there)}"
            )
    seed = spec.seed
    if seed is None:
        seed = guess_seed(logs, notes, where)
    elif seed and seed not in there:
        raise LrreportError(f"{where}: import.seed: no run has a setting {seed}; they have {_sample(there)}")
    renamed = {name: usual for usual, name in spec.settings.items()} | ({seed: "seed"} if seed else {})
    for log in logs:
        log.settings = {renamed.get(name, name): value for name, value in log.settings.items()}
    return logs, spec.model_copy(update={"seed": seed})


def type_seed(seed: str) -> int | str:
    return int(seed) if seed.isdecimal() else seed


def _sample(names: set[str]) -> str:
    return ", ".join(sorted(names)[:8]) or "none"


def format_seed(value: Any) -> str:
    parsed = parse_value(value)
    if parsed is None:
        return ""
    return str(int(parsed)) if isinstance(parsed, float) and parsed.is_integer() else str(parsed)
