"""Import logs: write a study file for a folder, and save the logged runs as records of a report."""

import hashlib
import json
import math
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from lrreport import __version__
from lrreport.errors import LrreportError
from lrreport.project import expand_user
from lrreport.record.contents import Contents, ImportNote, RunPlace
from lrreport.record.files import replace_file
from lrreport.record.provenance import Identity, digest_text
from lrreport.record.record import RECORD, RunRecord, Series, save_record
from lrreport.sources import Import, ImportSpec, inspect, print_grid, read_import, write_study
from lrreport.sources.assignments import parse_assignments
from lrreport.sources.folder import Folder
from lrreport.sources.points import find_ends
from lrreport.sources.refusal import RefusalError
from lrreport.study.factors import thaw
from lrreport.study.parsing import parse_settings
from lrreport.study.study import RESERVED_NAMES, Study
from lrreport.sweep.worker import describe_os_error

FOLDER, IMPORT = "imported", "import.json"


def write_import(folder: Path, source: str | None, name: str | None, assignments: Sequence[str] = ()) -> int:
    """Write a commented study of the logs in `folder` into the working folder; print its path and the grid of runs.

    `assignments` such as "import.duplicates=last" replace guesses. Raises LrreportError for what cannot be read or would
    mislead, and if the file exists.
    """
    folder = expand_user(folder)
    if not folder.exists():
        raise LrreportError(f"{folder}: no such file or folder; name the folder that holds the logs")
    options = parse_assignments(assignments)
    if folder.is_file():
        options, folder = {"paths": folder.name, **options}, folder.parent
    name = (name or folder.resolve().name).removesuffix(".toml")
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-._+")[:60] or "imported"
    name = "imported" if name == "study" else name
    name = f"imported_{name}" if name in RESERVED_NAMES else name
    target = Path.cwd() / f"{name}.toml"
    if target.exists():
        raise LrreportError(f"{target}: already exists; choose another name with --name, or remove it")
    source = options.pop("from", source)
    try:
        imported = inspect(folder, source, **options)
    except RefusalError as err:
        raise LrreportError(f"{err} (such as --set {shlex.quote(err.setting)})") from err
    text = write_study(imported, os.path.relpath(folder.resolve(), target.parent))
    try:
        replace_file(target, text.encode())
    except OSError as err:
        raise LrreportError(describe_os_error(err)) from err
    print(print_grid(imported.grid))
    for note in imported.notes:
        print(f"{note.kind}: {note.text} ({note.count})")
    print(f"{target}\nCheck what is marked as guessed there, then: lrreport report {target.name}")
    return 0


def import_runs(study: Study, folder: Path) -> Contents:
    """Return the contents of a report on logs, with each run as a record in the report's folder.

    The logs are read again only if a file or the study has changed; import.json lists the files with their
    digests. Raises LrreportError for logs that cannot be read or would mislead.
    """
    if study.folder is None:
        raise LrreportError(f"{study.where}: a study of logs needs a study file with their folder")
    spec = parse_settings(ImportSpec, study.import_, study.where, within="import")
    made_from = _fingerprint(study, spec)
    cached = _read_cached(folder, made_from)
    if cached is None:
        seeds = study.seeds.listed
        imported = read_import(spec, study.folder, metrics=study.metrics, vary=study.vary, seeds=seeds)
        _check_metric(study, imported)
        cached = {
            "made_from": made_from,
            "runs": _save_runs(study, imported, folder),
            "notes": [{"kind": note.kind, "text": note.text, "count": note.count} for note in imported.notes],
            "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in imported.files],
        }
        replace_file(folder / IMPORT, (json.dumps(cached, indent=1, ensure_ascii=False) + "\n").encode())
    runs = [RunPlace(run["level"], run["seed"], run["folder"]) for run in cached["runs"]]
    notes = [ImportNote(note["kind"], note["text"], note["count"]) for note in cached["notes"]]
    return Contents(study, tuple(runs), notes=tuple(notes))


def _fingerprint(study: Study, spec: ImportSpec) -> str:
    """Return the digest of the study, and of names, sizes and times of the files that its import selects."""
    assert study.folder is not None
    files = Folder(study.folder / expand_user(spec.folder)).select(spec.paths, spec.exclude)
    stats = [(path, (files.root / path).stat()) for path in sorted(files.paths)]
    seen = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    return digest_text(json.dumps([__version__, study.digest(), study.seeds.model_dump(), seen]))


def _read_cached(folder: Path, made_from: str) -> dict[str, Any] | None:
    """Return import.json if its fingerprint is `made_from` and its records are unchanged, else None."""
    try:
        cached: dict[str, Any] = json.loads((folder / IMPORT).read_text(encoding="utf-8"))
        if cached["made_from"] != made_from:
            return None
        unchanged = all(_digest_record(folder / run["folder"]) == run["sha256"] for run in cached["runs"])
        return cached if unchanged else None
    except (OSError, ValueError, KeyError, TypeError, LrreportError):
        return None


