"""One notebook through Papermill, in a process of its own: kernel, parameters, causes of failure."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread
from typing import Any

from lrreport import LrreportError

LOG = "execution.log"


def execute(notebook: Path, output: Path, parameters: dict[str, Any], stopping: Event | None = None) -> None:
    """Execute a notebook with these parameters; write it, executed as far as it came, to `output`.

    What the kernel and Papermill say goes to execution.log beside `output`. When `stopping` is set, all ends at once.
    Raises LrreportError, in one line that names the cause and the notebook to open.
    """
    refuse_unknown_parameters(notebook, parameters)
    log = output.with_name(LOG)
    task = json.dumps({"notebook": str(notebook), "output": str(output), "parameters": parameters})
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            [sys.executable, "-m", "lrreport.sweep.execute"],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=make_environment(),
            start_new_session=True,  # so that Ctrl-C reaches only us
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(f"{task}\n".encode())
        process.stdin.flush()
        while process.poll() is None:
            if stopping is not None and stopping.wait(0.1):
                process.kill()  # its kernel watches it and ends within a second
            elif stopping is None:
                process.wait()
    if process.returncode != 0:
        raise LrreportError(f"{describe_failure(process.returncode, log)}; see {output}")


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


def make_environment() -> dict[str, str]:
    """Return our environment less what could let a user's own settings change a result."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "IPYTHON", "PYTHON", "MPL"))
    }
    return ours | {"PYTHONNOUSERSITE": "1", "MPLBACKEND": "agg", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def describe_failure(returncode: int, log: Path) -> str:
    """Return the cause of a failed execution in one line: the log's last, or the signal that ended the process."""
    if returncode < 0:
        return f"its process was ended by {signal.Signals(-returncode).name}"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"its process ended with status {returncode}"


def main() -> int:
    """Execute the task in the first line of standard input; the last line printed is the cause of a failure."""
    task = json.loads(sys.stdin.readline())
    Thread(target=_end_with_parent, daemon=True).start()
    skip_address_grammar()
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="lrr") as private:  # only this user can enter it
        config = Path(private) / "config"
        os.environ |= {"JUPYTER_CONFIG_DIR": str(config), "IPYTHONDIR": str(config)}
        try:
            papermill.execute_notebook(
                task["notebook"],
                task["output"],
                task["parameters"],
                kernel_name="python3",
                progress_bar=False,
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{private}/k"}}),
            )
        except PapermillExecutionError as err:
            print(f"cell {err.exec_count} raised {err.ename}: {' '.join(str(err.evalue).split())}")
        except Exception as err:
            print(f"{type(err).__name__}: {' '.join(str(err).split())}")
        else:
            return 0
    return 1


def skip_address_grammar() -> None:
    """Let jsonschema do without its check of web addresses, whose grammar takes two seconds of each import."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None makes its import fail


def _end_with_parent() -> None:
    sys.stdin.read()  # the parent writes no more: this returns when it has ended
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
