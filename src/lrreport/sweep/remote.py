"""Run an execution on a worker of a cluster, and pack the result into an archive."""

import io
import json
import os
import socket
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from distributed import Worker, get_worker
from filelock import FileLock, Timeout

from lrreport.errors import FailedError, LrreportError
from lrreport.record.provenance import Identity, list_versions
from lrreport.record.record import PROGRESS, RECORD, mark_mixed
from lrreport.record.store import describe_changes
from lrreport.sweep.answer import ANSWER, Answer
from lrreport.sweep.execute import Limits
from lrreport.sweep.producer import Run
from lrreport.sweep.worker import describe_os_error

SIGN_SECONDS = 0.5  # between two checks whether the task is still wanted, and how many epochs are done
ALIVE = ("init", "running", "paused", "closing_gracefully")  # a worker that is closing finishes its tasks


@dataclass(frozen=True)
class Task:
    """Everything that a worker needs for an execution; finished epochs are reported to `topic`.

    `find_data` finds a dataset on the worker, or raises LrreportError; `files` are those that the producer needs, by
    their paths in its folder.
    """

    runs: Sequence[Run]
    files: Mapping[str, bytes]
    versions: Mapping[str, str]
    allow_mixed: bool
    stall_timeout: float
    topic: str
    find_data: Callable[[str], object] = field(default=str)


def run_task(task: Task) -> bytes:
    """Make the runs on this worker and return an archive with the answer, also for failures."""
    worker = get_worker()
    answer = partial(Answer, worker=worker.address, host=socket.gethostname())
    mixed = compare_versions(task.versions)
    if mixed and not task.allow_mixed:
        return pack(answer(status="differs", reason=describe_mixed(mixed)))
    with tempfile.TemporaryDirectory(prefix="lrreport-run-", dir=worker.local_directory) as folder:
        workspace = Path(folder) / "run"
        workspace.mkdir()
        try:
            runs = unpack_code(task, Path(folder) / "code")
            changes = find_changes(runs, mixed)
            if changes:
                return pack(
                    answer(status="differs", reason=f"has other code ({changes}); bring it to this machine's commit")
                )
            dataset = runs[0].producer.dataset
            try:
                if dataset is not None:
                    task.find_data(dataset)
            except LrreportError as err:
                return pack(answer(status="lacks data", reason=str(err)))
            errors = _execute(task, runs, worker, workspace)
            if mixed:
                for run in runs:
                    if (workspace / run.key / RECORD).exists():
                        mark_mixed(workspace / run.key, run.identity, mixed)
        except LrreportError as err:
            return pack(answer(status="failed", reason=str(err).partition("; see ")[0]), workspace)
        except OSError as err:
            return pack(answer(status="failed", reason=describe_os_error(err)), workspace)
        cut = {key: error.partition("; see ")[0] for key, error in errors.items()}
        return pack(answer(status="made", errors=cut), workspace)


def unpack_code(task: Task, folder: Path) -> list[Run]:
    """Write the files of the task into a folder; return its runs with a producer that finds them there."""
    folder.mkdir()
    for name, content in task.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    producer = task.runs[0].producer.relocate(folder)
    return [Run(run.label, run.identity, producer, run.level, run.n_epochs) for run in task.runs]


def compare_versions(wanted: Mapping[str, str]) -> str:
    """Return the versions here that differ from those wanted, or an empty string."""
    here = list_versions()
    different = [
        f"{name} {here.get(name)}, not {version}" for name, version in wanted.items() if here.get(name) != version
    ]
    return " and ".join(different)


def describe_mixed(different: str) -> str:
    """Return the end of a sentence about a worker with other versions."""
    return (
        f"has {different} as on this machine; install the same there, or add --allow-mixed, which notes it in the records "
        "of its runs"
    )


def find_changes(runs: Sequence[Run], mixed: str) -> str:
    """Return how the identities of the runs differ on this worker, or an empty string."""
    seeds = [run.identity.seed for run in runs if run.identity.seed is not None]
    here = runs[0].producer.identify(seeds or runs[0].identity.settings["seeds"])
    for run, local in zip(runs, here, strict=True):
        wanted: Identity = run.identity.model_copy(update={"versions": local.versions} if mixed else {})
        if local != wanted:
            return describe_changes(wanted, local)
    return ""


def _execute(task: Task, runs: Sequence[Run], worker: Worker, workspace: Path) -> Mapping[str, str]:
    """Let the producer make the runs within the worker's limits, as long as the task is wanted."""
    stopping, device = Event(), runs[0].identity.device
    with (
        report_progress(worker, task.topic, workspace, stopping),
        hold_gpu(stopping) if device == "cuda" else nullcontext(None) as gpu,
    ):
        limits = Limits(stopping, task.stall_timeout, 1, share_memory(worker), gpu)
        return runs[0].producer.make(runs, workspace, limits)


def share_memory(worker: Worker) -> int | None:
    """Return how many bytes each slot of a worker may use: Dask itself watches the worker, but not its kernels."""
    limit = worker.memory_manager.memory_limit
    return limit // worker.state.nthreads if limit else None


@contextmanager
def report_progress(worker: Worker, topic: str, workspace: Path, stopping: Event) -> Iterator[None]:
    """Report finished epochs to the topic, and set `stopping` once the task is no longer wanted."""
    key, ended = worker.get_current_task(), Event()

    def report() -> None:
        reported = 0
        while not ended.wait(SIGN_SECONDS):
            if not is_wanted(worker, key):
                stopping.set()
            n_epochs = _measure(workspace / PROGRESS)
            if n_epochs != reported:
                worker.log_event(topic, {"key": key, "epochs": n_epochs})
                reported = n_epochs

    thread = Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def is_wanted(worker: Worker, key: Any) -> bool:
    """Return whether a task is still to be done: not cancelled, its client and scheduler still there."""
    state = worker.state.tasks.get(key)
    return state is not None and state.state == "executing" and worker.status.name in ALIVE


def _measure(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def hold_gpu(stopping: Event) -> Iterator[str]:
    """Hold a free GPU of this host, and yield its name.

    Raises FailedError if the worker sees no GPU, or if `stopping` is set during the wait.
    """
    names = list_gpus()
    if not names:
        raise FailedError("this worker sees no GPU; start it on a host with a GPU")
    while not stopping.is_set():
        for name in names:
            lock = FileLock(Path(tempfile.gettempdir()) / f"lrreport-gpu-{os.getuid()}-{name.replace('/', '_')}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield name
                return
            finally:
                lock.release()
        time.sleep(0.5)
    raise FailedError("stopped")


def list_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def pack(answer: Answer, workspace: Path | None = None) -> bytes:
    """Return an archive with the answer, and with the files of the workspace and of the folders in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(ANSWER, json.dumps(answer.model_dump()))
        for path in sorted(workspace.rglob("*")) if workspace is not None else ():
            if path.is_file() and not path.is_symlink():
                archive.write(path, path.relative_to(workspace).as_posix())  # type: ignore[arg-type]
    return buffer.getvalue()
