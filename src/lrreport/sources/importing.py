"""Import a folder of logs: read, name, check and arrange its runs; nothing is left out without a note."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from lrreport import sources
from lrreport.errors import LrreportError
from lrreport.sources.beside import add_settings_beside
from lrreport.sources.cells import check_cells, choose_factors, find_idle, key_of
from lrreport.sources.folder import Folder, hide_host
from lrreport.sources.grid import (
    Grid,
    assign_levels,
    count_grid,
    judge_collapse,
    make_factors,
    make_levels,
    merge_duplicates,
)
from lrreport.sources.guess import ABBREVIATED, is_seed, name_setting
from lrreport.sources.logs import Note, RunLog, SourceFile, make_frames
from lrreport.sources.patterns import apply_pattern, find_settings
from lrreport.sources.points import find_lengths, judge_divergence, judge_finals, order_points
from lrreport.sources.refusal import RefusalError
from lrreport.sources.resolve import Resolution, apply_resolution, resolve_metrics, summarize_highest
from lrreport.sources.spec import ImportSpec
from lrreport.sources.values import hide_private, parse_value
from lrreport.study.metrics import Metric, MetricDeclaration
from lrreport.study.parsing import parse_settings

MOST_SAME_NOTES = 5  # notes that differ in a file's name alone


@dataclass(frozen=True)
class Import:
    """Imported runs as two frames, and notes on all that was left out, merged, missing or guessed.

    `runs` has a row per run: run, source, status, reason, seed, replicate, started, seconds, setting.NAME, final.METRIC,
    then last (the last point on its axis) and level (index into grid.levels). `history` has a row per value: run, metric,
    axis (categories), at, value (floats); metrics have the names of `metrics`.
    """

    spec: ImportSpec
    runs: pd.DataFrame
    history: pd.DataFrame
    metrics: dict[str, Metric]
    grid: Grid
    notes: tuple[Note, ...]
    files: tuple[SourceFile, ...]
    guessed: dict[str, str]  # metric -> what about it was guessed

    @property
    def planned(self) -> tuple[int | str, ...]:
        """The seeds that every level should have, () where they are unknown or differ from level to level."""
        return tuple(map(_type_seed, self.grid.seeds))

    def tabulate(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return runs (level, seed, status, reason, last) and values (level, seed, metric, axis, at, value).

        Final values have the axis "end" and no point. A run without a seed has "repeat 1", "repeat 2", ... in its place.
        """
        seeds = self.runs["seed"].where(self.runs["seed"] != "", "repeat " + (self.runs["replicate"] + 1).astype(str))
        runs = self.runs.assign(seed=list(map(_type_seed, seeds)))
        by_run = runs.set_index("run")[["level", "seed"]]
        codes = by_run.index.get_indexer(self.history["run"].astype(str))
        columns = {name: by_run[name].to_numpy()[codes] for name in ("level", "seed")}
        values = self.history.drop(columns="run").assign(
            metric=self.history["metric"].astype(str), axis=self.history["axis"].astype(str)
        )
        parts = [pd.DataFrame(columns).join(values)]
        for name in self.metrics:
            if f"final.{name}" in runs.columns:
                part = runs[["level", "seed", f"final.{name}"]].rename(columns={f"final.{name}": "value"}).dropna()
                parts.append(part.assign(metric=name, axis="end", at=float("nan")))
        order = ["level", "seed", "metric", "axis", "at", "value"]
        table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)[order]
        return runs[["level", "seed", "status", "reason", "last"]].reset_index(drop=True), table


