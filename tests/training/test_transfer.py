"""Data files sent from one machine to another: kept whole, verified, or refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.training import files
from lrreport.training.transfer import keep_files, read_files


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The sample as it is sent, under the name of the dataset that is not embedded."""
    known = replace(files.FOLDERS["fashion_mnist"], files=files.FOLDERS["sample"].files)
    monkeypatch.setitem(files.FOLDERS, "fashion_mnist", known)
    return read_files("sample")


def test_files_that_were_sent_are_kept_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: dict[str, bytes]
) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path))
    keep_files("fashion_mnist", small)
    for file in files.FOLDERS["sample"].files:
        kept = tmp_path / "FashionMNIST/raw" / file.name
        assert files.read_file(kept, file) == files.read_file(files.SAMPLE / f"{file.name}.gz", file)
    keep_files("fashion_mnist", {})  # they are there


def test_files_of_another_digest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: dict[str, bytes]
) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path))
    images, labels, *_ = small
    with pytest.raises(LrreportError, match="what was sent: .*: refused, its SHA-256 is"):
        keep_files("fashion_mnist", small | {images: small[labels]})
    assert not list((tmp_path / "FashionMNIST/raw").glob("*-ubyte"))
