"""Prepared data is made once and shared, made again where it changed, and not trusted where others can write it."""

import os
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import torch

from lrreport.training import cache
from lrreport.training.cache import find_prepared, load_prepared


class Maker:
    """Counts its calls."""

    def __init__(self, value: float = 0.0) -> None:
        self.n_calls, self.value = 0, value

    def __call__(self) -> dict[str, Any]:
        self.n_calls += 1
        return {"images": torch.arange(1000.0) + self.value, "equal": {"train": 2}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache that is empty."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "prepared"


def test_it_is_made_once_and_equal_for_all(folder: Path) -> None:
    make = Maker()
    first, second = (load_prepared(folder, "one", make) for _ in range(2))
    assert make.n_calls == 1
    assert torch.equal(first["images"], second["images"])
    assert second["equal"] == {"train": 2}
    load_prepared(folder, "other", make)
    assert make.n_calls == 2


def test_what_one_process_writes_into_it_reaches_no_other(folder: Path) -> None:
    load_prepared(folder, "one", Maker())
    mapped = load_prepared(folder, "one", Maker())["images"]
    mapped.zero_()
    assert torch.equal(load_prepared(folder, "one", Maker())["images"], torch.arange(1000.0))


@pytest.mark.parametrize("damage", [b"", b"cut", None])
def test_a_file_that_changed_is_made_again(folder: Path, damage: bytes | None) -> None:
    make, file = Maker(), folder / "one.pt"
    load_prepared(folder, "one", make)
    content = file.read_bytes()
    at = content.index(b"\x00\x00\x80\x3f\x00\x00\x00\x40")  # 1.0 and 2.0
    file.write_bytes(content[:at] + b"\x01" + content[at + 1 :] if damage is None else damage)
    assert torch.equal(load_prepared(folder, "one", make)["images"], torch.arange(1000.0))
    assert make.n_calls == 2
    assert file.read_bytes() == content


def test_a_file_of_another_key_is_made_again(folder: Path) -> None:
    """Renamed with its digest, it is whole, but it was made from something else."""
    load_prepared(folder, "other", Maker(1.0))
    for suffix in (".pt", ".sha256"):
        (folder / f"other{suffix}").rename(folder / f"one{suffix}")
    assert find_prepared(folder, "one") is None
    assert torch.equal(load_prepared(folder, "one", Maker())["images"], torch.arange(1000.0))


def test_a_folder_of_the_users_that_others_can_write_is_closed_to_them(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    load_prepared(folder, "one", Maker())
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / "one.pt").stat().st_mode & 0o777 == 0o644


def test_a_file_that_others_can_write_is_made_again(folder: Path) -> None:
    make = Maker()
    load_prepared(folder, "one", make)
    (folder / "one.pt").chmod(0o666)
    load_prepared(folder, "one", make)
    assert make.n_calls == 2


def test_a_folder_of_somebody_else_is_not_trusted(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in it is neither read nor written; the user's cache serves instead."""
    load_prepared(folder, "one", Maker(1.0))
    before = sorted(path.name for path in folder.iterdir())
    is_trusted = cache.is_trusted
    monkeypatch.setattr(cache, "is_trusted", lambda path: not path.is_relative_to(folder) and is_trusted(path))
    assert torch.equal(load_prepared(folder, "one", Maker())["images"], torch.arange(1000.0))
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (home / "prepared/one.pt").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away, which this machine does not allow")
def test_files_are_trusted_by_owner_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o644)
    file.chmod(0o644)
    assert cache.is_trusted(file)
    os.chown(file, 1234, 1234)
    assert not cache.is_trusted(file)
    assert not cache.is_trusted(tmp_path / "missing")


def test_a_place_that_cannot_be_written_is_done_without(tmp_path: Path, home: Path) -> None:
    (tmp_path / "file").touch()
    make = Maker()
    assert torch.equal(load_prepared(tmp_path / "file/prepared", "one", make)["images"], torch.arange(1000.0))
    assert (home / "prepared/one.pt").exists()
    home.rename(tmp_path / "elsewhere")
    home.touch()
    assert torch.equal(load_prepared(tmp_path / "file/prepared", "one", make)["images"], torch.arange(1000.0))


def test_a_full_disk_is_done_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", refuse)
    assert torch.equal(load_prepared(folder, "one", Maker())["images"], torch.arange(1000.0))
    assert sorted(path.name for path in folder.iterdir()) == [".lock"]


def test_the_files_used_last_are_kept(folder: Path) -> None:
    make = Maker()
    for key in "abcdef":
        load_prepared(folder, key, make)
        load_prepared(folder, "a", make)
    assert sorted(path.stem for path in folder.glob("*.pt")) == ["a", "d", "e", "f"]
    assert len(list(folder.glob("*.sha256"))) == cache.KEPT
