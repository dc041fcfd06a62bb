"""The record of a run, schema 2: everything that is kept of a run and that a report reads."""

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import lt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import Field, ValidationError, model_validator

from lrreport.errors import LrreportError, NewerRecordError
from lrreport.record.files import replace_file
from lrreport.record.provenance import Identity
from lrreport.study.frozen import FrozenModel
from lrreport.study.metrics import Metric, find_metric
from lrreport.study.parsing import shorten

if TYPE_CHECKING:
    import numpy as np

SCHEMA_VERSION = 2
RECORD, ARRAYS, PROGRESS = "record.json", "arrays.npz", "progress"
DIGEST = "digest"  # the key in record.json with the SHA-256 of the rest
END, HISTORY, SERIES, HISTORY_END = "\n}", ',\n "history": [\n  ', ",\n  ", "\n ]\n}"  # how record.json is laid out
LARGEST_RECORD, LARGEST_ARRAYS = 200_000_000, 4_000_000_000  # bytes; larger files are refused
LONGEST_TEXT, LONGEST_REASON = 200, 10_000  # letters
Finite = Annotated[float, Field(allow_inf_nan=False)]
Arrays: TypeAlias = "dict[str, np.ndarray[Any, np.dtype[Any]]]"
Status = Literal["completed", "diverged", "failed", "stopped", "unknown"]
Axis = Literal["epoch", "step", "samples", "seconds"]


class Series(FrozenModel):
    """The values of a metric at ascending points of an axis; a value that is not finite is None."""

    metric: str
    axis: Axis
    at: tuple[Finite, ...]
    values: tuple[Finite | None, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.at) != len(self.values):
            raise ValueError(f"history: {self.metric} has {len(self.at)} points and {len(self.values)} values")
        if not all(map(lt, self.at, self.at[1:])):
            raise ValueError(f"history: the points of {self.metric} do not ascend")
        return self


class _Record(FrozenModel):
    """Fields of every record; `facts` describe where and with what it was made, and decide nothing."""

    schema_version: int = SCHEMA_VERSION
    identity: Identity
    arrays: dict[Literal["arrays.npz"], str] = {}  # file name -> SHA-256 of its bytes
    facts: dict[str, Any] = {}


class RunRecord(_Record):
    """A run: a level of a study with a seed.

    `metrics` declares every name that `history` and `final` use. `history` holds a series for each metric and axis,
    `final` the values of the finished run. A run that diverged has its history up to the last finite point
    and no final values. `description` is the producer's description of model and data: n_parameters, split_sizes,
    class_names, equal_images; none of it is required.
    """

    kind: Literal["run"] = "run"
    settings: dict[str, Any]
    seed: int | None = None
    replicate: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    status: Status
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""
    metrics: dict[str, Metric] = {}
    history: tuple[Series, ...] = ()
    final: dict[str, Finite] = {}
    description: dict[str, Any] = {}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        used = [series.metric for series in self.history] + list(self.final)
        if undeclared := next((name for name in used if name not in self.metrics), None):
            raise ValueError(f"metrics: {undeclared} is measured but not declared")
        if misnamed := next((name for name, metric in self.metrics.items() if metric.name != name), None):
            raise ValueError(f"metrics: {misnamed} is declared as {self.metrics[misnamed].name}")
        for metric in self.metrics.values():
            texts = (metric.name, metric.label, metric.unit)
            if any(len(text) > LONGEST_TEXT or not text.isprintable() for text in texts):
                raise ValueError(
                    f"metrics: a name, label or unit is longer than {LONGEST_TEXT} letters or not printable"
                )
            if metric.low is not None and metric.high is not None and metric.low >= metric.high:
                raise ValueError(f"metrics: low of {metric.name} is not below high")
        if len({(series.metric, series.axis) for series in self.history}) < len(self.history):
            raise ValueError("history: a metric has two series on the same axis")
        if self.identity.seed != self.seed or _differ(self.identity.settings, self.settings):
            raise ValueError("identity: belongs to another run")
        return self


