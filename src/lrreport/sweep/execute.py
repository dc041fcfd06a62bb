"""Run an execution in a process: its environment, its limits, and the cause of a failure."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import IO, Any, TypeAlias

import psutil

from lrreport.errors import FailedError
from lrreport.record.record import PROGRESS
from lrreport.sweep.environment import fill_standard_streams, make_environment, make_private_folder
from lrreport.sweep.fork_server import FORKS, ForkServer, ServedProcess
from lrreport.sweep.notebook_cells import list_modules, refuse_unknown_parameters
from lrreport.sweep.worker import (
    CODE_FOLDER,
    count_killed_for_memory,
    describe_death,
    describe_end,
    describe_os_error,
    join_lines,
)

LOG, STDOUT, STDERR = "execution.log", "stdout.log", "stderr.log"
STALL_TIMEOUT = 1800.0  # seconds
START_TIMEOUT = 300  # seconds; many kernels on few cores start slowly
TICK_SECONDS = 0.5  # between two calls of Limits.on_tick
LARGEST_LOG = 50_000_000  # bytes of what an execution prints; what prints more hides what matters
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
        fill_standard_streams()
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
        fill_standard_streams()
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
