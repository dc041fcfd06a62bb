"""Records: what is written is what is read, and records of the first version are still read."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lrreport.errors import LrreportError, NewerRecordError
from lrreport.record.provenance import Identity
from lrreport.record.record import (
    RunRecord,
    Series,
    declare_metrics,
    digest_contents,
    keep_records,
    load_arrays,
    load_record,
    load_runs,
    make_series,
    save_record,
)

SCHEMA_1 = Path(__file__).parent / "data/schema1"


def make_record(**changes: object) -> RunRecord:
    settings = {"learning_rate": 0.1, "optimizer": {"name": "sgd", "momentum": 0.9}}
    fields = {
        "identity": Identity(settings=settings, seed=3, versions={"torch": "2.13.0"}),
        "settings": settings,
        "seed": 3,
        "status": "completed",
        "metrics": declare_metrics(["val_loss", "val_accuracy"], {"val_accuracy": 0.1}),
        "history": (make_series("val_loss", [2.3, 1.0, math.nan]),),
        "final": {"val_loss": 1.0, "val_accuracy": 0.5},
    }
    return RunRecord(**{**fields, **changes})  # type: ignore[arg-type]


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    arrays = {"step_losses": np.arange(3, dtype=np.float32), "test_labels": np.arange(4, dtype=np.uint8)}
    saved = save_record(tmp_path / "run", make_record(), arrays)
    [kept] = load_runs(tmp_path / "run")
    assert kept.record == saved
    assert kept.record.history[0].values == (2.3, 1.0, None)
    assert kept.record.metrics["val_accuracy"].chance == 0.1
    arrays = kept.load_arrays("step_losses", "test_predictions")
    assert list(arrays) == ["step_losses"]
    assert arrays["step_losses"].tolist() == [0.0, 1.0, 2.0]


def test_the_digest_is_that_of_the_contents_however_they_are_laid_out(tmp_path: Path) -> None:
    two = (make_series("val_loss", [2.3, 1.0, math.nan]), make_series("val_accuracy", [0.1, 0.25], first=1))
    save_record(tmp_path / "run", make_record(history=two), {})
    path = tmp_path / "run/record.json"
    text = path.read_text()
    contents = json.loads(text)
    assert [json.loads(line.strip().rstrip(",")) for line in text.splitlines() if '"at"' in line] == contents["history"]
    assert contents.pop("digest") == digest_contents(contents)
    path.write_text(json.dumps(json.loads(text), indent=1))
    assert load_record(tmp_path / "run").history == two
    for before, after in (
        ("0.25", "0.75"),
        ('"epoch"', '"step"'),
        ("2.3, 1.0", "2.3,  1.5"),
        ('"seed": 3', '"seed": 4'),
    ):
        path.write_text(text.replace(before, after))
        assert path.read_text() != text
        with pytest.raises(LrreportError, match=r"record\.json: changed since it was recorded"):
            load_record(tmp_path / "run")


def test_a_record_needs_nothing_that_a_producer_does_not_have(tmp_path: Path) -> None:
    bare = RunRecord(identity=Identity(settings={"lr": 1}), settings={"lr": 1}, status="unknown")
    save_record(tmp_path / "run", bare, {})
    assert not (tmp_path / "run/arrays.npz").exists()
    [kept] = load_runs(tmp_path / "run")
    assert (kept.record, kept.load_arrays("step_losses")) == (bare, {})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"final": {"val_f1": 0.5}}, "val_f1 is measured but not declared"),
        ({"history": (make_series("val_loss", [1.0]),) * 2}, "a metric has two series on the same axis"),
        ({"seed": 4}, "identity: belongs to another run"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make_record(**changes)


def test_a_series_is_whole_and_ascends() -> None:
    with pytest.raises(ValueError, match="has 2 points and 1 values"):
        Series(metric="loss", axis="step", at=(1, 2), values=(1.0,))
    with pytest.raises(ValueError, match="do not ascend"):
        Series(metric="loss", axis="step", at=(2, 2), values=(1.0, 1.0))


def test_every_byte_of_a_record_and_its_arrays_counts(tmp_path: Path) -> None:
    save_record(tmp_path / "run", make_record(), {"step_losses": np.zeros(3)})
    for name, old, new in (("record.json", b"0.9", b"0.8"), ("arrays.npz", b"PK", b"KP")):
        path = tmp_path / "run" / name
        content = path.read_bytes()
        path.write_bytes(content.replace(old, new, 1))
        with pytest.raises(LrreportError, match="make the run again"):
            load_record(tmp_path / "run")
        path.write_bytes(content)
    load_record(tmp_path / "run")


def test_a_newer_record_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(json.dumps({"schema_version": 3}))
    with pytest.raises(
        NewerRecordError, match=r"made by a newer version of lrreport \(schema 3; this version reads 2\)"
    ):
        load_record(tmp_path)


def test_arrays_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", step_losses=np.array([object()], dtype=object))
    with pytest.raises(LrreportError, match="cannot be read"):
        load_arrays(tmp_path)


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    assert keep_records("", [(make_record(), {})]) == "Not kept: run_dir is empty."
    record = make_record()
    assert keep_records(str(tmp_path), [(record, {})]) == f"Kept as {record.identity.key}."
    assert load_record(tmp_path / record.identity.key) == record


def test_records_of_schema_1_are_read_as_a_run_for_each_seed() -> None:
    folders = [path for path in SCHEMA_1.iterdir() if path.is_dir()]
    runs = {
        (kept.record.settings["learning_rate"], kept.record.seed): kept for path in folders for kept in load_runs(path)
    }
    assert sorted(runs) == [(rate, seed) for rate in (0.0001, 0.0005, 0.001) for seed in range(5)]
    contents = {
        old["identity"]["parameters"]["learning_rate"]: old
        for old in (json.loads((path / "record.json").read_text()) for path in folders)
    }
    for (rate, seed), kept in runs.items():
        old = next(run for run in contents[rate]["seeds"] if run["seed"] == seed)
        assert kept.record.final["test_accuracy"] == old["test"]["accuracy"]
        assert kept.record.final["val_loss"] == old["epochs"][-1]["val_loss"]
        losses = next(series for series in kept.record.history if series.metric == "val_loss")
        assert list(losses.values) == [row["val_loss"] for row in old["epochs"]]
        assert kept.record.settings["model"] == {
            "name": "mlp", "hidden_sizes": [128, 64], "activation": "relu", "dropout": 0.0,
        }  # fmt: skip
        arrays = kept.load_arrays("step_losses", "test_predictions", "test_labels")
        assert arrays["step_losses"].shape == (4300,)
        right = float((arrays["test_predictions"] == arrays["test_labels"]).mean())
        assert right == pytest.approx(old["test"]["accuracy"])
