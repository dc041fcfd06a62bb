"""Run an execution in a process: its environment, its limits, and the cause of a failure."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import IO, Any, TypeAlias

import psutil
from filelock import FileLock, Timeout

from lrreport.errors import FailedError, LrreportError
from lrreport.record.provenance import list_imports, parse_source
from lrreport.record.record import PROGRESS
from lrreport.sweep.fork_server import FORKS, ForkServer, ServedProcess
from lrreport.sweep.worker import (
    CODE_FOLDER,
    count_killed_for_memory,
    describe_death,
    describe_end,
    describe_os_error,
    join_lines,
)

LOG, STDOUT, STDERR = "execution.log", "stdout.log", "stderr.log"
PRIVATE, MARK = "lrreport-kernel-", ".lrreport-private"  # the prefix of private folders, and a file in each
LONGEST_FOLDER = 70  # bytes of a folder's path; that of a Unix socket has at most 107
STALL_TIMEOUT = 1800.0  # seconds
START_TIMEOUT = 300  # seconds; many kernels on few cores start slowly
TICK_SECONDS = 0.5  # between two calls of Limits.on_tick
LARGEST_LOG = 50_000_000  # bytes of what an execution prints; what prints more hides what matters
# Settings of the user that could change a result: they configure Python, Jupyter, matplotlib and the numerics.
UNWANTED = ("PYTHON", "JUPYTER", "IPYTHON", "MPL", "MATPLOTLIB", "LC_", "LANG", "OMP_", "GOMP_", "KMP_", "MKL_",
            "OPENBLAS_", "DNNL_", "ONEDNN_", "ATEN_", "TORCH_", "PYTORCH_", "CUBLAS_", "NPY_", "NVIDIA_TF32", "TQDM_",
            "COLUMNS", "LINES", "MALLOC_")  # fmt: skip
# The GNU C library gives large arrays back to the system as soon as they are free, only to get new pages at the next step.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 29)}  # bytes
Worker: TypeAlias = "subprocess.Popen[bytes] | ServedProcess"


def _do_nothing() -> None: ...


@dataclass(frozen=True)
class Limits:
    """Limits of an execution: setting `stopping` ends it at once, and so does a lack of progress.

    `stall_timeout` is the time without a finished cell or epoch, in seconds; `n_bytes` is the memory that all processes
    may use together, `gpu` the only visible GPU; None sets no limit. `on_tick` is called about twice a second.
    Executions with the same `server` share its imports.
    """

    stopping: Event = field(default_factory=Event)
    stall_timeout: float = STALL_TIMEOUT
    n_threads: int = 1
    n_bytes: int | None = None
    gpu: str | None = None
    on_tick: Callable[[], None] = _do_nothing
    server: ForkServer | None = None


def count_cores() -> int:
    """Return how many cores this process may use, or the value of LRREPORT_CORES.

    Raises LrreportError for a value of LRREPORT_CORES that is not a whole number from 1 on.
    """
    text = os.environ.get("LRREPORT_CORES")
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isascii() or not text.isdecimal() or int(text[:9]) < 1:
        raise LrreportError(f"LRREPORT_CORES: {text[:40]!r} is not a whole number from 1 on")
    return int(text[:9])


def execute_notebook(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    limits: Limits | None = None,
    environment: Mapping[str, str] | None = None,
    code_folder: Path | None = None,
    watched: Sequence[Path] = (),
) -> None:
    """Execute a notebook with these parameters and write it, even if it fails, to `output`.

    The output of the kernel and of Papermill goes to execution.log beside `output`. With a `code_folder` the notebook
    works there and may import its modules; else it works in an empty folder. Files in `watched` that grow count
    as progress. Raises FailedError that names the cause and the notebook to open, and LrreportError for a parameter that the
    notebook does not have.
    """
    refuse_unknown_parameters(notebook, parameters)
    limits = limits or Limits()
    changed = dict(environment or {}) | ({CODE_FOLDER: str(code_folder)} if code_folder is not None else {})
    try:
        _fill_standard_streams()
        with make_private_folder() as private, output.with_name(LOG).open("wb") as log:
            task: dict[str, Any] = {"notebook": str(notebook), "output": str(output), "parameters": dict(parameters)}
            task |= {"private": str(private), "start_timeout": START_TIMEOUT}
            task["environment"] = {**make_environment(limits.n_threads, limits.gpu), **changed}
            with ExitStack() as stack:
                start: Callable[[int], Worker] = partial(_start_worker, task["environment"], log, log)
                if FORKS:
                    server = limits.server or stack.enter_context(ForkServer())
                    # In a user's kernel nothing is imported before the user's own modules can be found.
                    modules = list_modules(notebook) if code_folder is None else None
                    start = partial(server.start, task["environment"], modules, log)
                cause = _run_worker(task, start, Path(log.name), limits, [output, output.with_name(PROGRESS), *watched])
    except OSError as err:
        cause = describe_os_error(err)
    if cause:
        raise FailedError(f"{cause}; see {output} and {LOG} beside it")


def execute_command(
    arguments: Sequence[str],
    folder: Path,
    workspace: Path,
    limits: Limits | None = None,
    environment: Mapping[str, str] | None = None,
    watched: Sequence[Path] = (),
) -> None:
    """Run the user's command in `folder`; its output goes to stdout.log and stderr.log in the workspace.

    It has our environment, with a single thread per numerical library so that the number of jobs changes no result;
    "python" is the Python that runs lrreport. Raises FailedError with the exit status and the last line of
    stderr, or with the exceeded limit.
    """
    limits = limits or Limits()
    outputs = workspace / STDOUT, workspace / STDERR
    program = sys.executable if arguments[0] in ("python", "python3") else arguments[0]
    changed = {f"{name}_NUM_THREADS": str(limits.n_threads) for name in ("OMP", "MKL", "OPENBLAS")}
    changed |= {} if limits.gpu is None else {"CUDA_VISIBLE_DEVICES": limits.gpu}
    changed |= {"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0", **(environment or {})}
    task = {"command": [program, *arguments[1:]], "folder": str(folder), "environment": {**os.environ, **changed}}
    try:
        _fill_standard_streams()
        with outputs[0].open("wb") as stdout, outputs[1].open("wb") as stderr:
            start = partial(_start_worker, make_environment(limits.n_threads, limits.gpu), stdout, stderr)
            cause = _run_worker(task, start, outputs[0], limits, [*outputs, *watched])
    except OSError as err:
        cause = describe_os_error(err)
    if cause:
        last = read_last_line(outputs[1]) if cause.startswith(("exit status", "SIG")) else ""
        raise FailedError(f"{cause}{f': {last}' if last else ''}; see {outputs[1]} and {STDOUT} beside it")


def _run_worker(
    task: dict[str, Any], start: Callable[[int], "Worker"], log: Path, limits: Limits, watched: Sequence[Path]
) -> str:
    """Run a worker, started with a descriptor for its cause of failure; return that cause, or an empty string."""
    n_killed = count_killed_for_memory()
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as causes:
        try:
            worker = start(write_end)
        finally:
            os.close(write_end)
        with worker as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it did not even start, as its exit status tells
                # What an ASCII locale could not decode in a path goes on as its bytes, which the worker reads as UTF-8.
                process.stdin.write(f"{json.dumps(task, ensure_ascii=False)}\n".encode(errors="surrogateescape"))
                process.stdin.flush()
            broken = watch_process(process, log, watched, limits)
            if limits.stopping.is_set():
                return "stopped"
            cause = causes.read().decode(errors="replace")
    if broken:
        return f"{broken}, so it was ended"
    assert process.returncode is not None
    if process.returncode == -signal.SIGKILL and count_killed_for_memory() > n_killed:
        return describe_death(process.returncode, killed_for_memory=True)
    if process.returncode != 0 and not cause:
        return f"its process was ended by {describe_end(process.returncode)}"
    return cause


def _start_worker(
    environment: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes], cause: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "lrreport.sweep.worker", str(cause)],  # -P: import nothing from the current folder
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env=dict(environment),
        pass_fds=[cause],
        start_new_session=True,  # so that Ctrl-C reaches only us
    )


def watch_process(process: Worker, log: Path, watched: Sequence[Path], limits: Limits) -> str:
    """Wait for the process, or end it when stopped or over a limit; return the exceeded limit, or an empty string."""
    seen, since, ticked, broken = None, time.monotonic(), time.monotonic(), ""
    try:
        while process.poll() is None and not broken and not limits.stopping.wait(0.05):
            now, signs = time.monotonic(), [_stat(path) for path in watched]
            if signs != seen:
                seen, since = signs, now
            if now - since > limits.stall_timeout:
                broken = f"no progress for {limits.stall_timeout:g} s (--stall-timeout)"
            elif now - ticked > TICK_SECONDS:
                ticked = now
                limits.on_tick()
                broken = _find_excess(process, log, limits)
    finally:
        end_tree(process)
    return broken


def _find_excess(process: Worker, log: Path, limits: Limits) -> str:
    """Return the exceeded limit on memory or output, or an empty string."""
    if limits.n_bytes is not None and measure_memory(process) > limits.n_bytes:
        return f"it used more than the {limits.n_bytes / 1e6:.0f} MB of memory that it may use"
    stat = _stat(log)
    if stat is not None and stat[1] > LARGEST_LOG:
        return f"it printed more than {LARGEST_LOG // 1_000_000} MB"
    return ""


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def measure_memory(process: Worker) -> int:
    """Return how many bytes a process, its descendants and its server have resident; a page of n processes is 1/n of it."""
    members: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        members = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        members += [psutil.Process(process.server)] if isinstance(process, ServedProcess) else []
    n_bytes = 0
    for member in members:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory = member.memory_full_info()
            n_bytes += getattr(memory, "pss", memory.rss)  # what only Linux knows
    return n_bytes


def end_tree(process: Worker) -> None:
    """Kill a process with its descendants and its session, and wait until they have ended.

    If it has already ended, processes left in its session are killed.
    """
    family: list[psutil.Process] = []
    if process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
            for member in [*family, psutil.Process(process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # it leads the group, whose number is not reused while a member lives
    process.wait()
    psutil.wait_procs(family, timeout=3)


def read_last_line(path: Path, longest: int = 300) -> str:
    """Return the last line of a text file that is not empty, as printable characters."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 10_000))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return (
        join_lines("".join(letter if letter.isprintable() else " " for letter in lines[-1]))[:longest] if lines else ""
    )


