"""A process that has imported what notebooks need, from which executions and their kernels are forked.

Jupyter, PyTorch, pandas and matplotlib take four seconds of CPU time to import. The server imports them once for all
executions of a study, and never runs a notebook itself, so a kernel forked from it is as fresh as a
started kernel: see multiprocessing's start method of this name. It is used on Linux; elsewhere, libraries of the system may not
survive a fork.
"""

import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO

from lrreport.sweep import worker

FORKS = sys.platform == "linux"
NEEDED = ("papermill.execute", "lrreport.sweep.engine", "lrreport.sweep.kernel", "matplotlib_inline.backend_inline")
UNUSED = (worker.ADDRESS_GRAMMAR, "scipy.stats")  # slow to import; seaborn needs the second for densities alone
IDLE_SECONDS = 1
DIED = -signal.SIGKILL


class ServedProcess:
    """A process forked from the server, with the methods of subprocess.Popen that are needed."""

    def __init__(self, server: int, stdin: IO[bytes], status: IO[bytes]):
        self.server, self.stdin, self._status = server, stdin, status  # the server by its process number
        first = status.readline()
        # Without an answer the server has died, whose number stands for that of a process which was never there.
        self.pid = int(first or server)
        self.returncode: int | None = None if first else DIED

    def poll(self) -> int | None:
        """Return the exit status once the process has ended, a negative number for a signal; None before."""
        return self._read(0)

    def wait(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        status = self._read(None)
        assert status is not None
        return status

    def _read(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            last = self._status.readline()
            self.returncode = int(last) if last else DIED  # the server has died with the exit status
        return self.returncode

    def __enter__(self) -> "ServedProcess":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.wait()
        self._status.close()


class ForkServer:
    """Starts worker processes, each from a server with its number of threads, which has imported modules or is bare.

    The modules that `later` returns are imported while there is nothing else to do. Close it in the end, or use it in a
    `with` statement; processes that it has started go on.
    """

    def __init__(self, later: Callable[[], Sequence[str]] = tuple) -> None:
        self._later = later
        self._servers: dict[tuple[str, bool], tuple[subprocess.Popen[bytes], socket.socket]] = {}
        self._guard = Lock()

    def start(
        self, environment: Mapping[str, str], modules: Sequence[str] | None, log: IO[bytes], cause: int
    ) -> ServedProcess:
        """Fork a worker that prints to `log` and has our descriptor `cause`, once these modules are imported.

        Modules that are missing or fail are left to the notebook. With None the kernel imports only what it needs
        itself. The first line on standard input must be the task.
        """
        (task_end, stdin), (status, status_end) = os.pipe(), os.pipe()
        try:
            server = self._send(environment, modules, log, [task_end, log.fileno(), cause, status_end])
        except OSError:
            os.close(stdin)
            os.close(status)
            raise
        finally:
            os.close(task_end)
            os.close(status_end)
        return ServedProcess(server, open(stdin, "wb", buffering=0), open(status, "rb", buffering=0))

    def close(self) -> None:
        """End the servers."""
        with self._guard:
            for process, control in self._servers.values():
                control.close()
                process.kill()
                process.wait()
            self._servers.clear()

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _send(
        self, environment: Mapping[str, str], modules: Sequence[str] | None, log: IO[bytes], descriptors: Sequence[int]
    ) -> int:
        """Send a message to the server of its kind, started if necessary; return the server's process id."""
        key = environment["OMP_NUM_THREADS"], modules is None
        with self._guard:
            if (
                key in self._servers and self._servers[key][0].poll() is not None
            ):  # it was killed, for example for memory
                self._servers.pop(key)[1].close()
            if key not in self._servers:
                self._servers[key] = _start_server(environment, log, () if modules is None else self._later())
            process, control = self._servers[key]
            socket.send_fds(control, [json.dumps(modules or []).encode()], descriptors)
            return process.pid


def _start_server(
    environment: Mapping[str, str], log: IO[bytes], later: Sequence[str]
) -> "tuple[subprocess.Popen[bytes], socket.socket]":
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lrreport.sweep.fork_server", str(theirs.fileno()), *later],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(environment), cwd="/", pass_fds=[theirs.fileno()],
            start_new_session=True,
        )  # fmt: skip
    return process, ours


def serve(control: socket.socket, later: Sequence[str]) -> int:
    """Fork a worker for each message, and report to its owner how it ended, until the owner closes the socket.

    A message has the modules to import before, as JSON, and the descriptors of the task, the log, the cause of a failure
    and the status. Returns the exit status of this process or, in a forked process, of that.
    """
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None makes its import fail
    _import(NEEDED)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    statuses: dict[int, int] = {}
    waited_for: list[socket.socket | int] = [control, woken]
    while True:
        ready, _, _ = select.select(waited_for, [], [], IDLE_SECONDS if later and statuses else None)
        if not ready:
            _import(later)
            later = ()
        if woken in ready:
            os.read(woken, 1000)
            _report_ends(statuses)
        if control not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 4)
        if not message:
            return 0
        _import(json.loads(message))
        task, log, cause, status = descriptors
        gc.collect()
        gc.freeze()  # a collection in a forked process would copy the pages of all that is here
        pid = os.fork()
        if pid == 0:
            return _become_worker(task, log, cause, (control.detach(), woken, wake, status, *statuses.values()))
        os.write(status, b"%d\n" % pid)
        statuses[pid] = status
        for descriptor in (task, log, cause):
            os.close(descriptor)


