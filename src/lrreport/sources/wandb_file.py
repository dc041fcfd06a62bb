"""The file that a W&B run writes, `run-ID.wandb`: settings, history and exit code, with checksums."""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lrreport.sources.protobuf import read_fields, read_text
from lrreport.sources.refusal import refuse_file

MAGIC = b":W&B"
HEADER = 7  # bytes: the magic, a number and a version
BLOCK = 32768  # of LevelDB's log format
CHUNK_HEADER = struct.Struct("<IHB")  # checksum, length, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
LARGEST_RECORD = 64_000_000  # bytes
HISTORY, SUMMARY, CONFIG, RUN, EXIT = 2, 3, 5, 17, 18  # fields of a record


@dataclass
class WandbRun:
    """The contents of a file; `exit_code` is None where the run has no end, `cut` says that the last record is incomplete."""

    run_id: str = ""
    name: str = ""
    sweep: str = ""
    started: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    cut: bool = False


def read_wandb_file(data: bytes, path: str) -> WandbRun:
    """Return the run in the bytes of a .wandb file, or raise LrreportError where they are damaged."""
    run = WandbRun()
    try:
        for record in _read_records(data, path, run):
            for number, value in read_fields(record):
                if isinstance(value, bytes):
                    _read_record(run, number, value)
    except (ValueError, RecursionError) as err:
        raise refuse_file(path, f"damaged, not a W&B run file ({err})", "copy it again") from err
    return run


def _read_records(data: bytes, path: str, run: WandbRun) -> Iterator[bytes]:
    """Yield the records, each put together from its chunks; sets `run.cut` where the last is incomplete."""
    if data[:4] != MAGIC:
        raise refuse_file(path, "not a W&B run file")
    index = HEADER
    pieces: list[bytes] = []
    while index < len(data):
        left = BLOCK - index % BLOCK
        if left < CHUNK_HEADER.size:  # the rest of a block is filled with zeros
            index += left
            continue
        if index + CHUNK_HEADER.size > len(data):
            run.cut = True
            return
        checksum, length, kind = CHUNK_HEADER.unpack_from(data, index)
        if kind == 0 and length == 0 and checksum == 0:
            index += left
            continue
        chunk = data[index + CHUNK_HEADER.size : index + CHUNK_HEADER.size + length]
        if len(chunk) < length:
            run.cut = True
            return
        if kind not in (FULL, FIRST, MIDDLE, LAST) or zlib.crc32(chunk, zlib.crc32(bytes([kind]))) != checksum:
            raise refuse_file(path, f"damaged at byte {index:,} (checksum)", "copy it again")
        index += CHUNK_HEADER.size + length
        if kind in (FULL, FIRST):
            pieces = []
        pieces.append(chunk)
        if sum(map(len, pieces)) > LARGEST_RECORD:
            raise refuse_file(path, f"a record is larger than {LARGEST_RECORD // 1_000_000} MB")
        if kind in (FULL, LAST):
            yield b"".join(pieces)
            pieces = []
    run.cut = bool(pieces)


def _read_record(run: WandbRun, number: int, value: bytes) -> None:
    if number == HISTORY:
        run.history.append(dict(_read_items(value, 1)))
    elif number == SUMMARY:
        run.summary.update(_read_items(value, 1))
    elif number == CONFIG:
        run.settings.update(_read_items(value, 1))
    elif number == RUN:
        for key, content in read_fields(value):
            if key == 1:
                run.run_id = read_text(content)
            elif key == 4 and isinstance(content, bytes):
                run.settings.update(_read_items(content, 1))
            elif key == 8:
                run.name = read_text(content)
            elif key == 12:
                run.sweep = read_text(content)
            elif key == 17 and isinstance(content, bytes):
                run.started = float(next((v for k, v in read_fields(content) if k == 1 and isinstance(v, int)), 0))
    elif number == EXIT:
        code = next((content for key, content in read_fields(value) if key == 1), 0)
        run.exit_code = code if isinstance(code, int) else 0


def _read_items(data: bytes, number: int) -> Iterator[tuple[str, Any]]:
    """Yield names and values of a message's items, which hold a key or a nested key, and JSON."""
    for field_number, item in read_fields(data):
        if field_number != number or not isinstance(item, bytes):
            continue
        key, nested, text = "", [], ""
        for part, content in read_fields(item):
            if part == 1:
                key = read_text(content)
            elif part == 2:
                nested.append(read_text(content))
            elif part == 16:
                text = read_text(content)
        try:
            yield ".".join(nested) or key, json.loads(text)
        except (ValueError, RecursionError):
            yield ".".join(nested) or key, text
