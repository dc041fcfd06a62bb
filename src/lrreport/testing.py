"""Synthetic measurements and records for tests, from a few lists of numbers."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrreport.inference.claims import VERDICTS, Finding
from lrreport.inference.measurements import END, RUN_COLUMNS, VALUE_COLUMNS, Measurements, Seed
from lrreport.record.contents import CONTENTS, Contents, RunPlace
from lrreport.record.files import replace_file
from lrreport.record.provenance import Identity
from lrreport.record.record import RunRecord, declare_metrics, make_series, save_record
from lrreport.study.decide import Decide
from lrreport.study.factors import Factor, Level, name_level
from lrreport.study.metrics import Metric, find_metric
from lrreport.study.study import PlannedRun, parse_study

Scores = Mapping[Any, Sequence[float | None] | Mapping[Seed, float | None]]  # level -> a value per seed, None: diverged
Curves = Mapping[str, Mapping[Any, Sequence[Sequence[float]]]]  # metric -> level -> for each seed its values at 0, 1, …


def make_measurements(
    scores: Scores | None = None,
    *,
    metric: str = "val_accuracy",
    factors: Sequence[str] = ("learning_rate",),
    curves: Curves | None = None,
    finals: Mapping[str, Scores] | None = None,
    chance: float | None = 0.1,
    planned: Sequence[Seed] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    statuses: Mapping[tuple[int, Seed], str] | None = None,
    facts: Mapping[str, Sequence[Any]] | None = None,
    axis: str = "epoch",
    first: int = 0,
    **options: Any,
) -> Measurements:
    """Return measurements from `scores`, the final values of the metric that decides, and from curves and other finals.

    A level is the value of the factor, or a tuple of values of two. Without `scores` the curves of the deciding metric give
    them. A seed without a value diverged, unless `statuses` says otherwise, by (level index, seed). The points of curves
    are `first`, `first` + 1, … on `axis`. `facts` are columns of the runs, a value per level. `options` are further fields
    of `Decide` (at, margin, prefer) and `Measurements` (paired, looks, published, most_seeds, resolution, examples).
    """
    curves = curves or {}
    finals = ({} if scores is None else {metric: scores}) | dict(finals or {})
    keys = list(finals[metric] if metric in finals else curves[metric])
    runs = _make_runs(keys, {metric: {}} | finals, curves, first, statuses or {})
    for fact, by_level in (facts or {}).items():
        runs[fact] = [by_level[index] for index in runs.level]
    decide = {field: options.pop(field) for field in Decide.model_fields if field in options}
    fields: dict[str, Any] = {
        "title": "Learning rate on made data",
        "factors": _make_factors(keys, factors),
        "levels": _make_levels(keys, factors),
        "metrics": _declare(dict.fromkeys([metric, *finals, *curves]), metrics or {}, metric, chance),
        "decide": Decide(metric=metric, **decide),
        "paired": True,
        "planned": tuple(planned) if planned is not None else tuple(dict.fromkeys(runs.seed)),
    }
    return Measurements(**fields | options, runs=runs, values=_make_values(keys, finals, curves, axis, first))


def _iterate_seeds(keys: Sequence[Any], by_level: Mapping[Any, Any]) -> Iterator[tuple[int, Seed, Any]]:
    """Yield level index, seed and value (or curve) of each run of a metric."""
    for index, key in enumerate(keys):
        by_seed = by_level.get(key, ())
        for seed, value in by_seed.items() if isinstance(by_seed, Mapping) else enumerate(by_seed):
            yield index, seed, value


def _has_value(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _make_runs(
    keys: Sequence[Any],
    finals: Mapping[str, Scores],
    curves: Curves,
    first: int,
    statuses: Mapping[tuple[int, Seed], str],
) -> pd.DataFrame:
    """Return a row per run; it diverged if its value of the first metric is missing, or its curve is empty."""
    deciding = next(iter(finals))
    inferred: dict[tuple[int, Seed], str] = {}
    last: dict[tuple[int, Seed], float] = {}
    for name, by_level in finals.items():
        for index, seed, value in _iterate_seeds(keys, by_level):
            inferred.setdefault((index, seed), "completed" if name != deciding or _has_value(value) else "diverged")
    for curves_by_level in curves.values():
        for index, seed, curve in _iterate_seeds(keys, curves_by_level):
            inferred.setdefault((index, seed), "completed" if len(curve) else "diverged")
            last[index, seed] = float(first + len(curve) - 1) if len(curve) else math.nan
    rows = [
        (index, seed, status, "", last.get((index, seed), math.nan))
        for (index, seed), status in sorted((inferred | dict(statuses)).items(), key=_order_run)
    ]
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def _make_values(
    keys: Sequence[Any], finals: Mapping[str, Scores], curves: Curves, axis: str, first: int
) -> pd.DataFrame:
    rows = [
        (index, seed, name, END, math.nan, value)
        for name, by_level in finals.items()
        for index, seed, value in _iterate_seeds(keys, by_level)
        if _has_value(value)
    ] + [
        (index, seed, name, axis, float(at), value)
        for name, curves_by_level in curves.items()
        for index, seed, curve in _iterate_seeds(keys, curves_by_level)
        for at, value in enumerate(curve, first)
    ]
    return pd.DataFrame(rows, columns=list(VALUE_COLUMNS))


def _declare(
    names: Iterable[str], metrics: Mapping[str, Metric], deciding: str, chance: float | None
) -> dict[str, Metric]:
    """Return the metrics by name, as given or as known; the deciding metric has a chance level if it is a fraction."""
    candidates = {name: metrics.get(name) or find_metric(name) for name in names}
    declared = {name: value for name, value in candidates.items() if value is not None}
    if chance is not None and declared[deciding].chance is None and declared[deciding].scale == "fraction":
        declared[deciding] = declared[deciding].model_copy(update={"chance": chance})
    return declared


def _order_run(item: tuple[tuple[int, Seed], Any]) -> tuple[int, bool, Any]:
    (index, seed), _ = item
    return index, isinstance(seed, str), seed


def _make_factors(keys: Sequence[Any], names: Sequence[str]) -> tuple[Factor, ...]:
    rows = [key if len(names) > 1 else (key,) for key in keys]
    columns = [tuple(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    return tuple(
        Factor(name, name.replace("_", " "), values, all(isinstance(value, int | float) for value in values))
        for name, values in zip(names, columns, strict=True)
    )


def _make_levels(keys: Sequence[Any], names: Sequence[str]) -> tuple[Level, ...]:
    factors = _make_factors(keys, names)
    rows = [dict(zip(names, key if len(names) > 1 else (key,), strict=True)) for key in keys]
    return tuple(Level(index, values, name_level(factors, values)) for index, values in enumerate(rows))


def check_finding(finding: Finding) -> None:
    """Assert the invariants of every finding."""
    assert finding.verdict in VERDICTS
    assert finding.sentence.endswith(".")
    assert finding.sentence[0] == finding.sentence[0].upper()
    assert not any(word in finding.sentence for word in ("nan", "inf ", "None", "{", "  ", "..", "−0.00 "))
    assert finding.word
    assert finding.tone in ("good", "bad", "neutral")
    json.dumps(finding.to_json(), allow_nan=False)
    if "95 %" in finding.sentence:
        assert re.search(r"n = \d|\d (runs|seeds)", finding.sentence), "an interval without n"
    if finding.effect == finding.effect and finding.low == finding.low:
        assert finding.low <= finding.effect <= finding.high
    low, high, middle = (finding.evidence.get(key) for key in ("low", "high", "difference"))
    if low and high and middle and low.value == low.value:
        assert low.value <= middle.value <= high.value


def write_report_folder(
    folder: Path, n_rates: int, n_seeds: int, n_epochs: int, batch_sizes: Sequence[int] | None = None
) -> Path:
    """Write the folder of a report with records of drawn numbers, as a sweep would leave them, and return it.

    The best rate lies in the middle, and moves with the batch size if that varies; the first seed of the highest rate
    diverges halfway. The records go to `folder`/../runs.
    """
    rng = np.random.default_rng(0)
    vary: dict[str, Any] = {
        "learning_rate": [float(f"{rate:.{3 if n_rates <= 1000 else 4}g}") for rate in np.geomspace(1, 1e-5, n_rates)]
    }
    vary |= {"batch_size": list(batch_sizes)} if batch_sizes else {}
    fixed = {"dataset": "sample", "validation_size": 500, "epochs": n_epochs}
    title = f"{n_rates} rates, {n_seeds} seeds, {n_epochs} epochs"
    contents = {"name": folder.name, "title": title, "vary": vary, "fixed": fixed, "seeds": list(range(n_seeds))}
    study = parse_study(contents, "drawn study")
    runs = []
    for planned in study.plan():
        rate = planned.settings["learning_rate"]
        broken = planned.seed == 0 and rate == max(vary["learning_rate"]) and n_rates > 1
        record, arrays = draw_record(rng, planned, broken)
        path = f"../runs/{record.identity.key}"
        (folder / path).mkdir(parents=True, exist_ok=True)
        save_record(folder / path, record, arrays)
        runs.append(RunPlace(planned.level.index, planned.seed, path))
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / CONTENTS, Contents(study, tuple(runs)).to_text().encode())
    return folder


def draw_record(rng: np.random.Generator, planned: PlannedRun, broken: bool) -> tuple[RunRecord, dict[str, Any]]:
    """Return a record and its arrays, with numbers drawn around a curve of its learning rate; `broken` if it diverged."""
    settings = planned.settings
    n_epochs, n_steps = settings["epochs"], math.ceil(1500 / settings["batch_size"])
    far = abs(np.log10(settings["learning_rate"] / (10**-2.5 * settings["batch_size"] / 64)))
    n = max(1, n_epochs // 2) if broken else n_epochs
    losses = 0.3 + 0.3 * far + 2 * np.exp(-np.arange(n + 1) / (1 + far)) + rng.normal(0, 0.01, n + 1)
    curves = {"loss": losses, "accuracy": 1 / (1 + losses)}
    history = tuple(
        make_series(f"{prefix}_{name}", map(float, values))
        for prefix in ("train", "val")
        for name, values in curves.items()
    )
    arrays: dict[str, Any] = {"step_losses": rng.normal(losses[-1], 0.1, n_steps * n).astype(np.float32)}
    names = [f"{prefix}_{name}" for prefix in ("train", "val", "test") for name in curves]
    final = {} if broken else {name: float(curves[name.partition("_")[2]][-1]) for name in names}
    if not broken:
        arrays["test_labels"] = np.arange(1000, dtype=np.uint8) % 10
        arrays["test_predictions"] = rng.integers(0, 10, 1000).astype(np.uint8)
    decisive = {name: value for name, value in settings.items() if name != "device"}
    identity = Identity(
        settings=decisive, seed=planned.seed, producer={"notebook": "0" * 64}, data={"images": "2" * 64},
        versions={"torch": "2.13.0"}, device="cpu",
    )  # fmt: skip
    record = RunRecord(
        identity=identity,
        settings=settings,
        seed=planned.seed,
        status="diverged" if broken else "completed",
        reason="its loss was not finite" if broken else "",
        metrics=declare_metrics(names, {f"{prefix}_accuracy": 0.1 for prefix in ("train", "val", "test")}),
        history=history,
        final=final,
        description={"n_parameters": 109386, "split_sizes": {"train": 1500, "validation": 500, "test": 1000},
                     "class_names": list("abcdefghij")},
        facts={"commit": "3" * 40, "python": "3.11.2", "packages": {"torch": "2.13.0"}, "host": "drawn", "cpu": "drawn"},
    )  # fmt: skip
    return record, arrays