def _check_metric(study: Study, imported: Import) -> None:
    for name in (study.decide.metric, study.decide.best_of):
        if name is not None and name not in imported.metrics:
            names = ", ".join(imported.metrics) or "none"
            raise LrreportError(
                f"{study.where}: decide.metric = {name!r}: the runs have no such metric; they have {names}"
            )
    ends = find_ends(imported.runs, imported.history, study.decide.metric)
    if study.decide.at == "last" and ends is not None and ends.is_early:
        raise LrreportError(
            f"{study.where}: decide.at = 'last': {ends.describe()}, where {study.decide.metric} would be compared; set "
            f'decide.at to "end" for the last value of each run, or to "best of {study.decide.metric}"'
        )


def _save_runs(study: Study, imported: Import, folder: Path) -> list[dict[str, Any]]:
    """Save each imported run as a record; return level, seed, folder and digest of each."""
    levels = {_level_key(level.values): level.index for level in study.levels}
    history = _split_series(imported.history)
    made: list[tuple[int, int | str, RunRecord]] = []
    for row in imported.runs.to_dict("records"):
        level = levels.get(_level_key(imported.grid.levels[int(row["level"])].values))
        if level is None:
            continue  # a level that the study does not list
        seed = int(row["seed"]) if str(row["seed"]).isdecimal() else None
        label: int | str = seed if seed is not None else str(row["seed"]) or f"repeat {int(row['replicate']) + 1}"
        made.append((level, label, _make_record(row, seed, imported, history.get(str(row["run"]), []))))
    if not made:
        raise LrreportError(f"{study.where}: the logs have no run of a level that [vary] lists")
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    (folder / FOLDER).mkdir(parents=True)
    for _, _, record in made:
        save_record(folder / FOLDER / record.identity.key, record, {})
    return [
        {"level": level, "seed": label, "folder": path, "sha256": _digest_record(folder / path)}
        for level, label, record in made
        for path in [f"{FOLDER}/{record.identity.key}"]
    ]


def _make_record(row: dict[Any, Any], seed: int | None, imported: Import, history: list[Series]) -> RunRecord:
    """Return the record of a run from its row of `imported.runs`; raises LrreportError for values outside their bounds."""
    columns = [name for name in row if name.startswith("setting.")]
    settings = {name.removeprefix("setting."): _as_plain(row[name]) for name in columns if not _is_missing(row[name])}
    finals = {name: float(row[f"final.{name}"]) for name in imported.metrics if f"final.{name}" in row}
    try:
        return RunRecord(
            identity=Identity(
                settings=settings, seed=seed, producer={"run": digest_text(f"{row['source']} {row['run']}")}
            ),
            settings=settings,
            seed=seed,
            replicate=int(row["replicate"]),
            status=row["status"],
            reason=str(row["reason"] or "")[:500],
            metrics=imported.metrics,
            history=tuple(history),
            final={name: value for name, value in finals.items() if math.isfinite(value)},
            facts={} if _is_missing(row["seconds"]) else {"wall_seconds": float(row["seconds"])},
        )
    except ValidationError as err:
        problem = err.errors()[0]["msg"].removeprefix("Value error, ")
        raise LrreportError(f"{row['source']}: the run {row['run']} cannot be recorded: {problem}") from err


def _digest_record(folder: Path) -> str:
    with (folder / RECORD).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _split_series(history: pd.DataFrame) -> dict[str, list[Series]]:
    """Return the series of each run; `history` is sorted by run, metric, axis and point."""
    keys = ("run", "metric", "axis")
    codes = np.column_stack([history[key].cat.codes for key in keys])
    starts = np.flatnonzero(np.abs(np.diff(codes, axis=0, prepend=-1)).sum(axis=1)).tolist()
    at, values = history["at"].to_numpy(), history["value"].to_numpy()
    names = [history[key].cat.categories for key in keys]
    series: dict[str, list[Series]] = {}
    for start, end in pairwise([*starts, len(history)]):
        run, metric, axis = (str(categories[code]) for categories, code in zip(names, codes[start], strict=True))
        finite = [value if math.isfinite(value) else None for value in values[start:end].tolist()]
        part = {"metric": metric, "axis": axis, "at": at[start:end].tolist(), "values": finite}
        series.setdefault(run, []).append(Series.model_validate(part))
    return series


def _level_key(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the values of a level as a key for which 1 and 1.0 are equal."""
    return tuple(sorted((name, _as_text(thaw(value))) for name, value in values.items()))


def _as_text(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(float(value)) if number else str(value)


def _as_plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
