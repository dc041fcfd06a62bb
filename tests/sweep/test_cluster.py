"""Runs on a real Dask cluster on this machine: what comes back, and what survives kills, silence and other versions."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lrreport import __version__
from lrreport.errors import LrreportError
from lrreport.record.record import load_arrays, load_record
from lrreport.record.store import Store
from lrreport.study.load import load_study
from lrreport.sweep.builtin import BuiltinProducer
from lrreport.sweep.executions import summarize_failures
from lrreport.sweep.executor import LostError
from lrreport.sweep.plan import plan_runs
from lrreport.sweep.producer import Run
from lrreport.sweep.run import Sweep
from lrreport.sweep.scheduler import Address
from lrreport.training.files import DIGESTS, ensure_files
from lrreport.training.transfer import keep_files, read_files
from lrreport.workflow import Workflow
from tests.sweep.tiny import write_notebook

pytestmark = pytest.mark.slow

SWEEP_SECONDS = 120
SHORT, LONG = 1, 60  # epochs of a tenth of a second; the latter are long enough to be met in mid-run
PARAMETERS = "learning_rate = 0.1\nseed = 0\nepochs = 1"
TRAIN = """import time
from lrreport import log
log.run(learning_rate=learning_rate, seed=seed)
for _ in range(epochs):
    time.sleep(0.1)
    log.epoch(val_accuracy=learning_rate)
if learning_rate == 0.7:
    raise ValueError("no luck")
log.end(test_accuracy=0.5)"""


def write_study(folder: Path, *rates: float, epochs: int = SHORT) -> Path:
    """Write a study of a notebook that starts in no time, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_notebook(folder / "sleep.ipynb", PARAMETERS, TRAIN)
    study = folder / "study.toml"
    study.write_text(
        f"seeds = [0]\n[vary]\nlearning_rate = {list(rates)}\n[decide]\nmetric = 'val_accuracy'\n"
        f"[producer]\nnotebook = 'sleep.ipynb'\n[fixed]\nepochs = {epochs}\n"
    )
    return study


def make_runs(folder: Path, *rates: float, epochs: int = SHORT) -> list[Run]:
    return plan_runs(load_study(write_study(folder / "study", *rates, epochs=epochs)))


def make_command(folder: Path, epochs: int) -> list[str]:
    study = write_study(folder / "study", 0.01, 0.001, epochs=epochs)
    return [sys.executable, "-m", "lrreport.cli", "report", str(study), "--outputs", str(folder), "--name", "small"]


def make_builtin_runs(*rates: float, **changes: Any) -> list[Run]:
    study = load_study("studies/quick.toml")
    runs = []
    for level, rate in enumerate(rates):
        setup = study.training_of(study.levels[0]).model_copy(update={"learning_rate": rate, "epochs": 1, **changes})
        producer = BuiltinProducer(setup, data=DIGESTS[setup.dataset])
        runs += [
            Run(f"learning rate {rate:g}", identity, producer, level, setup.epochs)
            for identity in producer.identify([0])
        ]
    return runs


def make_sweep(folder: Path, cluster: Any, silence: float = 60, find: Callable[[str], object] = ensure_files,
               **allowed: bool) -> Sweep:  # fmt: skip
    from lrreport.sweep.cluster import Data, open_cluster

    address, data = Address(cluster.address, **allowed), Data(find, read_files, keep_files)
    return Sweep(
        Store(folder / "runs"),
        folder / "failed",
        open_cluster=lambda notify: open_cluster(address, data, notify, silence),
    )


def read_run(folder: Path) -> dict[str, Any]:
    """Return all of a run that is not about where and when it was made."""
    record = load_record(folder).model_dump(mode="json")
    del record["facts"], record["arrays"]
    record["history"] = [series for series in record["history"] if series["metric"] != "cpu_seconds"]
    record["final"].pop("cpu_seconds", None)
    arrays = load_arrays(folder) if (folder / "arrays.npz").exists() else {}
    return record | {name: array.tobytes() for name, array in arrays.items()}


