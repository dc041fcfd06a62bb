"""Documents on literal measurements, in the states that a study can be in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lrreport.inference.assessment import assess
from lrreport.inference.measurements import Measurements
from lrreport.record.contents import Contents
from lrreport.report.document import Document, make_document
from lrreport.report.load import LoadedReport, RangeCurve
from lrreport.study.factors import thaw
from lrreport.study.metrics import Metric
from lrreport.study.study import parse_study
from lrreport.testing import make_measurements


def build(measurements: Measurements, range_tests: Any = None, **study: Any) -> Document:
    """Return the document on measurements, of a study that varies the same values and whose runs come from elsewhere."""
    vary = {factor.name: [thaw(value) for value in factor.values] for factor in measurements.factors}
    settings = {"name": "made", "title": measurements.title, "vary": vary, "import": {"from": "table"}} | study
    loaded = LoadedReport(Contents(parse_study(settings, "made"), ()), {}, {}, range_tests or {}, is_reference=False)
    return make_document(loaded, assess(measurements))


@pytest.fixture(scope="session")
def build_document() -> Callable[..., Document]:
    return build


def make_curves(ends: dict[Any, list[float]], n: int = 10, seed: int = 0) -> dict[str, Any]:
    """Return curves of accuracy and loss that approach these ends, a seed each, from guessing and 2.3 nats."""
    rng = np.random.default_rng(seed)
    accuracy: dict[Any, list[list[float]]] = {}
    loss: dict[Any, list[list[float]]] = {}
    for level, finals in ends.items():
        steps = np.arange(n + 1)
        shapes = [1 - np.exp(-steps / 1.5) + rng.normal(0, 0.002, n + 1) * (steps > 0) for _ in finals]
        accuracy[level] = [
            list(0.1 + (end - 0.1) * np.append(shape[:-1], 1)) for end, shape in zip(finals, shapes, strict=True)
        ]
        loss[level] = [list(2.3 - 2.3 * end * shape) for end, shape in zip(finals, shapes, strict=True)]
    return {
        "val_accuracy": accuracy, "val_loss": loss, "train_accuracy": accuracy, "train_loss": loss,
        "cpu_seconds": {level: [[0.0] + [1.5] * n for _ in finals] for level, finals in ends.items()},
    }  # fmt: skip


SECONDS = Metric(name="cpu_seconds", label="CPU seconds", split="train", better="lower", unit="s")
ODD = 'a $x_1$ <b>"bold"</b> & ' + "very long name " * 6
THREE = {
    0.001: [0.872, 0.870, 0.867, 0.878, 0.880],
    0.0005: [0.871, 0.873, 0.869, 0.877, 0.877],
    0.0001: [0.856, 0.852, 0.856, 0.857, 0.851],
}


def make_three(**options: Any) -> Measurements:
    finals = {"test_accuracy": {level: [value - 0.005 for value in values] for level, values in THREE.items()}}
    return make_measurements(
        THREE, curves=make_curves(THREE), finals=finals, metrics={"cpu_seconds": SECONDS}, **options
    )


def make_many(n: int) -> dict[float, list[float]]:
    rng = np.random.default_rng(1)
    rates = [float(f"{rate:.4g}") for rate in np.geomspace(1e-5, 1, n)]
    return {rate: list(0.9 - 0.05 * abs(np.log10(rate) + 2.5) + rng.normal(0, 0.003, 3)) for rate in rates}


def make_state(name: str) -> Document:
    """Return the document on a study in one state."""
    grid = {(rate, size): [0.9 - 0.02 * abs(i - 1) - 0.01 * j + 0.001 * s for s in range(4)]
            for i, rate in enumerate((0.1, 0.01, 0.001)) for j, size in enumerate((32, 256))}  # fmt: skip
    sweep = np.geomspace(1e-6, 1, 100)
    losses = 2.3 - 1.5 / (1 + (3e-3 / sweep) ** 2) + np.where(sweep > 0.1, 5 * sweep, 0)
    rmse = {0.1: [3.2, 3.3, 3.1], 0.01: [2.1, 2.2, 2.0], 0.001: [4.0, 4.1, 4.2]}
    makers: dict[str, Callable[[], Document]] = {
        "three": lambda: build(make_three()),
        "failures": lambda: build(make_measurements({0.3: [None, None, None], 0.1: [0.9, 0.91, None], 0.01: [0.85, 0.86, 0.84]})),
        "none learns": lambda: build(make_measurements({0.3: [None, None], 0.1: [0.1, 0.1]})),
        "ties": lambda: build(make_measurements({0.1: [0.9, 0.9, 0.9], 0.01: [0.9, 0.9, 0.9]})),
        "undecided": lambda: build(make_measurements({0.1: [0.9, 0.8, 0.7], 0.01: [0.85, 0.75, 0.9], 0.001: [0.7, 0.9, 0.8]})),
        "one level": lambda: build(make_measurements({0.1: [0.9, 0.91, 0.92]})),
        "one seed": lambda: build(make_measurements({0.1: [0.9], 0.01: [0.8]})),
        "two seeds": lambda: build(make_measurements({0.1: [0.9, 0.91], 0.01: [0.8, 0.81]})),
        "far away": lambda: build(make_measurements({1.0: [0.25, 0.3, 0.2], 0.3: [0.953, 0.95, 0.955], 0.1: [0.943, 0.94, 0.945]})),
        "many levels": lambda: build(make_measurements(make_many(200))),
        "two factors": lambda: build(make_measurements(grid, factors=("learning_rate", "batch_size"))),
        "named factor": lambda: build(make_measurements(
            {"adam": [0.9, 0.91, 0.92], "sgd": [0.8, 0.82, 0.81], ODD: [0.7, 0.72, 0.71]}, factors=("optimizer",),
        )),
        "regression": lambda: build(make_measurements(rmse, metric="val_rmse", margin=0.2, chance=None)),
        "range test": lambda: build(make_three(), range_tests={"": RangeCurve(sweep, np.array([losses, losses + 0.01]))}),
        "steps": lambda: build(make_measurements(
            curves={"val_accuracy": {0.1: [[0.5, 0.8], [0.5, 0.82, 0.9]], 0.01: [[0.3, 0.6, 0.7], [0.2, 0.5, 0.6]]}},
            axis="step", paired=False,
        )),
    }  # fmt: skip
    return makers[name]()


STATES = (
    "three", "failures", "none learns", "ties", "undecided", "one level", "one seed", "two seeds", "far away", "many levels",
    "two factors", "named factor", "regression", "range test", "steps",
)  # fmt: skip


@pytest.fixture(scope="session")
def documents() -> dict[str, Document]:
    return {name: make_state(name) for name in STATES}


@pytest.fixture(params=STATES)
def document(request: pytest.FixtureRequest, documents: dict[str, Document]) -> Document:
    return documents[request.param]
