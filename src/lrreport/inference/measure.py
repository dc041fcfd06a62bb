"""Records -> measurements: the frames that everything after them reads."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lrreport.inference.measurements import END, RUN_COLUMNS, VALUE_COLUMNS, Measurements, Seed
from lrreport.record.record import KeptRecord
from lrreport.study.decide import Look
from lrreport.study.metrics import Metric
from lrreport.study.study import Study

FACTS = ("host", "cpu", "wall_seconds")  # columns of the runs beside what every run has
Kept = Mapping[tuple[int, Seed], KeptRecord]


def measure(study: Study, kept: Kept, looks: Sequence[Look] = ()) -> Measurements:
    """Return the measurements of a study from its records by (level index, seed), the runs in that order.

    A metric is what the study declares, with the chance level of the records where the study gives none. Runs are paired
    if our own loop made them, or if the study says so. Where predictions were kept, accuracy and absolute error on test
    are also given by example.
    """
    runs = {key: kept[key] for key in sorted(kept, key=_order_run)}
    metrics = _declare_metrics(study, runs)
    options = study.import_ if study.import_ is not None else {}
    declared = study.producer.paired if study.producer is not None else bool(options.get("paired", False))
    planned = tuple(dict.fromkeys(seed for _, seed in runs)) if study.import_ is not None else study.seeds.initial
    if study.import_ is not None and study.seeds.listed is not None:
        planned = study.seeds.initial
    return Measurements(
        title=study.title,
        factors=study.factors,
        levels=study.levels,
        metrics=metrics,
        decide=study.decide,
        paired=study.has_own_loop or declared,
        runs=_frame_runs(runs),
        values=_frame_values(runs),
        planned=planned,
        looks=tuple(looks),
        published=study.published,
        most_seeds=study.seeds.most,
        resolution=_find_resolutions(runs, metrics),
        examples=_score_examples(runs),
    )


def _order_run(key: tuple[int, Seed]) -> tuple[int, bool, Any]:
    level, seed = key
    return level, isinstance(seed, str), seed


def _declare_metrics(study: Study, runs: Kept) -> dict[str, Metric]:
    """Return each metric that a run measured, and the one that decides even if none did."""
    recorded: dict[str, list[Metric]] = {}
    for kept in runs.values():
        for name, metric in kept.record.metrics.items():
            recorded.setdefault(name, []).append(metric)
    metrics: dict[str, Metric] = {}
    for name, found in recorded.items():
        metric = study.find_metric(name) or found[0]
        levels = [one.chance for one in found if one.chance is not None]
        if metric.chance is None and levels:
            metric = metric.model_copy(update={"chance": sum(levels) / len(levels)})
        metrics[name] = metric
    deciding = study.find_metric(study.decide.metric)
    if study.decide.metric not in metrics and deciding is not None:
        metrics[study.decide.metric] = deciding
    return metrics


def _frame_runs(runs: Kept) -> pd.DataFrame:
    rows = []
    for (level, seed), kept in runs.items():
        record = kept.record
        last = max((series.at[-1] for series in record.history if series.at), default=math.nan)
        facts = [record.facts.get(name) for name in FACTS]
        rows.append((level, seed, record.status, record.reason, last, *facts))
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, *FACTS])


def _frame_values(runs: Kept) -> pd.DataFrame:
    """Return a row for each value: those of histories, then those that stand for whole runs."""
    columns: dict[str, list[Any]] = {name: [] for name in VALUE_COLUMNS}
    for (level, seed), kept in runs.items():
        for series in kept.record.history:
            n = len(series.at)
            values = [math.nan if value is None else value for value in series.values]
            for name, part in zip(VALUE_COLUMNS, ([level] * n, [seed] * n, [series.metric] * n, [series.axis] * n,
                                                  series.at, values), strict=True):  # fmt: skip
                columns[name].extend(part)
        for metric, value in kept.record.final.items():
            for name, cell in zip(VALUE_COLUMNS, (level, seed, metric, END, math.nan, value), strict=True):
                columns[name].append(cell)
    return pd.DataFrame(columns)


def _find_resolutions(runs: Kept, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Return the smallest step of each accuracy: one example of its split, where the number of examples is known."""
    sizes = [kept.record.description.get("split_sizes") for kept in runs.values()]
    known = [size for size in sizes if isinstance(size, Mapping)]
    if not known:
        return {}
    steps = {}
    for name, metric in metrics.items():
        counts = [size.get(metric.split) for size in known]
        numbers = [count for count in counts if isinstance(count, int) and count > 0]
        if metric.scale == "fraction" and numbers:
            steps[name] = 1 / max(numbers)
    return steps


def _score_examples(runs: Kept) -> dict[str, dict[int, "np.ndarray[Any, Any]"]]:
    """Return by metric and level the score of each test example (n_seeds, n_test): right or wrong, or the absolute error.

    Only where every run of the level kept its predictions, of the same examples.
    """
    rows: dict[tuple[str, int], list[np.ndarray[Any, Any] | None]] = {}
    for (level, _), kept in runs.items():
        if kept.record.status != "completed":
            continue
        arrays = kept.load_arrays("test_predictions", "test_labels") if kept.record.arrays else {}
        predictions, labels = arrays.get("test_predictions"), arrays.get("test_labels")
        metric, scores = "test_accuracy", None
        if predictions is not None and labels is not None and predictions.shape == labels.shape:
            of_values = predictions.dtype.kind == "f"
            metric = "test_mae" if of_values else "test_accuracy"
            scores = abs(predictions - labels) if of_values else (predictions == labels)
            scores = scores.reshape(len(scores), -1).mean(axis=1).astype(np.float32)
        if metric in kept.record.final:
            rows.setdefault((metric, level), []).append(scores)
    found: dict[str, dict[int, np.ndarray[Any, Any]]] = {}
    for (metric, level), scored in rows.items():
        there = [row for row in scored if row is not None]
        if len(there) == len(scored) and len({len(row) for row in there}) == 1:
            found.setdefault(metric, {})[level] = np.stack(there)
    return found
