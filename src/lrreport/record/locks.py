"""Locks between processes; a waiting process reports which process holds the lock."""

import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lrreport.study.parsing import shorten

MOMENT = 0.2  # seconds that `is_held` may hold a lock


@contextmanager
def hold_lock(
    path: Path,
    notify: Callable[[str], None] = lambda line: None,
    cancelled: Callable[[], bool] = lambda: False,
    timeout: float | None = None,
) -> Iterator[None]:
    """Hold the lock of this path; if another process holds it, notify who it is and wait until it is done or has died.

    Raises TimeoutError after `timeout` seconds, or when `cancelled` returns true during the wait.
    """
    lock, owner = FileLock(path), path.with_suffix(".owner")
    try:
        try:
            lock.acquire(timeout=0 if timeout == 0 else MOMENT)
        except Timeout:
            if timeout == 0:
                raise
            notify(f"waiting for {describe_owner(path)}")
            lock.acquire(timeout=-1 if timeout is None else timeout, cancel_check=cancelled)
    except Timeout as err:
        raise TimeoutError(f"{path} is held by {describe_owner(path)}") from err
    try:
        with suppress(OSError):  # such as on a full disk: it is only for messages
            owner.write_text(json.dumps(_describe_self()), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Return whether a process that is alive holds the lock of this path."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def describe_owner(path: Path) -> str:
    """Return who holds a lock, for a message: its process, its command, and since when."""
    try:
        owner = json.loads(path.with_suffix(".owner").read_text(encoding="utf-8"))
        host = "" if owner["host"] == socket.gethostname() else f" on {owner['host']}"
        return f"process {owner['pid']}{host} ({shorten(owner['command'])}, since {owner['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has just taken or released the lock
        return "another process"


def _describe_self() -> dict[str, str | int]:
    command = shlex.join(
        [Path(sys.argv[0]).stem.replace("__main__", "lrreport").replace("cli", "lrreport"), *sys.argv[1:]]
    )
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shorten(command),
        "since": datetime.now().strftime("%H:%M:%S"),
    }