@contextmanager
def in_background(sweep: Sweep, runs: list[Run]) -> Any:
    """Let a sweep go on while the test does something to it; its failures are what comes back in the end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(sweep.run_all, runs)
        try:
            yield future
        finally:
            if not future.done():
                sweep.limits.stopping.set()


def wait_for_epochs(cluster: Any, sweep: Sweep, n_runs: int) -> None:
    """Wait until so many runs have reported finished epochs."""
    cluster.wait_until(
        lambda: sum(path.stat().st_size > 0 for path in sweep.store.root.glob(".*/progress")) >= n_runs, "epochs"
    )


def test_the_quick_study_is_the_same_to_the_bit(tmp_path: Path, cluster: Any, capsys: Any) -> None:
    runs = plan_runs(load_study("studies/quick.toml").with_changes(seeds=[0, 1], epochs=2), data=DIGESTS["sample"])
    here = Sweep(Store(tmp_path / "here/runs"), tmp_path / "here/failed")
    there = make_sweep(tmp_path / "there", cluster)
    assert there.run_all(runs) == {}
    printed = capsys.readouterr().err
    assert f"lrreport: {cluster.address}: 2 slots (hosts: 1)\n" in printed
    assert "lrreport: Dask's dashboard: http://127.0.0.1:" in printed
    assert here.run_all(runs) == {}
    for run in runs:
        folder = there.store.folder(run.identity)
        assert read_run(folder) == read_run(here.store.folder(run.identity))
        assert {path.name for path in folder.iterdir()} == {
            path.name for path in here.store.folder(run.identity).iterdir()
        }
    assert sorted(path.name for path in there.store.root.iterdir() if path.name != ".locks") == sorted(
        run.key for run in runs
    )


def test_code_of_ones_own_is_sent_along(tmp_path: Path, cluster: Any) -> None:
    """The workers have no such folder; what a module beside the study imports beside itself goes there too."""
    (tmp_path / "mine/parts").mkdir(parents=True)
    (tmp_path / "mine/parts/blobs.py").write_text(
        "import torch\n\ndef make(n):\n    labels = torch.arange(n) % 3\n"
        "    return torch.randn(n, 5, generator=torch.Generator().manual_seed(n)) + 3 * labels[:, None], labels\n"
    )
    (tmp_path / "mine/nets.py").write_text(
        "from torch import nn\nfrom parts import blobs\n\ndef load():\n    return *blobs.make(300), *blobs.make(90)\n\n"
        "def make(input_shape, n_classes):\n    return nn.Linear(input_shape[0], n_classes)\n"
    )
    study = tmp_path / "mine/study.toml"
    study.write_text(
        "seeds = [0, 1]\n[vary]\nlearning_rate = [0.1]\nmodel = ['mlp', 'nets:make']\n"
        "[fixed]\ndataset = 'nets:load'\nvalidation_size = 60\nepochs = 2\n"
    )
    runs = Workflow(load_study(study), tmp_path / "here").list_runs()
    assert {name for run in runs for name in run.identity.producer} >= {"nets", "parts.blobs"}
    here, there = Sweep(Store(tmp_path / "here"), tmp_path / "failed"), make_sweep(tmp_path / "there", cluster)
    assert (here.run_all(runs), there.run_all(runs)) == ({}, {})
    for run in runs:
        assert read_run(there.store.folder(run.identity)) == read_run(here.store.folder(run.identity))


def test_two_clients_share_one_cluster_and_its_runs(tmp_path: Path, cluster: Any) -> None:
    """Two sweeps that share a folder make each run once; a third with its own folder makes all runs."""
    runs = make_runs(tmp_path, 0.02)
    sweeps = [make_sweep(tmp_path / name, cluster) for name in ("shared", "shared", "own")]
    with ThreadPoolExecutor(3) as pool:
        assert [future.result(SWEEP_SECONDS) for future in [pool.submit(sweep.run_all, runs) for sweep in sweeps]] == [
            {}
        ] * 3
    for run in runs:
        assert read_run(sweeps[0].store.folder(run.identity)) == read_run(sweeps[2].store.folder(run.identity))


def test_a_failed_run_is_named_with_its_host_and_leaves_its_notebook(tmp_path: Path, cluster: Any) -> None:
    bad, good = make_runs(tmp_path, 0.7, 0.04)
    sweep = make_sweep(tmp_path, cluster)
    failures = sweep.run_all([bad, good])
    notebook = tmp_path / "failed/learning_rate=0.7/sleep.ipynb"
    assert list(failures) == ["learning rate 0.7, seed 0"]
    assert failures["learning rate 0.7, seed 0"].startswith("cell ")
    assert failures["learning rate 0.7, seed 0"].endswith(f" (on {os.uname().nodename}); see {notebook.parent}")
    assert notebook.exists()
    assert sweep.store.has(good.identity)


def test_ctrl_c_stops_the_kernels_on_the_workers(tmp_path: Path, cluster: Any) -> None:
    command = [*make_command(tmp_path, 2000), "--scheduler", cluster.address]
    process = subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    cluster.wait_until(lambda: len(cluster.find_kernels()) == 2, "two kernels")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "lrreport: stopped; finished runs are kept, the same command goes on from there"
    cluster.wait_until(lambda: not cluster.find_kernels(), "the kernels' end", 10)
    assert not list(tmp_path.glob("runs/.[!l]*"))


def test_a_client_that_is_killed_leaves_no_kernel(tmp_path: Path, cluster: Any) -> None:
    command = make_command(tmp_path, 2000)
    environment = cluster.environment | {"LRREPORT_SCHEDULER": cluster.address}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cluster.wait_until(lambda: len(cluster.find_kernels()) == 2, "two kernels")
    process.kill()
    process.wait(timeout=30)
    cluster.wait_until(lambda: not cluster.find_kernels(), "the kernels' end", 20)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "suspended"])
def test_the_run_of_a_worker_that_is_gone_goes_elsewhere(
    tmp_path: Path, own_cluster: Any, number: signal.Signals, capsys: Any
) -> None:
    workers = [own_cluster.start_worker(), own_cluster.start_worker()]
    sweep, runs = make_sweep(tmp_path, own_cluster, silence=5), make_runs(tmp_path, 0.01, 0.001, epochs=LONG)
    with in_background(sweep, runs) as future:
        wait_for_epochs(own_cluster, sweep, 2)
        workers[0].send_signal(number)
        assert future.result(SWEEP_SECONDS) == {}
    assert all(sweep.store.find_damage(run.identity) == "" for run in runs)
    silent = "has been silent for 5 s; its runs go to others" in capsys.readouterr().err
    assert silent == (number == signal.SIGSTOP)


def test_a_lost_scheduler_ends_the_sweep_and_the_next_call_goes_on(tmp_path: Path, own_cluster: Any) -> None:
    scheduler, _ = own_cluster.start_scheduler(), own_cluster.start_worker()
    port = int(own_cluster.address.rpartition(":")[2])
    command = [*make_command(tmp_path, LONG), "--scheduler", own_cluster.address]
    process = subprocess.Popen(command, env=own_cluster.environment, stderr=subprocess.PIPE, text=True)
    records = own_cluster.wait_until(lambda: list(tmp_path.glob("runs/[!.]*/record.json")), "the first run")
    inode = records[0].stat().st_ino
    own_cluster.wait_until(own_cluster.find_kernels, "the second run")
    scheduler.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert err.splitlines()[-1] == (
        f"lrreport: {own_cluster.address}: the scheduler was lost; finished runs are kept, the same command goes on from there"
    )
    own_cluster.wait_until(lambda: not own_cluster.find_kernels(), "the kernels' end", 30)
    own_cluster.start_scheduler(port=port)
    own_cluster.start_worker()
    done = subprocess.run(
        command, env=own_cluster.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert records[0].stat().st_ino == inode
    assert len(list(tmp_path.glob("runs/[!.]*/record.json"))) == 2


def test_a_scheduler_that_falls_silent_is_lost(tmp_path: Path, own_cluster: Any) -> None:
    own_cluster.start_worker()
    sweep = make_sweep(tmp_path, own_cluster, silence=3)
    with in_background(sweep, make_runs(tmp_path, 0.01, epochs=LONG)) as future:
        wait_for_epochs(own_cluster, sweep, 1)
        own_cluster.started[0].send_signal(signal.SIGSTOP)
        with pytest.raises(LostError, match="the scheduler was lost"):
            future.result(60)


def test_a_worker_without_data_gets_it_once_for_its_host(tmp_path: Path, own_cluster: Any, capsys: Any) -> None:
    root = tmp_path / "data"
    for _ in range(2):
        own_cluster.start_worker(LRREPORT_DATA=str(root))
    sweep = make_sweep(tmp_path, own_cluster, find=partial(ensure_files, sources=()))
    runs = make_builtin_runs(0.01, 0.001, dataset="fashion_mnist", validation_size=5000)
    assert sweep.run_all(runs) == {}
    assert capsys.readouterr().err.count("cannot get the data of fashion_mnist, so they are sent there") == 1
    assert {path.name for path in (root / "FashionMNIST/raw").glob("*-ubyte")} == set(DIGESTS["fashion_mnist"])


def write_version(folder: Path, package: str, version: str) -> str:
    """Let Python find another version of a package in `folder`; return the folder."""
    (folder / f"{package}-{version}.dist-info").mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (folder / f"{package}-{version}.dist-info/METADATA").write_text(text)
    return str(folder)


def test_a_worker_of_another_version_is_refused_or_noted(tmp_path: Path, own_cluster: Any, capsys: Any) -> None:
    site = write_version(tmp_path / "other", "lrreport", "9.9")
    odd = own_cluster.start_worker(PYTHONPATH=site)
    (name,) = own_cluster.list_workers()
    runs = make_runs(tmp_path, 0.01, 0.001)
    with pytest.raises(LrreportError) as error:
        make_sweep(tmp_path, own_cluster).run_all(runs)
    assert str(error.value) == (
        f"the worker {name} has lrreport 9.9, not {__version__} as on this machine; install the same there, or add --allow-mixed, "
        "which notes it in the records of its runs"
    )
    mixed = make_sweep(tmp_path / "mixed", own_cluster, mixed=True)
    assert mixed.run_all(runs[:1]) == {}
    assert f"lrreport 9.9, not {__version__}" in load_record(mixed.store.folder(runs[0].identity)).facts["mixed"]
    odd.terminate()
    odd.wait(timeout=30)
    sweep = make_sweep(tmp_path / "late", own_cluster)
    with in_background(sweep, runs) as future:  # it joins while the runs wait
        own_cluster.wait_until(lambda: list(sweep.store.root.glob(".*")), "runs that wait")
        own_cluster.start_worker(PYTHONPATH=site)
        assert "lrreport 9.9" in " ".join(future.result(SWEEP_SECONDS).values())
    assert not any(sweep.store.has(run.identity) for run in runs)


def test_memory_is_watched_with_the_kernels(tmp_path: Path, own_cluster: Any) -> None:
    own_cluster.start_worker("--memory-limit", "300MB")
    failures = make_sweep(tmp_path, own_cluster).run_all(make_builtin_runs(0.01))
    assert (
        "it used more than the 300 MB of memory that it may use, so it was ended (on "
        in failures["learning rate 0.01, seed 0"]
    )


@pytest.fixture
def namespace() -> Any:
    """A network of its own, joined to this host's by a cable that can be cut."""
    name, here, there = f"lr{os.getpid()}", f"lrh{os.getpid()}", f"lrn{os.getpid()}"
    script = f"""ip netns add {name} && ip link add {here} type veth peer name {there} && ip link set {there} netns {name} &&
        ip addr add 10.213.7.1/24 dev {here} && ip link set {here} up && ip netns exec {name} ip addr add 10.213.7.2/24 dev {there} &&
        ip netns exec {name} ip link set {there} up && ip netns exec {name} ip link set lo up"""
    try:
        done = subprocess.run(["sh", "-c", script], capture_output=True, check=False, timeout=30)
        if done.returncode != 0:
            pytest.skip("this machine does not allow network namespaces")
        yield name, here
    finally:
        subprocess.run(
            ["sh", "-c", f"ip link del {here}; ip netns del {name}"], capture_output=True, check=False, timeout=30
        )


