"""What the tests share: the repository, and results made of literal numbers."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrreport.provenance import Identity
from lrreport.record import EpochRow, RunRecord, Score, SeedResult, save_record
from lrreport.report.freshness import CONTENTS, describe_contents
from lrreport.report.results import Results
from lrreport.study import Parameters, Study, parse_study

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
    """Write the folder of a large study, with records of drawn numbers as a sweep would leave them.

    The best rate lies in the middle; the highest diverges for one seed in its second half.
    """

    def write(folder: Path, n_rates: int, n_seeds: int, n_epochs: int) -> Path:
        rng = np.random.default_rng(0)
        rates = [float(f"{rate:.3g}") for rate in np.geomspace(1, 1e-5, n_rates)]
        study = make_study(
            rates, range(n_seeds), n_epochs, title=f"{n_rates} rates, {n_seeds} seeds, {n_epochs} epochs"
        )
        folders = {}
        for parameters in study.runs():
            rate = parameters.learning_rate
            record, arrays = draw_record(rng, study, parameters, broken=rate == max(rates))
            folders[rate] = f"../runs/{record.identity.key}"
            (folder / folders[rate]).mkdir(parents=True, exist_ok=True)
            save_record(folder / folders[rate], record, arrays)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONTENTS).write_text(describe_contents(study, folders))
        return folder

    return write


def draw_record(
    rng: np.random.Generator, study: Study, parameters: Parameters, broken: bool
) -> tuple[RunRecord, dict[str, Any]]:
    """Return a record and its arrays, with numbers drawn around a curve of this rate."""
    n_epochs, per_epoch, far = study.fixed.epochs, 24, abs(np.log10(parameters.learning_rate / 10**-2.5))
    arrays: dict[str, Any] = {"test_labels": np.arange(1000, dtype=np.uint8) % 10}
    seeds = []
    for seed in parameters.seeds:
        n = max(1, n_epochs // 2) if broken and seed == 0 else n_epochs
        losses = 0.3 + 0.3 * far + 2 * np.exp(-np.arange(n + 1) / (1 + far)) + rng.normal(0, 0.01, n + 1)
        rows = tuple(
            make_row(epoch, float(loss), float(1 / (1 + loss)), float(loss)) for epoch, loss in enumerate(losses)
        )
        arrays[f"step_losses_{seed}"] = rng.normal(losses[-1], 0.1, per_epoch * n).astype(np.float32)
        final = {}
        if n == n_epochs:
            last = Score(loss=rows[-1].val_loss, accuracy=rows[-1].val_accuracy)
            final = {"train": last, "validation": last, "test": last}
            arrays[f"test_predictions_{seed}"] = rng.integers(0, 10, 1000).astype(np.uint8)
        seeds.append(SeedResult(seed=seed, status="completed" if final else "diverged", epochs=rows, **final))
    identity = Identity(parameters=parameters.model_dump(mode="json"), notebook="0" * 64, code={"training/loop.py": "1" * 64},
                        data={"images": "2" * 64}, torch="2.13.0", device="cpu")  # fmt: skip
    facts = {"commit": "3" * 40, "python": "3.11.2", "packages": {"torch": "2.13.0"}}
    record = RunRecord(identity=identity, split_sizes={"train": 1500, "validation": 500, "test": 1000}, n_parameters=109386,
                       class_names=tuple("abcdefghij"), seeds=tuple(seeds), facts=facts)  # fmt: skip
    return record, arrays
