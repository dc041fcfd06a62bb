"""Atomic and durable writing of files, and their digests."""

import errno
import glob
import hashlib
import os
from contextlib import suppress
from pathlib import Path

NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)  # where a file system cannot sync a folder
LONGEST_NAME = 200  # bytes; most file systems allow 255, and a dot and a process id are added


def replace_file(path: Path, content: bytes) -> None:
    """Write a file atomically and durably, even if the machine stops; raises OSError if that fails."""
    stem = _name_temporary(path.name)
    for left in path.parent.glob(f"{glob.escape(stem)}.*"):
        if not _is_running(left.suffix[1:]):  # by a process that was killed
            left.unlink(missing_ok=True)
    temporary = path.with_name(f"{stem}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_path(path.parent)


def _name_temporary(name: str) -> str:
    """Return the hidden name of the temporary file, a digest where the name would be too long."""
    encoded = os.fsencode(name)
    return f".{name}" if len(encoded) <= LONGEST_NAME else f".{hashlib.sha256(encoded).hexdigest()[:32]}"


def sync_path(path: Path) -> None:
    """Flush a file or folder to the disk; raises OSError if that fails."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as err:
        if not path.is_dir() or err.errno not in NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def _is_running(pid: str) -> bool:
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
