"""Lines that user code logs: writing, reading, and failures of a run in a single line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrreport import log
from lrreport.errors import FailedError
from lrreport.record.provenance import Identity
from lrreport.study.metrics import find_metric
from lrreport.sweep.lines import Expected, LogReader, RunRecorder, make_record
from lrreport.sweep.run import Run

NAMES = ("train_loss", "val_loss", "val_accuracy", "test_accuracy")
EXPECTED = Expected({name: find_metric(name) for name in NAMES}, ("val_accuracy",))  # type: ignore[misc]


def make_run(seed: int = 0) -> Run:
    identity = Identity(settings={"learning_rate": 0.1, "optimizer": {"name": "sgd"}}, seed=seed)
    return Run("learning rate 0.1", identity, None, 0)  # type: ignore[arg-type]


def read(path: Path) -> LogReader:
    reader = LogReader(path)
    reader.read(to_the_end=True)
    return reader


def fail(lines: list[Any], tmp_path: Path) -> str:
    """Return why these lines are no run."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (tmp_path / "log").write_text(text)
    with pytest.raises(FailedError) as error:
        make_record(read(tmp_path / "log").runs[0], make_run(), EXPECTED, {})
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400
    return str(error.value)


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRREPORT_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_nothing_is_written_when_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRREPORT_LOG", raising=False)
    monkeypatch.chdir(tmp_path)
    log.run(seed=0)
    log.epoch(val_accuracy="not even a number")
    log.point(step=1, val_loss=1)
    log.end(test_accuracy=None)
    assert not list(tmp_path.iterdir())


def test_lines_are_those_of_the_documented_form(listening: Path) -> None:
    log.run(learning_rate=0.1, seed=3)
    log.epoch(0, val_accuracy=0.1)
    log.epoch(val_accuracy=np.float32(0.5), train_loss=float("inf"))
    log.point(step=7, val_loss=1)
    log.end(test_accuracy=0.75)
    log.run(seed=4)
    log.epoch(val_accuracy=0.2)
    log.end("failed")
    assert [json.loads(line) for line in listening.read_text().splitlines()] == [
        {"run": {"learning_rate": 0.1, "seed": 3}},
        {"epoch": 0, "val_accuracy": 0.1},
        {"epoch": 1, "val_accuracy": 0.5, "train_loss": None, "status": "diverged"},
        {"step": 7, "val_loss": 1},
        {"end": "completed", "final": {"test_accuracy": 0.75}},
        {"run": {"seed": 4}},
        {"epoch": 1, "val_accuracy": 0.2},
        {"end": "failed", "final": {}},
    ]


def test_what_is_no_number_is_named_where_it_is_logged(listening: Path) -> None:
    with pytest.raises(TypeError, match="val_accuracy = 'high' is not a number"):
        log.epoch(val_accuracy="high")


def test_the_helper_needs_no_other_package() -> None:
    code = "import sys; import lrreport.log; print(sorted({name.split('.')[0] for name in sys.modules} & {'numpy', 'pydantic', 'psutil', 'torch'}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


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
def test_what_is_no_run_is_told_in_one_line(tmp_path: Path, lines: list[Any], expected: str | None) -> None:
    error = fail(lines, tmp_path)
    assert expected is None or error == expected


def test_learning_rates_and_norms_are_no_outcomes(tmp_path: Path) -> None:
    line = {"epoch": 1, "val_accuracy": 0.5, "lr": 0.1, "grad_norm": 3.0, "step": 10}
    (tmp_path / "log").write_text(f'{json.dumps(line)}\n{{"end": "completed"}}')
    assert set(make_record(read(tmp_path / "log").runs[0], make_run(), EXPECTED, {}).metrics) == {"val_accuracy"}


def test_a_log_is_read_while_it_grows(tmp_path: Path) -> None:
    """At every cut of the file, all that is read is what its complete lines say."""
    lines = [
        {"run": {"seed": 0}},
        {"epoch": 1, "val_accuracy": 0.5},
        {"end": "completed"},
        {"run": {"seed": 1}},
        {"epoch": 1},
    ]
    content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    path = tmp_path / "log"
    path.write_bytes(b"")
    reader = LogReader(path)
    n_points = 0
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        n_points += reader.read()
        assert len(reader.runs) == content[:end].count(b'}\n{"epoch": 1, ') + (content[:end].count(b"\n") >= 1) - (
            content[:end].count(b'}\n{"epoch": 1, ') > 0
        ) + (content[:end].count(b"\n") >= 4)  # fmt: skip
    assert n_points == 2
    assert [(run.seed, run.status) for run in reader.runs] == [(0, "completed"), (1, "")]


def keep(tmp_path: Path, seeds: list[int], lines: list[Any]) -> RunRecorder:
    (tmp_path / "log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    recorder = RunRecorder(tmp_path / "log", [make_run(seed) for seed in seeds], tmp_path, EXPECTED)
    recorder.refresh(to_the_end=True)
    return recorder


RUN = [{"epoch": 1, "val_accuracy": 0.5}, {"end": "completed"}]


def test_runs_are_matched_by_seed_or_in_order(tmp_path: Path) -> None:
    recorder = keep(tmp_path, [5, 6], [{"run": {"seed": 6}}, *RUN, {"run": {"seed": 5}}, *RUN])
    assert recorder.ended == {make_run(5).key, make_run(6).key}
    assert (tmp_path / make_run(6).key / "record.json").exists()
    assert keep(tmp_path, [5, 6], [*RUN]).ended == {make_run(5).key}
    with pytest.raises(FailedError, match="^it logged a run of seed 9, but the seeds of this start are 5, 6$"):
        keep(tmp_path, [5, 6], [{"run": {"seed": 9}}, *RUN])
    with pytest.raises(FailedError, match="^it logged seed 5 twice$"):
        keep(tmp_path, [5, 6], [{"run": {"seed": 5}}, *RUN, {"run": {"seed": 5}}, *RUN])


def test_what_is_missing_is_explained(tmp_path: Path) -> None:
    (run,) = [make_run()]
    nothing = keep(tmp_path, [0], [])
    assert nothing.describe_absence(run).startswith(
        "it logged nothing to the file that LRREPORT_LOG names; call lrreport.log"
    )
    cut = keep(tmp_path, [0], [{"run": {"seed": 0}}, RUN[0]])
    assert cut.find_current() == cut.runs[0]
    assert cut.describe_absence(cut.runs[0]) == (
        "its log stops after epoch 1, without a last line; call lrreport.log.end when the run is done"
    )
    second = keep(tmp_path, [0, 1], [{"run": {"seed": 0}}, *RUN])
    assert second.describe_absence(second.runs[1]) == "it logged no run of seed 1"
