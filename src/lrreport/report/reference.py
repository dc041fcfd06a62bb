"""Do new runs agree with the reference, within tolerances that hold across kinds of CPU?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrreport.project import find_reference
from lrreport.record.record import RECORD, KeptRecord, RunRecord, load_runs

# One forward pass differs by rounding alone, and so do the first steps. After thousands of steps rounding has grown
# into what another order of the batches would do, so the end is compared as a mean over the seeds: an accuracy of five
# seeds has a standard error of about 0.2 points, and two such means differ by less than a point.
FIRST_STEPS = 20
UNTRAINED = "loss of each untrained network"
FIRST = f"loss at each of the first {FIRST_STEPS} steps"
TOLERANCES = {
    UNTRAINED: 1e-4,
    FIRST: 1e-3,
    "training loss, mean over seeds": 0.02,
    "training accuracy, mean over seeds": 0.006,
    "validation accuracy, mean over seeds": 0.01,
    "test accuracy, mean over seeds": 0.01,
}
MEANS = ("train_loss", "train_accuracy", "val_accuracy", "test_accuracy")
Made = Sequence[tuple[RunRecord, Mapping[str, Any]]]


def check_reference(made: Made, folder: Path | None = None) -> pd.DataFrame:
    """Return for each quantity whether new runs agree with the reference runs of the same settings and seeds.

    Without reference runs the frame has a single row that says so. Accuracies are fractions and losses nats.
    """
    reference = find_runs(folder or find_reference(), made)
    if len(reference) < len(made):
        return pd.DataFrame({"": ["No reference run has these settings, so there is nothing to compare."]})
    distances = measure_distances(made, reference)
    rows = [
        (name, f"{limit:g}", "yes" if distances[name] <= limit else f"no: {distances[name]:.6f} apart")
        for name, limit in TOLERANCES.items()
    ]
    return pd.DataFrame(rows, columns=["Quantity", "Tolerance", "Agrees with the reference"])


def find_runs(folder: Path, made: Made) -> list[KeptRecord]:
    """Return the completed reference runs that have the settings and the seeds of these."""
    runs = [run for path in sorted(folder.glob(f"*/{RECORD}")) for run in load_runs(path.parent)]
    return [
        run
        for record, _ in made
        for run in runs
        if run.record.seed == record.seed and run.record.final and _have_same_settings(run.record, record)
    ]


def _have_same_settings(reference: RunRecord, record: RunRecord) -> bool:
    """Return whether all settings agree that decide; older records lack settings that were added since."""
    return all(record.settings.get(name) == value for name, value in reference.settings.items() if name != "device")


def measure_distances(made: Made, reference: Sequence[KeptRecord]) -> dict[str, float]:
    """Return how far runs are from the reference in each quantity that has a tolerance."""
    untrained, steps = [], []
    for (record, arrays), run in zip(made, reference, strict=True):
        untrained.append(abs(_read_first(record, "val_loss") - _read_first(run.record, "val_loss")))
        theirs = run.load_arrays("step_losses")["step_losses"][:FIRST_STEPS]
        steps.append(float(np.abs(arrays["step_losses"][:FIRST_STEPS] - theirs).max()))
    ours = pd.DataFrame([record.final for record, _ in made])
    means = ours.mean() - pd.DataFrame([run.record.final for run in reference]).mean()
    return {UNTRAINED: max(untrained), FIRST: max(steps)} | dict(
        zip(list(TOLERANCES)[2:], means.reindex(MEANS).abs().tolist(), strict=True)
    )


def _read_first(record: RunRecord, metric: str) -> float:
    values = [series.values[0] for series in record.history if series.metric == metric]
    return float("nan") if not values or values[0] is None else values[0]
