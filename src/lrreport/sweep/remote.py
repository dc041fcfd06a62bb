"""What runs on a worker of a cluster: one run, made in a folder of the worker's own and given back as bytes."""

import io
import os
import socket
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from distributed import Worker, get_worker
from filelock import FileLock, Timeout

from lrreport import FailedError, LrreportError
from lrreport.provenance import Identity, identify, list_versions
from lrreport.record import PROGRESS, mark_mixed
from lrreport.settings import IMPORT_PATH, Parameters, RangeParameters
from lrreport.sweep.execute import Limits, execute
from lrreport.sweep.store import describe_changes
from lrreport.sweep.worker import describe_os_error

SIGN_SECONDS = 0.5  # between two looks at a run: does anybody still want it, which epochs has it done
ALIVE = ("init", "running", "paused", "closing_gracefully")  # a worker that is closing ends its runs
ASKED = "asked.ipynb"


@dataclass(frozen=True)
class Task:
    """All that a worker needs to make one run; `topic` is where it tells which epochs are done.

    `find_data` finds a dataset on the worker, or raises LrreportError; `own_code` are the files of modules of the user's
    own, by their paths beside the study's file.
    """

    parameters: Parameters | RangeParameters
    identity: Identity
    notebook: str
    content: bytes
    versions: Mapping[str, str]
    allow_mixed: bool
    stall_timeout: float
    topic: str
    find_data: Callable[[str], object]
    own_code: Mapping[str, bytes]


@dataclass(frozen=True)
class Outcome:
    """What became of a task, why, and where; `folder` is the run's folder as a ZIP archive, if there is one."""

    status: Literal["made", "failed", "differs", "lacks data"]
    said: str = ""
    worker: str = ""
    host: str = ""
    folder: bytes = b""


def make_run(task: Task) -> Outcome:
    """Make one run on this worker; whatever happens comes back as the outcome."""
    worker = get_worker()
    tell = partial(Outcome, worker=worker.address, host=socket.gethostname())
    mixed = compare_versions(task.versions)
    if mixed and not task.allow_mixed:
        return tell("differs", describe_mixed(mixed))
    with tempfile.TemporaryDirectory(prefix="lrreport-run-", dir=worker.local_directory) as folder:
        workspace = Path(folder) / "run"
        workspace.mkdir()
        try:
            code_folder = keep_own_code(task.own_code, Path(folder) / "code")
            changes = find_changes(task, code_folder)
            if changes:
                return tell("differs", f"has other code ({changes}); bring it to the commit of this machine")
            try:
                if not IMPORT_PATH.match(task.parameters.dataset):
                    task.find_data(task.parameters.dataset)
            except LrreportError as err:
                return tell("lacks data", str(err))
            _execute(task, worker, workspace, code_folder)
            if mixed:
                mark_mixed(workspace, task.identity, mixed)
        except LrreportError as err:
            return tell("failed", str(err).partition("; see ")[0], folder=pack_folder(workspace))
        except OSError as err:
            return tell("failed", describe_os_error(err), folder=pack_folder(workspace))
        return tell("made", folder=pack_folder(workspace))


def keep_own_code(files: Mapping[str, bytes], folder: Path) -> str:
    """Write the modules of a user's own into a folder, and return it; nothing if there are none."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return str(folder) if files else ""


def compare_versions(wanted: Mapping[str, str]) -> str:
    """Return which versions here are not those wanted, naming both, or nothing."""
    here = list_versions()
    different = [
        f"{name} {here.get(name)}, not {version}" for name, version in wanted.items() if here.get(name) != version
    ]
    return " and ".join(different)


def describe_mixed(different: str) -> str:
    """Return what to say of a worker with other versions, after its name."""
    return (
        f"has {different} as on this machine; install the same there, or add --allow-mixed, which notes it in the records "
        "of its runs"
    )


def find_changes(task: Task, code_folder: str) -> str:
    """Return what would make the run another one here than was asked for, or nothing."""
    asked = task.identity
    here = identify(task.parameters, asked.data, code_folder, asked.device)
    if task.allow_mixed:
        here = here.model_copy(update={"torch": asked.torch})
    return "" if here == asked else describe_changes(asked, here)


def _execute(task: Task, worker: Worker, workspace: Path, code_folder: str) -> None:
    """Execute the notebook that was sent, within what this worker may use, as long as somebody wants the run."""
    notebook, stopping = workspace.with_name(ASKED), Event()
    notebook.write_bytes(task.content)
    device = task.identity.device
    folders = {"run_dir": str(workspace), "code_folder": code_folder}
    parameters = task.parameters.model_dump(mode="json") | {"device": device, **folders}
    with (
        tell_signs(worker, task.topic, workspace, stopping),
        hold_gpu(stopping) if device == "cuda" else nullcontext(None) as gpu,
    ):
        limits = Limits(stopping, task.stall_timeout, 1, share_memory(worker), gpu)
        execute(notebook, workspace / task.notebook, parameters, limits)


def share_memory(worker: Worker) -> int | None:
    """Return how many bytes each slot of a worker may use: Dask itself watches the worker, but not its kernels."""
    limit = worker.memory_manager.memory_limit
    return limit // worker.state.nthreads if limit else None


@contextmanager
def tell_signs(worker: Worker, topic: str, workspace: Path, stopping: Event) -> Iterator[None]:
    """Tell whoever listens which epochs are done, and set `stopping` once nobody wants the run any more."""
    key, ended = worker.get_current_task(), Event()

    def tell() -> None:
        told = 0
        while not ended.wait(SIGN_SECONDS):
            if not is_wanted(worker, key):
                stopping.set()
            n_epochs = _measure(workspace / PROGRESS)
            if n_epochs != told:
                worker.log_event(topic, {"key": key, "epochs": n_epochs})
                told = n_epochs

    thread = Thread(target=tell, daemon=True)
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
    """Hold a GPU of this host that no other run has, as long as the run takes; yield its name.

    Raises FailedError when there is none, or when `stopping` is set while it waits for one.
    """
    names = list_gpus()
    if not names:
        raise FailedError("this worker sees no GPU; start it where there is one")
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


def pack_folder(folder: Path) -> bytes:
    """Return the files of a folder as a ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            archive.write(path, path.name)
    return buffer.getvalue()


def unpack_folder(content: bytes, folder: Path) -> None:
    """Write the files of a ZIP archive into a folder; raise FailedError if it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                (folder / Path(name).name).write_bytes(archive.read(name))
    except (zipfile.BadZipFile, zlib.error, EOFError) as err:
        raise FailedError(f"its folder came back damaged ({err})") from err
