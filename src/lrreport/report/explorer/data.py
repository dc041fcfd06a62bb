"""What the explorer's script reads: runs, curves and final values as plain data, with the numbers in base64."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from lrreport.inference.measurements import AXES, END, WITH_OUTCOME, Measurements, Seed
from lrreport.record.record import KeptRecord
from lrreport.report.colors import color_levels
from lrreport.study.factors import label_setting
from lrreport.study.formats import capitalize, format_setting
from lrreport.study.metrics import Metric

Run: TypeAlias = tuple[int, Seed]  # level index and seed
Kept: TypeAlias = Mapping[Run, KeptRecord]
Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.floating[Any]]]"
Codes: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

N_VALUES = 400_000  # of all curves: 2.1 MB of base64; beyond, every k-th point is kept
N_STEP_VALUES = 60_000  # of step losses: 0.24 MB; beyond, a point stands for several steps
SECONDS_AXIS, SECONDS = "seconds", "s"  # the axis, and the unit of a metric that can serve as a clock
ACRONYMS = {"cpu": "CPU", "gpu": "GPU"}
DIGITS = 12  # of a digest that tell two apart


@dataclass
class Packer:
    """Collects grids of places on an axis, each once, and values in the order in which the script reads them."""

    grids: list[list[float | int] | int] = field(default_factory=list)
    _places: list[Floats] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)
    _n_places: int = 0
    _values: list[Floats] = field(default_factory=list)
    _steps: list[Floats] = field(default_factory=list)

    def add_grid(self, at: Floats) -> int:
        """Return the index of a grid: [first, step, n] where its places are evenly spaced, else [offset, n]."""
        key = at.astype("<f8").tobytes()
        if key not in self._known:
            self._known[key] = len(self.grids)
            steps = np.diff(at)
            if len(at) > 1 and np.allclose(steps, steps[0], rtol=1e-9, atol=0):
                self.grids.append([float(at[0]), float(steps[0]), len(at)])
            else:
                self.grids.append([self._n_places, len(at)])
                self._places.append(at)
                self._n_places += len(at)
        return self._known[key]

    def add_values(self, values: Floats, from_steps: bool) -> None:
        """Append values, (n,) or (3, n) for mean, lowest and highest of a bin."""
        (self._steps if from_steps else self._values).append(values.ravel())

    def to_json(self) -> dict[str, Any]:
        """Return the grids and the numbers: places and values as float32, step losses without their lowest byte."""
        return {
            "grids": self.grids,
            "places": encode(_join(self._places)),
            "values": encode(_join(self._values)),
            "steps": encode(_join(self._steps), n_bytes=3),
        }


def encode(values: Floats, n_bytes: int = 4) -> str:
    """Return little-endian float32 in base64; with 3 bytes each is rounded to 16 significant bits (to 1 part in 65,536)."""
    if n_bytes == 4:
        return base64.b64encode(values.astype("<f4").tobytes()).decode()
    bits = values.astype("<f4").view("<u4")
    finite = np.isfinite(values)
    rounded = np.where(finite, bits + np.uint32(0x80), bits) >> np.uint32(8)
    rounded = np.where(finite, rounded, np.uint32(0x7FC000))  # not a number, whatever it was
    return base64.b64encode(rounded.astype("<u4").view("u1").reshape(-1, 4)[:, :3].tobytes()).decode()


def _join(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *parts])


def collect_data(measurements: Measurements, recorded: "Recorded", kept: Kept) -> dict[str, Any]:
    """Return all that the script reads, as plain data without NaN.

    `series` has a row per curve: run, metric, values per point (1, or 3: mean, lowest, highest), and for each of `axes`
    the index of its grid or −1. Values stand in the order of `series`, those of step losses in `steps`. `finals` are
    (n_runs, n_metrics), NaN where a run has none. `reduced` says of each metric how many recorded points one stands for.
    """
    runs, curves, losses, clock = recorded.runs, recorded.curves, recorded.losses, recorded.clock
    steps_per_epoch = recorded.steps_per_epoch
    metrics = [_describe_metric(metric) for metric in measurements.metrics.values()]
    names = list(measurements.metrics)
    every, n_steps = _thin(curves), sum(map(len, losses.values()))
    bin_size = 1 if n_steps <= N_STEP_VALUES else math.ceil(3 * n_steps / N_STEP_VALUES)
    reduced = [max((every[key] for key in every if key[0] == name), default=1) for name in names]
    if losses:
        metrics.append(_describe_step_loss(measurements))
        reduced.append(bin_size)
    axes_found = [
        axis for axis in AXES if any(axis in curve.places for curve in curves) or (axis in ("epoch", "step") and losses)
    ]
    axes = [axis for axis in axes_found if axis != "epoch" or any("epoch" in curve.places for curve in curves)]
    packer, series, index_of = Packer(), list[list[int]](), runs.index_of
    for curve in curves:
        kept_places = _pick_every(len(curve.values), every[curve.key])
        grids = [packer.add_grid(curve.places[axis][kept_places]) if axis in curve.places else -1 for axis in axes]
        packer.add_values(curve.values[kept_places], from_steps=False)
        series.append([index_of[curve.run], names.index(curve.metric), 1, *grids])
    for run, own in losses.items():
        binned = bin_steps(own, bin_size)
        at = np.minimum(np.arange(binned.shape[1]) * bin_size + (bin_size + 1) / 2, float(len(own)))
        places = {"step": at} | _convert_steps(at, run, steps_per_epoch, clock)
        grids = [packer.add_grid(places[axis]) if axis in places else -1 for axis in axes]
        packer.add_values(binned, from_steps=True)
        series.append([index_of[run], len(metrics) - 1, len(binned), *grids])
    common, own_facts = describe_runs(runs, kept)
    first = measurements.factors[0]
    return {
        "title": measurements.title,
        "decides": names.index(measurements.decide.metric),
        "margin": measurements.margin,
        "paired": measurements.paired,
        "factors": [_describe_factor(factor) for factor in measurements.factors],
        "levels": [
            {
                "name": level.name,
                "values": [list(factor.values).index(level.values[factor.name]) for factor in measurements.factors],
            }
            for level in measurements.levels
        ],
        "colors": color_levels(len(first.values)),
        "seeds": [str(seed) for seed in runs.seeds],
        "metrics": metrics,
        "axes": [_describe_axis(axis, clock) for axis in axes],
        "runs": [[level, runs.seeds.index(seed), status] for (level, seed), status in runs.status.items()],
        "series": series,
        "reduced": reduced,
        "finals": encode(recorded.finals.ravel()),
        "t": [round(float(stats.t.ppf(0.975, df)), 4) for df in range(1, min(200, max(3, len(runs.keys))))],
        "common": common,
        "facts": own_facts,
        **packer.to_json(),
    }


# Runs and their final values


@dataclass(frozen=True)
class Runs:
    """The runs by level and seed: their keys in this order, the status of each, and all seeds."""

    keys: list[Run]
    status: dict[Run, str]
    frame: pd.DataFrame  # a row per run, in the order of the keys

    @property
    def seeds(self) -> list[Seed]:
        return sort_seeds(seed for _, seed in self.keys)

    @property
    def index_of(self) -> dict[Run, int]:
        return {key: index for index, key in enumerate(self.keys)}


def sort_seeds(seeds: Iterable[Seed]) -> list[Seed]:
    """Return the seeds, each once: numbers first, then texts."""
    return sorted(set(seeds), key=lambda seed: (isinstance(seed, str), seed))


def list_runs(measurements: Measurements) -> Runs:
    """Return all runs in the order of their levels and seeds."""
    frame = measurements.runs
    order = {seed: index for index, seed in enumerate(sort_seeds(frame.seed))}
    ranked = frame.assign(_rank=frame.seed.map(order)).sort_values(["level", "_rank"], kind="stable")
    ranked = ranked.drop(columns="_rank").reset_index(drop=True)
    keys = [(int(level), seed) for level, seed in zip(ranked.level, ranked.seed, strict=True)]
    return Runs(keys, dict(zip(keys, ranked.status, strict=True)), ranked)


# Curves


@dataclass(frozen=True)
class Curve:
    """One metric of one run: its values, and on each axis the places of its points."""

    run: Run
    metric: str
    axis: str  # on which it was recorded
    values: Floats
    places: dict[str, Floats]

    @property
    def key(self) -> tuple[str, str]:
        return self.metric, self.axis


@dataclass(frozen=True)
class Clock:
    """Seconds since a run began by its places on an axis, from the metric that records them."""

    metric: Metric
    axis: str
    of_run: dict[Run, tuple[Floats, Floats]]  # places and seconds


@dataclass(frozen=True)
class Rows:
    """The rows of all values as arrays: indices of run, metric and axis (−1: none of these), place and value."""

    run: Codes
    metric: Codes
    axis: Codes
    at: Floats
    value: Floats


def read_rows(measurements: Measurements, runs: Runs) -> Rows:
    """Return the values as arrays; there may be millions, so each column of names is compared once."""
    values, seeds = measurements.values, runs.seeds
    seed_codes, seed_names = pd.factorize(values.seed)
    index_of = {seed: index for index, seed in enumerate(seeds)}
    seed_of = np.array([index_of.get(seed, -1) for seed in seed_names] or [-1], dtype=np.int64)[seed_codes]
    run_of = np.full((len(measurements.levels), len(seeds) + 1), -1, dtype=np.int64)  # the last column: no such seed
    for index, (level, seed) in enumerate(runs.keys):
        run_of[level, index_of[seed]] = index
    return Rows(
        run=run_of[values.level.to_numpy(dtype=np.int64), seed_of],
        metric=_index_names(values.metric, list(measurements.metrics)),
        axis=_index_names(values.axis, [*AXES, END]),
        at=values["at"].to_numpy(dtype=float),
        value=values.value.to_numpy(dtype=float, na_value=np.nan),
    )


def _index_names(column: "pd.Series[str]", names: Sequence[str]) -> Codes:
    codes, categories = pd.factorize(column)
    index_of = {name: index for index, name in enumerate(names)}
    indices: Codes = np.array([index_of.get(str(name), -1) for name in categories] or [-1], dtype=np.int64)[codes]
    return indices


@dataclass(frozen=True)
class Recorded:
    """All that was recorded of the runs: curves, step losses, and final values (n_runs, n_metrics), NaN where none."""

    runs: Runs
    curves: list[Curve]
    losses: dict[Run, Floats]
    finals: Floats
    clock: Clock | None
    steps_per_epoch: dict[int, float]  # by level


def read_recorded(measurements: Measurements, kept: Kept) -> Recorded:
    """Return what was recorded, from the values of the measurements and the step losses of kept records."""
    runs = list_runs(measurements)
    rows, losses = read_rows(measurements, runs), _load_step_losses(runs, kept)
    steps_per_epoch = _find_steps_per_epoch(runs, rows, losses)
    clock = find_clock(measurements, runs, rows)
    curves = _collect_curves(measurements, runs, rows, clock, steps_per_epoch)
    finals = tabulate_finals(measurements, runs, rows, curves, clock)
    return Recorded(runs, curves, losses, finals, clock, steps_per_epoch)


def tabulate_finals(
    measurements: Measurements, runs: Runs, rows: Rows, curves: Sequence[Curve], clock: Clock | None
) -> Floats:
    """Return each metric at the end of each run, (n_runs, n_metrics).

    Where a run that ended well has no value of its own at the end, the last of its curve stands for it; for seconds
    the sum.
    """
    finals = np.full((len(runs.keys), len(measurements.metrics)), np.nan)
    rank, index_of = {name: index for index, name in enumerate(measurements.metrics)}, runs.index_of
    for curve in curves:
        finite = curve.values[np.isfinite(curve.values)]
        if len(finite) and runs.status[curve.run] in WITH_OUTCOME:
            timed = clock is not None and curve.metric == clock.metric.name and curve.run in clock.of_run
            last = clock.of_run[curve.run][1][-1] if clock and timed else finite[-1]
            finals[index_of[curve.run], rank[curve.metric]] = last
    end = (rows.axis == len(AXES)) & (rows.run >= 0) & (rows.metric >= 0) & np.isfinite(rows.value)
    finals[rows.run[end], rows.metric[end]] = rows.value[end]
    return finals


def find_clock(measurements: Measurements, runs: Runs, rows: Rows) -> Clock | None:
    """Return what gives curves a place in seconds: a metric in seconds with a curve; None if there is none.

    Seconds that each point took are summed up; those that grow from point to point in every run count from its start.
    """
    for index, metric in enumerate(measurements.metrics.values()):
        if metric.unit != SECONDS:
            continue
        own = np.flatnonzero((rows.metric == index) & (rows.axis >= 0) & (rows.axis < AXES.index(SECONDS_AXIS)))
        if not len(own):
            continue
        axis = rows.axis[own].min()
        own = own[(rows.axis[own] == axis) & (rows.run[own] >= 0)]
        own = own[np.lexsort((rows.at[own], rows.run[own]))]
        of_run = {}
        for part in np.split(own, np.flatnonzero(np.diff(rows.run[own])) + 1):
            of_run[runs.keys[rows.run[part[0]]]] = (rows.at[part], np.nan_to_num(rows.value[part]))
        if not all(_counts_up(seconds) for _, seconds in of_run.values()):
            of_run = {run: (at, np.cumsum(seconds)) for run, (at, seconds) in of_run.items()}
        return Clock(metric, AXES[axis], of_run)
    return None


def _counts_up(seconds: Floats) -> bool:
    """Whether seconds count from the start of a run: they never fall, and double at least once."""
    positive = seconds[seconds > 0]
    return bool((np.diff(seconds) >= 0).all() and len(positive) > 1 and positive[-1] >= 2 * positive[0])


def _collect_curves(
    measurements: Measurements, runs: Runs, rows: Rows, clock: Clock | None, steps_per_epoch: Mapping[int, float]
) -> list[Curve]:
    """Return all curves by run, metric and axis."""
    metrics = list(measurements.metrics)
    there = (rows.run >= 0) & (rows.metric >= 0) & (rows.axis >= 0) & (rows.axis < len(AXES)) & np.isfinite(rows.at)
    key = (rows.run * len(metrics) + rows.metric) * len(AXES) + rows.axis
    order = np.lexsort((rows.at, key))
    order = order[there[order]]
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    native = set(zip(rows.metric[order][starts].tolist(), rows.axis[order][starts].tolist(), strict=True))
    curves = []
    for own in np.split(order, starts[1:]) if len(starts) else []:
        run, metric, axis = runs.keys[rows.run[own[0]]], int(rows.metric[own[0]]), AXES[rows.axis[own[0]]]
        at, values = rows.at[own], rows.value[own]
        places = {axis: at}
        if axis == "epoch" and run[0] in steps_per_epoch and (metric, AXES.index("step")) not in native:
            places["step"] = at * steps_per_epoch[run[0]]
        if clock and axis == clock.axis and run in clock.of_run and (metric, AXES.index(SECONDS_AXIS)) not in native:
            places[SECONDS_AXIS] = np.interp(at, *clock.of_run[run])
        curves.append(Curve(run, metrics[metric], axis, np.where(np.isfinite(values), values, np.nan), places))
    return curves


def _thin(curves: Sequence[Curve]) -> dict[tuple[str, str], int]:
    """Return by metric and axis every how manyth point is kept, so that all curves have N_VALUES points or little more."""
    longest: dict[tuple[str, str], int] = {}
    for curve in curves:
        longest[curve.key] = max(longest.get(curve.key, 0), len(curve.values))
    low, high = 1, max(longest.values(), default=1)
    while low < high:  # the largest number of points per curve that fits
        most = (low + high + 1) // 2
        n = sum(math.ceil(len(curve.values) / math.ceil(longest[curve.key] / most)) for curve in curves)
        low, high = (most, high) if n <= N_VALUES else (low, most - 1)
    return {key: math.ceil(n / low) for key, n in longest.items()}


def _pick_every(n: int, every: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return the indices of every k-th of n points, and of the last."""
    return np.union1d(np.arange(0, n, every), [n - 1]).astype(np.int64) if n else np.zeros(0, np.int64)


