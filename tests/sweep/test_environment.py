"""Private folders of kernels, and the number of cores."""

import os
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.sweep.environment import MARK, PRIVATE, count_cores, make_private_folder


def test_what_is_left_of_killed_processes_is_cleared(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short))
    left = short / f"{PRIVATE}left"
    left.mkdir(mode=0o700)
    (left / MARK).touch()
    with make_private_folder() as used, make_private_folder() as second:
        assert {path.name for path in short.iterdir()} == {used.name, second.name}
        assert used.stat().st_mode & 0o077 == 0
    assert not list(short.iterdir())


def test_a_folder_of_the_user_is_never_cleared(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that look like ours: with a lock, with a name like ours, and with our mark but open to others."""
    monkeypatch.setattr("tempfile.tempdir", str(short))
    for name, files, mode in (
        ("lrreport-foo", ["report.html", ".lock"], 0o700),
        (f"{PRIVATE}mine", ["report.html", ".lock"], 0o700),
        (f"{PRIVATE}open", ["report.html", ".lock", MARK], 0o755),
    ):
        (short / name).mkdir(mode=mode)
        for file in files:
            (short / name / file).touch()
            os.utime(short / name / file, (0, 0))
    before = sorted(short.rglob("*"))
    with make_private_folder():
        pass
    assert sorted(short.rglob("*")) == before


def test_a_long_tmpdir_is_measured_in_bytes(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 letters are 180 bytes, and the path of a socket has at most 107."""
    folder = short / ("名" * 55)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with make_private_folder() as folder:
        assert folder.parent == Path("/tmp")


def test_the_number_of_cores_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRREPORT_CORES", raising=False)
    assert count_cores() >= 1
    monkeypatch.setenv("LRREPORT_CORES", "16")
    assert count_cores() == 16
    for text in ("0", "-1", "two", "", "²"):
        monkeypatch.setenv("LRREPORT_CORES", text)
        with pytest.raises(LrreportError, match=r"^LRREPORT_CORES: .* is not a whole number from 1 on$"):
            count_cores()
