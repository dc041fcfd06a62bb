"""The folder of an import: list its files and read them safely."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lrreport.errors import LrreportError
from lrreport.sources.logs import SourceFile
from lrreport.sources.refusal import refuse_file

DEEPEST = 12  # folders below the root
MOST_FILES = 200_000
LARGEST_FILE = 1_000_000_000  # bytes
HOST_IN_EVENTS = re.compile(r"(events\.out\.tfevents\.\d+)\.(.+?)((?:\.\d+)*(?:\.v2)?)$")
HOST_IN_RUN = re.compile(r"([A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d)_[^/]+")  # the default folder of torch's SummaryWriter


def hide_host(path: str) -> str:
    """Return a path without the host names that TensorBoard writes into names of files and folders."""
    return HOST_IN_RUN.sub(r"\1", HOST_IN_EVENTS.sub(r"\1\3", path))


class Folder:
    """A folder of logs, or a single file in it: the only way to read them, which follows no link and limits sizes.

    `paths` are relative, with "/" on every system, and sorted so that version_2 stands before version_10.
    """

    def __init__(self, root: Path) -> None:
        try:
            self.root = root.resolve(strict=True)
        except (OSError, RuntimeError) as err:
            raise LrreportError(f"{root.name or root}: no such file or folder; name the folder of the logs") from err
        self.n_links = self.n_excluded = 0
        self.files: dict[str, SourceFile] = {}
        if self.root.is_file():
            self.paths = [self.root.name]
            self.root = self.root.parent
        else:
            self.paths = sorted(self._walk(), key=natural_key)

    def _walk(self) -> list[str]:
        paths: list[str] = []
        for parent, folders, names in os.walk(self.root):
            relative = PurePosixPath(Path(parent).relative_to(self.root).as_posix())
            if len(relative.parts) >= DEEPEST and folders:
                raise LrreportError(f"{relative}: more than {DEEPEST} folders deep; name a folder nearer to the logs")
            links = [name for name in folders + names if os.path.islink(os.path.join(parent, name))]
            self.n_links += len(links)
            folders[:] = [name for name in folders if name not in links and not name.startswith((".", "__"))]
            paths += [str(relative / name) for name in names if name not in links and not name.startswith(".")]
            if len(paths) > MOST_FILES:
                raise LrreportError(
                    f"{self.root.name}: more than {MOST_FILES:,} files; name a folder nearer to the logs"
                )
        return paths

    def select(self, patterns: Sequence[str], exclude: Sequence[str] = ()) -> "Folder":
        """Keep the paths that match a pattern and none of `exclude`, and return self.

        In a pattern ** is any path and * any name; paths also match without the host names that TensorBoard adds.
        """
        self.paths = self._match(patterns, "paths")
        if exclude:
            excluded = set(self._match(exclude, "exclude"))
            self.paths = [path for path in self.paths if path not in excluded]
            self.n_excluded += len(excluded)
            if not self.paths:
                raise LrreportError("import.exclude: leaves no file; exclude fewer")
        return self

    def _match(self, patterns: Sequence[str], key: str) -> list[str]:
        """Return the paths that match a pattern; every pattern must match a path."""
        for pattern in patterns:
            if pattern.startswith("/") or ".." in PurePosixPath(pattern).parts:
                raise LrreportError(f"import.{key}: {pattern} leads out of the folder; name paths below it")
        texts = {path: (path, hide_host(path)) for path in self.paths}
        matched: set[str] = set()
        for pattern in patterns:
            expression = _translate(pattern)
            fitting = {path for path in self.paths if any(map(expression.fullmatch, texts[path]))}
            if not fitting:
                raise LrreportError(f"import.{key}: no file fits {pattern}; there are {self._sample()}")
            matched |= fitting
        return [path for path in self.paths if path in matched]

    def _sample(self) -> str:
        return ", ".join(map(hide_host, self.paths[:3])) + (" ..." if len(self.paths) > 3 else "") or "no files"

    def locate(self, path: str) -> Path:
        """Return the full path of a file after checking that it is regular, in this folder and not too large."""
        file = self.root / path
        if file.is_symlink() or not file.is_file() or not file.resolve().is_relative_to(self.root):
            raise refuse_file(hide_host(path), "not a regular file of this folder", "copy it there")
        if file.stat().st_size > LARGEST_FILE:
            raise refuse_file(hide_host(path), f"larger than {LARGEST_FILE / 1e9:.0f} GB", "split it")
        return file

    def read(self, path: str) -> bytes:
        """Return a file's bytes and add it to `files`."""
        file = self.locate(path)
        try:
            content = file.read_bytes()
        except OSError as err:
            raise refuse_file(hide_host(path), f"cannot be read ({err.strerror})", "check its permissions") from err
        self.files[path] = SourceFile(hide_host(path), len(content), hashlib.sha256(content).hexdigest())
        return content

    def register(self, path: str) -> Path:
        """Return the full path of a file that another library will open, and add it to `files`."""
        file = self.locate(path)
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self.files[path] = SourceFile(hide_host(path), file.stat().st_size, digest)
        return file


def natural_key(path: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key that compares whole numbers in names by value and breaks ties, such as 0.1 and 0.01, by text."""
    parts = re.split(r"(\d+)", path)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], path


def parent(path: str) -> str:
    """Return the folder of a path, "" for a file at the root."""
    return path.rpartition("/")[0]


def _translate(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/?|\*|\?)", pattern.removeprefix("./").rstrip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces) + "(?:/.*)?")
