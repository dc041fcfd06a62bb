"""Data files sent from one machine to another: kept whole, verified, or refused."""

from pathlib import Path

import pytest

from lrreport import LrreportError
from lrreport.training import files
from lrreport.training.transfer import keep_files, read_files


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The sample as it is sent, asked for under the name of the dataset that is not embedded."""
    monkeypatch.setitem(files.DIGESTS, "fashion_mnist", files.DIGESTS["sample"])
    return read_files("sample")


def test_files_that_were_sent_are_kept_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: dict[str, bytes]
) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path))
    keep_files("fashion_mnist", small)
    for name, digest in files.DIGESTS["sample"].items():
        kept = tmp_path / "FashionMNIST/raw" / name
        assert files.read_idx(kept, digest) == files.read_idx(files.SAMPLE / f"{name}.gz", digest)
    keep_files("fashion_mnist", {})  # they are there


def test_files_of_another_digest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: dict[str, bytes]
) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path))
    images, labels, *_ = small
    with pytest.raises(LrreportError, match="what was sent"):
        keep_files("fashion_mnist", small | {images: small[labels]})
    assert not list((tmp_path / "FashionMNIST/raw").glob("*-ubyte"))