def test_the_run_of_a_worker_that_is_cut_off_goes_elsewhere(
    tmp_path: Path, own_cluster: Any, namespace: tuple[str, str], capsys: Any
) -> None:
    name, cable = namespace
    own_cluster.start_scheduler(host="10.213.7.1")
    own_cluster.start_worker(prefix=("ip", "netns", "exec", name))
    sweep, runs = make_sweep(tmp_path, own_cluster, silence=5), make_runs(tmp_path, 0.01, epochs=LONG)
    with in_background(sweep, runs) as future:
        wait_for_epochs(own_cluster, sweep, 1)
        own_cluster.start_worker()
        subprocess.run(["ip", "link", "set", cable, "down"], check=True, timeout=30)
        assert future.result(SWEEP_SECONDS) == {}
    assert sweep.store.has(runs[0].identity)
    assert "its runs go to others" in capsys.readouterr().err


def test_many_runs_on_many_slots_take_no_more_memory(repository: Path) -> None:
    """Runs that sleep; LRREPORT_CLUSTER_RUNS=10000 makes so many, on a fiftieth as many slots."""
    n_runs = int(os.environ.get("LRREPORT_CLUSTER_RUNS", "400"))
    n_slots, seconds = max(20, n_runs // 50), max(0.5, n_runs / 2000)
    script = repository / "tests/sweep/simulate_cluster.py"
    command = [sys.executable, str(script), str(n_runs), str(n_slots), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120 + n_runs / 10)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    print(done.stdout)
    assert (measured["kept"], measured["failures"]) == (n_runs, 0)
    assert measured["kept_at"] == sorted(measured["kept_at"])
    assert 0 < measured["kept_at"][0] < measured["kept_at"][2] < n_runs  # kept as they come
    assert measured["client_mb_at"][3] < 1.1 * measured["client_mb_at"][1] + 10
    assert measured["client_cpu_ms_per_run"] < 50


ODD_ANSWERS = {
    "a number": "7", "nothing": "None", "an exception": "1 / 0", "a function": "print", "what cannot be sent": "__import__('threading').Lock()",
    "a table": "{'status': 'made'}", "600 MB": "bytes(600_000_000)", "many": "list(range(1_000_000))", "bytes": "b'PK'",
    "a long error": "(_ for _ in ()).throw(ValueError('x\\n' * 500_000))",
}  # fmt: skip


def test_an_odd_answer_fails_its_run_alone(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a worker answers, its run fails with a single line and the other runs are made."""
    from lrreport.sweep.cluster import Data, open_cluster
    from lrreport.sweep.remote import run_task

    monkeypatch.setattr("lrreport.sweep.cluster.FETCH_SECONDS", 20)
    rates = {number / 1000: code for number, code in enumerate(ODD_ANSWERS.values(), start=1)}
    address, data = Address(cluster.address), Data(ensure_files, read_files, keep_files)

    def answer(task: Any) -> Any:
        code = rates.get(task.runs[0].producer.settings["learning_rate"])
        return run_task(task) if code is None else eval(code)

    @contextmanager
    def open_odd(notify: Any) -> Any:
        with open_cluster(address, data, notify) as executor:
            executor.work = answer
            yield executor

    runs = make_runs(tmp_path, *rates, 0.5)
    sweep = Sweep(Store(tmp_path / "runs"), tmp_path / "failed", open_cluster=open_odd)
    failures = sweep.run_all(runs)
    assert len(failures) == len(rates)
    for error in failures.values():
        assert error.isprintable()
        assert len(error) < 500
    assert sweep.store.has(runs[-1].identity)
    assert next(iter(summarize_failures(runs, failures))) == "learning rate 0.001"


def test_notebooks_and_commands_of_the_user_run_there(tmp_path: Path, cluster: Any, repository: Path) -> None:
    for name in ("script/study", "notebook/line"):
        runs = [run for run in plan_runs(load_study(repository / f"examples/{name}.toml")) if run.identity.seed == 0]
        here, there = Sweep(Store(tmp_path / "here"), tmp_path / "f"), make_sweep(tmp_path / "there", cluster)
        assert (here.run_all(runs), there.run_all(runs)) == ({}, {})
        for run in runs:
            assert read_run(there.store.folder(run.identity)) == read_run(here.store.folder(run.identity))
