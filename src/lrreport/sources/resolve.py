"""Resolve the columns of a source to metrics, by declaration or by name, and convert percent to fractions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lrreport.errors import LrreportError
from lrreport.sources.guess import MetricGuess, guess_metric, slug
from lrreport.sources.logs import Note
from lrreport.sources.refusal import RefusalError
from lrreport.sources.spec import ImportSpec
from lrreport.study.metrics import SPLIT_PREFIXES, Metric, MetricDeclaration, Quantity, split_name

PERCENT_FROM = 1.5  # a value above can be no fraction


@dataclass
class Resolution:
    """Metrics by name, the metric of each column, the columns in percent, and notes on what was left out."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # column -> metric
    percent: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    guessed: dict[str, str] = field(default_factory=dict)  # metric -> what was guessed


def resolve_metrics(
    columns: Sequence[str],
    highest: pd.DataFrame,
    spec: ImportSpec,
    declared: Mapping[str, MetricDeclaration],
    where: str,
) -> Resolution:
    """Return the metric of each column; `highest` has the largest value per run (rows) and column.

    Declared metrics come first; other columns are metrics if their names say what they are and, for a fraction, if the
    values are clearly fractions or clearly percent. Raises LrreportError if nothing is left.
    """
    resolution = Resolution()
    guesses = {
        column: guess_metric(column, [sibling for sibling in columns if sibling != column]) for column in columns
    }
    for name, declaration in declared.items():
        _declare(resolution, name, declaration, guesses, where)
    _guess_others(resolution, guesses, declared)
    for column, name in resolution.names.items():
        if resolution.metrics[name].scale == "fraction":
            fixed = any(d.scale is not None for n, d in declared.items() if n == name or name.endswith(f"_{n}"))
            tops = highest[column].dropna() if column in highest else pd.Series()
            _judge_scale(resolution, column, tops, column in spec.percent, fixed, where)
    for name in list(resolution.guessed):  # what is declared is written out whole
        if name in declared or name.partition("_")[2] in declared:
            del resolution.guessed[name]
    if not resolution.metrics:
        raise _refuse_columns(columns, where)
    return resolution


def _refuse_columns(columns: Sequence[str], where: str) -> RefusalError:
    shown = ", ".join(columns[:8]) or "none"
    column = columns[0] if columns else "COLUMN"
    return RefusalError(
        f'{where}: no metric whose direction is known; declare it as [metrics.val_NAME] with from = "COLUMN" and '
        f'better = "higher" or "lower" (columns with numbers: {shown})',
        f"metrics.val_{slug(column)}={{from={json.dumps(column, ensure_ascii=False)}, better='higher'}}",
    )


def _declare(
    resolution: Resolution,
    name: str,
    declaration: MetricDeclaration,
    guesses: Mapping[str, MetricGuess | None],
    where: str,
) -> None:
    """Add a declared metric: of its columns, of the column with its name, or of all columns of its quantity."""
    listed = (declaration.columns,) if isinstance(declaration.columns, str) else declaration.columns
    changes = declaration.model_dump(exclude_none=True, exclude={"columns"})
    if not listed and split_name(name) is None:
        _declare_quantity(resolution, name, changes, guesses)
        return
    columns = [column for column in (listed or _columns_called(name, guesses)) if column in guesses]
    if not columns:
        there = ", ".join(list(guesses)[:8])
        raise LrreportError(f"{where}: metrics.{name}: no column {', '.join(listed) or name}; there are {there}")
    guess = guesses[columns[0]] or guess_metric(name)
    known = guess_metric(name)
    base = (guess.quantity if guess else None) or (known.quantity if known else None)
    if base is None and "better" not in changes:
        raise RefusalError(
            f'{where}: metrics.{name}: set better to "higher" or "lower"', f"metrics.{name}.better=higher"
        )
    parts = split_name(name)
    split = declaration.split or (SPLIT_PREFIXES[parts[0]][0] if parts else None) or (guess.split if guess else None)
    changes.pop("split", None)
    quantity = Quantity(**{"label": name.replace("_", " ")} | (base.model_dump() if base else {}) | changes)
    for column in columns:
        _add(resolution, column, name, quantity, split or "validation", label=changes.get("label"))


def _declare_quantity(
    resolution: Resolution, name: str, changes: dict[str, Any], guesses: Mapping[str, MetricGuess | None]
) -> None:
    """Add a metric for each column of a declared quantity, on whichever split."""
    for column, guess in guesses.items():
        if guess is None or not guess.split or guess.name.partition("_")[2] != name:
            continue
        base = guess.quantity
        if base is None and "better" in changes:
            base = Quantity(label=name.replace("_", " "), better=changes["better"])
        if base is not None:
            _add(resolution, column, guess.name, base.model_copy(update=changes), guess.split)


def _columns_called(name: str, guesses: Mapping[str, MetricGuess | None]) -> list[str]:
    named = [column for column in guesses if column == name or slug(column) == name]
    return named or [column for column, guess in guesses.items() if guess is not None and guess.name == name]


def _add(
    resolution: Resolution, column: str, name: str, quantity: Quantity, split: str, label: str | None = None
) -> None:
    parts = split_name(name)
    form = SPLIT_PREFIXES[parts[0]][1] if parts else "{}"
    text = label or (quantity.label if quantity.label.startswith(form.format("")) else form.format(quantity.label))
    resolution.metrics[name] = Metric(
        **{
            **quantity.model_dump(),
            "name": name,
            "split": split,
            "label": text,
            "columns": _columns(resolution, name, column),
        }
    )
    resolution.names[column] = name