def inspect(
    folder: Path,
    source: str | None = None,
    *,
    vary: Mapping[str, Sequence[Any]] | Sequence[str] = (),
    metrics: Mapping[str, MetricDeclaration] | None = None,
    **options: Any,
) -> Import:
    """Return what a folder of logs holds, with everything guessed that a study file would declare.

    `source` is a key of SOURCES, None to recognise it; `vary` names the factors, perhaps with their values; `metrics`
    declares what names do not say; `options` are keys of [import], such as paths or duplicates. Raises LrreportError for
    what cannot be read or would mislead.
    """
    where = folder.name or str(folder)
    options = {"paths": ("**",), "name": "auto", **options}
    known = parse_import({"from": source or "table", **options}, where)
    files = Folder(folder).select(known.paths, known.exclude)
    where = files.paths[0] if files.paths == list(known.paths) else where  # a single file
    spec = known if source else known.model_copy(update={"source": recognize(files, where)})
    logs, notes = _read(files, _declare_columns(spec, metrics or {}), where)
    settings = _guess_names(logs, spec.settings, where) | spec.settings
    seed = _guess_seed(logs, notes, where) if spec.seed is None else spec.seed
    spec = spec.model_copy(update={"settings": settings, "seed": seed})
    return _build(
        spec,
        logs,
        notes,
        files,
        where,
        metrics or {},
        vary if isinstance(vary, Mapping) else dict.fromkeys(vary),
        None,
        guess=True,
    )


def parse_import(settings: Mapping[str, Any], where: str) -> ImportSpec:
    """Return the table [import] of a study file, or raise LrreportError with the key, its value and the remedy."""
    return parse_settings(ImportSpec, dict(settings), where, within="import")


def _declare_columns(spec: ImportSpec, metrics: Mapping[str, MetricDeclaration]) -> ImportSpec:
    """Return the specification with the columns of declared metrics, so that they are not taken for settings."""
    declared = [(m.columns,) if isinstance(m.columns, str) else m.columns for m in metrics.values()]
    columns = [column for columns in declared for column in columns]
    return spec.model_copy(update={"metrics": (*spec.metrics, *columns)})


def read_import(
    spec: ImportSpec,
    base_folder: Path,
    *,
    metrics: Mapping[str, MetricDeclaration] | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    seeds: Sequence[int | str] | None = None,
) -> Import:
    """Return the runs that a study's table [import] names; its paths are below `base_folder` / spec.folder.

    `metrics` are the study's declarations, `vary` its factors with their values, `seeds` those that every level should
    have. Raises LrreportError that names file, problem and remedy.
    """
    where = spec.folder if spec.folder != "." else base_folder.resolve().name
    files = Folder(base_folder / spec.folder).select(spec.paths, spec.exclude)
    logs, notes = _read(files, _declare_columns(spec, metrics or {}), where)
    wanted = None if seeds is None else [str(seed) for seed in seeds]
    return _build(spec, logs, notes, files, where, metrics or {}, vary or {}, wanted, guess=False)


def recognize(folder: Folder, where: str) -> str:
    """Return the name of the source whose files a folder holds: the first in SOURCES that finds any."""
    for name, module in sources.SOURCES.items():
        if module.find(folder):
            return name
    pickles = [path for path in folder.paths if path.endswith((".pkl", ".pickle", ".pt", ".bin", ".pth"))]
    hint = "pickles are never read; " if pickles else ""
    raise LrreportError(
        f"{where}: no known logs ({len(folder.paths)} files); {hint}expected CSV, JSON, event files or a "
        "folder of a tracker, see docs/import.md"
    )


def _read(folder: Folder, spec: ImportSpec, where: str) -> tuple[list[RunLog], list[Note]]:
    """Return the runs with the settings of their logs, of files beside them and of their names."""
    module: ModuleType = sources.SOURCES[spec.source]
    if not module.find(folder):
        raise LrreportError(f"{where}: holds no files of the source {spec.source}; check import.from and import.paths")
    logs, notes = module.read(folder, spec)
    if not logs:
        why = f" ({notes[0].text})" if notes else ""
        raise LrreportError(f"{where}: no run could be read{why}; check import.paths")
    if folder.n_excluded:
        notes.append(Note("excluded", "files left out by import.exclude", folder.n_excluded))
    if folder.n_links:
        notes.append(Note("excluded", "symbolic links, which are not followed", folder.n_links))
    add_settings_beside(folder, logs)
    hidden = 0
    for log in logs:
        log.settings, count = hide_private(log.settings)
        hidden += count
    if hidden:
        notes.append(Note("excluded", "settings that hold a host, a user, a command or an absolute path", hidden))
    if spec.name == "auto":
        names = find_settings(logs)
        if names:
            notes.append(Note("guess", f"settings found in names of files and folders: {', '.join(names)}", len(names)))
    elif spec.name:
        apply_pattern(spec.name, logs)
    for log in logs:
        log.run, log.source = hide_host(log.run), hide_host(log.source)
    return logs, notes


