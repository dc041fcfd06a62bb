"""What the tests share: the repository, and results made of literal numbers."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrreport.bench import growth
from lrreport.bench.growth import make_row, make_study
from lrreport.provenance import Identity
from lrreport.record import RunRecord, Score, SeedResult
from lrreport.report.results import Results

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On continuous integration everything is installed, so a test that skips has not done its work.

    What a machine does not allow, such as mounting, is no fault of an installation.
    """
    report = yield
    if report.skipped and os.environ.get("LRREPORT_CI") and "this machine does not allow" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped on continuous integration: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


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


@pytest.fixture(scope="session")
def seal() -> Callable[[Path, dict[str, Any]], None]:
    """Write a record into a folder as somebody would who knows how its digest is made."""

    def seal(folder: Path, contents: dict[str, Any]) -> None:
        contents.pop("digest", None)
        digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
        (folder / "record.json").write_text(json.dumps(contents | {"digest": digest}))

    return seal


@pytest.fixture(scope="session")
def write_study() -> Callable[..., Path]:
    """Write the folder of a large study, with records of drawn numbers as a sweep would leave them."""
    return growth.write_study
