"""Locks between real processes: who waits, for whom, and what a death leaves."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrreport.record.locks import describe_owner, hold_lock, is_held

HOLD = """
import sys, time
from pathlib import Path
from lrreport.record.locks import hold_lock
with hold_lock(Path(sys.argv[1]), lambda line: print(line, flush=True)):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def start(path: Path, seconds: float) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first = start(path, 2)
    assert read_line(first) == "held"
    assert is_held(path)
    second = start(path, 0)
    printed = read_line(second)
    assert re.fullmatch(rf"waiting for process {first.pid} \(.*, since \d\d:\d\d:\d\d\)", printed), printed
    assert read_line(second) == "held"
    assert first.wait() == second.wait() == 0
    assert not is_held(path)
    assert describe_owner(path) == "another process"


def test_a_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    process = start(path, 1000)
    assert read_line(process) == "held"
    process.kill()
    process.wait()
    messages: list[str] = []
    with hold_lock(path, messages.append):
        assert is_held(path)
    assert messages == []


def test_waiting_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    process = start(path, 1000)
    assert read_line(process) == "held"
    until = time.monotonic() + 0.5
    with pytest.raises(TimeoutError), hold_lock(path, lambda line: None, lambda: time.monotonic() > until):
        pass
    process.kill()
    process.wait()


def test_a_lock_that_is_held_at_once_waits_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with hold_lock(path), pytest.raises(TimeoutError, match=r"is held by process \d+"), hold_lock(path, timeout=0):
        pass


def test_an_owner_is_one_short_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["lrreport", "report", "a\nb\x1b[31m" + "x" * 900_000])
    with hold_lock(tmp_path / "a.lock"):
        owner = describe_owner(tmp_path / "a.lock")
    assert owner.isprintable()
    assert len(owner) < 200


def test_a_full_disk_does_not_prevent_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with hold_lock(tmp_path / "a.lock"):
        assert describe_owner(tmp_path / "a.lock") == "another process"