def _list_values(logs: Sequence[RunLog]) -> dict[str, tuple[str, ...]]:
    """Return the keys of each setting's values, run by run."""
    names = dict.fromkeys(name for log in logs for name in log.settings)
    return {name: tuple(key_of(parse_value(log.settings.get(name))) for log in logs) for name in names}


def _guess_names(logs: Sequence[RunLog], declared: Mapping[str, str], where: str) -> dict[str, str]:
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


def _guess_seed(logs: Sequence[RunLog], notes: list[Note], where: str) -> str:
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


def _build(
    spec: ImportSpec,
    logs: list[RunLog],
    notes: list[Note],
    folder: Folder,
    where: str,
    declared: Mapping[str, MetricDeclaration],
    vary: Mapping[str, Sequence[Any] | None],
    seeds: Sequence[str] | None,
    guess: bool,
) -> Import:
    """Return the import of these runs by the rules of the specification."""
    logs, spec = _name_settings(spec, logs, notes, where)
    columns = list(
        dict.fromkeys([p.metric for log in logs for p in log.points] + [m for log in logs for m in log.final])
    )
    plain = make_frames(logs)
    resolution = resolve_metrics(columns, summarize_highest(*plain), spec, declared, where)
    notes += resolution.notes
    if guess:
        spec = spec.model_copy(update={"percent": tuple(resolution.percent)})
    notes += judge_finals(logs, set(resolution.names))
    runs, history = apply_resolution(*make_frames(logs), resolution)
    runs["seed"] = [_format_seed(log.settings.get("seed")) if spec.seed != "" else "" for log in logs]
    runs = runs.drop(columns=["setting.seed"], errors="ignore") if spec.seed != "" else runs
    runs, history = _drop(runs, history, spec, notes, where)
    history, more = order_points(history, spec.duplicates)
    notes += more
    runs, history, more = judge_divergence(runs, history)
    notes += more
    runs, history = _drop_empty(runs, history, notes, where)
    runs, more = find_lengths(runs, history)
    notes += more
    runs, history, grid, spec = _arrange(runs, history, spec, vary, seeds, resolution, notes, where, guess)
    history["run"] = history["run"].cat.remove_unused_categories()
    files = tuple(folder.files[path] for path in sorted(folder.files))
    return Import(spec, runs, history, resolution.metrics, grid, tuple(_shorten(notes)), files, resolution.guessed)


def _arrange(
    runs: pd.DataFrame, history: pd.DataFrame, spec: ImportSpec, vary: Mapping[str, Sequence[Any] | None],
    seeds: Sequence[str] | None, resolution: Resolution, notes: list[Note], where: str, guess: bool,
) -> tuple[pd.DataFrame, pd.DataFrame, Grid, ImportSpec]:  # fmt: skip
    """Return runs with their levels, the history, the grid, and the specification with what is ignored."""
    idle, more = find_idle(runs, [*spec.ignore, *vary])
    notes += more
    ignore = [*spec.ignore, *idle]
    if not vary:
        names, more_ignored, more = choose_factors(runs, ignore, where)
        notes += more
        ignore += more_ignored
        vary = dict.fromkeys(names)
    factors = make_factors(runs, {name: values or () for name, values in vary.items()}, where)
    levels = make_levels(factors)
    runs, more = assign_levels(runs, factors, levels)
    notes += more
    notes += check_cells(runs, [factor.name for factor in factors], ignore, where)
    history = history[history["run"].isin(set(runs["run"]))].reset_index(drop=True)
    runs, history, more = merge_duplicates(runs, history, spec.duplicates)
    notes += more
    runs, more = judge_collapse(runs, history, resolution.metrics)
    notes += more
    grid, more = count_grid(runs, factors, levels, seeds)
    notes += more
    return runs, history, grid, spec.model_copy(update={"ignore": tuple(ignore)}) if guess else spec