@contextmanager
def make_private_folder() -> Iterator[Path]:
    """Make a temporary folder that only this user can enter, for a kernel's sockets.

    Those of killed processes are removed as well: folders of this user with our mark in them and a lock that is free.
    """
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > LONGEST_FOLDER:
        parent = Path("/tmp")
    for mark in parent.glob(f"{PRIVATE}*/{MARK}"):
        with suppress(Timeout, OSError):
            if _is_ours(mark.parent):
                with FileLock(mark.with_name(".lock"), timeout=0):
                    shutil.rmtree(mark.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PRIVATE, dir=parent))
    try:
        with FileLock(folder / ".lock"):
            (folder / MARK).touch()  # only now, since a folder with the mark and a free lock may be removed
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    stat = folder.lstat()
    return stat.st_uid == os.getuid() and stat.st_mode & 0o77 == 0 and not folder.is_symlink()


def _fill_standard_streams() -> None:
    """Open /dev/null for standard streams that were closed, whose numbers a pipe would get otherwise."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def list_parameters(notebook: Path) -> list[str]:
    """Return the names in a notebook's parameters cell; raises LrreportError for a file that is not a notebook."""
    source = "".join(line for cell in read_cells(notebook) if is_tagged(cell, "parameters") for line in cell["source"])
    return [line.partition(":")[0].partition("=")[0].strip() for line in source.splitlines() if "=" in line]


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook; raises LrreportError for a file that is not a notebook."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [{**cell, "source": "".join(cell["source"]), "tags": cell["metadata"].get("tags", [])} for cell in cells]
    except OSError as err:
        raise LrreportError(f"{notebook}: cannot read the notebook ({err.strerror}); name another notebook") from err
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise LrreportError(f"{notebook}: not a notebook of format 4; save it again in Jupyter") from err


