"""What a worker does besides executing: folders as bytes, versions, GPUs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from lrreport import FailedError
from lrreport.provenance import list_versions
from lrreport.sweep.remote import compare_versions, describe_mixed, hold_gpu, list_gpus, pack_folder, unpack_folder


def test_a_folder_comes_back_as_it_went(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    contents = {"record.json": b"{}", "arrays.npz": bytes(range(256)) * 9, "empty": b""}
    for name, content in contents.items():
        (tmp_path / "one" / name).write_bytes(content)
    packed = pack_folder(tmp_path / "one")
    unpack_folder(packed, tmp_path / "two")
    assert {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()} == contents
    flipped = bytes([*packed[:60], packed[60] ^ 255, *packed[61:]])
    for broken in (packed[:-30], b"", flipped):
        with pytest.raises(FailedError, match="its folder came back damaged"):
            unpack_folder(broken, tmp_path / "two")


def test_other_versions_are_named_with_those_here() -> None:
    here = list_versions()
    assert compare_versions(here) == ""
    assert compare_versions(here | {"torch": "9.9", "Python": "4.0"}) == (
        f"torch {here['torch']}, not 9.9 and Python {here['Python']}, not 4.0"
    )
    assert describe_mixed("torch 1, not 2") == (
        "has torch 1, not 2 as on this machine; install the same there, or add --allow-mixed, which notes it in the "
        "records of its runs"
    )


def test_a_gpu_takes_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "test-a, MIG-test/b")
    assert list_gpus() == ["test-a", "MIG-test/b"]
    stopping = Event()

    def wait_for_third() -> str:
        with hold_gpu(stopping) as third:
            return third

    with ThreadPoolExecutor(1) as pool:
        with hold_gpu(stopping) as first, hold_gpu(stopping) as second:
            assert [first, second] == ["test-a", "MIG-test/b"]
            third = pool.submit(wait_for_third)
            with pytest.raises(TimeoutError):
                third.result(timeout=1)
        assert third.result(timeout=5) == "test-a"
        stopping.set()
        with pytest.raises(FailedError, match="^stopped$"):
            wait_for_third()


def test_a_worker_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(FailedError, match="^this worker sees no GPU; start it where there is one$"), hold_gpu(Event()):
        pass
