"""Records -> tidy frames."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from lrreport.errors import LrreportError
from lrreport.record import Record, RunRecord, SeedResult, load_arrays, load_range_record, load_record
from lrreport.report.formats import format_rate, format_setting, name_level
from lrreport.report.freshness import CONTENTS
from lrreport.settings import LOSSES, Fixed, Parameters, RangeParameters
from lrreport.study import RANGELESS, REPOSITORY, Study, parse_study

REFERENCE = REPOSITORY / "outputs" / "reference"
NOUNS = {
    "epochs": "number of epochs", "nesterov": "use of Nesterov momentum", "hidden sizes": "network size",
    "betas": "choice of betas",
}  # fmt: skip
Machine: TypeAlias = tuple[str, str]  # host and processor


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
    def loss_unit(self) -> str:
        """What losses are measured in."""
        return name_loss_unit(self.study)

    @property
    def range_tests(self) -> dict[str, RangeCurves]:
        """The range test, if there is one, under no name."""
        return {} if self.range_test is None else {"": self.range_test}

    @property
    def named_records(self) -> dict[str, RunRecord]:
        """The records by the names of their rates."""
        return {format_rate(rate): record for rate, record in self.records.items()}

    def find_machines(self, rates: Sequence[float] = ()) -> dict[Machine, list[str]]:
        """Return the host and processor that runs were made on, with the rates of each: of these rates, or of all.

        Times on more than one of them cannot be compared.
        """
        return group_by_machine({format_rate(rate): self.records[rate] for rate in rates or self.rates})

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


@dataclass(frozen=True, eq=False)
class Levels:
    """The results of a study that varies one more setting, at each of its values in the study's order.

    A value without any run is left out.
    """

    study: Study
    levels: dict[Any, Results]

    @property
    def axis(self) -> str:
        """The setting, as its values are told: "batch size"."""
        return str(self.study.vary.axis).replace("_", " ")

    def name(self, value: Any) -> str:
        """Return what one level is called: "batch size 32"."""
        return name_level(self.axis, value)

    @property
    def missing(self) -> list[tuple[Any, float]]:
        """The values and learning rates of the study that have no run."""
        return [
            (value, rate)
            for value in self.study.levels()
            for rate in self.study.vary.learning_rate
            if value not in self.levels or rate not in self.levels[value].records
        ]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The runs of all levels as `Results.runs` has them, with the level as first column."""
        frames = []
        for value, results in self.levels.items():
            frame = results.runs.copy()
            plain = value if isinstance(value, int | float | str) else format_setting(value)
            frame.insert(0, str(self.study.vary.axis), plain)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    @property
    def noun(self) -> str:
        """What varies, in a sentence: "batch size"."""
        return NOUNS.get(self.axis, self.axis)

    @property
    def loss_unit(self) -> str:
        """What losses are measured in."""
        return name_loss_unit(self.study)

    @property
    def absent(self) -> list[Any]:
        """The values without any run."""
        return [value for value in self.study.levels() if value not in self.levels]

    @property
    def range_tests(self) -> dict[str, RangeCurves]:
        """The range tests by the names of their levels; one that does not depend on the level is under no name."""
        same = self.study.vary.axis in RANGELESS
        return {
            "" if same else self.name(value): one.range_test
            for value, one in self.levels.items()
            if one.range_test is not None
        }

    @property
    def named_records(self) -> dict[str, RunRecord]:
        """The records by the names of their rates and levels."""
        return {
            f"{rate} with {self.name(value)}": record
            for value, results in self.levels.items()
            for rate, record in results.named_records.items()
        }

    def find_machines(self) -> dict[Machine, list[str]]:
        """Return the host and processor that runs were made on, with the names of the runs of each."""
        return group_by_machine(self.named_records)


Found: TypeAlias = Results | Levels
P = ParamSpec("P")
T = TypeVar("T")


def by_level(
    combine: Callable[[Levels, dict[Any, T]], T],
) -> Callable[[Callable[Concatenate[Results, P], T]], Callable[Concatenate[Found, P], T]]:
    """Let a function of `Results` take `Levels` too: it is asked at each level, and `combine` joins what it gives."""

    def decorate(function: Callable[Concatenate[Results, P], T]) -> Callable[Concatenate[Found, P], T]:
        @wraps(function)
        def ask(found: Found, /, *args: P.args, **options: P.kwargs) -> T:
            if isinstance(found, Results):
                return function(found, *args, **options)
            return combine(found, {value: function(one, *args, **options) for value, one in found.levels.items()})

        return ask

    return decorate


def name_loss_unit(study: Study) -> str:
    """Return the unit of a study's losses: "nats", or "units" of whatever loss is the user's own."""
    return "nats" if all(level.fixed.loss in LOSSES for level in study.levels().values()) else "units"


def describe_losses(study: Study) -> str:
    """Return a sentence on what losses are measured in, for a caption."""
    smoothed = any(level.fixed.label_smoothing for level in study.levels().values())
    more = " Training losses are with label smoothing, the others without." if smoothed else ""
    if study.vary.axis == "loss":
        return f"Losses are in units of their own with each loss, and are not compared.{more}"
    return (
        f"Losses are in nats.{more}"
        if name_loss_unit(study) == "nats"
        else f"Losses are in units of {study.fixed.loss}."
    )


def group_by_machine(named: dict[str, RunRecord]) -> dict[Machine, list[str]]:
    """Return the names of records by the host and processor that made them."""
    found: dict[Machine, list[str]] = {}
    for name, record in named.items():
        found.setdefault((record.facts.get("host", "unknown"), record.facts.get("cpu", "unknown")), []).append(name)
    return found


def load_results(folder: Path | str = "") -> Found:
    """Return the results of the study that `folder` describes, by default of the reference in the repository.

    Those of a study with a second axis come by level. Raises LrreportError if its study.json or a record is missing or
    broken, or belongs to another learning rate.
    """
    place = Path(folder) if folder else REFERENCE
    try:
        contents = json.loads((place / CONTENTS).read_text(encoding="utf-8"))
        study = parse_study(contents["study"], str(place / CONTENTS))
        wanted = study.levels()
        if study.vary.axis is None:
            places = {None: _find_places(place, contents)}
        else:
            told = {_freeze(level["value"]): _find_places(place, level) for level in contents["levels"]}
            places = {value: told[value] for value in wanted if value in told}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise LrreportError(f"{place / CONTENTS}: cannot read it ({err}); run lrreport report to make it") from err
    found = {value: _load_level(wanted[value], *one) for value, one in places.items() if one[0]}
    if not found:
        raise LrreportError(f"{place / CONTENTS}: no run of this study is there; run lrreport report to make them")
    return found[None] if study.vary.axis is None else Levels(study, found)


def _freeze(value: Any) -> Any:
    """Return a value out of JSON as a study has it: lists are tuples."""
    return tuple(value) if isinstance(value, list) else value


def _find_places(place: Path, contents: dict[str, Any]) -> tuple[dict[float, Path], Path | None]:
    """Return the folders of the runs of one level, by rate, and of its range test."""
    folders = {float(run["learning_rate"]): place / run["folder"] for run in contents["runs"]}
    return folders, place / contents["range_test"] if "range_test" in contents else None


def _load_level(study: Study, folders: dict[float, Path], of_range: Path | None) -> Results:
    wanted = {one.learning_rate: one for one in study.runs()}
    records = {rate: load_record(path) for rate, path in folders.items()}
    for rate, record in records.items():
        _check_parameters(folders[rate], record, wanted.get(rate))
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