def _name_settings(
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
        seed = _guess_seed(logs, notes, where)
    elif seed and seed not in there:
        raise LrreportError(f"{where}: import.seed: no run has a setting {seed}; they have {_sample(there)}")
    renamed = {name: usual for usual, name in spec.settings.items()} | ({seed: "seed"} if seed else {})
    for log in logs:
        log.settings = {renamed.get(name, name): value for name, value in log.settings.items()}
    return logs, spec.model_copy(update={"seed": seed})


def _type_seed(seed: str) -> int | str:
    return int(seed) if seed.isdecimal() else seed


def _sample(names: set[str]) -> str:
    return ", ".join(sorted(names)[:8]) or "none"


def _format_seed(value: Any) -> str:
    parsed = parse_value(value)
    if parsed is None:
        return ""
    return str(int(parsed)) if isinstance(parsed, float) and parsed.is_integer() else str(parsed)


def _drop(
    runs: pd.DataFrame, history: pd.DataFrame, spec: ImportSpec, notes: list[Note], where: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out the runs that the study drops."""
    dropped = pd.Series(False, index=runs.index)
    for status in spec.drop.status:
        rows = (runs["status"] == status) & ~dropped
        notes.append(Note("excluded", f"runs of status {status}, by import.drop", int(rows.sum())))
        dropped |= rows
    for name, value in spec.drop.settings.items():
        column = "seed" if spec.seed and name in ("seed", spec.seed) else f"setting.{name}"
        if column not in runs.columns:
            raise LrreportError(f"{where}: import.drop.settings.{name}: no run has this setting")
        write = _format_seed if column == "seed" else key_of
        keys = {write(item) for item in (value if isinstance(value, list) else [value])}
        rows = runs[column].map(write).isin(keys) & ~dropped
        notes.append(Note("excluded", f"runs with {name} = {value}, by import.drop", int(rows.sum())))
        dropped |= rows
    if dropped.all():
        raise LrreportError(f"{where}: import.drop leaves no run; drop fewer")
    if not dropped.any():
        return runs, history
    runs = runs[~dropped].reset_index(drop=True)
    return runs, history[history["run"].isin(set(runs["run"]))].reset_index(drop=True)


def _drop_empty(
    runs: pd.DataFrame, history: pd.DataFrame, notes: list[Note], where: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give runs without any value of a metric the status "failed", so that they count as missing."""
    finals = runs.filter(like="final.").notna().any(axis=1)
    empty = ~finals & ~runs["run"].isin(set(history["run"].unique())) & (runs["status"] != "diverged")
    if empty.all():
        raise LrreportError(f"{where}: no run has a value of a known metric; declare it under [metrics] with from")
    if empty.any():
        notes.append(Note("hole", "runs without any value of a metric", int(empty.sum())))
        runs = runs.assign(
            status=runs["status"].mask(empty & runs["status"].isin(("completed", "unknown")), "failed"),
            reason=runs["reason"].mask(empty & (runs["reason"] == ""), "has no value of any metric"),
        )
    return runs, history


def _shorten(notes: Sequence[Note]) -> list[Note]:
    """Return notes with those that repeat for many files merged."""
    groups: dict[tuple[str, str], list[Note]] = {}
    for note in notes:
        _, _, tail = note.text.partition(": ")
        groups.setdefault((note.kind, tail if tail and "/" in note.text.split(": ")[0] else note.text), []).append(note)
    result: list[Note] = []
    for (kind, text), group in groups.items():
        if len({note.text for note in group}) > MOST_SAME_NOTES:
            first = group[0].text.split(": ")[0]
            result.append(
                Note(kind, f"{text} ({first} and {len(group) - 1} others)", sum(note.count for note in group))
            )
        else:
            counts: dict[str, int] = {}
            for note in group:
                counts[note.text] = counts.get(note.text, 0) + note.count
            result += [Note(kind, same, count) for same, count in counts.items()]
    return [note for note in result if note.count]