# Losses of each step


def _load_step_losses(runs: Runs, kept: Kept) -> dict[Run, Floats]:
    losses = {}
    for run in runs.keys:
        step_losses = kept[run].load_arrays("step_losses").get("step_losses") if run in kept else None
        if step_losses is not None and len(step_losses):
            own = np.asarray(step_losses, dtype=float).ravel()
            finite = np.flatnonzero(np.isfinite(own))
            if len(finite):  # what follows the last finite loss says nothing
                losses[run] = np.where(np.isfinite(own), own, np.nan)[: finite[-1] + 1]
    return losses


def bin_steps(losses: Floats, size: int) -> Floats:
    """Return the losses (1, n_steps), or of each `size` steps their mean, lowest and highest (3, n_bins).

    A bin is NaN where one of its steps is; the last bin has the steps that are left.
    """
    if size == 1:
        return losses[np.newaxis]
    starts = np.arange(0, len(losses), size)
    if not len(starts):
        return np.empty((3, 0))
    sizes = np.diff([*starts, len(losses)])
    means = np.add.reduceat(losses.astype(float), starts) / sizes
    return np.stack([means, np.minimum.reduceat(losses, starts), np.maximum.reduceat(losses, starts)])


def _find_steps_per_epoch(runs: Runs, rows: Rows, losses: Mapping[Run, Floats]) -> dict[int, float]:
    """Return by level how many steps an epoch takes, from the runs that have most epochs, where both are known."""
    epochs, there = np.zeros(len(runs.keys)), (rows.axis == AXES.index("epoch")) & (rows.run >= 0)
    np.maximum.at(epochs, rows.run[there], np.nan_to_num(rows.at[there]))
    latest: dict[int, tuple[float, float]] = {}
    for run, last in zip(runs.keys, epochs.tolist(), strict=True):
        if run in losses and last >= latest.get(run[0], (1.0, 0.0))[0]:
            latest[run[0]] = (last, len(losses[run]) / last)
    return {level: float(round(ratio)) for level, (_, ratio) in latest.items() if ratio >= 1}


