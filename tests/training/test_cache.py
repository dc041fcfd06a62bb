"""Prepared data is made once, shared, and made again where it changed; without a place to keep it nothing breaks."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lrreport.training import cache
from lrreport.training.cache import load_prepared


class Maker:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self) -> dict[str, Any]:
        self.n_calls += 1
        return {"images": torch.arange(1000.0), "equal": {"train": 2}}


def test_it_is_made_once_and_equal_for_all(tmp_path: Path) -> None:
    make = Maker()
    first, second = (load_prepared(tmp_path / "prepared", "one", make) for _ in range(2))
    assert make.n_calls == 1
    assert torch.equal(first["images"], second["images"])
    assert second["equal"] == {"train": 2}
    load_prepared(tmp_path / "prepared", "other", make)
    assert make.n_calls == 2


def test_what_one_process_writes_into_it_reaches_no_other(tmp_path: Path) -> None:
    load_prepared(tmp_path, "one", Maker())
    mapped = load_prepared(tmp_path, "one", Maker())["images"]
    mapped.zero_()
    assert torch.equal(load_prepared(tmp_path, "one", Maker())["images"], torch.arange(1000.0))


@pytest.mark.parametrize("damage", [b"", b"cut", None])
def test_a_file_that_changed_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    make, file = Maker(), tmp_path / "one.pt"
    load_prepared(tmp_path, "one", make)
    content = file.read_bytes()
    at = content.index(b"\x00\x00\x80\x3f\x00\x00\x00\x40")  # 1.0 and 2.0
    file.write_bytes(content[:at] + b"\x01" + content[at + 1 :] if damage is None else damage)
    assert torch.equal(load_prepared(tmp_path, "one", make)["images"], torch.arange(1000.0))
    assert make.n_calls == 2
    assert file.read_bytes() == content


def test_a_place_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    make = Maker()
    assert torch.equal(load_prepared(tmp_path / "file" / "prepared", "one", make)["images"], torch.arange(1000.0))


def test_a_full_disk_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", refuse)
    assert torch.equal(load_prepared(tmp_path, "one", Maker())["images"], torch.arange(1000.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]


def test_the_files_used_last_are_kept(tmp_path: Path) -> None:
    make = Maker()
    for key in "abcdef":
        load_prepared(tmp_path, key, make)
        load_prepared(tmp_path, "a", make)
    assert sorted(path.stem for path in tmp_path.glob("*.pt")) == ["a", "d", "e", "f"]
    assert len(list(tmp_path.glob("*.sha256"))) == cache.KEPT
