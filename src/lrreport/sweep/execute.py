"""One notebook through Papermill, in a process of its own: its environment, its watch, and the causes of failure."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import psutil
from filelock import FileLock, Timeout

from lrreport import FailedError, LrreportError
from lrreport.record import PROGRESS
from lrreport.sweep.worker import describe_os_error

LOG = "execution.log"
PRIVATE = "lrreport-"  # what the names of private folders begin with
STALL_TIMEOUT = 1800.0  # seconds
START_TIMEOUT = 300  # seconds; many kernels on few cores start slowly
# What could let a user's own settings change a result: they configure Python, Jupyter, matplotlib and the numerics.
UNWANTED = ("PYTHON", "JUPYTER", "IPYTHON", "MPL", "MATPLOTLIB", "LC_", "LANG", "OMP_", "GOMP_", "KMP_", "MKL_",
            "OPENBLAS_", "DNNL_", "ONEDNN_", "ATEN_", "TORCH_", "PYTORCH_", "CUBLAS_", "NPY_", "NVIDIA_TF32", "TQDM_",
            "COLUMNS", "LINES")  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How an execution is bounded: `stopping` ends it at once, silence ends it, and it has so many threads.

    `stall_timeout` is how many seconds may pass without a finished cell or epoch; `n_bytes` is the memory that it and
    its kernel may use together, `gpu` the only GPU that it sees; without them it has what there is.
    """

    stopping: Event = field(default_factory=Event)
    stall_timeout: float = STALL_TIMEOUT
    n_threads: int = 1
    n_bytes: int | None = None
    gpu: str | None = None


def execute(notebook: Path, output: Path, parameters: dict[str, Any], limits: Limits | None = None) -> None:
    """Execute a notebook with these parameters; write it, executed as far as it came, to `output`.

    What the kernel and Papermill say goes to execution.log beside `output`. Raises FailedError, in one line that names
    the cause and the notebook to open, and LrreportError for a parameter that the notebook does not have.
    """
    refuse_unknown_parameters(notebook, parameters)
    limits = limits or Limits()
    try:
        with make_private_folder() as private, output.with_name(LOG).open("wb") as log:
            task = {"notebook": str(notebook), "output": str(output), "parameters": parameters}
            cause = _run_worker(task | {"private": str(private), "start_timeout": START_TIMEOUT}, log, limits)
    except OSError as err:
        cause = describe_os_error(err)
    if cause:
        raise FailedError(f"{cause}; see {output} and {LOG} beside it")


def _run_worker(task: dict[str, Any], log: Any, limits: Limits) -> str:
    """Run the worker to its end; return why it failed, or nothing."""
    read_end, write_end = os.pipe()
    with (
        open(read_end, "rb") as causes,
        subprocess.Popen(
            [sys.executable, "-m", "lrreport.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=make_environment(limits.n_threads, limits.gpu),
            pass_fds=[write_end],
            start_new_session=True,  # so that Ctrl-C reaches only us
        ) as process,
    ):
        os.close(write_end)
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it could not even start: its exit status says so
            process.stdin.write(f"{json.dumps(task | {'cause': write_end})}\n".encode())
            process.stdin.flush()
        ended_for = _watch(process, Path(task["output"]), limits)
        if limits.stopping.is_set():
            return "stopped"
        said = causes.read().decode(errors="replace")
    if ended_for:
        return f"{ended_for}, so it was ended"
    if process.returncode != 0 and not said:
        return f"its process was ended by {describe_end(process.returncode)}"
    return said


def _watch(process: "subprocess.Popen[bytes]", output: Path, limits: Limits) -> str:
    """Wait until the process has ended, or end it when it is to stop or breaks a limit; return which one it broke."""
    seen, since, measured, broken = None, time.monotonic(), 0.0, ""
    try:
        while process.poll() is None and not broken and not limits.stopping.wait(0.05):
            signs = [_stat(output), _stat(output.with_name(PROGRESS))]
            if signs != seen:
                seen, since = signs, time.monotonic()
            if time.monotonic() - since > limits.stall_timeout:
                broken = f"no sign of life from it for {limits.stall_timeout:g} s (--stall-timeout)"
            elif limits.n_bytes is not None and time.monotonic() - measured > 0.5:
                measured = time.monotonic()
                if measure_tree(process.pid) > limits.n_bytes:
                    broken = f"it used more than the {limits.n_bytes / 1e6:.0f} MB of memory that it may use"
    finally:
        if process.poll() is None:
            end_tree(process.pid)
    process.wait()
    return broken


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def measure_tree(pid: int) -> int:
    """Return how many bytes of memory a process and all that it started have resident."""
    n_bytes = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                n_bytes += one.memory_info().rss
    return n_bytes


def end_tree(pid: int) -> None:
    """Kill a process and all that it started, and wait until they have ended."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family[:-1], timeout=3)


def describe_end(returncode: int) -> str:
    """Return how a process ended: the signal's name, or its exit status."""
    return signal.Signals(-returncode).name if returncode < 0 else f"exit status {returncode}"


@contextmanager
def make_private_folder() -> Iterator[Path]:
    """Make a folder that only this user can enter, for a kernel's sockets; it is removed in the end.

    Those of processes that were killed are recognised by the lock that nobody holds any more, and removed as well.
    """
    # The path of a Unix socket has at most 107 bytes.
    place = Path(tempfile.gettempdir()) if len(tempfile.gettempdir()) < 70 else Path("/tmp")
    for left in place.glob(f"{PRIVATE}*/.lock"):
        with suppress(Timeout, OSError):
            if time.time() - left.stat().st_mtime > 10:  # not one whose owner is about to lock it
                with FileLock(left, timeout=0):
                    shutil.rmtree(left.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PRIVATE, dir=place))
    try:
        with FileLock(folder / ".lock"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_unknown_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """Raise LrreportError for a parameter that the notebook does not have, which Papermill would only warn about."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    source = "".join(
        line for cell in cells if "parameters" in cell["metadata"].get("tags", ()) for line in cell["source"]
    )
    known = [line.partition(":")[0].partition("=")[0].strip() for line in source.splitlines() if "=" in line]
    for name in parameters:
        if name not in known:
            raise LrreportError(f"{notebook}: no parameter {name!r}; its parameters are {', '.join(known)}")


def make_environment(n_threads: int, gpu: str | None = None) -> dict[str, str]:
    """Return our environment less what could let a user's own settings change a result, for so many threads.

    With a `gpu`, that is the only one to be seen.
    """
    matplotlib = importlib.util.find_spec("matplotlib")
    assert matplotlib
    assert matplotlib.origin
    ours = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    threads = {f"{name}_NUM_THREADS": str(n_threads) for name in ("OMP", "MKL", "OPENBLAS")}
    only = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    return ours | threads | only | {
        "PYTHONHASHSEED": "0",  # else a user's sets of words have another order in each process
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "LC_ALL": "C.UTF-8",
        "MPLBACKEND": "agg",
        "MATPLOTLIBRC": str(Path(matplotlib.origin).with_name("mpl-data") / "matplotlibrc"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }  # fmt: skip
