"""The sweep with real kernels: what is made once, how seeds are shared out, what fails alone, what is printed."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lrreport.record.record import load_arrays, load_record
from lrreport.record.store import Store
from lrreport.study.load import load_study
from lrreport.sweep.executions import summarize_failures
from lrreport.sweep.plan import plan_runs
from lrreport.sweep.run import Sweep
from lrreport.training.files import DIGESTS
from tests.sweep.tiny import make_runs

pytestmark = pytest.mark.usefixtures("shared_server")


def read_bits(store: Store, runs: list) -> dict:
    """Return all of the runs that is not about where and when they were made."""
    bits = {}
    for run in runs:
        record = load_record(store.folder(run.identity)).model_dump(mode="json")
        del record["facts"], record["arrays"]
        record["history"] = [series for series in record["history"] if series["metric"] != "cpu_seconds"]
        record["final"].pop("cpu_seconds", None)
        bits[run.name] = record | {
            name: array.tobytes() for name, array in load_arrays(store.folder(run.identity)).items()
        }
    return bits


def count_executions(store: Store, runs: list) -> int:
    return len({load_record(store.folder(run.identity)).facts["pid"] for run in runs})


def test_runs_are_made_once_and_kept_whole(tmp_path: Path) -> None:
    runs, store = make_runs(tmp_path, {0.1: [0, 1]}), Store(tmp_path / "runs")
    assert Sweep(store, tmp_path / "failed").run_all(runs, 1) == {}
    for run in runs:
        folder = store.folder(run.identity)
        assert {path.name for path in folder.iterdir()} == {"train.ipynb", "record.json", "arrays.npz"}
        assert load_record(folder).identity == run.identity
    assert os.path.samefile(*(store.folder(run.identity) / "train.ipynb" for run in runs))
    executed = (folder / "record.json").stat().st_mtime_ns
    assert Sweep(store, tmp_path / "failed", open_cluster=pytest.fail).run_all(runs) == {}
    assert (folder / "record.json").stat().st_mtime_ns == executed
    assert {path.name for path in store.root.iterdir()} == {".locks", *(run.key for run in runs)}


def test_one_seed_more_makes_one_run_more(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")

    def make(seeds: list[int]) -> int:
        before = {path.name for path in store.root.glob("[!.]*")}
        assert Sweep(store, tmp_path / "failed").run_all(make_runs(tmp_path, {0.1: seeds, 0.2: seeds}), 2) == {}
        return len({path.name for path in store.root.glob("[!.]*")} - before)

    assert [make(list(range(n))) for n in (5, 7, 3)] == [10, 4, 0]


@pytest.mark.parametrize(("n_jobs", "n_executions"), [(2, 2), (4, 4), pytest.param(1, 2, marks=pytest.mark.slow), pytest.param(8, 6, marks=pytest.mark.slow)])  # fmt: skip
def test_seeds_are_shared_out_where_cores_would_be_idle(tmp_path: Path, n_jobs: int, n_executions: int) -> None:
    runs = make_runs(tmp_path, {0.1: list(range(6)), 0.2: list(range(6))})
    store, alone = Store(tmp_path / "runs"), Store(tmp_path / "alone")
    assert Sweep(store, tmp_path / "failed").run_all(runs, n_jobs) == {}
    assert count_executions(store, runs) == n_executions
    assert Sweep(alone, tmp_path / "failed").run_all(runs[:1], 1) == {}
    assert read_bits(store, runs)[runs[0].name] == read_bits(alone, runs[:1])[runs[0].name]


def test_a_failure_stops_no_other_level_and_leaves_its_notebook(tmp_path: Path) -> None:
    runs, store = make_runs(tmp_path, {0.5: [0, 1], 0.1: [0]}), Store(tmp_path / "runs")
    failures = Sweep(store, tmp_path / "failed").run_all(runs, 2)
    notebook = tmp_path / "failed/learning_rate=0.5/train.ipynb"
    assert failures == dict.fromkeys(
        ["learning rate 0.5, seed 0", "learning rate 0.5, seed 1"],
        f"cell 4 raised ValueError: no luck; see {notebook} and execution.log beside it",
    )
    assert notebook.exists()
    assert notebook.with_name("execution.log").exists()
    assert [store.has(run.identity) for run in runs] == [False, False, True]
    assert list(summarize_failures(runs, failures)) == ["learning rate 0.5"]
    del failures["learning rate 0.5, seed 1"]
    assert list(summarize_failures(runs, failures)) == ["learning rate 0.5, seed 0"]


def test_a_damaged_run_is_repeated_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, store = make_runs(tmp_path, {0.1: [0, 1]}), Store(tmp_path / "runs")
    sweep = Sweep(store, tmp_path / "failed")
    assert sweep.run_all(runs, 1) == {}
    arrays, untouched_arrays = (store.folder(run.identity) / "arrays.npz" for run in runs)
    content, untouched = arrays.read_bytes(), untouched_arrays.stat().st_mtime_ns
    arrays.write_bytes(content[:-1])
    assert sweep.run_all(runs, 1) == {}
    assert capsys.readouterr().err == (
        f"lrreport: {arrays}: missing or changed since it was recorded; this run is repeated\n"
    )
    assert arrays.read_bytes() == content
    assert untouched_arrays.stat().st_mtime_ns == untouched


def test_finished_runs_of_a_killed_execution_are_kept(tmp_path: Path) -> None:
    runs, store = make_runs(tmp_path, {0.1: [0, 1, 2, 3, 4]}, one_by_one=True), Store(tmp_path / "runs")
    sweep = Sweep(store, tmp_path / "failed")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(sweep.run_all, runs, 1)
        until = time.monotonic() + 60
        while not list(store.root.glob("[!.]*/record.json")) and time.monotonic() < until:
            time.sleep(0.05)
        sweep.limits.stopping.set()
        failures = future.result(30)
    n_kept = sum(store.has(run.identity) for run in runs)
    assert 1 <= n_kept < 5
    assert len(failures) == 5 - n_kept
    assert {error.partition(";")[0] for error in failures.values()} == {"stopped"}
    assert not list(store.root.glob(".*-*"))


def test_two_sweeps_with_overlapping_seeds_share_the_work(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    some = make_runs(tmp_path, {0.1: [0, 1, 2], 0.2: [3]}, batch_size=300)
    others = make_runs(tmp_path, {0.1: [2, 1, 4], 0.2: [3, 0]}, batch_size=300)
    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(Sweep(store, tmp_path / f"failed{number}").run_all, runs, 2)
            for number, runs in enumerate([some, others])
        ]
        assert [future.result(60) for future in futures] == [{}, {}]
    records = [path for path in store.root.glob("[!.]*") if (path / "record.json").exists()]
    assert len(records) == 6
    assert all(store.find_damage(run.identity) == "" for run in [*some, *others])


def test_without_a_terminal_a_line_says_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = make_runs(tmp_path, {0.1: [0, 1]}, epochs=8, batch_size=300)
    sweep = Sweep(Store(tmp_path / "runs"), tmp_path / "failed")
    sweep._progress.seconds_between_lines = 0.5
    assert sweep.run_all(runs, 1) == {}
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 4
    assert lines[0] == "lrreport: 0 of 16 epochs"
    counts = [int(re.match(r"lrreport: (\d+) of 16 epochs(, about 1 min left)?$", line)[1]) for line in lines]
    assert counts == sorted(counts)
    assert 0 < counts[-2] <= 16


def test_a_disk_that_fails_to_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, store = make_runs(tmp_path, {0.1: [0]}), Store(tmp_path / "runs")

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        assert Sweep(store, tmp_path / "failed").run_all(runs, 1) == {"learning rate 0.1, seed 0": "Input/output error"}
    assert not list(store.root.glob(".*-*"))
    assert Sweep(store, tmp_path / "failed").run_all(runs, 1) == {}


SCRIPT = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from lrreport import cli
from lrreport.record.store import Store
from lrreport.sweep.run import Sweep
from tests.sweep.tiny import make_runs
signal.signal(signal.SIGINT, cli._stop)
folder = Path(sys.argv[1])
runs = make_runs(folder, {0.1: [0, 1], 0.2: [0]}, epochs=100, batch_size=500)
print("begun", flush=True)
try:
    Sweep(Store(folder / "runs"), folder / "failed").run_all(runs, 2)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
def test_bits_of_the_quick_study_do_not_depend_on_the_jobs(tmp_path: Path) -> None:
    study = load_study("studies/quick.toml").with_changes(learning_rate=[0.01, 0.001], seeds=[0, 1, 2, 3], epochs=2)
    runs = plan_runs(study, data=DIGESTS["sample"])
    bits, executions = [], []
    for n_jobs in (1, 4):
        store = Store(tmp_path / str(n_jobs))
        assert Sweep(store, tmp_path / "failed").run_all(runs, n_jobs) == {}
        bits.append(read_bits(store, runs))
        executions.append(len({(store.folder(run.identity) / "train.ipynb").stat().st_ino for run in runs}))
    assert executions == [2, 4]
    assert bits[0] == bits[1]


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.0, 0.05, 0.5])
def test_ctrl_c_twice_ends_without_a_traceback(tmp_path: Path, repository: Path, gap: float) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(repository)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(1 + gap)
    process.send_signal(signal.SIGINT)
    time.sleep(gap)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "Traceback" not in err
    assert process.returncode == 130
    assert not list((tmp_path / "runs").glob(".*-*"))
