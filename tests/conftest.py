"""What the tests share: the repository, and results made of literal numbers."""

import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lrreport.provenance import Identity
from lrreport.record import EpochRow, RunRecord, Score, SeedResult
from lrreport.report.results import Results
from lrreport.study import Study, parse_study

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On continuous integration everything is installed, so a test that skips has not done its work."""
    report = yield
    if report.skipped and os.environ.get("LRREPORT_CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped on continuous integration: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


def make_study(rates: Sequence[float], seeds: Sequence[int], epochs: int, **settings: Any) -> Study:
    fixed = {"dataset": "sample", "validation_size": 500, "epochs": epochs}
    vary = {"learning_rate": list(rates), "seed": list(seeds)}
    return parse_study({"name": "made", "vary": vary, "fixed": fixed, **settings}, "test")


def make_row(epoch: int, val_loss: float, val_accuracy: float, train_loss: float) -> EpochRow:
    return EpochRow(
        epoch=epoch,
        train_loss=train_loss,
        train_accuracy=val_accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        cpu_seconds=1.0 if epoch else 0.0,
    )


Curves = dict[float, list[list[tuple[float, float]]]]


@pytest.fixture(scope="session")
def make_results() -> Callable[..., Results]:
    """Make results from curves: rate -> for each seed the (validation loss, validation accuracy) of epochs 1, 2, …

    The untrained network has loss 2.3 and accuracy 0.1; a seed without epochs has diverged. Test accuracy is the last
    validation accuracy, training loss the validation loss.
    """

    def make(curves: Curves, **settings: Any) -> Results:
        n_seeds = max(len(seeds) for seeds in curves.values())
        epochs = max(1, *(len(curve) for seeds in curves.values() for curve in seeds), 1)
        study = make_study(list(curves), range(n_seeds), epochs, **settings)
        records = {}
        for parameters in study.runs():
            seeds = []
            for seed, curve in enumerate(curves[parameters.learning_rate]):
                rows = [make_row(0, 2.3, 0.1, 2.3)]
                rows += [make_row(epoch, loss, accuracy, loss) for epoch, (loss, accuracy) in enumerate(curve, start=1)]
                last = Score(loss=rows[-1].val_loss, accuracy=rows[-1].val_accuracy)
                final = {"train": last, "validation": last, "test": last} if curve else {}
                status = "completed" if curve else "diverged"
                seeds.append(SeedResult(seed=seed, status=status, epochs=tuple(rows), **final))
            records[parameters.learning_rate] = RunRecord(
                identity=Identity(
                    parameters=parameters.model_dump(mode="json"), notebook="", code={}, data={}, torch="", device="cpu"
                ),
                split_sizes={"train": 1500, "validation": 500, "test": 1000},
                class_names=tuple("abcdefghij"),
                n_parameters=1,
                seeds=tuple(seeds),
            )
        return Results(study, records, {})

    return make
