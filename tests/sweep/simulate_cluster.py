"""A cluster larger than this machine: a real scheduler, many thin workers, and runs that sleep and give back real files.

Called as `python tests/sweep/simulate_cluster.py RUNS SLOTS SECONDS`, it prints what it measured as JSON.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from distributed import Worker

from lrreport.record.provenance import Identity
from lrreport.record.record import RunRecord, declare_metrics, make_series, save_record
from lrreport.record.store import Store
from lrreport.sweep.answer import Answer
from lrreport.sweep.cluster import Cluster, Data, open_cluster
from lrreport.sweep.producer import Run
from lrreport.sweep.remote import Task, pack
from lrreport.sweep.run import Sweep
from lrreport.sweep.scheduler import Address

PER_PROCESS = 50  # thin workers
N_STEPS, N_TEST = 4_300, 10_000  # of a run of the default study, whose arrays these are as large as


class Sleeper:
    """A producer that needs nothing and takes a seed at a time."""

    most_seeds, start_cost, dataset = 1, 0.0, None

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def collect_files(self) -> dict[str, bytes]:
        return {}


def stand_in(task: Task) -> bytes:
    """Sleep for a configured time, report epochs, and send a record and arrays as large as a real run's."""
    import socket

    import numpy as np
    from distributed import get_worker

    worker, (run,) = get_worker(), task.runs
    for epoch in range(1, 6):
        time.sleep(run.producer.seconds / 5)
        worker.log_event(task.topic, {"key": worker.get_current_task(), "epochs": epoch})
    rng = np.random.default_rng(run.identity.seed)
    record = RunRecord(
        identity=run.identity, settings=run.identity.settings, seed=run.identity.seed, status="completed",
        metrics=declare_metrics(["val_accuracy"]), history=(make_series("val_accuracy", rng.random(6)),),
    )  # fmt: skip
    arrays = {
        "step_losses": rng.random(N_STEPS).astype("float32"),
        "test_predictions": rng.integers(0, 10, N_TEST).astype("uint8"),
    }
    with tempfile.TemporaryDirectory() as folder:
        save_record(Path(folder) / run.key, record, arrays)
        return pack(Answer(status="made", worker=worker.address, host=socket.gethostname()), Path(folder))


def make_runs(n_runs: int, seconds: float) -> list[Run]:
    """Return `n` runs of a level."""
    producer = Sleeper(seconds)
    identities = [Identity(settings={"learning_rate": 0.1}, seed=seed) for seed in range(n_runs)]
    return [Run("learning rate 0.1", identity, producer, 0, 5) for identity in identities]  # type: ignore[arg-type]


async def serve(address: str, n_workers: int) -> None:
    """Run workers with a slot each, until the scheduler has gone."""
    workers = [
        Worker(address, nthreads=1, memory_limit=0, dashboard=False, local_directory=tempfile.gettempdir())
        for _ in range(n_workers)
    ]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))


@contextmanager
def start_processes(n_slots: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start a scheduler and the processes of the workers; yield its address and process."""
    with tempfile.TemporaryDirectory() as folder:
        scheduler_file = Path(folder) / "scheduler.json"
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        scheduler = subprocess.Popen(
            [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0",
             "--scheduler-file", str(scheduler_file)], **quiet,
        )  # fmt: skip
        processes = [scheduler]
        try:
            while not (scheduler_file.exists() and scheduler_file.read_text().rstrip().endswith("}")):
                time.sleep(0.1)
            address = json.loads(scheduler_file.read_text())["address"]
            for first in range(0, n_slots, PER_PROCESS):
                n_workers = str(min(PER_PROCESS, n_slots - first))
                processes.append(subprocess.Popen([sys.executable, __file__, "serve", address, n_workers], **quiet))
            yield address, psutil.Process(scheduler.pid)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def simulate(n_runs: int, n_slots: int, seconds: float) -> dict[str, Any]:
    """Make so many runs that take so many seconds each on so many slots; return what it took."""
    samples: list[tuple[float, int, float]] = []  # seconds, runs kept, megabytes of this process
    ended = threading.Event()
    with tempfile.TemporaryDirectory() as folder, start_processes(n_slots) as (address, scheduler):
        store = Store(Path(folder) / "runs")

        @contextmanager
        def open_simulated(notify: Any) -> Iterator[Cluster]:
            data = Data(find=str, read=lambda name: {}, keep=lambda name, contents: None)
            with open_cluster(Address(address), data, notify) as cluster:
                cluster.work = stand_in
                cluster.client.wait_for_workers(n_slots, timeout=120)
                cluster.monitor.refresh()
                threading.Thread(target=sample, daemon=True).start()
                yield cluster

        def sample() -> None:
            started = time.monotonic()
            while not ended.wait(1):
                n_kept = sum(1 for _ in store.root.glob("[!.]*"))
                samples.append((time.monotonic() - started, n_kept, psutil.Process().memory_info().rss / 1e6))
            samples.append((time.monotonic() - started, n_runs, psutil.Process().memory_info().rss / 1e6))

        runs, cpu = make_runs(n_runs, seconds), sum(psutil.Process().cpu_times()[:2])
        failures = Sweep(store, Path(folder) / "failed", open_cluster=open_simulated).run_all(runs)
        ended.set()
        cpu, scheduler_cpu = sum(psutil.Process().cpu_times()[:2]) - cpu, sum(scheduler.cpu_times()[:2])
        n_kept = sum(store.has(run.identity) for run in runs)
        size = sum(path.stat().st_size for path in store.folder(runs[0].identity).iterdir())
        time.sleep(1.5)  # for the last sample
        return {
            "runs": n_runs, "slots": n_slots, "kept": n_kept, "failures": len(failures), "run_bytes": size,
            "seconds": round(samples[-1][0], 1), "ideal_seconds": round(n_runs * seconds / n_slots, 1),
            "client_cpu_ms_per_run": round(1000 * cpu / n_runs, 2),
            "scheduler_cpu_ms_per_run": round(1000 * scheduler_cpu / n_runs, 2),
            "kept_at": [samples[len(samples) * part // 4][1] for part in (1, 2, 3)],
            "client_mb_at": [round(samples[min(len(samples) - 1, len(samples) * part // 4)][2]) for part in (1, 2, 3, 4)],
            "scheduler_mb": round(scheduler.memory_info().rss / 1e6),
        }  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
    else:
        print(json.dumps(simulate(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
