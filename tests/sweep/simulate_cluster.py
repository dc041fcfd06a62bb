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
from lrreport.provenance import Identity
from lrreport.settings import Parameters
from lrreport.sweep.store import Store

from lrreport.record import load_record
from lrreport.study import REPOSITORY
from lrreport.sweep.cluster import Cluster, Data, open_cluster
from lrreport.sweep.remote import Outcome, Task
from lrreport.sweep.run import Run, Sweep
from lrreport.sweep.scheduler import Address

PER_PROCESS = 50  # thin workers
TEMPLATE = next(path.parent for path in sorted((REPOSITORY / "outputs/reference").rglob("record.json")))


def stand_in(task: Task) -> Outcome:
    """Sleep as long as it is told, tell its epochs, and give back files like a real run's."""
    import hashlib
    import io
    import socket
    import zipfile

    from distributed import get_worker

    worker, seconds = get_worker(), json.loads(task.content)
    for epoch in range(1, 6):
        time.sleep(seconds / 5)
        worker.log_event(task.topic, {"key": worker.get_current_task(), "epochs": 5 * epoch})
    contents = json.loads((TEMPLATE / "record.json").read_text())
    del contents["digest"]
    contents["identity"] = task.identity.model_dump(mode="json")
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("record.json", json.dumps(contents | {"digest": digest}))
        archive.write(TEMPLATE / "arrays.npz", "arrays.npz")
        archive.write(REPOSITORY / "notebooks/train.ipynb", "train.ipynb")
    return Outcome("made", worker=worker.address, host=socket.gethostname(), folder=buffer.getvalue())


def make_runs(n_runs: int) -> list[Run]:
    """Return runs like the template's, each at a rate of its own."""
    identity = load_record(TEMPLATE).identity
    runs = []
    for number in range(1, n_runs + 1):
        parameters = Parameters(**identity.parameters | {"learning_rate": number / 1_000_000})
        own = identity.parameters | {"learning_rate": parameters.learning_rate}
        runs.append(Run(parameters, Identity(**identity.model_dump() | {"parameters": own})))
    return runs


async def serve(address: str, n_workers: int) -> None:
    """Be so many workers of one slot each, until the scheduler has gone."""
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
        told = Path(folder) / "scheduler.json"
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        scheduler = subprocess.Popen(
            [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0",
             "--scheduler-file", str(told)], **quiet,
        )  # fmt: skip
        processes = [scheduler]
        try:
            while not (told.exists() and told.read_text().rstrip().endswith("}")):
                time.sleep(0.1)
            address = json.loads(told.read_text())["address"]
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
        def open_simulated(say: Any) -> Iterator[Cluster]:
            data = Data(find=str, read=lambda name: {}, keep=lambda name, contents: None)
            with open_cluster(Address(address), data, say) as cluster:
                cluster.work = stand_in
                cluster.client.wait_for_workers(n_slots, timeout=120)
                cluster.members.look()
                threading.Thread(target=sample, daemon=True).start()
                yield cluster

        def sample() -> None:
            started = time.monotonic()
            while not ended.wait(1):
                n_kept = sum(1 for _ in store.root.glob("[!.]*"))
                samples.append((time.monotonic() - started, n_kept, psutil.Process().memory_info().rss / 1e6))
            samples.append((time.monotonic() - started, n_runs, psutil.Process().memory_info().rss / 1e6))

        runs, cpu = make_runs(n_runs), sum(psutil.Process().cpu_times()[:2])
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
        import lrreport.sweep.cluster

        duration = sys.argv[3]
        lrreport.sweep.cluster.read_stripped = lambda notebook: (
            duration.encode()
        )  # tells the stand-in how long to sleep
        print(json.dumps(simulate(int(sys.argv[1]), int(sys.argv[2]), float(duration))))
