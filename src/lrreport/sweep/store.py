"""The runs kept in outputs/runs: which of a study's are fresh, missing or stale and why; promote a new one."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from lrreport import LrreportError
from lrreport.provenance import Identity
from lrreport.record import RECORD, Record, RunRecord, load_record


@dataclass(frozen=True)
class RunState:
    """One run of a study: `fresh` if its record is kept; `stale` if only a record of other code or versions is."""

    identity: Identity
    status: Literal["fresh", "missing", "stale"]
    reason: str = ""


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

    def lock(self, identity: Identity) -> FileLock:
        """Return the lock that whoever makes this run holds."""
        locks = self.root / ".locks"
        make_folder(locks)
        return FileLock(locks / f"{identity.key}.lock")

    def make_workspace(self, identity: Identity) -> Path:
        """Return a new folder for a run in the making, on the file system where it will be kept; its lock must be held."""
        make_folder(self.root)
        for left in self.root.glob(f".{identity.key}-*"):  # by a process that was killed: we hold the run's lock
            shutil.rmtree(left, ignore_errors=True)
        workspace = Path(tempfile.mkdtemp(prefix=f".{identity.key}-", dir=self.root))
        workspace.chmod(0o755)  # a kept run is for everybody to read
        return workspace

    def promote(self, workspace: Path, identity: Identity, load: Callable[[Path], Record] = load_record) -> Path:
        """Move a finished run from its workspace to where it is kept, and return that folder.

        Raises LrreportError if its record is missing, broken or of another run.
        """
        record = load(workspace)
        if record.identity != identity:
            changes = "; ".join(compare_identities(record.identity, identity)) or "unknown"
            raise LrreportError(f"{workspace}: the run changed while it was made ({changes}); make it again")
        folder = self.folder(identity)
        if folder.exists():  # left by something that stopped between two steps: it has no record
            shutil.rmtree(folder)
        os.replace(workspace, folder)
        return folder

    def inspect(self, identities: list[Identity]) -> list[RunState]:
        """Return the state of each run; what a stale one differs in from the nearest record kept is its reason."""
        if all(map(self.has, identities)):
            return [RunState(identity, "fresh") for identity in identities]
        kept = [record.identity for record in self.load_all()]
        return [self._inspect(identity, kept) for identity in identities]

    def _inspect(self, identity: Identity, kept: list[Identity]) -> RunState:
        if self.has(identity):
            return RunState(identity, "fresh")
        rate = identity.parameters["learning_rate"]
        alike = [old for old in kept if old.parameters["learning_rate"] == rate and old.data == identity.data]
        if not alike:
            return RunState(identity, "missing")
        nearest = min(alike, key=lambda old: len(compare_identities(old, identity)))
        reason = "; ".join(compare_identities(nearest, identity))
        if nearest.parameters != identity.parameters:
            return RunState(identity, "missing", f"the nearest that is kept differs: {reason}")
        return RunState(identity, "stale", reason)

    def load_all(self) -> list[RunRecord]:
        """Return the record of every run kept that can be read, in the order of their keys."""
        records = []
        for path in sorted(self.root.glob(f"[!.]*/{RECORD}")):
            with suppress(LrreportError):  # broken, or of a newer schema: no reason to stop an unrelated study
                records.append(load_record(path.parent))
        return records


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


def compare_identities(old: Identity, new: Identity) -> list[str]:
    """Return what changed from one identity to another, in words."""
    changes = _compare(old.parameters, new.parameters)
    if old.notebook != new.notebook:
        changes.append("train.ipynb changed")
    changes += [f"{module} changed" for module in _differing(old.code, new.code)]
    changes += [f"data file {name} changed" for name in _differing(old.data, new.data)]
    return changes + _compare({"torch": old.torch, "device": old.device}, {"torch": new.torch, "device": new.device})


def _compare(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [f"{key} {_show(old.get(key))} → {_show(new.get(key))}" for key in _differing(old, new)]


def _differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _show(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)