def _differ(decided: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Return whether any setting that identifies a run has another value among its settings."""
    return any(name not in settings or settings[name] != value for name, value in decided.items())


class RangeRecord(_Record):
    """A range test: its arrays hold `rates` (n_steps,) float64 and `losses` (n_seeds, n_steps) float32."""

    kind: Literal["range test"] = "range test"
    settings: dict[str, Any]


Record = RunRecord | RangeRecord


@dataclass(frozen=True)
class KeptRecord:
    """A record and its folder; `array_names` maps today's names of arrays to those in the file, where they differ."""

    record: RunRecord
    folder: Path | None = None
    array_names: Mapping[str, str] = field(default_factory=dict)

    def load_arrays(self, *names: str) -> Arrays:
        """Return these arrays as far as the run has them; raises LrreportError as `load_arrays` does."""
        if self.folder is None or not self.record.arrays:
            return {}
        wanted = {name: self.array_names.get(name, name) for name in names}
        arrays = load_arrays(self.folder, *wanted.values(), missing_ok=True)
        return {name: arrays[stored] for name, stored in wanted.items() if stored in arrays}


def save_record(folder: Path, record: Record, arrays: Mapping[str, Any]) -> Record:
    """Write a run's arrays, then its record, into `folder`; return the record with the digest of the arrays in it.

    The record is written last and appears whole, so a run exists if and only if its record does.
    """
    folder.mkdir(exist_ok=True)
    if arrays:
        import numpy as np  # imported here since `lrreport status` does not need it

        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        record = record.model_copy(update={"arrays": {ARRAYS: hashlib.sha256(buffer.getvalue()).hexdigest()}})
        replace_file(folder / ARRAYS, buffer.getvalue())
    write_record(folder, record)
    return record


def write_record(folder: Path, record: Record) -> None:
    """Write record.json with the digest of its contents; each series of the history is a line."""
    contents = record.model_dump(mode="json", exclude_none=True, exclude={"history"})
    history = None
    if isinstance(record, RunRecord):
        history = [_write_canonically(series.model_dump(mode="json")) for series in record.history]
    text = json.dumps(contents | {DIGEST: _digest_parts(contents, history)}, indent=1, allow_nan=False)
    if history is not None:
        text = f"{text.removesuffix(END)}{HISTORY}{SERIES.join(history)}{HISTORY_END}"
    replace_file(folder / RECORD, f"{text}\n".encode())


def mark_mixed(folder: Path, identity: Identity, versions: str) -> None:
    """Give the record in `folder` the identity of the requested run, although it was made with other versions.

    Both sets of versions are kept among its facts. Raises LrreportError as `load_record` does.
    """
    record = load_record(folder)
    facts = record.facts | {"mixed": versions}
    write_record(folder, record.model_copy(update={"identity": identity, "facts": facts}))


def digest_contents(contents: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record's contents, however they are laid out."""
    return hashlib.sha256(_write_canonically(contents).encode()).hexdigest()


def _write_canonically(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _digest_parts(contents: Mapping[str, Any], history: Sequence[str] | None) -> str:
    """Return the same as `digest_contents`, from contents without the history and its series as text.

    A history may have millions of numbers, which take longer to write than all else takes to read.
    """
    parts = {name: _write_canonically(value) for name, value in contents.items()}
    if history is not None:
        parts["history"] = f"[{', '.join(history)}]"
    text = ", ".join(f"{json.dumps(name)}: {parts[name]}" for name in sorted(parts))
    return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()


def _is_unchanged(text: str, contents: Mapping[str, Any], digest: Any) -> bool:
    """Return whether contents, which were read from `text`, have this digest."""
    _, layout, history = text.rstrip("\n").rpartition(HISTORY)
    if layout and history.endswith(HISTORY_END):
        series = history.removesuffix(HISTORY_END).split(SERIES)
        others = {name: value for name, value in contents.items() if name != "history"}
        if digest == _digest_parts(others, series):
            return True
    return bool(digest == digest_contents(contents))


def keep_records(folder: str, made: Iterable[tuple[Record, Mapping[str, Any]]]) -> str:
    """Save each record in a folder named by its key in `folder`; return a sentence that names them.

    Without a folder nothing is kept, so that a notebook runs by itself.
    """
    if not folder:
        return "Not kept: run_dir is empty."
    keys = []
    for record, arrays in made:
        keys.append(record.identity.key)
        save_record(Path(folder) / record.identity.key, record, arrays)
    return f"Kept as {', '.join(keys)}."


def load_record(folder: Path) -> Record:
    """Return the record of schema 2 in `folder`, checked with its arrays against their digests.

    Raises LrreportError if a file is missing, cut, edited, too large, or of another schema.
    """
    return _make_record(folder, read_contents(folder))


def _make_record(folder: Path, contents: dict[str, Any]) -> Record:
    """Return the record with these contents, read from `folder`."""
    if contents.get("schema_version") != SCHEMA_VERSION:
        raise LrreportError(f"{folder / RECORD}: of an older schema; make the run again")
    if contents.get("kind") == "range test":
        return _parse(folder, contents, RangeRecord)
    return _parse(folder, contents, RunRecord)


def load_runs(folder: Path) -> list[KeptRecord]:
    """Return the runs in `folder`: a single run of schema 2, or all seeds of schema 1; raises as `load_record` does."""
    from lrreport.record.schema1 import convert_record

    contents = read_contents(folder)
    if contents.get("schema_version") == 1:
        try:
            runs = convert_record(contents, folder)
        except (ValidationError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as err:
            raise LrreportError(f"{folder / RECORD}: not a valid record of schema 1; make the run again") from err
        for run in runs:
            _check_arrays(folder, run.record)
        return runs
    record = _make_record(folder, contents)
    if not isinstance(record, RunRecord):
        raise LrreportError(f"{folder / RECORD}: a range test, not a run")
    return [KeptRecord(record, folder)]


def read_contents(folder: Path) -> dict[str, Any]:
    """Return the contents of a record's file, checked against their digest and this version's schema."""
    path = folder / RECORD
    try:
        if path.stat().st_size > LARGEST_RECORD:
            raise LrreportError(f"{path}: larger than {LARGEST_RECORD // 1_000_000} MB; make the run again")
        content = path.read_bytes()
        contents = json.loads(content)
        if b"\\ud" in content.lower():  # half of a surrogate pair cannot be encoded
            json.dumps(contents, ensure_ascii=False).encode()
    except OSError as err:
        raise LrreportError(f"{path}: cannot read the record ({err.strerror}); make the run again") from err
    except (ValueError, RecursionError) as err:
        raise LrreportError(f"{path}: cut or not JSON ({' '.join(str(err).split())}); make the run again") from err
    if not isinstance(contents, dict):
        raise LrreportError(f"{path}: not a record but a {type(contents).__name__}; make the run again")
    version = contents.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerRecordError(
            f"{path}: made by a newer version of lrreport (schema {version}; this version reads {SCHEMA_VERSION}); "
            "update lrreport, or keep runs elsewhere with --outputs"
        )
    try:
        changed = not _is_unchanged(content.decode(), contents, contents.pop(DIGEST, None))
    except (ValueError, TypeError, RecursionError):  # such as NaN, which is never written
        changed = True
    if changed:
        raise LrreportError(f"{path}: changed since it was recorded; make the run again")
    return contents


R = TypeVar("R", RunRecord, RangeRecord)


def _parse(folder: Path, contents: dict[str, Any], model: type[R]) -> R:
    try:
        record = model.model_validate(contents)
    except ValidationError as err:
        error = err.errors()[0]
        location = shorten(".".join(map(str, error["loc"]))) or "record"
        problem = f"{location}: {error['msg'].removeprefix('Value error, ')}"
        raise LrreportError(f"{folder / RECORD}: not a valid record: {problem}; make the run again") from err
    except RecursionError as err:
        raise LrreportError(f"{folder / RECORD}: not a valid record: nested too deeply; make the run again") from err
    _check_arrays(folder, record)
    return record


def _check_arrays(folder: Path, record: Record) -> None:
    for name, digest in record.arrays.items():
        if _digest_file(folder / name) != digest:
            raise LrreportError(f"{folder / name}: missing or changed since it was recorded; make the run again")


def _digest_file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def load_arrays(folder: Path, *names: str, missing_ok: bool = False) -> Arrays:
    """Return the arrays of a run with these names, or all of them.

    There may be `step_losses` (n_steps,) float32, `test_predictions` (n_test,) class numbers or float32 values, and
    `test_labels` (n_test,). Raises LrreportError if an array is missing, too large or not numeric; nothing is ever unpickled.
    """
    import numpy as np

    path = folder / ARRAYS
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_ARRAYS:
                raise LrreportError(f"{path}: larger than {LARGEST_ARRAYS // 1_000_000_000} GB; make the run again")
        with np.load(path, allow_pickle=False) as arrays:
            wanted = [name for name in names if not missing_ok or name in arrays.files] if names else arrays.files
            return {name: arrays[name] for name in wanted}
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        AttributeError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
    ) as err:
        raise LrreportError(f"{path}: cannot be read ({' '.join(str(err).split())}); make the run again") from err


def mark_progress(folder: Path | str, n_seeds: int) -> Callable[[], None]:
    """Return a callback that records in `folder` that every seed has finished an epoch.

    Without a folder it does nothing.
    """

    def note_epoch() -> None:
        if folder:
            with (Path(folder) / PROGRESS).open("ab") as file:
                file.write(b"." * n_seeds)

    return note_epoch


def make_series(metric: str, values: Iterable[float], axis: Axis = "epoch", first: int = 0) -> Series:
    """Return values at consecutive points from `first` on as a series; None for those that are not finite."""
    finite = tuple(value if math.isfinite(value) else None for value in values)
    return Series(
        metric=metric, axis=axis, at=tuple(float(first + index) for index in range(len(finite))), values=finite
    )


def declare_metrics(names: Iterable[str], chance: Mapping[str, float] | None = None) -> dict[str, Metric]:
    """Return the built-in metrics of these names, with the chance level of each quantity where the data give one.

    Raises LrreportError for a name that is not built in.
    """
    metrics = {}
    for name in names:
        metric = find_metric(name)
        if metric is None:
            raise LrreportError(f"metrics: {name!r} is not built in; declare it in the study's [metrics.{name}]")
        level = (chance or {}).get(name)
        metrics[name] = metric if level is None else metric.model_copy(update={"chance": level})
    return metrics
