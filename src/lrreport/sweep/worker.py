"""The process in which Papermill executes a notebook; it ends with its kernel when its parent does."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from lrreport.sweep.fork_server import WaitingKernel

CODE_FOLDER = "LRREPORT_CODE_FOLDER"  # the folder of a user's notebook, whose modules it may import
ADDRESS_GRAMMAR = "rfc3987_syntax"  # a module
OUT_OF_MEMORY = ("MemoryError", "can't allocate memory", "Cannot allocate memory", "CUDA out of memory",
                 "failed to map segment")  # fmt: skip


def main(descriptor: int, kernel: "WaitingKernel | None" = None) -> int:
    """Execute the task in the first line of standard input; write the cause of a failure to a descriptor.

    A notebook runs in this kernel, or starts its own. Returns the exit status.
    """
    task = json.loads(sys.stdin.readline())
    Thread(target=_end_with_parent, args=[task.get("private")], daemon=True).start()
    cause = run_command(task) if "command" in task else execute_task(task, kernel)
    os.write(descriptor, cause.encode()[:4000])
    return 1 if cause else 0


def run_command(task: dict[str, Any]) -> str:
    """Run a command; return the cause of a failure in a single line, or an empty string."""
    try:
        returncode = subprocess.run(
            task["command"], cwd=task["folder"], env=task["environment"], stdin=subprocess.DEVNULL, check=False
        ).returncode
    except OSError as err:
        return f"the command cannot be run: {describe_os_error(err)}"
    except ValueError as err:  # such as a null character in an argument
        return f"the command cannot be run: {join_lines(err)}"
    return describe_end(returncode) if returncode else ""


def execute_task(task: dict[str, Any], kernel: "WaitingKernel | None" = None) -> str:
    """Execute a notebook with Papermill; return the cause of a failure in a single line, or an empty string."""
    os.environ.clear()
    os.environ.update(task["environment"])
    skip_address_grammar()
    import papermill
    from traitlets.config import Config

    from lrreport.sweep.engine import ENGINE

    private = Path(task["private"])  # a folder that only this user can enter
    manager = make_manager_class(kernel)
    n_killed = count_killed_for_memory()
    enter_private_folder(private)
    try:
        papermill.execute_notebook(
            escape_braces(task["notebook"]),
            escape_braces(task["output"]),
            task["parameters"],
            engine_name=ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=task["start_timeout"],
            iopub_timeout=task["start_timeout"],
            kernel_manager_class=manager,
            config=Config({"KernelManager": describe_transport(private)}),
        )
    except Exception as err:
        return _describe_failure(err, manager.returncode, count_killed_for_memory() > n_killed)
    return ""


def _describe_failure(err: Exception, returncode: int | None, killed_for_memory: bool) -> str:
    """Return why an execution failed whose kernel ended with this exit status, None if it has not."""
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(err, PapermillExecutionError):
        cause = f"cell {err.exec_count} raised {err.ename}: {join_lines(err.evalue)[:500]}"
        return f"{cause}; out of memory, so run fewer at once with --jobs 1" if is_memory(cause) else cause
    if isinstance(err, DeadKernelError):
        return describe_death(returncode, killed_for_memory=killed_for_memory)
    if isinstance(err, OSError):
        return describe_os_error(err)
    if returncode is not None:  # it ended before it answered
        return f"its kernel did not start ({describe_end(returncode)})"
    return f"{type(err).__name__}: {join_lines(err)}"


def make_manager_class(kernel: "WaitingKernel | None") -> Any:
    """Return a class of kernel managers that start our kernel, or launch `kernel`, and keep the exit status it ended with."""
    from jupyter_client.manager import AsyncKernelManager

    class KernelManager(AsyncKernelManager):
        returncode: int | None = None

        async def is_alive(self) -> bool:  # type: ignore[override]
            alive = await super().is_alive()
            process = getattr(self.provisioner, "process", None)
            type(self).returncode = getattr(process, "returncode", self.returncode)
            return bool(alive)

        async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:  # Jupyter asks to override this
            if kernel is None:
                return await super()._async_launch_kernel(kernel_cmd, **kw)
            kernel.launch(kernel_cmd, kw["env"], kw.get("cwd") or os.getcwd())
            provisioner: Any = self.provisioner
            provisioner.process, provisioner.pid, provisioner.pgid = kernel, kernel.pid, kernel.pid
            self._reconcile_connection_info(provisioner.connection_info)

        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            module = "lrreport.sweep.kernel" if os.name == "posix" else "ipykernel_launcher"
            options = ["-f", self.connection_file, "--InteractiveShellApp.ignore_cwd=True"]
            return [sys.executable, "-P", "-m", module, *options, *(extra_arguments or [])]

    return KernelManager


def enter_private_folder(private: Path) -> None:
    """Use no configuration, kernel, start-up file or module of the user's, nor any in the current folder."""
    os.environ |= {"JUPYTER_CONFIG_DIR": f"{private}/config", "JUPYTER_DATA_DIR": f"{private}/data"}
    os.environ |= {"JUPYTER_PREFER_ENV_PATH": "1", "IPYTHONDIR": f"{private}/ipython"}
    os.chdir(private)


