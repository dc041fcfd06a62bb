"""Exclude runs of an import: by import.drop, and those without values."""

import pandas as pd

from lrreport.errors import LrreportError
from lrreport.sources.cells import key_of
from lrreport.sources.logs import Note
from lrreport.sources.naming import format_seed
from lrreport.sources.spec import ImportSpec


def drop_runs(
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
        write = format_seed if column == "seed" else key_of
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


def mark_empty(
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
