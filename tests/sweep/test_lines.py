"""Lines that user code logs: writing, reading, and failures of a run in a single line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lrreport import log
from lrreport.sweep.lines import LogReader


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
