"""Without a terminal a sweep says once a minute how far it is and how long it will take."""

from pathlib import Path

import pytest

from lrreport.record.record import PROGRESS
from lrreport.sweep.producer import Run
from lrreport.sweep.progress import Progress
from tests.sweep.tiny import make_runs


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as the progress reads it: to be set by the test."""
    now = [1000.0]
    monkeypatch.setattr("lrreport.sweep.progress.time.monotonic", lambda: now[0])
    return now


def read_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_line_a_minute_says_how_many_epochs_are_done_and_what_is_left(
    tmp_path: Path, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_runs(tmp_path, {0.1: [0, 1], 0.2: [0, 1]})
    n_epochs = sum(run.n_epochs for run in runs)
    progress = Progress()
    progress.start(runs)
    progress.watch(tmp_path, runs[:2])
    printed: dict[float, list[str]] = {}
    for seconds, n_done in ((1, 0), (59, 1), (60, 1), (119, 2), (121, 2), (130, 3)):
        (tmp_path / PROGRESS).write_bytes(b"." * n_done)
        clock[0] = 1000 + seconds
        progress.show()
        printed[seconds] = read_lines(capsys)
    left = [max(1, round(seconds / n_done * (n_epochs - n_done) / 60)) for seconds, n_done in ((60, 1), (121, 2))]
    assert printed == {
        1: [],
        59: [],
        60: [f"lrreport: 1 of {n_epochs} epochs, about {left[0]} min left"],
        119: [],
        121: [f"lrreport: 2 of {n_epochs} epochs, about {left[1]} min left"],
        130: [],
    }
    progress.forget(tmp_path)
    progress.finish(runs)
    clock[0] += 60
    progress.show()
    assert read_lines(capsys) == [f"lrreport: {n_epochs} of {n_epochs} epochs"]
    progress.close()


def test_runs_of_unknown_length_are_counted_whole(
    tmp_path: Path, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        Run(run.label, run.identity, run.producer, run.level, n_epochs=0)
        for run in make_runs(tmp_path, {0.1: [0, 1, 2]})
    ]
    progress = Progress()
    progress.start(runs)
    progress.finish(runs[:1])
    clock[0] += 600
    progress.show()
    assert read_lines(capsys) == ["lrreport: 1 of 3 runs, about 20 min left"]
    progress.close()
