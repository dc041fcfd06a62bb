"""Prepared data on disk: made once, mapped into memory by every process that needs it, which share its pages."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

KEPT = 4  # files; each holds one division of one dataset, Fashion-MNIST 220 MB


def load_prepared(folder: Path, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the tensors and plain values that `make` gives, mapped from the file of this key.

    `key` names all that they depend on. The file is made by the first who asks, and made again if its SHA-256 is not the
    one noted beside it. Where it cannot be kept, such as on a full disk, the values stay in memory.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            values = _read(folder / f"{key}.pt")
            if values is None:
                values = make()
                _keep(folder / f"{key}.pt", values)
            return values
    except OSError:
        return make()


def find_prepared(folder: Path, key: str) -> dict[str, Any] | None:
    """Return what `load_prepared` has kept under this key, if it is still there and whole."""
    try:
        with FileLock(folder / ".lock"):
            return _read(folder / f"{key}.pt")
    except OSError:
        return None


def _read(path: Path) -> dict[str, Any] | None:
    if not _is_whole(path):
        return None
    os.utime(path)
    return dict(torch.load(path, mmap=True, weights_only=True))


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return found == path.with_suffix(".sha256").read_text(encoding="ascii")
    except (OSError, ValueError):
        return False


def _keep(path: Path, values: dict[str, Any]) -> None:
    """Write a file with its digest beside it, and remove those that were used longest ago."""
    temporary = path.with_suffix(".making")
    try:
        torch.save(values, temporary)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path.with_suffix(".sha256").write_text(digest, encoding="ascii")
        temporary.replace(path)
    except (OSError, RuntimeError):  # torch's word for a disk that is full
        temporary.unlink(missing_ok=True)
        return
    for old in sorted(path.parent.glob("*.pt"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
        for one in (old, old.with_suffix(".sha256")):
            with suppress(OSError):
                one.unlink()
