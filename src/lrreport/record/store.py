"""The runs kept in outputs/runs: which of a study's are fresh, missing or stale and why; promote, list and prune them."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lrreport import FailedError, LrreportError
from lrreport.provenance import Identity
from lrreport.record import RECORD, NewerRecordError, Record, load_any_record
from lrreport.sweep.locks import is_held

MOST_CHANGES = 8  # that are named when two runs differ


@dataclass(frozen=True)
class RunState:
    """One run of a study: `fresh` if its record is kept, `damaged` if that cannot be used.

    `stale` if only a record of other code or versions is kept.
    """

    identity: Identity
    status: Literal["fresh", "missing", "stale", "damaged"]
    reason: str = ""


@dataclass(frozen=True)
class KeptRun:
    """A run in the store: its size in bytes, its age in seconds, and its record or why that cannot be used."""

    key: str
    n_bytes: int
    age: float
    record: Record | None
    problem: str = ""


@dataclass(frozen=True)
class Store:
    """The folder that keeps finished runs, each in a folder named by its key."""

    root: Path

    def folder(self, identity: Identity) -> Path:
        """Return where this run is, or will be, kept."""
        return self.root / identity.key

    def has(self, identity: Identity) -> bool:
        """Return whether the run is kept: a run exists if and only if its record does."""
        return (self.folder(identity) / RECORD).exists()

    def find_damage(self, identity: Identity) -> str:
        """Return why a kept run cannot be used, in one line, or nothing.

        Raises NewerRecordError for a run that a newer version of lrreport keeps here.
        """
        try:
            record = load_any_record(self.folder(identity))
        except NewerRecordError:
            raise
        except LrreportError as err:
            return str(err)
        if record.identity != identity:
            return f"{self.folder(identity)}: holds another run ({describe_changes(identity, record.identity)})"
        return ""

    def lock(self, key: str) -> Path:
        """Return the path of the lock that whoever makes or removes this run holds."""
        make_folder(self.root / ".locks")
        return self.root / ".locks" / f"{key}.lock"

    def make_workspace(self, identity: Identity) -> Path:
        """Return a new folder for a run in the making, on the file system where it will be kept; its lock must be held."""
        make_folder(self.root)
        workspace = Path(tempfile.mkdtemp(prefix=f".{identity.key}-", dir=self.root))
        workspace.chmod(0o755)  # a kept run is for everybody to read
        return workspace

    def clear_leftovers(self) -> None:
        """Remove the workspaces of processes that were killed: those whose run nobody is making any more."""
        for left in self.root.glob(".*-*"):
            if not is_held(self.lock(left.name[1:].partition("-")[0])):
                shutil.rmtree(left, ignore_errors=True)

    def promote(self, workspace: Path, identity: Identity) -> Path:
        """Move a finished run from its workspace to where it is kept, and return that folder.

        It appears there whole or not at all, even if the machine stops. Raises FailedError if its record is missing,
        broken or of another run.
        """
        try:
            record = load_any_record(workspace)
        except LrreportError as err:
            raise FailedError(str(err)) from err
        if record.identity != identity:
            changes = describe_changes(record.identity, identity)
            raise FailedError(f"{workspace}: the run changed while it was made ({changes}); make it again")
        folder = self.folder(identity)
        for path in [*workspace.iterdir(), workspace]:
            _sync(path)
        if folder.exists():  # damaged, or it would not be made again
            shutil.rmtree(folder)
        os.replace(workspace, folder)
        _sync(self.root)
        return folder

    def inspect(self, identities: list[Identity]) -> list[RunState]:
        """Return the state of each run; what a stale one differs in from the nearest record kept is its reason."""
        states = [self._inspect_kept(identity) for identity in identities]
        if None not in states:
            return [state for state in states if state is not None]
        kept = [run.record.identity for run in self.list_runs() if run.record is not None]
        return [state or _explain_absence(one, kept) for state, one in zip(states, identities, strict=True)]

    def _inspect_kept(self, identity: Identity) -> RunState | None:
        if not self.has(identity):
            return None
        damage = self.find_damage(identity)
        return RunState(identity, "damaged" if damage else "fresh", damage)

    def list_runs(self) -> Iterator[KeptRun]:
        """Yield every run kept, in the order of their keys."""
        for folder in sorted(path for path in self.root.glob("[!.]*") if path.is_dir()):
            record, problem = None, ""
            try:
                record = load_any_record(folder)
            except LrreportError as err:  # broken, or of a newer schema: no reason to stop an unrelated study
                problem = str(err)
            stats = [path.stat() for path in folder.iterdir()] or [folder.stat()]
            age = time.time() - max(stat.st_mtime for stat in stats)
            yield KeptRun(folder.name, sum(stat.st_size for stat in stats), age, record, problem)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove runs, but not one that somebody is making."""
        for key in keys:
            if not is_held(self.lock(key)):
                folder = self.root / key
                (folder / RECORD).unlink(missing_ok=True)  # first, since without it the run is none
                shutil.rmtree(folder)


def _explain_absence(identity: Identity, kept: list[Identity]) -> RunState:
    """Return the state of a run that is not kept: missing, or stale if one with its parameters is."""
    alike = [old for old in kept if old.parameters.keys() == identity.parameters.keys() and _shares_rate(old, identity)]
    if not alike:
        return RunState(identity, "missing")
    nearest = min(alike, key=lambda old: len(compare_identities(old, identity)))
    reason = describe_changes(nearest, identity)
    if nearest.parameters != identity.parameters or nearest.data.keys() != identity.data.keys():
        return RunState(identity, "missing", f"the nearest that is kept differs: {reason}")
    return RunState(identity, "stale", reason)


def _shares_rate(one: Identity, other: Identity) -> bool:
    return one.parameters.get("learning_rate") == other.parameters.get("learning_rate")


def _sync(path: Path) -> None:
    """Have a file or folder written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot do this with folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raise LrreportError if that or writing into it is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise LrreportError(
            f"{folder}: cannot make this folder ({err.strerror}); choose another with --outputs"
        ) from err
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LrreportError(f"{folder}: cannot write into this folder; choose another with --outputs")


def describe_changes(old: Identity, new: Identity) -> str:
    """Return what changed from one identity to another, in one line."""
    changes = compare_identities(old, new)
    more = [f"and {len(changes) - MOST_CHANGES} more"] if len(changes) > MOST_CHANGES else []
    return "; ".join(changes[:MOST_CHANGES] + more) or "nothing that can be named"


def compare_identities(old: Identity, new: Identity) -> list[str]:
    """Return what changed from one identity to another, in words."""
    changes = _compare(old.parameters, new.parameters)
    if old.notebook != new.notebook:
        changes.append("the notebook's code changed")
    changes += [f"{module} changed" for module in _differing(old.code, new.code)]
    if old.parameters.get("dataset") == new.parameters.get("dataset"):  # another one has other files
        changes += [f"data file {name} changed" for name in _differing(old.data, new.data)]
    return changes + _compare({"torch": old.torch, "device": old.device}, {"torch": new.torch, "device": new.device})


def _compare(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [f"{key} {_show(old.get(key))} → {_show(new.get(key))}" for key in _differing(old, new)]


def _differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _show(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)
