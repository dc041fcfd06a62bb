"""The grid of an import: levels × seeds, duplicates, holes, runs that failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from lrreport.errors import LrreportError
from lrreport.sources.cells import MOST_LEVELS, is_label, key_of, list_settings, list_varying
from lrreport.sources.logs import Note
from lrreport.sources.refusal import RefusalError
from lrreport.study.factors import Factor, Level, label_setting, name_level
from lrreport.study.formats import format_setting, list_words
from lrreport.study.metrics import Metric
from lrreport.study.tables import list_planned


@dataclass(frozen=True)
class Grid:
    """Factors, levels, and the seeds that every level should have; `counts` has the runs of each level (rows).

    The columns of `counts` are present, expected and, by status, completed, diverged, failed, stopped and unknown.
    """

    factors: tuple[Factor, ...]
    levels: tuple[Level, ...]
    seeds: tuple[str, ...]
    counts: pd.DataFrame


def make_factors(runs: pd.DataFrame, vary: Mapping[str, Sequence[Any]], where: str) -> tuple[Factor, ...]:
    """Return the factors; values that the study lists keep its order, others are sorted."""
    factors = []
    for name, listed in vary.items():
        column = f"setting.{name}"
        if column not in runs.columns:
            there = list_varying(runs) or list_settings(runs)
            known = ", ".join(there[:8]) + (" ..." if len(there) > 8 else "")
            raise LrreportError(f"{where}: the runs have no setting {name}; they have {known or 'none'}")
        by_key = {key_of(value): value for value in runs[column]}
        values = list(listed) if listed else [value if key != "—" else "absent" for key, value in by_key.items()]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        values = sorted(values) if numeric and not listed else values
        numeric = numeric and (bool(listed) or not is_label(name))  # the numbers of trials have no distance
        keys = {key if numeric else _as_text(value) for key, value in by_key.items()}
        if listed and not any((key_of(value) if numeric else _as_text(value)) in keys for value in listed):
            known = ", ".join(map(format_setting, list(by_key.values())[:8]))
            raise LrreportError(f"{where}: no run has {name} = {format_setting(listed[0])}; there are {known}")
        values = values if numeric else list(map(_as_text, values))
        if len(values) > MOST_LEVELS:
            shown = ", ".join(map(format_setting, values[:3]))
            raise RefusalError(
                f"{where}: {name} has {len(values)} values, at most {MOST_LEVELS} can be compared; list some in vary.{name}",
                f"vary.{name}=[{shown}]",
            )
        factors.append(Factor(name, label_setting(name), tuple(values), numeric))
    return tuple(factors)


def make_levels(factors: Sequence[Factor]) -> tuple[Level, ...]:
    """Return every combination of the factors' values in a study's order: the first factor varies fastest."""
    names = [factor.name for factor in factors]
    combinations = [
        dict(zip(names, reversed(values), strict=True))
        for values in product(*(factor.values for factor in reversed(factors)))
    ]
    return tuple(Level(index, values, name_level(factors, values)) for index, values in enumerate(combinations))


def assign_levels(
    runs: pd.DataFrame, factors: Sequence[Factor], levels: Sequence[Level]
) -> tuple[pd.DataFrame, list[Note]]:
    """Return the runs of these levels with a column `level` (int), and a note counting the runs of no level."""
    level_of = {tuple(_key(level.values[f.name], f) for f in factors): level.index for level in levels}
    keys = [runs[f"setting.{factor.name}"].map(lambda value, f=factor: _key(value, f)) for factor in factors]
    level = pd.Series([level_of.get(key, -1) for key in zip(*keys, strict=True)], index=runs.index)
    names = list_words([factor.name for factor in factors])
    notes = (
        [Note("excluded", f"runs whose {names} is not listed in [vary]", int((level < 0).sum()))]
        if (level < 0).any()
        else []
    )
    return runs.assign(level=level)[level >= 0].reset_index(drop=True), notes


def _key(value: Any, factor: Factor) -> str:
    return key_of(value) if factor.numeric else _as_text(value)


def _as_text(value: Any) -> str:
    return "absent" if key_of(value) == "—" else value if isinstance(value, str) else format_setting(value)


def judge_collapse(
    runs: pd.DataFrame, history: pd.DataFrame, metrics: Mapping[str, Metric]
) -> tuple[pd.DataFrame, list[Note]]:
    """Return runs whose `reason` says where they end no better than chance, and notes on them and on outlying values.

    Such a run stays completed; comparisons count it as a failure by the metric's chance.
    """
    notes = []
    for name, metric in metrics.items():
        last = find_last(runs, history, name)
        if metric.chance is not None:
            poor = (metric.sign * (last - metric.chance) <= 1e-9) & (runs["status"] != "diverged")
            if poor.any():
                text = f"runs that end no better than chance in {name} ({metric.format(metric.chance)}); they count as failures"
                notes.append(Note("failure", text, int(poor.sum())))
                runs = runs.assign(reason=runs["reason"].mask(poor, f"collapsed: no better than chance in {name}"))
        elif metric.split != "train" and "level" in runs.columns:
            far = _find_far(last[runs["status"] != "diverged"], runs["level"], metric.sign)
            if far:
                text = (
                    f"runs end far worse than the others of their level in {name}; if they failed, declare its chance"
                )
                notes.append(Note("remark", text, far))
    return runs, notes


def find_last(runs: pd.DataFrame, history: pd.DataFrame, metric: str) -> "pd.Series[float]":
    """Return a metric's final value in each run: the value for the whole run, else that of its last point."""
    last = history[history["metric"] == metric].drop_duplicates("run", keep="last")
    values = runs["run"].map(dict(zip(last["run"].astype(str), last["value"], strict=True))).astype(float)
    column = f"final.{metric}"
    return runs[column].combine_first(values) if column in runs.columns else values


