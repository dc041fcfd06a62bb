"""Does a new record agree with the reference, within tolerances that hold from one kind of CPU to another?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrreport.record import RunRecord
from lrreport.report.results import REFERENCE, Results, load_results, wrap_record
from lrreport.report.table import Table

# One forward pass differs by rounding alone, and so do the first steps. After thousands of steps rounding has grown
# into what another order of the batches would do, so the end is compared as a mean over the seeds: an accuracy of five
# seeds has a standard error of about 0.2 points, and two such means differ by less than a point.
FIRST_STEPS = 20
TOLERANCES = {
    "loss of each untrained network": 1e-4,
    f"loss at each of the first {FIRST_STEPS} steps": 1e-3,
    "training loss, mean over seeds": 0.02,
    "training accuracy, mean over seeds": 0.006,
    "validation accuracy, mean over seeds": 0.01,
    "test accuracy, mean over seeds": 0.01,
}


def check_reference(record: RunRecord, arrays: Mapping[str, Any], folder: Path = REFERENCE) -> Table:
    """Return for each quantity whether a record agrees with the reference run of the same settings.

    Without such a run the table is empty and its caption says so.
    """
    columns = ["Quantity", "Tolerance", "Agrees with the reference"]
    if not (folder / "study.json").exists():
        return Table(pd.DataFrame(columns=columns), "There is no reference yet.")
    reference = load_results(folder)
    assert isinstance(reference, Results)  # of the default study, which has one axis
    settings = [one.identity.parameters for one in reference.records.values()]
    if record.identity.parameters not in settings:
        return Table(
            pd.DataFrame(columns=columns), "No reference run has these settings, so there is nothing to compare."
        )
    distances = measure_distances(wrap_record(record), arrays, reference)
    rows = [
        (name, f"{limit:g}", "yes" if distances[name] <= limit else f"no: {distances[name]:.6f} apart")
        for name, limit in TOLERANCES.items()
    ]
    caption = "Accuracies are fractions and losses nats. Tolerances allow for rounding that differs from CPU to CPU."
    return Table(pd.DataFrame(rows, columns=columns), caption)


def measure_distances(ours: Results, arrays: Mapping[str, Any], reference: Results) -> dict[str, float]:
    """Return how far a record is from the reference in each quantity that has a tolerance."""
    rate = ours.rates[0]
    theirs = reference.step_losses(rate)
    steps = [arrays[f"step_losses_{seed}"][:FIRST_STEPS] - losses[:FIRST_STEPS] for seed, losses in theirs.items()]
    untrained = [one.curves(rate, "val_loss").loc[0] for one in (ours, reference)]
    metrics = ("train_loss", "train_accuracy", "val_accuracy", "test_accuracy")
    means = [abs(ours.values(rate, metric).mean() - reference.values(rate, metric).mean()) for metric in metrics]
    first = [float((untrained[0] - untrained[1]).abs().max()), float(np.abs(steps).max())]
    return dict(zip(TOLERANCES, [*first, *map(float, means)], strict=True))
