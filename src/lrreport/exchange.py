"""Export the runs of a report as two tidy frames, or as CSV files with a study file that reads them back."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from lrreport.errors import LrreportError
from lrreport.inference.measure import measure
from lrreport.project import expand_user
from lrreport.record.contents import CONTENTS, Contents, read_contents
from lrreport.record.files import replace_file
from lrreport.record.record import KeptRecord, load_runs
from lrreport.record.store import flatten, make_folder
from lrreport.report.load import load_runs_of
from lrreport.sources import ImportSpec, read_import, write_study
from lrreport.study.factors import Factor
from lrreport.study.metrics import Metric, MetricDeclaration
from lrreport.study.study import Study

RUNS, HISTORY = "runs.csv", "history.csv"
PLAIN = (bool, int, float, str)  # types of a factor's values that are written unchanged


def load(folder: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs of the report in `folder` as two frames: a row per run, and a row per value of its history.

    `runs` has the columns run (the key), status, reason, seed, seconds, setting.NAME for each setting, and final.METRIC;
    `history` has run, metric, axis ("epoch", "step", "samples" or "seconds"), at and value. Fractions are fractions, not
    percent. Settings that are lists are written as JSON, and a factor's values that are neither numbers nor text as their
    names. Raises LrreportError if there is no report, or a record is broken.
    """
    path = expand_user(folder)
    return _frame_report(path, read_contents(path))


def _frame_report(folder: Path, contents: Contents) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs of a report as the two frames of `load`."""
    runs, history = frame_runs(load_kept(folder, contents))
    levels = [contents.study.levels[run.level].values for run in contents.runs if not run.fresh]
    for factor in contents.study.factors:
        if not all(isinstance(value, PLAIN) for value in factor.values):
            runs[f"setting.{factor.name}"] = [factor.name_value(values[factor.name]) for values in levels]
    return runs, history


def load_kept(folder: Path, contents: Contents) -> list[tuple[int | str, KeptRecord]]:
    """Return seed and record of each run of a report, without the runs of a confirmation.

    Raises LrreportError for a broken record.
    """
    records: list[tuple[int | str, KeptRecord]] = []
    for run in contents.runs:
        stored = load_runs(folder / run.folder)
        matching = [kept for kept in stored if len(stored) == 1 or kept.record.seed == run.seed]
        if not matching:
            raise LrreportError(f"{folder / CONTENTS}: {run.folder} has no seed {run.seed}; make the report again")
        if not run.fresh:
            records.append((run.seed, matching[0]))
    return records


def frame_runs(records: list[tuple[int | str, KeptRecord]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return records as the two frames of `load`."""
    runs, parts = [], []
    for seed, kept in records:
        record, key = kept.record, kept.record.identity.key
        settings = {f"setting.{name}": _as_cell(value) for name, value in flatten(record.settings).items()}
        final = {f"final.{name}": value for name, value in record.final.items()}
        known = record.seed is not None or seed != f"repeat {record.replicate + 1}"
        outcome = {"status": record.status, "reason": record.reason, "seed": seed if known else None}
        runs.append({"run": key, **outcome, "seconds": record.facts.get("wall_seconds"), **settings, **final})
        for series in record.history:
            values = [math.nan if value is None else value for value in series.values]
            parts.append(pd.DataFrame(
                {"run": key, "metric": series.metric, "axis": series.axis, "at": series.at, "value": values}
            ))  # fmt: skip
    empty = pd.DataFrame(columns=["run", "metric", "axis", "at", "value"])
    return pd.DataFrame(runs), pd.concat(parts, ignore_index=True) if parts else empty


def export_runs(folder: Path, target: Path) -> list[Path]:
    """Write the runs of a report as runs.csv and history.csv into `target`, and a study that reads them; return the paths.

    The study has the levels, metrics with units and margins, decision and published numbers of the report's study.
    Raises LrreportError if there is no report, or a record is broken.
    """
    contents = read_contents(folder)
    make_folder(target)
    for name, frame in zip((RUNS, HISTORY), _frame_report(folder, contents), strict=True):
        replace_file(target / name, frame.to_csv(index=False).encode())
    study = target / f"{contents.study.name}.toml"
    replace_file(study, _write_back(contents.study, folder, contents, target).encode())
    return [target / RUNS, target / HISTORY, study]


def _write_back(study: Study, folder: Path, contents: Contents, target: Path) -> str:
    """Return the text of a study file that reads the exported runs in `target`."""
    measured = measure(study, load_runs_of(folder, contents).kept)
    missing = (study.import_ or {}).get("missing", "unknown")
    spec = ImportSpec(source="table", paths=(RUNS, HISTORY), seed="seed", paired=measured.paired, missing=missing)
    declared = {name: _declare(metric) for name, metric in measured.metrics.items()}
    vary = {factor.name: _list_values(factor) for factor in study.factors}
    return write_study(read_import(spec, target, metrics=declared, vary=vary, seeds=study.seeds.listed), study=study)


def _declare(metric: Metric) -> MetricDeclaration:
    fields = metric.model_dump(exclude={"name", "columns"}, exclude_none=True)
    return MetricDeclaration(**fields, **{"from": metric.name})


def _list_values(factor: Factor) -> list[Any]:
    """Return the values of a factor as they are written in runs.csv."""
    plain = all(isinstance(value, PLAIN) for value in factor.values)
    return [value if plain else factor.name_value(value) for value in factor.values]


def export_report(folder: Path, target: str | None) -> int:
    """Write the runs of a report as CSV files with their study, and print the paths; return the exit status."""
    print(*export_runs(folder, expand_user(target) if target else folder / "export"), sep="\n")
    return 0


def _as_cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple) else value
