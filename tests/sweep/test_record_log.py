"""Records made from logged lines, and the reasons why lines are no run of the study."""

import json
from pathlib import Path
from typing import Any

import pytest

from lrreport import log
from lrreport.errors import FailedError
from lrreport.sweep.record_log import make_record
from tests.sweep.logged import EXPECTED, NAMES, make_run, read


def fail(lines: list[Any], tmp_path: Path) -> str:
    """Return the error for these lines."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (tmp_path / "log").write_text(text)
    with pytest.raises(FailedError) as error:
        make_record(read(tmp_path / "log").runs[0], make_run(), EXPECTED, {})
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400
    return str(error.value)


def test_a_completed_run_becomes_a_record(listening: Path) -> None:
    log.run(learning_rate=0.1, seed=0)
    for value in (0.5, 0.6, 0.7):
        log.epoch(val_accuracy=value, val_loss=1 - value)
    log.point(step=300, train_loss=0.25)
    log.end(test_accuracy=0.65, val_accuracy=0.69)
    record = make_record(read(listening).runs[0], make_run(), EXPECTED, {"host": "here"})
    assert record.status == "completed"
    assert record.final == {
        "val_accuracy": 0.69,
        "val_loss": pytest.approx(0.3),
        "train_loss": 0.25,
        "test_accuracy": 0.65,
    }
    assert [(series.metric, series.axis, series.at) for series in record.history] == [
        ("val_accuracy", "epoch", (1, 2, 3)), ("val_loss", "epoch", (1, 2, 3)), ("train_loss", "step", (300,)),
    ]  # fmt: skip
    assert set(record.metrics) == set(NAMES)


def test_a_run_that_diverges_ends_before_it(listening: Path) -> None:
    log.run(seed=0)
    log.epoch(val_accuracy=0.5)
    log.epoch(val_accuracy=float("nan"))
    log.epoch(val_accuracy=0.1)
    log.end(test_accuracy=0.1)
    record = make_record(read(listening).runs[0], make_run(), EXPECTED, {})
    assert (record.status, record.final, record.history[0].values) == ("diverged", {}, (0.5,))


@pytest.mark.parametrize("line", ['{"epoch": 1, "val_accuracy": NaN}', '{"epoch": 1, "val_accuracy": 1e999}'])
def test_numbers_that_are_not_finite_mean_divergence(tmp_path: Path, line: str) -> None:
    (tmp_path / "log").write_text(f'{{"run": {{}}}}\n{line}\n{{"end": "completed"}}')
    assert make_record(read(tmp_path / "log").runs[0], make_run(), EXPECTED, {}).status == "diverged"


def test_null_without_divergence_is_a_point_that_was_not_measured(tmp_path: Path) -> None:
    lines = [
        '{"epoch": 1, "val_accuracy": null, "val_loss": 1}',
        '{"epoch": 2, "val_accuracy": 0.5}',
        '{"end": "completed"}',
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    record = make_record(read(tmp_path / "log").runs[0], make_run(), EXPECTED, {})
    assert [(series.metric, series.at) for series in record.history] == [("val_loss", (1,)), ("val_accuracy", (2,))]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([{"epoch": 1, "val_auc": 0.5}, {"end": "completed"}],
         'it logged val_auc, which the study does not know; declare it in the study: [metrics.val_auc] with better = "higher" or "lower"'),
        ([{"epoch": 1, "val_loss": 0.5}, {"end": "completed"}],
         "it logged val_loss but not val_accuracy, which the study decides on; log it, or change [decide]"),
        ([{"epoch": 1, "val_accuracy": 87.3}, {"end": "completed"}],
         "it logged val_accuracy = 87.3, above the limit of 1; log a fraction, not a percentage"),
        ([{"epoch": 1, "val_accuracy": -0.1}, {"end": "completed"}], "it logged val_accuracy = -0.1, below the limit of 0"),
        ([{"epoch": 1, "val_accuracy": 0.5}, {"epoch": 1, "val_accuracy": 0.5}, {"end": "completed"}],
         "it logged val_accuracy at epoch 1 twice; points must ascend"),
        ([{"epoch": 3, "val_accuracy": 0.5}, {"epoch": 2, "val_accuracy": 0.5}, {"end": "completed"}],
         "it logged val_accuracy at epoch 2 after epoch 3; points must ascend"),
        ([{"run": {"learning_rate": 0.2}}, {"end": "completed"}],
         "it logged learning_rate = 0.2 but was started with 0.1; use the value that it gets"),
        ([{"run": {}}, {"end": "failed", "reason": "no\nluck"}], "it ended as failed: no luck"),
        ([{"run": {}}, {"end": "\x1b[31m" * 1000}], None),
        ([{"run": {}}, "no JSON"], None),
        ([{"run": {}}, [1, 2]], None),
        ([{"run": {}}, "[" * 100_000], None),
        ([{"run": {}}, {"val_accuracy": 0.5}], 'line 2 of its log has no epoch or step: {"val_accuracy": 0.5}'),
        ([{"run": {}}, {"epoch": None}], "line 2 of its log: epoch is not a finite number"),
        ([{"run": {}}, {"epoch": 1, "val_accuracy": "high"}], "line 2 of its log: val_accuracy = high is not a number"),
        ([{"run": {}}, {"epoch": 1, "val_accuracy": True}], "line 2 of its log: val_accuracy = True is not a number"),
        ([{"run": {}}, {"epoch": 1, "x" * 900_000: 1}, {"end": "completed"}], None),
        ([{"run": {}}, {"epoch": 1, "x": "y" * 1_100_000}], "line 2 of its log has more than 1,000,000 bytes; log numbers only"),
        ([{"run": {}}, {"epoch": 1, **{f"m{n}": 1 for n in range(300)}}, {"end": "completed"}],
         "it logged 300 metrics, at most 200 are recorded; log fewer"),
    ],
)  # fmt: skip
def test_lines_that_are_no_run_have_a_single_line_error(tmp_path: Path, lines: list[Any], expected: str | None) -> None:
    error = fail(lines, tmp_path)
    assert expected is None or error == expected


def test_learning_rates_and_norms_are_no_outcomes(tmp_path: Path) -> None:
    line = {"epoch": 1, "val_accuracy": 0.5, "lr": 0.1, "grad_norm": 3.0, "step": 10}
    (tmp_path / "log").write_text(f'{json.dumps(line)}\n{{"end": "completed"}}')
    assert set(make_record(read(tmp_path / "log").runs[0], make_run(), EXPECTED, {}).metrics) == {"val_accuracy"}