def _import(modules: Sequence[str]) -> None:
    """Import modules; a failing import will fail again in the notebook, where it is visible."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


def _report_ends(statuses: dict[int, int]) -> None:
    """Write the exit status of each process that has ended to its owner."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            status = statuses.pop(ended[0])
            with suppress(OSError):
                os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended[1]))
            os.close(status)


def _become_worker(task: int, log: int, cause: int, inherited: Iterable[int]) -> int:
    """Turn this process into a worker in its own session, with a waiting kernel; return the exit status.

    The `inherited` descriptors are those of the server alone.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in inherited:
        os.close(descriptor)
    os.setsid()
    for descriptor, standard in ((task, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, standard)
    os.close(task)
    os.close(log)
    launch, launch_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(launch_end)
        os.close(cause)
        return _become_kernel(launch)
    os.close(launch)
    return worker.main(cause, WaitingKernel(pid, launch_end))


class WaitingKernel:
    """A forked process that becomes a kernel when it is launched, with the methods of subprocess.Popen that Jupyter calls."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, launch: int):
        self.pid, self._launch = pid, launch
        self.returncode: int | None = None

    def launch(self, command: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
        """Start the kernel in `folder` with the options of this command and this environment."""
        request = {"command": list(command), "environment": dict(environment), "folder": folder}
        with suppress(BrokenPipeError), open(self._launch, "w", encoding="utf-8") as file:  # it may have been killed
            json.dump(request, file)

    def poll(self) -> int | None:
        """Return the exit status once it has ended, else None."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait until it has ended, and return the exit status."""
        return self._reap(0)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def _become_kernel(launch: int) -> int:
    """Wait to be launched, then run as a kernel that was started alone would."""
    os.setsid()
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    with open(launch, encoding="utf-8") as file:
        text = file.read()
    if not text:  # the worker has ended
        os._exit(0)
    request = json.loads(text)
    os.environ.clear()
    os.environ.update(request["environment"] | {"JPY_PARENT_PID": str(os.getppid())})
    os.chdir(request["folder"])
    with suppress(OSError):
        Path("/proc/self/comm").write_text("lrreport-kernel", encoding="ascii")  # its name in lists of processes
    for name in UNUSED:
        if sys.modules.get(name, worker) is None:
            del sys.modules[name]  # a notebook may import it
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else all forked processes draw the same numbers
    from lrreport.sweep import kernel

    options = request["command"][request["command"].index("-f") :]
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # the kernel ends when its parent does
    sys.argv = [kernel.__file__, *options, parent]
    kernel.main()
    return 0


if __name__ == "__main__":
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:]))