def _find_far(values: "pd.Series[float]", levels: "pd.Series[int]", sign: int) -> int:
    """Return how many values lie more than six median absolute deviations on the bad side of their level's median."""
    count = 0
    for _, group in values.dropna().groupby(levels):
        deviation = (group - group.median()).abs().median()
        if len(group) >= 5 and deviation > 0:
            count += int((sign * (group.median() - group) > 6 * deviation).sum())
    return count


def count_grid(
    runs: pd.DataFrame, factors: Sequence[Factor], levels: Sequence[Level], seeds: Sequence[str] | None
) -> tuple[Grid, list[Note]]:
    """Return the grid and notes of its holes; without declared seeds, every level should have all seeds present.

    Where levels share no seed, none is missing.
    """
    by_level = runs.groupby("level")["seed"].agg(set)
    known = sorted({seed for group in by_level for seed in group} - {""}, key=lambda seed: (len(seed), seed))
    planned = set(list_planned([group - {""} for group in by_level]))
    wanted = list(seeds) if seeds is not None else [seed for seed in known if seed in planned]
    counts = pd.DataFrame(index=pd.Index(range(len(levels)), name="level"))
    counts["present"] = runs.groupby("level").size().reindex(counts.index, fill_value=0)
    counts["expected"] = [
        len(wanted) or int(counts["present"].max()) if not known else len(wanted) or present
        for present in counts["present"]
    ]
    for status in ("completed", "diverged", "failed", "stopped", "unknown"):
        counts[status] = (runs["status"] == status).groupby(runs["level"]).sum().reindex(counts.index, fill_value=0)
    notes = []
    holes = (counts["expected"] - counts["present"]).clip(lower=0)
    alike: dict[tuple[int, int, tuple[str, ...]], list[int]] = {}
    for index in holes[holes > 0].index:
        missing = tuple(seed for seed in wanted if seed not in by_level.get(index, set()))
        alike.setdefault((int(counts["present"][index]), int(counts["expected"][index]), missing), []).append(index)
    for (present, expected, missing), indices in alike.items():
        which = f" (without seeds {', '.join(missing[:10])}{' ...' if len(missing) > 10 else ''})" if missing else ""
        name = levels[indices[0]].name + (f" and {len(indices) - 1} other levels" if len(indices) > 1 else "")
        notes.append(Note("hole", f"{name}: {present} of {expected} runs{which}", int(holes[indices].sum())))
    if (broken := runs["status"].isin(("failed", "stopped"))).any():
        notes.append(
            Note("hole", "runs that failed or were stopped for other reasons than their values", int(broken.sum()))
        )
    notes += _note_search(counts, known)
    return Grid(tuple(factors), tuple(levels), tuple(wanted), counts), notes


def _note_search(counts: pd.DataFrame, seeds: Sequence[str]) -> list[Note]:
    """Return a note where a few levels have many seeds and the rest a single seed: winners of a search, run again."""
    single, many = int((counts["present"] == 1).sum()), int((counts["present"] >= 5).sum())
    if many and single >= 5 and many <= len(counts) / 5 and single + many == int((counts["present"] > 0).sum()):
        text = (
            f"levels with five or more seeds beside {single} with a single seed: they look like the winners of a search, run "
            "again, so the seed that chose them flatters them"
        )
        return [Note("remark", text, many)]
    return []


def print_grid(grid: Grid) -> str:
    """Return the grid as text: a line per level with the runs present and expected, and those that did not complete."""
    width = max([len(level.name) for level in grid.levels] + [len("level")])
    title = ", ".join(f"{factor.label} ({len(factor.values)})" for factor in grid.factors)
    seeds = f"{len(grid.seeds)} seeds" if grid.seeds else "seeds unknown or different in each level"
    lines = [f"{title}; {seeds}", f"{'level':<{width}}  runs"]
    for level in grid.levels[:60]:
        row = grid.counts.loc[level.index]
        others = [f"{row[status]} {status}" for status in ("diverged", "failed", "stopped", "unknown") if row[status]]
        tail = f"  ({', '.join(others)})" if others else ""
        lines.append(f"{level.name:<{width}}  {row['present']} of {row['expected']}{tail}")
    if len(grid.levels) > 60:
        lines.append(f"... and {len(grid.levels) - 60} more levels")
    return "\n".join(lines)