def _convert_steps(
    at: Floats, run: Run, steps_per_epoch: Mapping[int, float], clock: Clock | None
) -> dict[str, Floats]:
    if run[0] not in steps_per_epoch:
        return {}
    epochs = at / steps_per_epoch[run[0]]
    if clock is None or clock.axis != "epoch" or run not in clock.of_run:
        return {"epoch": epochs}
    return {"epoch": epochs, "seconds": np.interp(epochs, *clock.of_run[run])}


# Descriptions


def _describe_metric(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "label": capitalize(metric.label),
        "unit": metric.unit,
        "scale": metric.scale,
        "digits": metric.digits,
        "better": metric.better,
        "low": metric.low,
        "high": metric.high,
    }


def _describe_step_loss(measurements: Measurements) -> dict[str, Any]:
    loss = measurements.find_counterpart("train", "loss") or measurements.find_loss()
    label = {"label": "Training loss of each step", "name": "step_loss"}
    if loss is None:
        return {"unit": "", "scale": "number", "digits": 4, "better": "lower", **label}
    return _describe_metric(loss) | label


def _describe_axis(axis: str, clock: Clock | None) -> dict[str, str]:
    labels = {"epoch": "Epochs", "step": "Steps", "samples": "Samples", "seconds": "Seconds"}
    titles = {"epoch": "Epoch", "step": "Step", "samples": "Samples seen", "seconds": "Seconds"}
    title = titles[axis]
    if axis == "seconds" and clock is not None:
        label = capitalize(clock.metric.label)
        title = label if "second" in label else f"{label} (s)"
    return {"name": axis, "label": labels[axis], "title": title}