def _columns(resolution: Resolution, name: str, column: str) -> tuple[str, ...]:
    known = resolution.metrics[name].columns if name in resolution.metrics else ()
    return known if column in known else (*known, column)


def _guess_others(
    resolution: Resolution, guesses: Mapping[str, MetricGuess | None], declared: Mapping[str, MetricDeclaration]
) -> None:
    """Add undeclared columns with a known direction, at most a column per metric."""
    by_name: dict[str, list[MetricGuess]] = {}
    for column, guess in guesses.items():
        if column in resolution.names or guess is None:
            continue
        if guess.quantity is None:
            text = f"{column}: {guess.reason}; declare it under [metrics] to use it"
            resolution.notes.append(Note("excluded", text))
        elif guess.name not in declared:
            by_name.setdefault(guess.name, []).append(guess)
    for name, group in by_name.items():
        best = _choose_column(group)
        others = ", ".join(guess.raw for guess in group if guess is not best)
        if best is None:
            text = f"{others}: may both be {name}; select a column under [metrics.{name}] with from"
            resolution.notes.append(Note("excluded", text, len(group)))
            continue
        if others:
            resolution.notes.append(Note("excluded", f"{others}: {best.raw} is taken for {name}", len(group) - 1))
        assert best.quantity is not None
        assert best.split is not None
        margin = best.quantity.margin if best.fraction and best.split == "validation" else None
        unit = {} if best.fraction else {"unit": "", "margin": None}
        _add(resolution, best.raw, name, best.quantity.model_copy(update={**unit, "margin": margin}), best.split)
        resolution.guessed[name] = "guessed from the name"


def _choose_column(group: list[MetricGuess]) -> MetricGuess | None:
    """Return the column that names its split, is per epoch and has the metric's name; None if several remain."""
    ranks = {
        guess.raw: (not guess.explicit, slug(guess.raw).endswith("_step"), slug(guess.raw) != guess.name)
        for guess in group
    }
    best = min(ranks.values())
    chosen = [guess for guess in group if ranks[guess.raw] == best]
    return chosen[0] if len(chosen) == 1 else None


def _judge_scale(
    resolution: Resolution, column: str, highest: "pd.Series[float]", percent: bool, fixed: bool, where: str
) -> None:
    """Add a column to those in percent if it is declared so or its values say so; refuse values that may be either."""
    if percent:
        resolution.percent.append(column)
        return
    name = resolution.names[column]
    top = float(highest.max()) if len(highest) else 0.0
    if top <= 1 + 1e-9:
        if not fixed:
            resolution.guessed.setdefault(name, "guessed")
        return
    setting = f"import.percent={column}"
    remedy = f'set import.percent = ["{column}"] if they are percent, or [metrics.{name}] scale = "number"'
    if fixed:
        raise RefusalError(f"{where}: {column} goes up to {top:g}, which is not a fraction; {remedy}", setting)
    small = int((highest <= 1).sum())
    if top <= PERCENT_FROM or small:
        mixed = f"at most 1 in {small} runs and up to {top:g} in others" if small else f"up to {top:g}"
        raise RefusalError(f"{where}: {column} is {mixed}, so neither fractions nor percent; {remedy}", setting)
    resolution.percent.append(column)
    resolution.guessed[name] = "percent, guessed from the values"


def summarize_highest(runs: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Return the largest finite value of each column (columns) in each run (rows)."""
    finals = runs.filter(like="final.").rename(columns=lambda name: name.removeprefix("final."))
    finals.index = pd.Index(runs["run"])
    finite = history[np.isfinite(history["value"].to_numpy())]
    tops = finite.groupby(["run", "metric"], observed=True)["value"].max().unstack("metric")
    tops.index, tops.columns = tops.index.astype(str), tops.columns.astype(str)
    return tops.reindex(runs["run"]).combine_first(finals) if len(tops.columns) else finals


def apply_resolution(
    runs: pd.DataFrame, history: pd.DataFrame, resolution: Resolution
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both frames with metrics under their names, percent as fractions, and no other columns."""
    names = list(history["metric"].cat.categories)
    metrics = list(resolution.metrics)
    targets = np.array(
        [metrics.index(resolution.names[name]) if name in resolution.names else -1 for name in names], dtype=int
    )
    scales = np.array([100.0 if name in resolution.percent else 1.0 for name in names])
    codes = history["metric"].cat.codes.to_numpy()
    if len(names):
        is_metric = targets[codes] >= 0
        history = history[is_metric].reset_index(drop=True)
        codes = codes[is_metric]
        history["value"] = _divide(history["value"].to_numpy(), scales[codes])
        history["metric"] = pd.Categorical.from_codes(targets[codes], categories=metrics)
    finals: dict[str, pd.Series] = {}
    for column in runs.filter(like="final.").columns:
        raw = column.removeprefix("final.")
        if raw in resolution.names:
            values = pd.Series(
                _divide(runs[column].to_numpy(), 100.0 if raw in resolution.percent else 1.0), runs.index
            )
            name = f"final.{resolution.names[raw]}"
            finals[name] = finals[name].combine_first(values) if name in finals else values
    others = runs[[column for column in runs.columns if not column.startswith("final.")]]
    return pd.concat([others, pd.DataFrame(finals, index=runs.index)], axis=1), history


def _divide(values: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Return percent as fractions, to 15 decimals: 84.4 becomes 0.844, not 0.8440000000000001."""
    return np.where(scale == 1, values, np.round(values / scale, 15))
