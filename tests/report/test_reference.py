"""Runs beside the reference: equal runs agree, deviations are named, and without a reference a single row says so."""

from pathlib import Path

import numpy as np
import pytest

from lrreport.record.provenance import Identity
from lrreport.record.record import RunRecord, declare_metrics, keep_records, load_runs, make_series
from lrreport.report.reference import FIRST, TOLERANCES, UNTRAINED, check_reference

FINAL = ("train_loss", "train_accuracy", "val_accuracy", "test_accuracy")


def make_run(seed: int = 0, shift: float = 0.0, **settings: object):  # type: ignore[no-untyped-def]
    values = {"learning_rate": 0.1, "device": "auto"} | settings
    record = RunRecord(
        identity=Identity(settings=values, seed=seed), settings=values, seed=seed, status="completed",
        metrics=declare_metrics(("val_loss", *FINAL)), history=(make_series("val_loss", [2.3 + shift, 1.0]),),
        final=dict.fromkeys(FINAL, 0.5 + shift),
    )  # fmt: skip
    return record, {"step_losses": np.full(30, 1.0 + shift, np.float32)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keep_records(str(tmp_path), [make_run(0), make_run(1)])
    return tmp_path


def test_equal_runs_agree_whatever_the_device(folder: Path) -> None:
    table = check_reference([make_run(1, device="cpu"), make_run(0, device="cpu")], folder)
    assert table["Quantity"].tolist() == list(TOLERANCES)
    assert set(table["Agrees with the reference"]) == {"yes"}


def test_other_numbers_are_named(folder: Path) -> None:
    table = check_reference([make_run(0), make_run(1, shift=0.05)], folder).set_index("Quantity")
    assert table.loc[UNTRAINED, "Agrees with the reference"] == "no: 0.050000 apart"
    assert table.loc[FIRST, "Agrees with the reference"] == "no: 0.050000 apart"
    assert table.loc["test accuracy, mean over seeds", "Agrees with the reference"] == "no: 0.025000 apart"


@pytest.mark.parametrize("made", [[make_run(2)], [make_run(0, learning_rate=0.2)], [make_run(0), make_run(5)]])
def test_without_runs_of_these_settings_a_single_row_says_so(folder: Path, made: list) -> None:  # type: ignore[type-arg]
    table = check_reference(made, folder)
    assert table.to_numpy().tolist() == [["No reference run has these settings, so there is nothing to compare."]]


def test_runs_of_schema_1_can_be_the_reference(repository: Path) -> None:
    folder = next((repository / "tests/record/data").rglob("record.json")).parent
    made = [(run.record, run.load_arrays("step_losses")) for run in load_runs(folder)]
    table = check_reference(made, folder.parent)
    assert set(table["Agrees with the reference"]) == {"yes"}
