"""The record of a run: all that is kept of it, and all that a report reads."""

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, ValidationError, model_validator

from lrreport.errors import LrreportError
from lrreport.parsing import parse_settings
from lrreport.provenance import Identity
from lrreport.settings import Parameters, RangeParameters, Settings

SCHEMA_VERSION = 1
RECORD, ARRAYS, PROGRESS = "record.json", "arrays.npz", "progress"
DIGEST = "digest"  # the key in record.json under which stands the SHA-256 of all the others


class NewerRecordError(LrreportError):
    """A record that a newer version of lrreport made, which this one must leave alone."""


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

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if [row.epoch for row in self.epochs] != list(range(max(1, len(self.epochs)))):
            raise ValueError(f"seed {self.seed}: its epochs are not 0, 1, 2 …")
        if self.status == "completed" and None in (self.train, self.validation, self.test):
            raise ValueError(f"seed {self.seed}: completed, but without its final scores")
        return self


class _Kept(Settings):
    """What every record holds: `facts` says where and with what the run was made.

    The facts decide nothing, and equality tests leave them out.
    """

    schema_version: int = SCHEMA_VERSION
    identity: Identity
    arrays: dict[Literal["arrays.npz"], str] = {}  # file name -> SHA-256 of its bytes
    facts: dict[str, Any] = {}


class RunRecord(_Kept):
    """One run of the training notebook: one learning rate, all its seeds.

    `equal_images` counts byte-equal images: in one split (how many repeat an earlier one), and in two, such as
    "train and test" (how many of the second are also in the first). `majority_accuracy` is the validation accuracy of who
    always names the class that is most frequent among the training examples.
    """

    kind: Literal["training"] = "training"
    split_sizes: dict[str, int]
    equal_images: dict[str, int] = {}
    class_names: Annotated[tuple[str, ...], Field(min_length=2)]
    majority_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    n_parameters: int
    seeds: tuple[SeedResult, ...]

    @model_validator(mode="after")
    def _agrees_with_its_identity(self) -> Self:
        parameters = parse_settings(Parameters, self.identity.parameters, "identity.parameters")
        if tuple(seed.seed for seed in self.seeds) != parameters.seeds:
            raise ValueError("its seeds are not those of its parameters")
        rows = {len(seed.epochs) - 1 for seed in self.seeds if seed.status == "completed"}
        if rows - {parameters.epochs} or max(len(seed.epochs) - 1 for seed in self.seeds) > parameters.epochs:
            raise ValueError("its epochs are not those of its parameters")
        return self

    @property
    def chance(self) -> float:
        """The validation accuracy of guessing: the most frequent class, or any where all are equally frequent."""
        return max(1 / len(self.class_names), self.majority_accuracy or 0.0)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the run."""
        return float(self.identity.parameters["learning_rate"])


class RangeRecord(_Kept):
    """One range test: its arrays hold the rate of each step and, for each seed, the loss before it."""

    kind: Literal["range test"] = "range test"

    @model_validator(mode="after")
    def _agrees_with_its_identity(self) -> Self:
        parse_settings(RangeParameters, self.identity.parameters, "identity.parameters")
        return self


Record = RunRecord | RangeRecord


def save_record(folder: Path, record: Record, arrays: Mapping[str, Any]) -> Record:
    """Write a run's arrays, then its record, into `folder`; return the record with the digest of the arrays in it.

    The record is written last and appears whole, so a run exists if and only if its record does.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    record = record.model_copy(update={"arrays": {ARRAYS: digest}})
    replace_file(folder / ARRAYS, buffer.getvalue())
    _write_record(folder, record)
    return record


def _write_record(folder: Path, record: Record) -> None:
    contents = record.model_dump(mode="json")
    text = json.dumps(contents | {DIGEST: _digest_contents(contents)}, indent=1, allow_nan=False)
    replace_file(folder / RECORD, f"{text}\n".encode())


def mark_mixed(folder: Path, identity: Identity, versions: str) -> None:
    """Let the record in `folder` stand for the run that was asked for, although it was made with other versions.

    Which they were, and which were asked for, is kept among its facts. Raises LrreportError as `load_record` does.
    """
    record = load_any_record(folder)
    facts = record.facts | {"mixed": versions}
    _write_record(folder, record.model_copy(update={"identity": identity, "facts": facts}))


