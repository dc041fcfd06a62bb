"""The store of finished runs in outputs/runs: inspect a study's runs, promote, list and remove runs."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lrreport.errors import FailedError, LrreportError, NewerRecordError
from lrreport.record.files import sync_path
from lrreport.record.locks import hold_lock, is_held
from lrreport.record.provenance import Identity
from lrreport.record.record import RECORD, RangeRecord, Record, load_record, load_runs

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # failures of the disk, not of the input
MOST_CHANGES = 8  # that are named when two runs differ


@dataclass(frozen=True)
class RunState:
    """The state of a run of a study: `fresh` if its record is in the store, `damaged` if that cannot be used.

    `stale` if only a record of other code or versions is in the store.
    """

    identity: Identity
    status: Literal["fresh", "missing", "stale", "damaged"]
    reason: str = ""


@dataclass(frozen=True)
class KeptRun:
    """A run in the store: its size in bytes, its age in seconds, and its records or why they cannot be used.

    There is a single record, or a record per seed where it is of schema 1.
    """

    key: str
    n_bytes: int
    age: float
    records: tuple[Record, ...]
    problem: str = ""


@dataclass(frozen=True)
class Store:
    """The folder of finished runs, each in a folder named by its key."""

    root: Path

    def folder(self, identity: Identity) -> Path:
        """Return the folder of this run in the store."""
        return self.root / identity.key

    def has(self, identity: Identity) -> bool:
        """Return whether the store has the run: a run exists if and only if its record does."""
        return (self.folder(identity) / RECORD).exists()

    def find_damage(self, identity: Identity) -> str:
        """Return why a stored run cannot be used, in a single line, or an empty string.

        Raises NewerRecordError for a run written by a newer version of lrreport.
        """
        try:
            record = load_record(self.folder(identity))
        except NewerRecordError:
            raise
        except LrreportError as err:
            return str(err)
        if record.identity != identity:
            return f"{self.folder(identity)}: holds another run ({describe_changes(identity, record.identity)})"
        return ""

    def lock(self, key: str) -> Path:
        """Return the path of the lock that is held while this run is made or removed."""
        make_folder(self.root / ".locks")
        return self.root / ".locks" / f"{key}.lock"

    def lock_use(self) -> Path:
        """Return the path of the lock that is held while a study notes which runs it uses, and during pruning."""
        return self.lock("use")

    def make_workspace(self, identity: Identity) -> Path:
        """Return a new folder for an execution, on the file system where its runs will be kept.

        It is named by the first of its runs, whose lock must be held.
        """
        make_folder(self.root)
        workspace = Path(tempfile.mkdtemp(prefix=f".{identity.key}-", dir=self.root))
        workspace.chmod(0o755)  # a stored run is readable by everybody
        return workspace

    def clear_leftovers(self) -> None:
        """Remove the workspaces of processes that were killed: those whose run no process is making."""
        for left in self.root.glob(".*-*"):
            if not is_held(self.lock(left.name[1:].partition("-")[0])):
                shutil.rmtree(left, ignore_errors=True)

    def promote(self, workspace: Path, identity: Identity) -> Path:
        """Move a finished run from its execution's workspace into the store, and return its folder.

        The move is atomic and durable, even if the machine stops. Raises FailedError if its record is missing, broken or of
        another run, OSError if it cannot be written to the disk.
        """
        made = workspace / identity.key
        try:
            record = load_record(made)
        except LrreportError as err:
            others = [path.name for path in workspace.iterdir() if (path / RECORD).exists()]
            if others and not made.exists():
                raise FailedError(self._describe_change(workspace / others[0], identity)) from err
            raise FailedError(str(err)) from err
        if record.identity != identity:
            raise FailedError(self._describe_change(made, identity))
        folder = self.folder(identity)
        made.chmod(0o755)
        for path in [*made.iterdir(), made]:
            sync_path(path)
        if folder.exists():  # damaged, or it would not be made again
            shutil.rmtree(folder)
        os.replace(made, folder)
        sync_path(self.root)
        return folder

    def _describe_change(self, made: Path, identity: Identity) -> str:
        try:
            changes = describe_changes(load_record(made).identity, identity)
        except LrreportError as err:
            return str(err)
        return f"{made.parent}: the run changed while it was made ({changes}); make it again"

    def inspect(self, identities: list[Identity]) -> list[RunState]:
        """Return the state of each run; the reason of a stale run is how it differs from the nearest record."""
        states = [self._inspect_stored(identity) for identity in identities]
        if None not in states:
            return [state for state in states if state is not None]
        stored = [record.identity for run in self.list_runs() for record in run.records]
        return [state or _explain_absence(wanted, stored) for state, wanted in zip(states, identities, strict=True)]

    def _inspect_stored(self, identity: Identity) -> RunState | None:
        if not self.has(identity):
            return None
        damage = self.find_damage(identity)
        return RunState(identity, "damaged" if damage else "fresh", damage)

    def list_runs(self) -> Iterator[KeptRun]:
        """Yield every run in the store, in the order of their keys."""
        for folder in sorted(path for path in self.root.glob("[!.]*") if path.is_dir()):
            records, problem = tuple[Record, ...](), ""
            try:
                records = _load_any(folder)
            except LrreportError as err:  # broken, or of a newer schema: no reason to stop an unrelated study
                problem = str(err)
            try:
                stats = [path.stat() for path in folder.iterdir()] or [folder.stat()]
            except OSError:  # it has just been removed
                continue
            age = max(0.0, time.time() - max(stat.st_mtime for stat in stats))
            yield KeptRun(folder.name, sum(stat.st_size for stat in stats), age, records, problem)

    def remove(self, key: str) -> bool:
        """Remove a run unless another process makes or reads it; return whether it was removed."""
        try:
            with hold_lock(self.lock(key), timeout=0):
                folder = self.root / key
                (folder / RECORD).unlink(missing_ok=True)  # first: without its record a run does not exist
                shutil.rmtree(folder, ignore_errors=True)
                return True
        except TimeoutError:
            return False


def _load_any(folder: Path) -> tuple[Record, ...]:
    """Return the records in a folder: a run, a range test, or the runs of a record of schema 1."""
    try:
        return tuple(run.record for run in load_runs(folder))
    except NewerRecordError:
        raise
    except LrreportError:
        record = load_record(folder)
        if isinstance(record, RangeRecord):
            return (record,)
        raise


def _explain_absence(identity: Identity, stored: list[Identity]) -> RunState:
    """Return the state of a run that is not in the store: missing, or stale if its settings and seed are there."""
    alike = [old for old in stored if old.settings.get("learning_rate") == identity.settings.get("learning_rate")]
    alike = [old for old in alike if old.seed == identity.seed and old.settings.keys() & identity.settings.keys()]
    if not alike:
        return RunState(identity, "missing")
    nearest = min(alike, key=lambda old: len(compare_identities(old, identity)))
    reason = describe_changes(nearest, identity)
    if nearest.settings != identity.settings or nearest.data.keys() != identity.data.keys():
        return RunState(identity, "missing", f"the nearest stored run differs: {reason}")
    return RunState(identity, "stale", reason)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; raise LrreportError if it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        kind = FailedError if err.errno in DISK_TROUBLE else LrreportError
        raise kind(f"{folder}: cannot make this folder ({err.strerror}); choose another with --outputs") from err
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LrreportError(f"{folder}: cannot write into this folder; choose another with --outputs")


def describe_changes(old: Identity, new: Identity) -> str:
    """Return the changes between two identities in a single line."""
    changes = compare_identities(old, new)
    more = [f"and {len(changes) - MOST_CHANGES} more"] if len(changes) > MOST_CHANGES else []
    return "; ".join(changes[:MOST_CHANGES] + more) or "nothing that can be named"


def compare_identities(old: Identity, new: Identity) -> list[str]:
    """Return the changes between two identities, in words."""
    changes = _compare(flatten(old.settings), flatten(new.settings))
    changes += [f"{name} changed" for name in _differing(old.producer, new.producer)]
    if old.settings.get("dataset") == new.settings.get("dataset"):  # another dataset has other files
        changes += [f"data file {name} changed" for name in _differing(old.data, new.data)]
    changes += _compare(old.versions, new.versions)
    return changes + _compare({"seed": old.seed, "device": old.device}, {"seed": new.seed, "device": new.device})


def flatten(settings: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Return nested settings by path: {"optimizer": {"name": "sgd"}} → {"optimizer.name": "sgd"}."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{within}.{name}" if within else name
        flat |= flatten(value, path) if isinstance(value, Mapping) else {path: value}
    return flat


def _compare(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [f"{key} {_show(old.get(key))} → {_show(new.get(key))}" for key in _differing(old, new)]


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _show(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)
