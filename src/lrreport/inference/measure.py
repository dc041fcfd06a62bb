"""From a study and its records to measurements."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lrreport.errors import LrreportError
from lrreport.inference.measurements import END, RUN_COLUMNS, VALUE_COLUMNS, Measurements, Seed
from lrreport.record.record import KeptRecord
from lrreport.study.decide import Look
from lrreport.study.metrics import Metric
from lrreport.study.study import Study
from lrreport.study.tables import list_planned

FACTS = ("host", "cpu", "wall_seconds")  # columns of the runs beside what every run has
Records = Mapping[tuple[int, Seed], KeptRecord]  # by level and seed
Array = np.ndarray[Any, Any]


def measure(study: Study, records: Records, looks: Sequence[Look] = ()) -> Measurements:
    """Return what the recorded runs of a study measured; `looks` are earlier looks at it.

    Raises LrreportError if no run has the deciding metric, or the metric that selects each run's best point.
    """
    records = {key: records[key] for key in sorted(records, key=_order_run)}
    metrics = _collect_metrics(study, records)
    for name in (study.decide.metric, study.decide.best_of):
        if name is not None and name not in metrics and records:
            raise LrreportError(f"{study.where}: no run has the metric {name!r}; the runs have {', '.join(metrics)}")
    if study.decide.metric not in metrics and (declared := study.find_metric(study.decide.metric)) is not None:
        metrics[study.decide.metric] = declared
    runs, values = _tabulate_runs(records), _tabulate_values(records)
    imported = study.import_ is not None and study.seeds.listed is None
    seeds = [
        {seed for index, seed in records if index == level} for level in dict.fromkeys(index for index, _ in records)
    ]
    return Measurements(
        title=study.title,
        factors=study.factors,
        levels=study.levels,
        metrics=metrics,
        decide=study.decide,
        paired=_is_paired(study),
        runs=runs,
        values=values,
        planned=tuple(list_planned(seeds)) if imported else study.seeds.initial,
        looks=tuple(looks),
        published=study.published,
        most_seeds=study.seeds.most,
        resolution=_find_resolutions(metrics, records, values),
        examples=_collect_examples(metrics, records),
    )


def _order_run(key: tuple[int, Seed]) -> tuple[int, bool, Any]:
    level, seed = key
    return level, isinstance(seed, str), seed


def _is_paired(study: Study) -> bool:
    """Return whether the same seed gave the same start and batches: always in our loop, else as the study declares."""
    if study.import_ is not None:
        return bool(study.import_.get("paired", False))
    return study.has_own_loop or (study.producer is not None and study.producer.paired)


def _collect_metrics(study: Study, records: Records) -> dict[str, Metric]:
    """Return every metric that a run has, as the study declares it, else as its record does.

    What guessing reaches comes from the data where the study does not say: the highest that a record names. The records
    of an import already have what its study declares, and no unit or margin that it does not.
    """
    metrics: dict[str, Metric] = {}
    for run in records.values():
        for name, recorded in run.record.metrics.items():
            stated = None if study.import_ is not None else study.find_metric(name)
            known = metrics.get(name) or stated or recorded
            if recorded.chance is not None and (stated is None or stated.chance is None):
                chances = [chance for chance in (known.chance, recorded.chance) if chance is not None]
                known = known.model_copy(update={"chance": max(chances) if known.sign > 0 else min(chances)})
            metrics[name] = known
    return metrics


def _tabulate_runs(records: Records) -> pd.DataFrame:
    rows = []
    for (level, seed), run in records.items():
        record = run.record
        last = max((series.at[-1] for series in record.history if series.at), default=float("nan"))
        rows.append((level, seed, record.status, record.reason, last, *(record.facts.get(fact) for fact in FACTS)))
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, *FACTS])


def _tabulate_values(records: Records) -> pd.DataFrame:
    parts: list[dict[str, Any]] = []
    for (level, seed), run in records.items():
        for series in run.record.history:
            values = np.array([np.nan if value is None else value for value in series.values], dtype=float)
            points = {"metric": series.metric, "axis": series.axis, "at": series.at, "value": values}
            parts.append({"level": level, "seed": seed, **points})
        for name, value in run.record.final.items():
            parts.append({"level": level, "seed": seed, "metric": name, "axis": END, "at": [np.nan], "value": [value]})
    if not parts:
        return pd.DataFrame(columns=list(VALUE_COLUMNS))
    sizes = [len(part["value"]) for part in parts]
    columns: dict[str, Any] = {"level": np.repeat([part["level"] for part in parts], sizes)}
    for key in ("seed", "metric", "axis"):  # few different values among millions
        codes, names = pd.factorize(pd.Series([part[key] for part in parts], dtype=object))
        columns[key] = pd.Categorical.from_codes(np.repeat(codes.astype(np.int32), sizes), categories=pd.Index(names))
    columns |= {key: np.concatenate([np.asarray(part[key], dtype=float) for part in parts]) for key in ("at", "value")}
    return pd.DataFrame(columns)[list(VALUE_COLUMNS)]


def _find_resolutions(metrics: Mapping[str, Metric], records: Records, values: pd.DataFrame) -> dict[str, float]:
    """Return 1 / number of examples for each fraction whose values are all multiples of that, as those of an accuracy are.

    A fraction that ends at 0 or 1 in every run, such as a perfect F1, is taken to be no finer.
    """
    sizes = {
        split: size for run in records.values() for split, size in run.record.description.get("split_sizes", {}).items()
    }
    resolution = {}
    for name, metric in metrics.items():
        size = sizes.get(metric.split)
        if metric.scale != "fraction" or not size:
            continue
        recorded = values[values.metric == name].dropna(subset="value")
        counts = recorded.value.to_numpy(dtype=float) * size
        multiples = np.allclose(counts, np.round(counts), rtol=0, atol=1e-6 * size)
        if len(recorded) and (multiples or recorded.groupby(["level", "seed"]).value.last().isin((0.0, 1.0)).all()):
            resolution[name] = 1 / size
    return resolution


def _collect_examples(metrics: Mapping[str, Metric], records: Records) -> dict[str, dict[int, dict[Seed, Array]]]:
    """Return by test metric, level and seed the scores of single examples, where their mean is the recorded value.

    Stored predictions are right or wrong (classes), or have an absolute and a squared error (numbers). Which metric these
    are the parts of is determined by comparing means, so metrics may have any name.
    """
    tests = [name for name, metric in metrics.items() if metric.split == "test"]
    examples: dict[str, dict[int, dict[Seed, Array]]] = {}
    for (level, seed), run in records.items():
        recorded = {name: run.record.final[name] for name in tests if name in run.record.final}
        arrays = run.load_arrays("test_predictions", "test_labels") if recorded else {}
        if len(arrays) < 2 or arrays["test_predictions"].shape != arrays["test_labels"].shape:
            continue
        for scores in _score_examples(arrays["test_predictions"], arrays["test_labels"]):
            for name, value in recorded.items():
                if np.isclose(scores.mean(), value, rtol=1e-6, atol=1e-7):
                    examples.setdefault(name, {}).setdefault(level, {}).setdefault(seed, scores)
    return examples


def _score_examples(predictions: Array, labels: Array) -> list[Array]:
    if np.issubdtype(predictions.dtype, np.integer):
        return [predictions == labels]
    errors = predictions.astype(float) - labels.astype(float)
    return [np.abs(errors), errors**2]
