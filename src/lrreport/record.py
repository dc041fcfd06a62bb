"""The record of a run: all that is kept of it, and all that a report reads."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import Field, ValidationError, field_validator

from lrreport import LrreportError
from lrreport.provenance import Identity
from lrreport.study import Settings

SCHEMA_VERSION = 1
RECORD, ARRAYS, PROGRESS = "record.json", "arrays.npz", "progress"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class Score(Settings):
    """How a network with fixed weights does on a split: mean cross-entropy in nats, and fraction correct."""

    loss: Finite
    accuracy: Finite


class EpochRow(Settings):
    """One epoch; the training figures are means over the epoch while it ran, the validation ones are from its end.

    Row 0 is the untrained network: there all four are evaluated with fixed weights.
    `cpu_seconds` is the process's CPU time in the training steps of that epoch, divided equally over the seeds that
    train side by side.
    """

    epoch: int
    train_loss: Finite
    train_accuracy: Finite
    val_loss: Finite
    val_accuracy: Finite
    cpu_seconds: Finite


class SeedResult(Settings):
    """What one seed gave: a row for each epoch, and scores on the three splits after the last of them.

    A seed whose loss left the finite numbers has status `diverged`, the rows until then, and no final scores.
    """

    seed: int
    status: Literal["completed", "diverged"]
    epochs: tuple[EpochRow, ...]
    train: Score | None = None
    validation: Score | None = None
    test: Score | None = None


class RunRecord(Settings):
    """One run of the training notebook: one learning rate, all its seeds.

    `equal_images` counts byte-equal images: in one split (how many repeat an earlier one), and in two, such as
    "train and test" (how many of the second are also in the first).
    `facts` says where and with what the run was made; it decides nothing and equality tests leave it out.
    """

    schema_version: int = SCHEMA_VERSION
    identity: Identity
    split_sizes: dict[str, int]
    equal_images: dict[str, int] = {}
    class_names: tuple[str, ...]
    n_parameters: int
    seeds: tuple[SeedResult, ...]
    arrays: dict[str, str] = {}  # file name -> SHA-256 of its bytes
    facts: dict[str, Any] = {}

    @field_validator("schema_version")
    @classmethod
    def _refuse_newer(cls, version: int) -> int:
        if version > SCHEMA_VERSION:
            raise ValueError(f"made by a newer version of lrreport (schema {version}, this one reads {SCHEMA_VERSION})")
        return version

    @property
    def learning_rate(self) -> float:
        """The learning rate of the run."""
        return float(self.identity.parameters["learning_rate"])


class RangeRecord(Settings):
    """One range test: its arrays hold the rate of each step and, for each seed, the loss before it."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["range test"] = "range test"
    identity: Identity
    arrays: dict[str, str] = {}
    facts: dict[str, Any] = {}


Record = RunRecord | RangeRecord


def save_record(folder: Path, record: Record, arrays: Mapping[str, Any]) -> Record:
    """Write a run's arrays, then its record, into `folder`; return the record with the digest of the arrays in it.

    The record is written last and appears whole, so a run exists if and only if its record does.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    record = record.model_copy(update={"arrays": {ARRAYS: digest}})
    text = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False)
    replace_file(folder / ARRAYS, buffer.getvalue())
    replace_file(folder / RECORD, f"{text}\n".encode())
    return record


def keep_record(folder: str, record: Record, arrays: Mapping[str, Any]) -> str:
    """Save a run into `folder`, where a study asked for it, and say where it went; without a folder keep nothing."""
    if not folder:
        return "Not kept: run_dir is empty."
    save_record(Path(folder), record, arrays)
    return f"Kept as run {record.identity.key}."


def replace_file(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, even if the machine stops."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_record(folder: Path) -> RunRecord:
    """Return the record in `folder`, its arrays checked against their digest.

    Raises LrreportError if a file is missing, cut, edited, or of a newer schema.
    """
    return _load(folder, RunRecord)


def load_range_record(folder: Path) -> RangeRecord:
    """Return the record of the range test in `folder`; checks and raises as `load_record` does."""
    return _load(folder, RangeRecord)


M = TypeVar("M", RunRecord, RangeRecord)


def _load(folder: Path, model: type[M]) -> M:
    path = folder / RECORD
    try:
        record = model.model_validate_json(path.read_bytes())
    except OSError as err:
        raise LrreportError(f"{path}: cannot read the record ({err.strerror}); make the run again") from err
    except ValidationError as err:
        problem = err.errors()[0]["msg"].removeprefix("Value error, ")
        raise LrreportError(f"{path}: not a valid record: {problem}; delete {folder} to make the run again") from err
    for name, digest in record.arrays.items():
        if _digest_file(folder / name) != digest:
            raise LrreportError(f"{folder / name}: missing or changed since it was recorded; delete {folder}")
    return record


def _digest_file(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def load_arrays(folder: Path) -> Arrays:
    """Return the arrays of a run: `step_losses_S` (n_steps,) float32 and `test_predictions_S` (n_test,) uint8 for
    each seed S, and `test_labels` (n_test,) uint8. Of a range test: `rates` (n_steps,) float64 and `losses`
    (n_seeds, n_steps) float32, NaN once a network has left the finite numbers.
    """
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def mark_progress(folder: Path | str, n_seeds: int) -> Callable[[], None]:
    """Return a function that notes in `folder` that every seed has finished an epoch, for whoever watches.

    Without a folder it does nothing.
    """

    def note_epoch() -> None:
        if folder:
            with (Path(folder) / PROGRESS).open("ab") as file:
                file.write(b"." * n_seeds)

    return note_epoch