def _describe_factor(factor: Any) -> dict[str, Any]:
    return {
        "label": capitalize(factor.label),
        "log": factor.is_log,
        "values": [factor.format(value) for value in factor.values],
        "names": [factor.name_value(value) for value in factor.values],
        "at": [float(value) for value in factor.values] if factor.numeric else None,
    }


def describe_runs(runs: Runs, kept: Kept) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return what the kept records of all runs share, and what each has of its own; both empty without records."""
    if any(run not in kept for run in runs.keys) or not runs.keys:
        return {}, []
    each = [describe_record(kept[run]) for run in runs.keys]
    common = {name: text for name, text in each[0].items() if all(settings.get(name) == text for settings in each)}
    return common, [{name: text for name, text in settings.items() if name not in common} for settings in each]


def describe_record(kept: KeptRecord) -> dict[str, str]:
    """Return the settings, facts and digests of a run as text, under names that a reader can tell apart."""
    record = kept.record
    facts = {name_fact(path): value for path, value in flatten(record.facts)}
    identity = record.identity
    digests = {f"code of {name}": digest[:DIGITS] for name, digest in identity.producer.items() if digest}
    digests |= {f"data in {name}": digest[:DIGITS] for name, digest in identity.data.items() if digest}
    versions = {f"version of {name}": version for name, version in identity.versions.items()}
    return {
        **describe_settings(record.settings),
        **{name: show_fact(value) for name, value in facts.items()},
        **{name: str(text) for name, text in {**digests, **versions}.items()},
    }


def describe_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return nested settings as text by label; where two have one label, by the words of their path."""
    paths = list(flatten(settings))
    labels = [label_setting(path) for path, _ in paths]
    described = {}
    for (path, value), label in zip(paths, labels, strict=True):
        head, _, last = path.rpartition(".")
        if last == "name":
            label = head.replace("_", " ")
        elif labels.count(label) > 1:
            label = path.replace(".", " ").replace("_", " ")
        described[label] = format_setting(value)
    return described


def flatten(settings: Mapping[str, Any], head: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the path and value of each entry of nested tables: ("optimizer.name", "adam")."""
    for name, value in settings.items():
        path = f"{head}.{name}" if head else str(name)
        if isinstance(value, Mapping):
            yield from flatten(value, path)
        elif not (isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value)):
            yield path, value


def name_fact(path: str) -> str:
    """Return what a fact is called: "cpu_seconds" → "CPU seconds", "packages.torch" → "version of torch"."""
    head, _, last = path.partition(".")
    if head == "packages" and last:
        return f"version of {last}"
    return " ".join(ACRONYMS.get(word, word) for word in path.replace(".", " ").replace("_", " ").split())


def show_fact(value: Any) -> str:
    """Return a fact about a run as text; a number with a fraction has four significant digits."""
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.4g}"
    return format_setting(value)
