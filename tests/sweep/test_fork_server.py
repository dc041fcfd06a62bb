"""Kernels forked from a server: as fresh as kernels that are started alone."""

import ast
import json
import signal
from pathlib import Path

import psutil
import pytest

from lrreport.errors import FailedError
from lrreport.sweep import execute
from lrreport.sweep.execute import Limits, execute_notebook
from lrreport.sweep.fork_server import FORKS, ForkServer
from tests.sweep.tiny import write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FORKS, reason="executions are forked on Linux alone")]
STATE = """
import builtins, os, random, sys, threading, numpy
builtins.trace = getattr(builtins, "trace", 0) + 1
{
    "trace": builtins.trace, "folder": os.path.basename(os.getcwd())[:16], "arguments": sys.argv[1:2],
    "environment": sorted(set(os.environ) - {"_", "LC_CTYPE"}), "threads": os.environ["OMP_NUM_THREADS"],
    "sockets": os.environ["IPYTHONDIR"].startswith(os.getcwd()), "session": os.getsid(0) == os.getpid(),
    "children": os.listdir(f"/proc/{os.getpid()}/task/{os.getpid()}") != [], "hash": hash("a"),
    "paths": [path for path in sys.path if path], "main": sys.modules["__main__"].__name__,
    "absent": sorted(name for name in sys.modules if sys.modules[name] is None),
}
"""


def execute_cell(folder: Path, source: str, server: ForkServer | None = None, **options: Path) -> str:
    """Return the output of a cell as text."""
    notebook = write_notebook(folder / "n.ipynb", "x = 1", source)
    execute_notebook(notebook, folder / "out.ipynb", {}, Limits(server=server), **options)
    cells = json.loads((folder / "out.ipynb").read_text())["cells"]
    return "".join("".join(output["data"]["text/plain"]) for cell in cells for output in cell["outputs"])


def test_a_forked_kernel_is_as_new_as_one_that_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ForkServer() as server:
        forked = [ast.literal_eval(execute_cell(tmp_path, STATE, server)) for _ in range(2)]
    monkeypatch.setattr(execute, "FORKS", False)
    started = ast.literal_eval(execute_cell(tmp_path, STATE))
    assert forked == [started, started]
    assert started["trace"] == 1


def test_each_kernel_draws_random_numbers_of_its_own(tmp_path: Path) -> None:
    draw = "import numpy, random; [random.random(), float(numpy.random.rand())]"
    with ForkServer(lambda: ["numpy"]) as server:
        first, second = (json.loads(execute_cell(tmp_path, draw, server)) for _ in range(2))
    assert not set(first) & set(second)


def test_a_notebook_finds_its_imports_made(tmp_path: Path) -> None:
    assert execute_cell(tmp_path, "import sys; made = 'wave' in sys.modules\nimport wave\nmade") == "True"
    assert execute_cell(tmp_path, "import sys; 'wave' in sys.modules") == "False"


def test_what_the_server_leaves_out_can_be_imported_by_a_notebook(tmp_path: Path) -> None:
    names = "seaborn", "scipy.stats", "rfc3987_syntax"
    with ForkServer(lambda: ["seaborn"]) as server:
        execute_cell(tmp_path, "import seaborn", server)
        assert execute_cell(tmp_path, f"import {', '.join(names)}\nfloat(scipy.stats.norm.cdf(0.0))", server) == "0.5"


def test_a_kernel_of_the_users_has_imported_nothing_that_its_folder_could_hold(tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("value = 7")
    with ForkServer() as server:
        execute_cell(tmp_path, "import pandas", server)
        assert execute_cell(tmp_path, "import pandas; pandas.value", server, code_folder=tmp_path) == "7"
    assert execute_cell(tmp_path, "import pandas; pandas.value", code_folder=tmp_path) == "7"


def test_a_server_that_is_killed_fails_what_it_serves_and_is_started_again(tmp_path: Path) -> None:
    before = set(psutil.Process().children())  # of other tests, for example the resource tracker of multiprocessing
    with ForkServer() as server:
        assert execute_cell(tmp_path, "7", server) == "7"
        (process,) = set(psutil.Process().children()) - before
        kill = f"import os, signal, time; os.kill({process.pid}, signal.SIGKILL); time.sleep(1000)"
        with pytest.raises(FailedError, match="its process was ended by SIGKILL; see"):
            execute_cell(tmp_path, kill, server)
        assert execute_cell(tmp_path, "8", server) == "8"
    assert set(psutil.Process().children()) <= before


def test_an_end_by_signal_or_status_is_told(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with ForkServer() as server:
        for end, cause in (("os._exit(3)", "exit status 3"), (f"os.kill(os.getpid(), {signal.SIGKILL})", "SIGKILL")):
            with pytest.raises(FailedError, match=cause):
                execute_cell(tmp_path, f"import os; {end}", server)
        with pytest.raises(FailedError, match="its process was ended by SIGTERM"):
            execute_cell(tmp_path, f"import os, time; os.kill(os.getppid(), {signal.SIGTERM}); time.sleep(100)", server)
    assert set(psutil.Process().children()) <= before
