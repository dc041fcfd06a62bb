"""Runs recorded while they log: matched by seed, and explained where they are missing."""

import json
from pathlib import Path
from typing import Any

import pytest

from lrreport.errors import FailedError
from lrreport.sweep.recorder import RunRecorder
from tests.sweep.logged import EXPECTED, make_run


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
