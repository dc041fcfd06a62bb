"""One notebook in a process of its own: what it is told, what it may see, and why it fails."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import nbformat
import psutil
import pytest

from lrreport import LrreportError
from lrreport.provenance import TRAINING_NOTEBOOK
from lrreport.settings import Parameters
from lrreport.study import load_study
from lrreport.sweep.execute import Limits, execute, make_environment, make_private_folder, refuse_unknown_parameters
from lrreport.sweep.worker import describe_death, describe_os_error, escape_braces


def write_notebook(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, as those of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


def fail(notebook: Path, output: Path, limits: Limits | None = None) -> str:
    """Execute a notebook that must fail; return the cause, without the place that every message ends with."""
    with pytest.raises(LrreportError) as error:
        execute(notebook, output, {}, limits)
    cause, _, place = str(error.value).partition("; see ")
    assert place == f"{output} and execution.log beside it"
    return cause


def read_outputs(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(output["data"]["text/plain"]) for cell in cells for output in cell["outputs"] if "data" in output]


def find_kernels(word: str) -> list[psutil.Process]:
    """Return the processes that have a word in their command line."""
    return [one for one in psutil.process_iter(["cmdline"]) if word in " ".join(one.info["cmdline"] or [])]


def test_parameters_cell_is_literal_and_equal_to_the_default_study() -> None:
    cells = json.loads(TRAINING_NOTEBOOK.read_text())["cells"]
    (cell,) = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    values: dict[str, object] = {}
    exec(
        "".join(cell["source"]),
        {"__builtins__": {"float": float, "list": list, "str": str, "int": int, "bool": bool}},
        values,
    )
    del values["__annotations__"]
    default = next(load_study("studies/fashion_mnist.toml").runs())
    assert values == default.model_dump(mode="json") | {"code_folder": "", "prepared": "", "run_dir": ""}
    assert set(values) == {*Parameters.model_fields, "code_folder", "prepared", "run_dir"}


def test_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "rate: float = 0.1\nname = ''")
    with pytest.raises(LrreportError) as error:
        refuse_unknown_parameters(notebook, {"rates": 1})
    assert str(error.value) == f"{notebook}: no parameter 'rates'; its parameters are rate, name"


def test_an_exception_in_a_cell_is_named_with_the_notebook_to_open(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "raise ValueError('no\\nluck')")
    assert fail(notebook, tmp_path / "out.ipynb") == "cell 2 raised ValueError: no luck"
    assert "no\\nluck" in (tmp_path / "out.ipynb").read_text()


def test_a_killed_kernel_is_a_failure(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert fail(notebook, tmp_path / "out.ipynb") == (
        "its kernel was killed (SIGKILL), as systems do when memory runs out: then run fewer with --jobs 1"
    )


def test_a_kernel_that_exits_is_a_failure(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import os; os._exit(3)")
    assert fail(notebook, tmp_path / "out.ipynb") == "its kernel died (exit status 3)"


def test_a_kernel_that_runs_out_of_memory_says_so(tmp_path: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); big = bytearray(2**31)"
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", limited)
    assert fail(notebook, tmp_path / "out.ipynb") == (
        "cell 2 raised MemoryError: ; out of memory, so run fewer at once with --jobs 1"
    )
    assert describe_death(-9, killed_for_memory=True).startswith("its kernel was killed because memory ran out")


def test_a_kernel_that_hangs_is_ended(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import time; time.sleep(1000)")
    limits = Limits(stall_timeout=4)
    assert fail(notebook, tmp_path / "out.ipynb", limits) == (
        "no sign of life from it for 4 s (--stall-timeout), so it was ended"
    )
    assert not find_kernels(str(tmp_path))


def test_a_kernel_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import time; big = b'.' * 400_000_000; time.sleep(1000)")
    assert fail(notebook, tmp_path / "out.ipynb", Limits(n_bytes=400_000_000)) == (
        "it used more than the 400 MB of memory that it may use, so it was ended"
    )
    assert not find_kernels(str(tmp_path))


def test_a_stopped_kernel_is_ended(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    assert "no sign of life" in fail(notebook, tmp_path / "out.ipynb", Limits(stall_timeout=4))


def test_epochs_are_signs_of_life(tmp_path: Path) -> None:
    source = "import time, pathlib\nfor n in range(12):\n    time.sleep(0.5)\n    pathlib.Path(run_dir, 'progress').write_text('.' * n)"
    notebook = write_notebook(tmp_path / "n.ipynb", "run_dir = ''", source)
    execute(notebook, tmp_path / "out.ipynb", {"run_dir": str(tmp_path)}, Limits(stall_timeout=4))


def test_a_kernel_that_cannot_start_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, limit[1]))  # enough for the worker, not for a kernel
    try:
        cause = fail(notebook, tmp_path / "out.ipynb")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert "kernel" in cause or "Too many open files" in cause


def test_stopping_ends_the_kernel_at_once(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import time; time.sleep(1000)")
    stopping = Event()
    Timer(5, stopping.set).start()
    started = time.monotonic()
    assert fail(notebook, tmp_path / "out.ipynb", Limits(stopping)) == "stopped"
    assert time.monotonic() - started < 8
    assert not find_kernels(str(tmp_path))


def test_a_kernel_ends_with_whoever_started_it(tmp_path: Path, short: Path) -> None:
    notebook = write_notebook(
        tmp_path / "n.ipynb", "x = 1", "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()))",
        "pathlib.Path(PLACE, 'started').write_text(str(os.getpid())); time.sleep(1000)".replace("PLACE", repr(str(tmp_path))),
    )  # fmt: skip
    code = f"from pathlib import Path; from lrreport.sweep.execute import execute; execute(Path({str(notebook)!r}), Path({str(tmp_path)!r}) / 'out.ipynb', {{}})"
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(short)})
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "started").exists() and time.monotonic() < until:
            time.sleep(0.1)
        kernel = psutil.Process(int((tmp_path / "started").read_text()))
        assert list(short.glob("lrreport-*/k-*"))  # the kernel's sockets
    finally:
        parent.kill()
        parent.wait()
    psutil.wait_procs([kernel], timeout=10)
    assert not kernel.is_running()
    assert not list(short.glob("lrreport-*"))


def test_what_is_left_of_killed_processes_is_cleared(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short))
    left = short / "lrreport-left"
    left.mkdir()
    (left / ".lock").touch()
    os.utime(left / ".lock", (0, 0))
    with make_private_folder() as used:
        os.utime(used / ".lock", (0, 0))
        with make_private_folder() as other:
            assert {path.name for path in short.iterdir()} == {used.name, other.name}
        assert used.stat().st_mode & 0o077 == 0
    assert not list(short.iterdir())


def test_sockets_are_nobody_elses_and_settings_not_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unwanted = {
        "PYTHONPATH": "/x",
        "MPLCONFIGDIR": "/x",
        "OMP_NUM_THREADS": "99",
        "LC_NUMERIC": "de_DE.UTF-8",
        "LANG": "tr_TR",
    }
    for name, value in unwanted.items():
        monkeypatch.setenv(name, value)
    environment = make_environment(3)
    assert make_environment(1, gpu="5")["CUDA_VISIBLE_DEVICES"] == "5"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["LC_ALL"] == "C.UTF-8"
    assert not {"PYTHONPATH", "MPLCONFIGDIR", "LC_NUMERIC", "LANG"} & set(environment)
    notebook = write_notebook(
        tmp_path / "n.ipynb", "x = 1",
        "import json, os, ipykernel.connect; json.loads(ipykernel.connect.get_connection_info())['transport']",
        "oct(os.stat('.').st_mode)[-3:], os.listdir(), os.environ['OMP_NUM_THREADS']",
    )  # fmt: skip
    execute(notebook, tmp_path / "out.ipynb", {})
    transport, place = read_outputs(tmp_path / "out.ipynb")
    assert transport == "'ipc'"
    assert place.startswith("('700', ")
    assert place.endswith("'1')")


@pytest.mark.parametrize(
    "name", ["with space", 'it\'s "quoted"', "semi;colon & $HOME `x`", "ü ñ 名", "{braces} {0}", "%s 50% #"]
)
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    notebook = write_notebook(folder / "n.ipynb", "name = ''", "name")
    execute(notebook, folder / "out.ipynb", {"name": name})
    assert read_outputs(folder / "out.ipynb") == [repr(name)]
    assert escape_braces("{a}") == "{{a}}"


def test_what_the_system_refuses_is_said_with_place_and_remedy() -> None:
    assert describe_os_error(OSError(28, "No space left on device", "/x/y")) == (
        "/x/y: No space left on device; free some space there and repeat"
    )
    assert describe_os_error(OSError("odd")) == "odd"
