"""Load a report's folder: the study, its runs by level and seed, and its range tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lrreport.errors import LrreportError
from lrreport.inference.assessment import Assessment, assess
from lrreport.inference.measure import measure
from lrreport.project import find_reference
from lrreport.record.contents import Contents, read_contents
from lrreport.record.record import KeptRecord, load_arrays, load_runs
from lrreport.study.study import Study

Seed = int | str
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class RangeCurve:
    """The rate of each step of a range test (n_steps,) and the losses there (n_seeds, n_steps)."""

    rates: Array
    losses: Array


@dataclass(frozen=True)
class LoadedReport:
    """What a report is made from. `fresh` are the runs that score the chosen level and take no part in the choice."""

    contents: Contents
    kept: Mapping[tuple[int, Seed], KeptRecord]
    fresh: Mapping[tuple[int, Seed], KeptRecord]
    range_tests: Mapping[str, RangeCurve]
    is_reference: bool

    @property
    def study(self) -> Study:
        """The study that the runs answer."""
        return self.contents.study


def load_report(folder: Path | str = "") -> LoadedReport:
    """Return the study and the runs that study.json in `folder` names, by default of the committed reference.

    Raises LrreportError if it or a run is missing or broken, or was made with settings that differ from the study's.
    """
    folder_path = Path(folder) if folder else find_reference()
    return load_runs_of(folder_path, read_contents(folder_path), is_reference=not folder)


def load_runs_of(folder: Path, contents: Contents, is_reference: bool = False) -> LoadedReport:
    """Return a study with the runs that its contents name, their folders relative to `folder`; raises as `load_report`."""
    records: dict[str, list[KeptRecord]] = {}
    runs: dict[bool, dict[tuple[int, Seed], KeptRecord]] = {False: {}, True: {}}
    wanted = {level.index: contents.study.settings_of(level) for level in contents.study.levels}
    points: dict[tuple[float, ...], tuple[float, ...]] = {}
    for run in contents.runs:
        if run.folder not in records:
            records[run.folder] = [_share_points(record, points) for record in load_runs(folder / run.folder)]
        record = next((record for record in records[run.folder] if _has_seed(record, run.seed)), None)
        if record is None:
            raise LrreportError(
                f"{folder / run.folder}: has no run of seed {run.seed}; run lrreport report to make it again"
            )
        if contents.study.has_own_loop:
            _check_settings(folder / run.folder, record, wanted[run.level])
        runs[run.fresh][run.level, run.seed] = record
    if not runs[False]:
        raise LrreportError(f"{folder}: no run of this study is there; run lrreport report to make them")
    tests = {name: _load_range_test(folder / path) for name, path in contents.range_tests.items()}
    return LoadedReport(contents, runs[False], runs[True], tests, is_reference)


def _share_points(run: KeptRecord, points: dict[tuple[float, ...], tuple[float, ...]]) -> KeptRecord:
    """Return a record whose series at equal points share them, with those of earlier records in `points`.

    Runs of a study are mostly evaluated at the same points, which are half of all numbers in their records.
    """
    history = tuple(
        series.model_copy(update={"at": points.setdefault(series.at, series.at)}) for series in run.record.history
    )
    return replace(run, record=run.record.model_copy(update={"history": history}))


def assess_contents(folder: Path, contents: Contents) -> Assessment:
    """Return the assessment of the runs that contents name, their folders relative to `folder`."""
    return assess_report(load_runs_of(folder, contents))


def _has_seed(run: KeptRecord, seed: Seed) -> bool:
    """Return whether a record is that of a seed; a folder of schema 2 holds one run, whatever it calls its seed."""
    return run.record.seed is None or str(run.record.seed) == str(seed) or run.record.schema_version > 1


def _check_settings(folder: Path, run: KeptRecord, wanted: Mapping[str, Any]) -> None:
    """Raise LrreportError if a run was made with another value of a setting that both the record and the study name."""
    for name, value in run.record.settings.items():
        if name in wanted and name != "device" and not _agree(value, wanted[name]):
            raise LrreportError(f"{folder}: a run with {name} {value!r}, not {wanted[name]!r}; make the run again")


def _agree(value: Any, wanted: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        return all(_agree(value[name], wanted[name]) for name in value.keys() & wanted.keys())
    return bool(value == wanted) or (isinstance(value, list | tuple) and list(value) == list(wanted))


def _load_range_test(folder: Path) -> RangeCurve:
    arrays = load_arrays(folder, "rates", "losses")
    return RangeCurve(
        np.asarray(arrays["rates"], dtype=float), np.atleast_2d(np.asarray(arrays["losses"], dtype=float))
    )


def assess_report(loaded: LoadedReport) -> Assessment:
    """Return the assessment of a report's runs."""
    return assess(measure(loaded.study, loaded.kept, looks=loaded.contents.looks))
