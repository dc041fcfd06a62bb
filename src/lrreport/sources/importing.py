"""Import a folder of logs: read, name, check and arrange its runs; nothing is left out without a note."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from lrreport import sources
from lrreport.errors import LrreportError
from lrreport.project import expand_user
from lrreport.sources.beside import add_settings_beside
from lrreport.sources.cells import check_cells, choose_factors, find_idle
from lrreport.sources.duplicates import merge_duplicates
from lrreport.sources.exclude import drop_runs, mark_empty
from lrreport.sources.folder import Folder, hide_host
from lrreport.sources.grid import Grid, assign_levels, count_grid, judge_collapse, make_factors, make_levels
from lrreport.sources.logs import Note, RunLog, SourceFile, make_frames
from lrreport.sources.naming import format_seed, guess_names, guess_seed, rename_settings, type_seed
from lrreport.sources.patterns import apply_pattern, find_settings
from lrreport.sources.points import find_lengths, judge_divergence, judge_finals, order_points
from lrreport.sources.resolve import Resolution, apply_resolution, resolve_metrics, summarize_highest
from lrreport.sources.spec import ImportSpec
from lrreport.sources.values import hide_private
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
        return tuple(map(type_seed, self.grid.seeds))

    def tabulate(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return runs (level, seed, status, reason, last) and values (level, seed, metric, axis, at, value).

        Final values have the axis "end" and no point. A run without a seed has "repeat 1", "repeat 2", ... as its seed.
        """
        seeds = self.runs["seed"].where(self.runs["seed"] != "", "repeat " + (self.runs["replicate"] + 1).astype(str))
        runs = self.runs.assign(seed=list(map(type_seed, seeds)))
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
    settings = guess_names(logs, spec.settings, where) | spec.settings
    seed = guess_seed(logs, notes, where) if spec.seed is None else spec.seed
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
    files = Folder(base_folder / expand_user(spec.folder)).select(spec.paths, spec.exclude)
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
    logs, spec = rename_settings(spec, logs, notes, where)
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
    runs["seed"] = [format_seed(log.settings.get("seed")) if spec.seed != "" else "" for log in logs]
    runs = runs.drop(columns=["setting.seed"], errors="ignore") if spec.seed != "" else runs
    runs, history = drop_runs(runs, history, spec, notes, where)
    history, more = order_points(history, spec.duplicates)
    notes += more
    runs, history, more = judge_divergence(runs, history)
    notes += more
    runs, history = mark_empty(runs, history, notes, where)
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
