"""Write the study file for an inspected folder, with comments on what was found and what was guessed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrreport.sources.cells import keys_of, list_settings
from lrreport.sources.importing import Import
from lrreport.sources.points import find_ends
from lrreport.study.decide import Decide, Published
from lrreport.study.formats import format_setting
from lrreport.study.metrics import Metric, Quantity
from lrreport.study.study import Study

ALIKE = 0.8  # of the longest run; where all are longer, their lengths differ by when they were evaluated
MOST_COMMENTS = 40  # notes and equal settings that are written out


def write_study(imported: Import, folder: str = ".", study: Study | None = None) -> str:
    """Return the text of a study.toml whose table [import] reads the same runs; `folder` is relative to that file.

    Title, decision and published results come from `study`, whose runs these are; without it they are guessed.
    """
    factors = imported.grid.factors
    question = study.title if study else f"How does the {factors[0].label} change the result?"
    by_whom = "Written by `lrreport export`" if study else "Written by `lrreport import` from what it found"
    hint = "It reads the runs beside it:" if study else "Check what is marked as guessed, then run"
    lines = [
        f"# {by_whom}. {hint}",
        "# `lrreport report` on this file.",
        f"title = {_toml(question)}",
        *(f"{key} = {_toml(text)}" for key in ("author", "note") if (text := getattr(study, key, None))),
        *_write_seeds(imported),
        "",
        *_write_import(imported, folder),
        "",
        *_write_vary(imported),
        "",
        *_write_decide(imported, study.decide if study else None),
        *_write_metrics(imported),
        *_write_published(study.published if study else None),
        "",
        *_write_comments(imported),
    ]
    return "\n".join(lines).rstrip() + "\n"


def choose_metric(metrics: Sequence[Metric]) -> Metric:
    """Return the metric that decides unless the file says otherwise: of validation data, and a fraction if any is."""
    splits = ("validation", "test", "train")
    return min(
        metrics, key=lambda metric: (splits.index(metric.split), metric.scale != "fraction", metric.name != "val_loss")
    )


def _write_seeds(imported: Import) -> Iterator[str]:
    seeds = imported.grid.seeds
    if seeds and all(seed.isdecimal() and int(seed) < 2**63 for seed in seeds):
        yield f"seeds = [{', '.join(seeds)}]  # every level should have these; what is missing is reported"
    else:
        yield "# seeds are unknown or differ from level to level: runs are counted, not paired"


def _write_import(imported: Import, folder: str) -> Iterator[str]:
    spec = imported.spec
    yield "[import]"
    yield f"from = {_toml(spec.source)}  # what wrote the files"
    yield f"folder = {_toml(folder)}"
    yield f"paths = {_toml(spec.paths)}"
    yield from _write_fields(spec.model_dump(include={"exclude", "metrics", "drop", "deleted"}, exclude_defaults=True))
    if spec.name == "auto":
        yield 'name = "auto"  # settings are also looked for in names; or a pattern, such as "lr{learning_rate}_s{seed}"'
    elif spec.name:
        yield f"name = {_toml(spec.name)}"
    if spec.settings:
        pairs = ", ".join(f"{_key(usual)} = {_toml(name)}" for usual, name in spec.settings.items())
        yield f"settings = {{ {pairs} }}  # guessed from the names; change it"
    yield f"seed = {_toml(spec.seed or '')}" + ("  # guessed from the name" if spec.seed else "  # none was found")
    if spec.percent:
        yield f"percent = {_toml(spec.percent)}  # guessed from the values; they are divided by 100"
    if spec.ignore:
        yield f"ignore = {_toml(spec.ignore)}  # settings that may differ; guessed, see the notes below"
    yield f'duplicates = {_toml(spec.duplicates)}  # exact repeats count once; or "error", "first", "last", "mean"'
    if spec.axis:
        yield f"axis = {_toml(spec.axis)}"
    yield f"paired = {_toml(spec.paired)}  # true if equal seeds gave the same start and the same order of data"
    yield f'missing = {_toml(spec.missing)}  # "unrelated" if runs are missing for reasons other than their settings'


def _write_vary(imported: Import) -> Iterator[str]:
    yield "[vary]"
    for factor in imported.grid.factors:
        column = imported.spec.settings.get(factor.name, factor.name)
        yield f"{_key(factor.name)} = {_toml(factor.values)}  # from {_one_line(column)}"


def _write_decide(imported: Import, decide: Decide | None) -> Iterator[str]:
    yield "[decide]"
    if decide is not None:
        yield from _write_fields(decide.model_dump(exclude_none=True))
        return
    metric = choose_metric(list(imported.metrics.values()))
    remark = "" if metric.split == "validation" else f"; measured on {metric.split} data, so it is no untouched test"
    yield f"metric = {_toml(metric.name)}  # guessed; there are {', '.join(imported.metrics)}{remark}"
    ends = find_ends(imported.runs, imported.history, metric.name)
    if ends is not None and ends.is_early:
        alike = ends.first > ALIKE * ends.last
        mark, why = ("", "; guessed: ") if alike else ("# ", "; ")
        yield f'{mark}at = "end"  # the last value of each run{why}{ends.describe()}'
    if metric.margin is None:
        yield "# margin = 0.005  # the largest difference that counts as small; without it some claims cannot be tested"


def _write_metrics(imported: Import) -> Iterator[str]:
    for name, metric in imported.metrics.items():
        guessed = f"  # {imported.guessed[name]}; change it" if name in imported.guessed else ""
        yield ""
        yield f"[metrics.{_key(name)}]"
        yield f"from = {_toml(metric.columns)}"
        yield f"split = {_toml(metric.split)}{guessed}"
        yield f"better = {_toml(metric.better)}"
        yield f"scale = {_toml(metric.scale)}"
        if metric.unit or metric.better == "lower":
            yield f'unit = {_toml(metric.unit)}  # such as "nats"'
        if not guessed:
            others = metric.model_dump(include=set(Quantity.model_fields), exclude_none=True)
            yield from _write_fields({key: others[key] for key in others if key not in ("better", "scale", "unit")})
        if metric.better == "higher" and (guessed or metric.chance is None):
            yield f"# chance = {0.1 if metric.chance is None else metric.chance}  # what guessing reaches"


def _write_published(published: Published | None) -> Iterator[str]:
    if published is None:
        return
    yield from ("", "[published]", f"title = {_toml(published.title)}")
    for result in published.result:
        yield from ("", "[[published.result]]")
        yield from _write_fields(result.level)
        for name, value in result.values.items():
            yield (
                f"{_key(name)} = {value:.{result.digits[name]}f}"
                if name in result.digits
                else f"{_key(name)} = {value!r}"
            )
    for pair in published.difference:
        yield from ("", "[[published.difference]]")
        yield from _write_fields({"level": pair.level, "than": pair.than, "metric": pair.metric})
        for name in ("difference", "low", "high"):
            value = getattr(pair, name)
            yield f"{name} = {value!r}" if pair.digits is None else f"{name} = {value:.{pair.digits}f}"
    for claim in published.claim:
        yield from ("", "[[published.claim]]")
        yield from _write_fields({key: value for key, value in claim.model_dump().items() if value})


def _write_fields(fields: Mapping[str, Any]) -> Iterator[str]:
    for key, value in fields.items():
        yield f"{_key(key)} = {_toml(value)}"


def _write_comments(imported: Import) -> Iterator[str]:
    yield "# What was found"
    for note in imported.notes[:MOST_COMMENTS]:
        yield f"#   {note.kind}: {_one_line(note.text)} ({note.count})"
    if len(imported.notes) > MOST_COMMENTS:
        yield f"#   ... and {len(imported.notes) - MOST_COMMENTS} more notes, see import.json"
    equal = [name for name in list_settings(imported.runs) if keys_of(imported.runs, name).nunique() == 1]
    if equal:
        yield f"# Equal in all {len(imported.runs)} runs"
    for name in equal[:MOST_COMMENTS]:
        yield f"#   {_one_line(name)} = {_one_line(format_setting(imported.runs[f'setting.{name}'].iloc[0]))}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _toml(name)


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