def describe_transport(private: Path) -> dict[str, str]:
    """Return the settings of a kernel's connection, all in a private folder, which is removed even if we are killed.

    Where the system has them these are Unix sockets, which no other user can open.
    """
    sockets = {"transport": "ipc", "ip": f"{private}/k"} if os.name == "posix" else {}
    return {"connection_file": f"{private}/kernel.json", **sockets}


def escape_braces(path: str) -> str:
    """Return a path with braces escaped, since Papermill reads names of parameters in braces."""
    return path.replace("{", "{{").replace("}", "}}")


def describe_end(returncode: int) -> str:
    """Return how a process ended: the name of its signal, or its exit status."""
    if returncode >= 0:
        return f"exit status {returncode}"
    with suppress(ValueError):
        return signal.Signals(-returncode).name
    return f"signal {-returncode}"


def describe_death(returncode: int | None, killed_for_memory: bool) -> str:
    """Return how a kernel died, in a single line."""
    if killed_for_memory:
        return "its kernel was killed because memory ran out; run fewer at once with --jobs 1"
    if returncode == -9:
        return "its kernel was killed (SIGKILL), as systems do when memory runs out: then run fewer with --jobs 1"
    if returncode == -6:
        return "its kernel gave up (SIGABRT), as libraries do when memory runs out: then run fewer with --jobs 1"
    return f"its kernel died ({'no exit status' if returncode is None else describe_end(returncode)})"


def describe_os_error(err: OSError) -> str:
    """Return a system error as a single line with path, cause and remedy."""
    path = f"{os.fsdecode(err.filename)}: " if isinstance(err.filename, str | bytes | os.PathLike) else ""
    remedy = "; free some space there and repeat" if err.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    if "No usable temporary directory" in str(err):
        remedy = "; free some space in any of them, or set TMPDIR to another folder, and repeat"
    return f"{path}{err.strerror or join_lines(err)}{remedy}"


def is_memory(cause: str) -> bool:
    """Return whether an error means that memory ran out."""
    return any(sign in cause for sign in OUT_OF_MEMORY)


def count_killed_for_memory() -> int:
    """Return how many processes of our control groups the system has killed for lack of memory, 0 where it is unknown."""
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return 0
    root, count = Path("/sys/fs/cgroup"), 0
    for _, controllers, path in groups:
        if controllers and "memory" not in controllers.split(","):
            continue
        version_1 = root / "memory" / path.lstrip("/") / "memory.oom_control"
        version_2 = root / path.lstrip("/") / "memory.events"
        with suppress(OSError, ValueError):
            lines = (version_1 if controllers else version_2).read_text(encoding="utf-8").splitlines()
            count += sum(int(number) for name, number in map(str.split, lines) if name == "oom_kill")
    return count


def join_lines(text: object) -> str:
    """Return a text as a single line."""
    return " ".join(str(text).split())


def skip_address_grammar() -> None:
    """Let jsonschema do without its check of web addresses, whose grammar takes two seconds of each import."""
    sys.modules.setdefault(ADDRESS_GRAMMAR, None)  # type: ignore[arg-type]  # None makes its import fail


def _end_with_parent(private: str | None) -> None:
    sys.stdin.read()  # the parent writes no more: this returns when it has ended
    for process in psutil.Process().children(recursive=True):
        process.kill()
    if private is not None:
        shutil.rmtree(private, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
