"""Locks between real processes: who waits, for whom, and what a death leaves."""

import re
import subprocess
import sys
import time
from pathlib import Path

from lrreport.sweep.locks import describe_owner, hold, is_held

HOLD = """
import sys, time
from pathlib import Path
from lrreport.sweep.locks import hold
with hold(Path(sys.argv[1]), lambda line: print(line, flush=True)):
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
    said = read_line(second)
    assert re.fullmatch(rf"waiting for process {first.pid} \(.*, since \d\d:\d\d:\d\d\)", said), said
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
    said: list[str] = []
    with hold(path, said.append):
        assert is_held(path)
    assert said == []


def test_waiting_can_be_cancelled(tmp_path: Path) -> None:
    import pytest
    from filelock import Timeout

    path = tmp_path / "a.lock"
    process = start(path, 1000)
    assert read_line(process) == "held"
    until = time.monotonic() + 0.5
    with pytest.raises(Timeout), hold(path, lambda line: None, lambda: time.monotonic() > until):
        pass
    process.kill()
    process.wait()