def _digest_contents(contents: dict[str, Any]) -> str:
    """Return the SHA-256 of a record's contents, however they are laid out."""
    return hashlib.sha256(json.dumps(contents, sort_keys=True, allow_nan=False).encode()).hexdigest()


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
    """Return the record in `folder`, it and its arrays checked against their digests.

    Raises LrreportError if a file is missing, cut, edited, or of a newer schema.
    """
    return _parse(folder, _read(folder), RunRecord)


def load_range_record(folder: Path) -> RangeRecord:
    """Return the record of the range test in `folder`; checks and raises as `load_record` does."""
    return _parse(folder, _read(folder), RangeRecord)


def load_any_record(folder: Path) -> Record:
    """Return the record in `folder`, whichever of the two it is; checks and raises as `load_record` does."""
    contents = _read(folder)
    if contents.get("kind") == RangeRecord.model_fields["kind"].default:
        return _parse(folder, contents, RangeRecord)
    return _parse(folder, contents, RunRecord)


def _read(folder: Path) -> dict[str, Any]:
    """Return what is in a record's file, if it is what was written there and this version can read it."""
    path = folder / RECORD
    try:
        contents = json.loads(path.read_bytes())
    except OSError as err:
        raise LrreportError(f"{path}: cannot read the record ({err.strerror}); make the run again") from err
    except (ValueError, RecursionError) as err:
        raise LrreportError(f"{path}: cut or not JSON ({err}); make the run again") from err
    if not isinstance(contents, dict):
        raise LrreportError(f"{path}: not a record but a {type(contents).__name__}; make the run again")
    version = contents.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerRecordError(
            f"{path}: made by a newer version of lrreport (schema {version}, this one reads {SCHEMA_VERSION}); "
            "update lrreport, or keep runs elsewhere with --outputs"
        )
    try:
        changed = contents.pop(DIGEST, None) != _digest_contents(contents)
    except (ValueError, RecursionError):  # such as a number that is none: never written by us
        changed = True
    if changed:
        raise LrreportError(f"{path}: changed since it was recorded; make the run again")
    return contents


M = TypeVar("M", RunRecord, RangeRecord)


def _parse(folder: Path, contents: dict[str, Any], model: type[M]) -> M:
    try:
        record = model.model_validate(contents)
    except ValidationError as err:
        error = err.errors()[0]
        place = ".".join(map(str, error["loc"])) or "record"
        problem = f"{place}: {error['msg'].removeprefix('Value error, ')}"
        raise LrreportError(f"{folder / RECORD}: not a valid record: {problem}; make the run again") from err
    except LrreportError as err:
        raise LrreportError(f"{folder / RECORD}: not a valid record: {err}; make the run again") from err
    for name, digest in record.arrays.items():
        if _digest_file(folder / name) != digest:
            raise LrreportError(f"{folder / name}: missing or changed since it was recorded; make the run again")
    return record


def _digest_file(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def load_arrays(folder: Path, *names: str) -> Arrays:
    """Return the arrays of a run that have these names, or all of them.

    There are `step_losses_S` (n_steps,) float32 and `test_predictions_S` (n_test,) uint8 for each seed S, and
    `test_labels` (n_test,) uint8. Of a range test: `rates` (n_steps,) float64 and `losses` (n_seeds, n_steps)
    float32, NaN once a network has left the finite numbers. Raises LrreportError if one is not there or not an array
    of numbers; nothing is ever unpickled.
    """
    path = folder / ARRAYS
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names or arrays.files}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as err:
        raise LrreportError(f"{path}: cannot be read ({' '.join(str(err).split())}); make the run again") from err


def mark_progress(folder: Path | str, n_seeds: int) -> Callable[[], None]:
    """Return a function that notes in `folder` that every seed has finished an epoch, for whoever watches.

    Without a folder it does nothing.
    """

    def note_epoch() -> None:
        if folder:
            with (Path(folder) / PROGRESS).open("ab") as file:
                file.write(b"." * n_seeds)

    return note_epoch
