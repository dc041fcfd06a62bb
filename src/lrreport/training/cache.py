"""Prepared data on disk: made once, mapped into memory by every process that needs it, which share its pages."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
import torch
from filelock import FileLock

KEPT = 4  # files; each holds one dataset, Fashion-MNIST 220 MB
OWN_FILE, OWN_FOLDER = 0o644, 0o755
WRITABLE_BY_OTHERS = 0o022
KEY = "made from"  # under which a file holds its key


def load_prepared(folder: Path, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the tensors and plain values that `make` returns, mapped from the file of this key.

    `key` is a digest of all that they depend on. The file is made by the first process that needs it, and again if its
    SHA-256 differs from the recorded digest. Only files and folders are used that nobody but their owner, the user or
    root, can write; else the user's cache. Where nothing can be kept the values stay in memory.
    """
    for candidate in _list_folders(folder):
        values = _read(candidate, key)
        if values is not None:
            return values
    for candidate in _list_folders(folder):
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            if not _make_private(candidate):
                continue
            with FileLock(candidate / ".lock"):
                values = _read(candidate, key)
                if values is None:
                    values = make()
                    _keep(candidate, key, values)
                return values
        except OSError:  # read-only, or full
            continue
    return make()


def find_prepared(folder: Path, key: str) -> dict[str, Any] | None:
    """Return what `load_prepared` has kept under this key, or None if it is no longer there or damaged."""
    return next((values for candidate in _list_folders(folder) if (values := _read(candidate, key)) is not None), None)


def _list_folders(folder: Path) -> list[Path]:
    return list(dict.fromkeys([folder, platformdirs.user_cache_path("lrreport") / folder.name]))


def is_trusted(path: Path) -> bool:
    """Return whether a file or folder is the user's or root's, and nobody else can write it."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & WRITABLE_BY_OTHERS


def _make_private(folder: Path) -> bool:
    """Take the right to write a folder of the user's from others; return whether it can be trusted then."""
    if folder.stat().st_uid == os.geteuid() and not is_trusted(folder):
        folder.chmod(OWN_FOLDER)
    return is_trusted(folder)


def _read(folder: Path, key: str) -> dict[str, Any] | None:
    path = folder / f"{key[:16]}.pt"
    if not (is_trusted(folder) and is_trusted(path) and _is_whole(path)):
        return None
    with suppress(OSError):
        os.utime(path)
    try:
        values = dict(torch.load(path, mmap=True, weights_only=True))
    except Exception:  # whatever torch raises for a file that is none of its own
        return None
    return values if values.pop(KEY, None) == key else None


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest == path.with_suffix(".sha256").read_text(encoding="ascii")
    except (OSError, ValueError):
        return False


def _keep(folder: Path, key: str, values: dict[str, Any]) -> None:
    """Write a file with its digest beside it, and remove those that were used longest ago."""
    path = folder / f"{key[:16]}.pt"
    temporary = path.with_suffix(".making")
    try:
        torch.save(values | {KEY: key}, temporary)
        temporary.chmod(OWN_FILE)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path.with_suffix(".sha256").write_text(digest, encoding="ascii")
        temporary.replace(path)
    except (OSError, RuntimeError):  # torch's word for a disk that is full
        temporary.unlink(missing_ok=True)
        return
    for old in sorted(folder.glob("*.pt"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
        for leftover in (old, old.with_suffix(".sha256")):
            with suppress(OSError):
                leftover.unlink()
