"""What a worker does besides executing: code of the user, versions, GPUs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from lrreport.errors import FailedError
from lrreport.record.provenance import list_versions
from lrreport.study.load import load_study
from lrreport.sweep.plan import plan_runs
from lrreport.sweep.remote import Task, compare_versions, describe_mixed, find_changes, hold_gpu, list_gpus, unpack_code
from tests.sweep.tiny import write_notebook


@pytest.mark.parametrize(
    "producer",
    ["command = 'python sub/train.py {seed} data.csv'", "notebook = 'mine.ipynb'"],
    ids=["command", "notebook"],
)
def test_code_of_the_user_goes_along_and_is_the_same_there(tmp_path: Path, producer: str) -> None:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    (here / "sub/train.py").write_text("import helper")
    for folder in (here, here / "sub"):
        (folder / "helper.py").write_text("x = 1")
    (here / "data.csv").write_text("1,2")
    (here / "secret.txt").write_text("not named")
    write_notebook(here / "mine.ipynb", "learning_rate = 0.1\nseeds = [0]", "import helper")
    (here / "study.toml").write_text(f"seeds = [0, 1]\n[vary]\nlearning_rate = [0.1]\n[producer]\n{producer}\n")
    runs = plan_runs(load_study(here / "study.toml"))
    files = runs[0].producer.collect_files()
    assert set(files) == (
        {"mine.ipynb", "helper.py"} if "notebook" in producer else {"sub/train.py", "sub/helper.py", "data.csv"}
    )
    there = unpack_code(Task(runs, files, list_versions(), False, 60, "topic"), tmp_path / "there")
    assert find_changes(there, "") == ""
    for name in files:
        (tmp_path / "there" / name).write_bytes(files[name] + b"\n3,4" if name == "data.csv" else files[name])
    assert find_changes(there, "") == ("data.csv changed" if "data.csv" in files else "")


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
    with (
        pytest.raises(FailedError, match="^this worker sees no GPU; start it on a host with a GPU$"),
        hold_gpu(Event()),
    ):
        pass
