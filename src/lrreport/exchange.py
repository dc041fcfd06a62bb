"""The runs of a report as two tidy frames, and as CSV files that `lrreport import` reads back."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from lrreport.errors import LrreportError
from lrreport.record.contents import CONTENTS, Contents, read_contents
from lrreport.record.files import replace_file
from lrreport.record.record import KeptRecord, load_runs
from lrreport.record.store import flatten, make_folder

RUNS, HISTORY = "runs.csv", "history.csv"


def load(folder: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs of the report in `folder` as two frames: one row per run, and one row per value of its history.

    `runs` has the columns run (the key), status, reason, seed, setting.NAME for each setting, and final.METRIC; `history`
    has run, metric, axis ("epoch", "step", "samples" or "seconds"), at and value. Fractions are fractions, not percent.
    Raises LrreportError if there is no report, or one of its records is broken.
    """
    place = Path(folder).expanduser()
    return frame_runs(load_kept(place, read_contents(place)))


def load_kept(folder: Path, contents: Contents) -> list[tuple[int | str, KeptRecord]]:
    """Return the records that a report's folder names with their seeds, in its order, without those of a confirmation.

    Raises LrreportError for one that is broken.
    """
    kept: list[tuple[int | str, KeptRecord]] = []
    for place in contents.runs:
        runs = load_runs(folder / place.folder)
        own = [run for run in runs if len(runs) == 1 or run.record.seed == place.seed]
        if not own:
            raise LrreportError(f"{folder / CONTENTS}: {place.folder} has no seed {place.seed}; make the report again")
        if not place.fresh:  # those of a confirmation took no part in the choice
            kept.append((place.seed, own[0]))
    return kept


def frame_runs(kept: list[tuple[int | str, KeptRecord]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return records as the two frames of `load`."""
    runs, parts = [], []
    for seed, one in kept:
        record, key = one.record, one.record.identity.key
        settings = {f"setting.{name}": _as_cell(value) for name, value in flatten(record.settings).items()}
        final = {f"final.{name}": value for name, value in record.final.items()}
        runs.append({"run": key, "status": record.status, "reason": record.reason, "seed": seed, **settings, **final})
        for series in record.history:
            values = [math.nan if value is None else value for value in series.values]
            parts.append(pd.DataFrame(
                {"run": key, "metric": series.metric, "axis": series.axis, "at": series.at, "value": values}
            ))  # fmt: skip
    empty = pd.DataFrame(columns=["run", "metric", "axis", "at", "value"])
    return pd.DataFrame(runs), pd.concat(parts, ignore_index=True) if parts else empty


def export_runs(folder: Path, target: Path) -> list[Path]:
    """Write the runs of a report as runs.csv and history.csv into `target`; return their paths."""
    runs, history = load(folder)
    make_folder(target)
    for name, frame in ((RUNS, runs), (HISTORY, history)):
        replace_file(target / name, frame.to_csv(index=False).encode())
    return [target / RUNS, target / HISTORY]


def export_report(folder: Path, target: str | None) -> int:
    """Write the runs of a report as CSV files and print their paths; returns the exit status."""
    print(*export_runs(folder, Path(target).expanduser() if target else folder / "export"), sep="\n")
    return 0


def _as_cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
