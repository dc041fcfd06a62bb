"""Fixtures of the tests of sources: real logs, and writers of small files in each format."""

import json
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lrreport.sources import Import, ImportSpec, read_import

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def formula() -> dict[tuple[float, str, float], tuple[float, float]]:
    """(rate, seed, epoch) -> (validation accuracy, training loss) of the runs in data/written."""
    return {
        (rate, str(seed), float(epoch)): (
            round(0.5 + 0.08 * epoch - abs(rate - 0.01) * 2 + 0.004 * seed, 6),
            round(2 / (1 + epoch) + 0.01 * seed + rate, 6),
        )
        for rate in (0.1, 0.01, 0.001)
        for seed in range(3)
        for epoch in range(1, 6)
    }


@pytest.fixture(scope="session")
def tabulate() -> Callable[[Import], dict[tuple[float, str, float], tuple[float, float]]]:
    """Return an import's curves as `formula` has them."""

    def tabulate(imported: Import) -> dict[tuple[float, str, float], tuple[float, float]]:
        runs = imported.runs.set_index("run")
        table: dict[tuple[float, str, float], dict[str, float]] = {}
        for row in imported.history.itertuples():
            run = runs.loc[row.run]
            table.setdefault((run["setting.learning_rate"], run["seed"], row.at), {})[row.metric] = row.value
        return {key: (values["val_accuracy"], values["train_loss"]) for key, values in table.items()}

    return tabulate


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Import]:
    """Read the logs in tmp_path with a source and options of [import]."""

    def read(source: str = "table", folder: Path = tmp_path, **options: Any) -> Import:
        further = {name: options.pop(name) for name in ("metrics", "vary", "seeds") if name in options}
        return read_import(ImportSpec(source=source, **options), folder, **further)

    return read


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file of 2 rates × `n_seeds` seeds × `n_epochs` epochs, values of a plain formula, into tmp_path."""

    def write_table(
        name: str = "runs.csv", n_seeds: int = 3, n_epochs: int = 4, rates: Iterable[float] = (0.1, 0.01)
    ) -> Path:
        lines = ["lr,seed,epoch,val_acc,train_loss"]
        for rate in rates:
            for seed in range(n_seeds):
                for epoch in range(1, n_epochs + 1):
                    lines.append(
                        f"{rate},{seed},{epoch},{0.5 + epoch / 100 + seed / 1000 + rate / 10},{1 / epoch + rate}"
                    )
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    return write_table


def encode_varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def encode_field(number: int, value: int | bytes | str) -> bytes:
    """Return a field of a protocol buffer: a whole number, or bytes."""
    if isinstance(value, int):
        return encode_varint(number << 3) + encode_varint(value)
    value = value.encode() if isinstance(value, str) else value
    return encode_varint(number << 3 | 2) + encode_varint(len(value)) + value


def encode_items(number: int, items: dict[str, Any]) -> bytes:
    """Return W&B's items: key or nested key, and JSON."""
    return b"".join(
        encode_field(number, encode_field(1, name) + encode_field(16, json.dumps(value)))
        for name, value in items.items()
    )


@pytest.fixture(scope="session")
def encode_wandb() -> Callable[..., bytes]:
    """Return the bytes of a .wandb file, in blocks of 32 KiB as LevelDB's log format has them."""

    def encode_wandb(
        run_id: str, config: dict[str, Any], rows: list[dict[str, Any]], exit_code: int | None = 0
    ) -> bytes:
        records = [encode_field(17, encode_field(1, run_id) + encode_field(4, encode_items(1, config)))]
        records += [encode_field(2, encode_items(1, row)) for row in rows]
        if exit_code is not None:
            records.append(encode_field(18, encode_field(1, exit_code)))
        out = b":W&B" + bytes([0xEC, 0xBE, 0])
        for record in records:
            rest, first = record, True
            while first or rest:
                left = 32768 - len(out) % 32768
                if left < 7:
                    out += bytes(left)
                    continue
                chunk, rest = rest[: left - 7], rest[left - 7 :]
                kind = (1 if not rest else 2) if first else (4 if not rest else 3)
                out += struct.pack("<IHB", zlib.crc32(chunk, zlib.crc32(bytes([kind]))), len(chunk), kind) + chunk
                first = False
        return out

    return encode_wandb


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def mask(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@pytest.fixture(scope="session")
def encode_events() -> Callable[[Iterable[tuple[int, str, float]]], bytes]:
    """Return the bytes of an event file with scalars (step, tag, value)."""

    def encode_events(scalars: Iterable[tuple[int, str, float]]) -> bytes:
        events = [struct.pack("<Bd", 9, 1.7e9) + encode_field(3, "brain.Event:2")]
        for step, tag, value in scalars:
            summary = encode_field(1, tag) + struct.pack("<Bf", 21, value)
            events.append(
                struct.pack("<Bd", 9, 1.7e9 + step) + encode_field(2, step) + encode_field(5, encode_field(1, summary))
            )
        out = b""
        for event in events:
            length = struct.pack("<Q", len(event))
            out += length + mask(length) + event + mask(event)
        return out

    return encode_events
