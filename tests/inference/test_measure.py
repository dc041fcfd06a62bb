"""From records to measurements, tables at the point where runs are compared, and the next look."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lrreport.errors import LrreportError
from lrreport.inference.assessment import assess
from lrreport.inference.looks import choose_next
from lrreport.inference.measure import measure
from lrreport.inference.measurements import collect_curves, find_point, tabulate_scores
from lrreport.record.provenance import Identity
from lrreport.record.record import KeptRecord, RunRecord, declare_metrics, make_series, save_record
from lrreport.study.study import parse_study
from lrreport.testing import make_measurements

STUDY = {"name": "made", "vary": {"learning_rate": [0.1, 0.01]}, "seeds": [0, 1, 2]}
IDENTITY = {"settings": {}, "data": {}, "producer": {}, "device": "cpu", "versions": {}}


def keep(seed: int, accuracy: float, folder: Path | None = None, **changes: Any) -> KeptRecord:
    metrics = declare_metrics(
        ["val_accuracy", "val_loss", "test_accuracy"], {"val_accuracy": 0.1, "test_accuracy": 0.1}
    )
    history = (make_series("val_accuracy", [0.1, accuracy / 2, accuracy]), make_series("val_loss", [2.3, 1.0, 0.5]))
    values: dict[str, Any] = {
        "identity": Identity(seed=seed, **IDENTITY), "settings": {}, "seed": seed, "status": "completed", "metrics": metrics,
        "history": history, "final": {"val_accuracy": accuracy, "val_loss": 0.5, "test_accuracy": 0.75},
        "description": {"split_sizes": {"train": 100, "validation": 50, "test": 4}}, "facts": {"host": "a", "cpu": "x"},
    }  # fmt: skip
    record = RunRecord(**(values | changes))
    if folder is None:
        return KeptRecord(record)
    arrays = {
        "test_predictions": np.array([0, 1, 1, 0], dtype=np.uint8),
        "test_labels": np.array([0, 1, 1, 1], dtype=np.uint8),
    }
    return KeptRecord(save_record(folder / str(seed), record, arrays), folder / str(seed))  # type: ignore[arg-type]


def test_records_become_frames(tmp_path: Path) -> None:
    study = parse_study(STUDY, "made")
    records = {(1, 0): keep(0, 0.72), (0, 1): keep(1, 0.84, tmp_path), (0, 0): keep(0, 0.8, tmp_path)}
    records[1, 1] = keep(
        1, 0.52, status="diverged", reason="loss", final={}, history=(make_series("val_accuracy", [0.1]),)
    )
    made = measure(study, records)
    assert made.runs[["level", "seed", "status"]].to_numpy().tolist() == [
        [0, 0, "completed"], [0, 1, "completed"], [1, 0, "completed"], [1, 1, "diverged"]]  # fmt: skip
    assert made.paired
    assert made.planned == (0, 1, 2)
    assert made.metric.chance == 0.1
    assert made.resolution == {"val_accuracy": 0.02, "test_accuracy": 0.25}
    assert made.examples["test_accuracy"][0][1].tolist() == [True, True, True, False]
    assert made.list_missing() == [(0, 2), (1, 2)]
    assessment = assess(made)
    assert assessment.decision.table.n_failed.tolist() == [0, 1]
    assert assessment.estimate_score(0, "test_accuracy")[1] == 4
    assert assessment.estimate_score(1, "test_accuracy")[1] == 0


@pytest.mark.parametrize(("quantity", "expected"), [("accuracy", 0.2), ("mae", 2.0)])
def test_guessing_reaches_the_best_that_a_record_names(quantity: str, expected: float) -> None:
    names = [f"val_{quantity}"]
    records = {
        (0, seed): keep(
            seed, 0.5, metrics=declare_metrics(names, {names[0]: chance}), history=(), final={names[0]: 0.5}
        )
        for seed, chance in enumerate((0.1, 0.2) if quantity == "accuracy" else (3.0, 2.0))
    }
    study = parse_study(STUDY | {"decide": {"metric": names[0]}}, "made")
    assert measure(study, records).metric.chance == expected


def test_errors_of_numbers_are_identified_by_their_means(tmp_path: Path) -> None:
    mae = declare_metrics(["val_mae", "test_mae"])
    run = keep(0, 0.5, metrics=mae, history=(), final={"val_mae": 0.5, "test_mae": 0.5})
    arrays = {"test_predictions": np.array([1.0, 2.0]), "test_labels": np.array([1.5, 1.5])}
    saved = KeptRecord(save_record(tmp_path, run.record, arrays), tmp_path)  # type: ignore[arg-type]
    study = parse_study(STUDY | {"decide": {"metric": "val_mae"}}, "made")
    assert measure(study, {(0, 0): saved}).examples["test_mae"][0][0].tolist() == [0.5, 0.5]


def test_values_of_0_and_1_alone_do_not_count_as_rounded() -> None:
    """F1 is no multiple of 1 / examples; a score of 1.0, or a loss of 0.0, in every seed has all its digits."""
    metrics = declare_metrics(["val_f1", "val_loss"])
    history = (make_series("val_f1", [0.33947, 1.0]), make_series("val_loss", [0.0, 0.0]))
    records = {
        (level, seed): keep(seed, 0.8, metrics=metrics, history=history, final={})
        for level in (0, 1)
        for seed in range(3)
    }
    assessment = assess(measure(parse_study(STUDY | {"decide": {"metric": "val_f1"}}, "made"), records))
    assert assessment.resolutions == {"val_f1": 0.02, "val_loss": pytest.approx(6e-8)}
    assert assessment.decision.table.low.min() > 0.98


def test_a_metric_that_no_run_has_is_refused() -> None:
    study = parse_study(STUDY | {"decide": {"metric": "val_f1"}}, "made")
    with pytest.raises(
        LrreportError, match=r"no run has the metric 'val_f1'; the runs have val_accuracy, val_loss, test_accuracy$"
    ):
        measure(study, {(0, 0): keep(0, 0.8)})


def test_a_producer_of_the_user_is_paired_only_if_it_says_so() -> None:
    for paired in (False, True):
        study = parse_study(STUDY | {"producer": {"command": "python train.py", "paired": paired}}, "made")
        assert measure(study, {(0, 0): keep(0, 0.8)}).paired is paired


def score(at: Any, metric: str = "val_accuracy", **options: Any) -> list[float]:
    curves = {"val_accuracy": {0.1: [[0.1, 0.6, 0.9, 0.8]], 0.01: [[0.1, 0.5, 0.7, 0.75]]},
              "val_loss": {0.1: [[2.3, 0.5, 0.6, 0.7]], 0.01: [[2.3, 0.9, 0.8, 0.7]]}}  # fmt: skip
    made = make_measurements(curves=curves, at=at, finals={"test_accuracy": {0.1: [0.77], 0.01: [0.72]}}, **options)
    curves = collect_curves(made)
    return [float(value) for value in tabulate_scores(made, curves, find_point(made, curves), metric).iloc[0]]


def test_scores_are_read_at_the_point_that_decides() -> None:
    assert score("last") == [0.8, 0.75]
    assert score(2.0) == [0.9, 0.7]
    assert score("best of val_accuracy") == [0.9, 0.75]
    assert score("best of val_loss") == [0.6, 0.75]
    assert all(map(math.isnan, score(7.0)))
    assert score(2.0, "test_accuracy") == [0.77, 0.72]  # of the whole run, wherever metrics with curves are compared


def test_the_end_is_the_last_value_of_each_run() -> None:
    made = make_measurements(curves={"val_accuracy": {0.1: [[0.1, 0.6, 0.9]], 0.01: [[0.1, 0.5]]}}, at="end")
    curves = collect_curves(made)
    point = find_point(made, curves)
    assert point.text == "at the end of each run"
    assert tabulate_scores(made, curves, point, "val_accuracy").iloc[0].tolist() == [0.9, 0.5]


def test_runs_that_crashed_or_stopped_are_missing_and_not_failed() -> None:
    made = make_measurements(
        {0.1: [0.8, 0.81, 0.8], 0.01: [0.7, 0.71, 0.7]}, statuses={(0, 2): "stopped", (1, 0): "failed"}
    )
    assessment = assess(made)
    assert assessment.decision.table.n_runs.tolist() == [2, 2]
    assert assessment.decision.table.n_failed.tolist() == [0, 0]
    assert made.list_missing() == [(0, 2), (1, 0)]


def test_the_loss_and_the_counterparts_are_selected_by_split() -> None:
    made = make_measurements({0.1: [0.8]}, finals={"val_loss": {0.1: [0.5]}, "test_accuracy": {0.1: [0.7]}})
    assert made.find_loss().name == "val_loss"  # type: ignore[union-attr]
    assert made.find_counterpart("test").name == "test_accuracy"  # type: ignore[union-attr]
    assert made.find_counterpart("final_train") is None
    alone = make_measurements({0.1: [0.8]}, metric="val_rmse")
    assert alone.find_loss().name == "val_rmse"  # type: ignore[union-attr]


def test_the_next_look_doubles_the_seeds_of_what_may_be_the_best() -> None:
    wide = (0.03, -0.04, 0.02, 0.035, -0.045)
    made = make_measurements(
        {0.1: [0.8 + w for w in wide], 0.01: [0.8, 0.801, 0.8, 0.799, 0.8], 0.001: [0.5, 0.51, 0.5, 0.49, 0.5]}
    )
    decision = assess(made).decision
    assert choose_next(decision, {0: 5, 1: 5, 2: 5}, 20) == {0: 10, 1: 10, 2: 5}
    assert choose_next(decision, {0: 5, 1: 5, 2: 5}, 8) == {0: 8, 1: 8, 2: 5}
    assert choose_next(decision, {0: 5, 1: 5, 2: 5}, 5) is None
    clear = assess(make_measurements({0.1: [0.9, 0.91, 0.9], 0.01: [0.5, 0.51, 0.5]})).decision
    assert choose_next(clear, {0: 3, 1: 3}, 20) is None


def test_an_import_plans_the_seeds_it_has_unless_it_lists_them() -> None:
    records = {(0, 4): keep(4, 0.8), (0, 7): keep(7, 0.82)}
    unlisted = {key: value for key, value in STUDY.items() if key != "seeds"}
    assert measure(parse_study(unlisted | {"import": {"from": "table"}}, "made"), records).planned == (4, 7)
    assert measure(parse_study(STUDY | {"import": {"from": "table"}}, "made"), records).planned == (0, 1, 2)
    assert measure(parse_study(unlisted, "made"), records).planned != (4, 7)


def test_of_two_axes_a_curve_takes_epochs() -> None:
    made = make_measurements(curves={"val_accuracy": {0.1: [[0.1, 0.6, 0.9]]}})
    steps = made.values.assign(axis="step", at=100 * made.values["at"])
    for frames in ([made.values, steps], [steps, made.values]):
        curves = collect_curves(replace(made, values=pd.concat(frames)))
        assert curves["val_accuracy"].index.name == "epoch"
        assert curves["val_accuracy"].index.tolist() == [0, 1, 2]


def test_a_hole_in_another_curve_leaves_its_best_point() -> None:
    curves = {"val_accuracy": {0.1: [[0.1, 0.6, 0.9, 0.8]]}, "val_loss": {0.1: [[2.3, 0.5, math.nan, 0.7]]}}
    made = make_measurements(curves=curves, at="best of val_loss")
    curves = collect_curves(made)
    assert tabulate_scores(made, curves, find_point(made, curves), "val_accuracy")[0].tolist() == [0.6]