def list_modules(notebook: Path) -> list[str]:
    """Return the modules that the cells of a notebook may import; cells that are not plain Python are skipped."""
    names: list[str] = []
    for cell in read_cells(notebook):
        if cell["cell_type"] == "code":
            with suppress(SyntaxError, ValueError):
                names += list_imports(parse_source(cell["source"]), "")
    return names


def is_tagged(cell: Mapping[str, Any], tag: str) -> bool:
    """Return whether a cell from `read_cells` has a tag."""
    return tag in cell["tags"]


def refuse_unknown_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Raise LrreportError for a parameter that the notebook does not have, of which Papermill would only warn."""
    known = list_parameters(notebook)
    for name in parameters:
        if name not in known:
            raise LrreportError(f"{notebook}: no parameter {name!r}; its parameters are {', '.join(known)}")


def make_environment(n_threads: int, gpu: str | None = None) -> dict[str, str]:
    """Return our environment without settings of the user that could change a result, for so many threads.

    With a `gpu`, only that GPU is visible.
    """
    matplotlib = importlib.util.find_spec("matplotlib")
    assert matplotlib
    assert matplotlib.origin
    ours = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    threads = {f"{name}_NUM_THREADS": str(n_threads) for name in ("OMP", "MKL", "OPENBLAS")}
    only = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    return ours | threads | only | {
        "PYTHONHASHSEED": "0",  # else sets of words have another order in each process
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "LC_ALL": "C.UTF-8",
        "MPLBACKEND": "agg",
        "MATPLOTLIBRC": str(Path(matplotlib.origin).with_name("mpl-data") / "matplotlibrc"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **KEEP_MEMORY,
    }  # fmt: skip
