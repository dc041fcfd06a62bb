"""Records -> tidy frames."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrreport import LrreportError
from lrreport.record import Record, RunRecord, SeedResult, load_arrays, load_range_record, load_record
from lrreport.report.freshness import CONTENTS
from lrreport.study import REPOSITORY, Fixed, Parameters, RangeParameters, Study, parse_study

REFERENCE = REPOSITORY / "outputs" / "reference"


@dataclass(frozen=True)
class RangeCurves:
    """A range test: the rate of each step (n_steps,) and each seed's loss before it (n_seeds, n_steps), NaN at its end."""

    rates: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)  # compared by identity, so that what is computed from it can be cached
class Results:
    """The records of a study, by learning rate in the study's order.

    `missing` are the rates whose run is not there.
    """

    study: Study
    records: dict[float, RunRecord]
    folders: dict[float, Path]
    range_test: RangeCurves | None = None
    _curves: dict[tuple[float, str], pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    @property
    def rates(self) -> list[float]:
        """The learning rates that have a record."""
        return list(self.records)

    @property
    def missing(self) -> list[float]:
        """The learning rates of the study that have none."""
        return [rate for rate in self.study.vary.learning_rate if rate not in self.records]

    @cached_property
    def complete_rates(self) -> list[float]:
        """The learning rates at which every seed completed: only these are compared.

        Leaving out just the seeds that diverged would favour the rate at which they did.
        """
        diverged = set(self.runs.loc[self.runs.status == "diverged", "learning_rate"])
        return [rate for rate in self.rates if rate not in diverged]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each learning rate and seed; accuracies are fractions, losses nats, NaN where it diverged.

        `train_*` are the running means of the last epoch, `val_*` its end, `final_train_*` and `test_*` the
        evaluations with fixed weights after it; `cpu_seconds` is the sum over the epochs.
        """
        rows = [
            _summarise_seed(record.learning_rate, seed) for record in self.records.values() for seed in record.seeds
        ]
        return pd.DataFrame(rows)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """A row for each learning rate, seed and epoch, the untrained network being epoch 0."""
        rows = [
            {"learning_rate": rate, "seed": seed.seed, **row.model_dump()}
            for rate, record in self.records.items()
            for seed in record.seeds
            for row in seed.epochs
        ]
        return pd.DataFrame(rows)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """Where and with what each run was made."""
        return [record.facts for record in self.records.values()]

    def find_machines(self, rates: Sequence[float] = ()) -> dict[tuple[str, str], list[float]]:
        """Return the host and processor that runs were made on, with the rates of each: of these rates, or of all.

        Times on more than one of them cannot be compared.
        """
        found: dict[tuple[str, str], list[float]] = {}
        for rate in rates or self.rates:
            facts = self.records[rate].facts
            found.setdefault((facts.get("host", "unknown"), facts.get("cpu", "unknown")), []).append(rate)
        return found

    @cached_property
    def _runs_by_rate(self) -> dict[float, pd.DataFrame]:
        return {float(rate): rows.set_index("seed").sort_index() for rate, rows in self.runs.groupby("learning_rate")}

    def values(self, rate: float, metric: str) -> "pd.Series[float]":
        """Return one metric of `runs` at one rate, by seed in ascending order."""
        return self._runs_by_rate[rate][metric]

    def curves(self, rate: float, metric: str) -> pd.DataFrame:
        """Return one metric of `epochs` at one rate: epochs 0 … E down, seeds across."""
        if (rate, metric) not in self._curves:
            seeds = sorted(self.records[rate].seeds, key=lambda seed: seed.seed)
            columns = {seed.seed: pd.Series([getattr(row, metric) for row in seed.epochs]) for seed in seeds}
            self._curves[rate, metric] = pd.DataFrame(columns).rename_axis(index="epoch", columns="seed")
        return self._curves[rate, metric]

    def step_losses(self, rate: float) -> dict[int, np.ndarray[Any, Any]]:
        """Return the loss at every training step, by seed: (n_steps,) float32."""
        names = {seed.seed: f"step_losses_{seed.seed}" for seed in self.records[rate].seeds}
        arrays = load_arrays(self.folders[rate], *names.values())
        return {seed: arrays[name] for seed, name in names.items()}

    def confusions(self, rate: float) -> np.ndarray[Any, Any]:
        """Return how many test images of each class (down) were taken for each (across), by seed: (n_seeds, n, n).

        Seeds that diverged made no predictions and are left out.
        """
        names = [f"test_predictions_{seed.seed}" for seed in self.records[rate].seeds if seed.status == "completed"]
        arrays, n = load_arrays(self.folders[rate], "test_labels", *names), len(self.records[rate].class_names)
        labels = arrays["test_labels"].astype(int)
        if any(len(arrays[name]) != len(labels) or max(arrays[name].max(), labels.max()) >= n for name in names):
            raise LrreportError(f"{self.folders[rate]}: its predictions do not fit its labels; make the run again")
        counts = [np.bincount(labels * n + arrays[name], minlength=n * n) for name in names]
        return np.array(counts, dtype=int).reshape(-1, n, n)


def _summarise_seed(rate: float, seed: SeedResult) -> dict[str, Any]:
    done = seed.status == "completed"
    last, nan = seed.epochs[-1], float("nan")
    return {
        "learning_rate": rate,
        "seed": seed.seed,
        "status": seed.status,
        "n_epochs": last.epoch,
        "train_loss": last.train_loss if done else nan,
        "train_accuracy": last.train_accuracy if done else nan,
        "val_loss": last.val_loss if done else nan,
        "val_accuracy": last.val_accuracy if done else nan,
        "final_train_loss": seed.train.loss if seed.train else nan,
        "final_train_accuracy": seed.train.accuracy if seed.train else nan,
        "test_loss": seed.test.loss if seed.test else nan,
        "test_accuracy": seed.test.accuracy if seed.test else nan,
        "cpu_seconds": sum(row.cpu_seconds for row in seed.epochs),
    }


def load_results(folder: Path | str = "") -> Results:
    """Return the results of the study that `folder` describes, by default of the reference in the repository.

    Raises LrreportError if its study.json or a record is missing or broken, or belongs to another learning rate.
    """
    place = Path(folder) if folder else REFERENCE
    try:
        contents = json.loads((place / CONTENTS).read_text(encoding="utf-8"))
        study = parse_study(contents["study"], str(place / CONTENTS))
        folders = {float(run["learning_rate"]): place / run["folder"] for run in contents["runs"]}
        of_range = place / contents["range_test"] if "range_test" in contents else None
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise LrreportError(f"{place / CONTENTS}: cannot read it ({err}); run lrreport report to make it") from err
    wanted = {one.learning_rate: one for one in study.runs()}
    records = {rate: load_record(path) for rate, path in folders.items()}
    for rate, record in records.items():
        _check_parameters(folders[rate], record, wanted.get(rate))
    if not records:
        raise LrreportError(f"{place / CONTENTS}: no run of this study is there; run lrreport report to make them")
    return Results(study, records, folders, load_range_curves(of_range, study.range_parameters()) if of_range else None)


def _check_parameters(folder: Path, record: Record, wanted: Parameters | RangeParameters | None) -> None:
    """Raise LrreportError if a record was made with other parameters than the study asks for."""
    has = {} if wanted is None else type(wanted)(**record.identity.parameters).model_dump(mode="json")
    for name, value in ({} if wanted is None else wanted.model_dump(mode="json", exclude={"device"})).items():
        if has.get(name) != value:
            raise LrreportError(f"{folder}: a record of {name} {has.get(name)}, not {value}; make the run again")
    if wanted is None:
        raise LrreportError(f"{folder}: a record that the study does not ask for; make its report again")


def load_range_curves(folder: Path, wanted: RangeParameters | None) -> RangeCurves:
    """Return the range test in `folder`; raises LrreportError if it is missing, broken, or another than is wanted."""
    _check_parameters(folder, load_range_record(folder), wanted)
    arrays = load_arrays(folder, "rates", "losses")
    return RangeCurves(arrays["rates"], arrays["losses"])


def wrap_record(record: RunRecord) -> Results:
    """Return the results of a single record, as a study of its one learning rate."""
    settings = {name: value for name, value in record.identity.parameters.items() if name in Fixed.model_fields}
    vary = {"learning_rate": [record.learning_rate], "seed": record.identity.parameters["seeds"]}
    study = parse_study({"name": "one-run", "vary": vary, "fixed": settings}, "record")
    return Results(study, {record.learning_rate: record}, {})
