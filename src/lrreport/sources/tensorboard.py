"""Source "tensorboard": event files, read by TensorBoard's own loader; a folder is a run."""

import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lrreport.errors import LrreportError
from lrreport.sources.folder import Folder, hide_host, natural_key, parent
from lrreport.sources.guess import SPLITS
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.refusal import refuse_file
from lrreport.sources.spec import ImportSpec

HPARAMS = "_hparams_/session_start_info"
HPARAMS_END = "_hparams_/session_end_info"
END_STATUSES = {1: "completed", 2: "failed", 3: "unknown"}  # of the plugin "hparams"
FRAME = 16  # bytes of a record beside its data: length, its checksum, the data's checksum
HEADER = 12  # bytes before the data


def find(folder: Folder) -> int:
    """Return how many event files there are."""
    return sum("tfevents" in path.rsplit("/", 1)[-1] for path in folder.paths)


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Return a run per folder; steps are on the declared axis, else on "step".

    Folders called train, validation or test, those of `add_scalars` and those of `add_hparams` belong to the run above.
    """
    notes: list[Note] = []
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in sorted((path for path in folder.paths if "tfevents" in path.rsplit("/", 1)[-1]), key=natural_key):
        by_folder[parent(path)].append(path)
    runs: dict[str, _Collector] = {}
    for subfolder, paths in by_folder.items():
        run, prefix = _find_run(subfolder, by_folder)
        collector = runs.setdefault(run, _Collector(run))
        for path in paths:
            for event in _load_events(folder, path, notes):
                collector.add(event, prefix)
    for collector in runs.values():
        if collector.n_skipped:
            text = "values that are not scalars, such as images and histograms"
            notes.append(Note("excluded", text, collector.n_skipped))
    return [collector.make_log(spec.axis or "step") for collector in runs.values()], _sum_notes(notes)


def _find_run(subfolder: str, by_folder: dict[str, list[str]]) -> tuple[str, str]:
    """Return the run that a folder belongs to, and the prefix of its tags: "train" of the run above."""
    above, _, name = subfolder.rpartition("/")
    split = name.casefold() in SPLITS
    siblings = {path.rpartition("/")[2].casefold() for path in by_folder if path.rpartition("/")[0] == above}
    if split and (above in by_folder or len(siblings & set(SPLITS)) > 1):
        return above, f"{name}/"
    if above in by_folder and name.replace(".", "", 1).isdecimal():  # add_hparams names a folder by the time
        return above, ""
    if above in by_folder and "_" in name and not by_folder.get(f"{subfolder}/"):  # add_scalars: "loss_train"
        last = name.rpartition("_")[2]
        if last.casefold() in SPLITS:
            return above, f"{last}/"
    return subfolder, ""


class _Collector:
    """The scalars and settings of a run, over all of its files."""

    def __init__(self, run: str) -> None:
        self.log = RunLog(run=hide_host(run) or "run", source=hide_host(run) or ".")
        self.scalars: dict[str, tuple[list[int], list[float]]] = {}
        self.times: list[float] = []
        self.n_skipped = 0

    def add(self, event: Any, prefix: str) -> None:
        """Add the scalars and settings of an event."""
        if event.HasField("summary"):
            self.times.append(event.wall_time)
            for value in event.summary.value:
                if value.tag.startswith("_hparams_/"):
                    self._read_hparams(value)
                    continue
                number = _read_scalar(value)
                if number is None:
                    self.n_skipped += 1
                    continue
                steps, values = self.scalars.setdefault(prefix + value.tag, ([], []))
                steps.append(event.step)
                values.append(number)

    def _read_hparams(self, value: Any) -> None:
        from tensorboard.plugins.hparams import plugin_data_pb2

        data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
        if value.tag == HPARAMS:
            for name, setting in data.session_start_info.hparams.items():
                kind = setting.WhichOneof("kind")
                if kind in ("number_value", "string_value", "bool_value"):
                    self.log.settings[name] = getattr(setting, kind)
        elif value.tag == HPARAMS_END:
            self.log.status = END_STATUSES.get(data.session_end_info.status, "unknown")

    def make_log(self, axis: str) -> RunLog:
        """Return the run."""
        for tag, (steps, values) in self.scalars.items():
            self.log.add(tag, axis, steps, _shorten(np.array(values)))
        if self.times:
            first, last = min(self.times), max(self.times)
            if math.isfinite(first) and 0 < first < 1e11:
                self.log.started = datetime.fromtimestamp(first, UTC).isoformat(timespec="seconds")
            self.log.seconds = last - first
        return self.log


def _load_events(folder: Folder, path: str, notes: list[Note]) -> Iterator[Any]:
    """Yield the events of a file up to a record that is cut off; a damaged record before the end is an error."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto import event_pb2
    except ImportError as err:
        raise LrreportError(
            f"{hide_host(path)}: reading event files needs the package tensorboard; run: pip install tensorboard"
        ) from err
    file = folder.register(path)
    position = 0
    try:
        for record in RawEventFileLoader(str(file)).Load():
            position += len(record) + FRAME
            yield event_pb2.Event.FromString(record)
    except (ValueError, OSError, ArithmeticError, MemoryError) as err:  # protobuf's DecodeError is a ValueError
        raise refuse_file(hide_host(path), f"damaged before byte {position:,}", "copy it again") from err
    except Exception as err:
        raise refuse_file(hide_host(path), f"not an event file ({' '.join(str(err).split())[:80]})") from err
    size = file.stat().st_size
    if position < size:
        if not _is_cut(file, position, size):
            raise refuse_file(hide_host(path), f"damaged at byte {position:,} of {size:,} (checksum)", "copy it again")
        notes.append(Note("cut", "event files end in a record that is cut off, as after a kill; it is left out"))


def _is_cut(file: Path, position: int, size: int) -> bool:
    """Return whether the record at `position` has a sound header and is longer than what is left of the file."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    if size - position < HEADER:
        return True
    with file.open("rb") as stream:
        stream.seek(position)
        length, checksum = stream.read(8), stream.read(4)
    sound = masked_crc32c(length) == int.from_bytes(checksum, "little")
    return sound and int.from_bytes(length, "little") + FRAME > size - position


def _read_scalar(value: Any) -> float | None:
    """Return a scalar (a simple value or a tensor of rank 0), None for anything else."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind == "tensor":
        tensor = value.tensor
        plugin = value.metadata.plugin_data.plugin_name
        if tensor.tensor_shape.dim or plugin not in ("", "scalars") or tensor.dtype not in (1, 2, 3, 9, 19):
            return None
        from tensorboard.util import tensor_util

        return float(tensor_util.make_ndarray(tensor))
    return None


def _shorten(values: np.ndarray) -> np.ndarray:
    """Return float32 values (n,) as the shortest decimals that mean them: 0.93, not 0.9300000071525574."""
    short = values.astype(np.float32)
    exact = short.astype(float) == values
    return np.where(exact, short.astype(str).astype(float), values)


def _sum_notes(notes: list[Note]) -> list[Note]:
    """Return notes with those of equal text merged and their counts summed."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for note in notes:
        counts[note.kind, note.text] += note.count
    return [Note(kind, text, count) for (kind, text), count in counts.items()]
