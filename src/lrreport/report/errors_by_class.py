"""Where networks err: accuracy of each class and the classes confused most, from stored predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from lrreport.inference.assessment import Assessment
from lrreport.record.record import KeptRecord
from lrreport.report.load import Seed
from lrreport.report.tables.results import order_rows

MOST_LEVELS, MOST_CLASSES, LARGEST = 8, 20, 300  # shown; and more classes than LARGEST are not read


@dataclass(frozen=True)
class ClassErrors:
    """Accuracy of each class by level (classes × levels), and by level the pair of classes confused most with its share.

    `base` is the level that the rest are compared with. `left_out` counts classes that are not shown.
    """

    levels: tuple[int, ...]
    base: int
    accuracy: pd.DataFrame
    confused: Mapping[int, tuple[str, str, float]]
    left_out: int


def find_errors(assessment: Assessment, records: Mapping[tuple[int, Seed], KeptRecord]) -> ClassErrors | None:
    """Return where the networks of the leading levels err on test; None where no predictions of classes are stored."""
    base = assessment.decision.leader
    if base is None:
        return None
    shown = order_rows(assessment, MOST_LEVELS)
    names: list[str] = []
    accuracy, confused = {}, {}
    for level in dict.fromkeys([base, *shown]):
        counts = []
        for (index, _), run in records.items():
            if index != level or run.record.status not in ("completed", "unknown"):
                continue
            names = names or list(map(str, run.record.description.get("class_names", ())))
            if not 1 < len(names) <= LARGEST:
                return None
            count = _count(run, len(names))
            if count is not None:
                counts.append(count)
        if counts:
            total = np.array(counts, dtype=float)  # (n_seeds, n_classes, n_classes): true classes down
            seen = total.sum(axis=2)
            with np.errstate(invalid="ignore", divide="ignore"):
                by_seed = total.diagonal(axis1=1, axis2=2) / seen
            accuracy[level] = np.where(seen.sum(axis=0) > 0, by_seed.mean(axis=0), np.nan)
            confused[level] = _find_pair(total, names)
    if base not in accuracy:
        return None
    frame = pd.DataFrame(accuracy, index=names)[sorted(accuracy)].dropna(how="all")
    left_out = max(0, len(frame) - MOST_CLASSES)
    if left_out:
        largest = frame.sub(frame[base], axis=0).abs().max(axis=1).sort_values(ascending=False, kind="stable").index
        frame = frame.loc[[name for name in frame.index if name in set(largest[:MOST_CLASSES])]]
    return ClassErrors(tuple(frame.columns), base, frame, confused, left_out)


def _count(run: KeptRecord, n: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]] | None":
    """Return how many test examples of each class (down) a run took for each (across); None without predictions."""
    arrays = run.load_arrays("test_labels", "test_predictions")
    if len(arrays) < 2 or any(array.dtype.kind not in "ui" or array.ndim != 1 for array in arrays.values()):
        return None
    labels, predictions = (arrays[name].astype(int) for name in ("test_labels", "test_predictions"))
    if len(labels) != len(predictions) or not len(labels) or max(labels.max(), predictions.max()) >= n:
        return None
    return np.bincount(labels * n + predictions, minlength=n * n).reshape(n, n)


def _find_pair(
    counts: "np.ndarray[tuple[int, int, int], np.dtype[np.float64]]", names: Sequence[str]
) -> tuple[str, str, float]:
    """Return the pair of classes confused most often, and the share of their examples that are confused."""
    both = counts.mean(axis=0)
    both = both + both.T
    seen = counts[0].sum(axis=1)
    a, b = max(combinations(range(len(names)), 2), key=lambda pair: both[pair])
    return names[a], names[b], float(both[a, b] / max(1.0, seen[a] + seen[b]))
