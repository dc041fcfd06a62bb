"""A notebook in its own process: its parameters, its environment, and the causes of failures."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import psutil
import pytest

from lrreport.errors import FailedError, LrreportError
from lrreport.sweep.environment import PRIVATE, make_environment
from lrreport.sweep.execute import Limits, execute_command, execute_notebook
from lrreport.sweep.worker import describe_death, describe_end, describe_os_error, escape_braces
from tests.sweep.tiny import write_notebook

pytestmark = pytest.mark.slow  # each starts processes and waits for them


def fail(notebook: Path, output: Path, limits: Limits | None = None) -> str:
    """Execute a notebook that must fail; return the cause, without the paths at the end of every message."""
    with pytest.raises(LrreportError) as error:
        execute_notebook(notebook, output, {}, limits)
    cause, _, paths = str(error.value).partition("; see ")
    assert paths == f"{output} and execution.log beside it"
    return cause


def read_outputs(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(output["data"]["text/plain"]) for cell in cells for output in cell["outputs"] if "data" in output]


@pytest.fixture(autouse=True)
def _leave_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a process behind: all that it starts, and what that forks, has this variable."""
    monkeypatch.setenv("LRREPORT_TEST", str(tmp_path))
    yield
    marked = [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get("LRREPORT_TEST") == str(tmp_path)
    ]
    assert not psutil.wait_procs(marked, timeout=5)[1]


def find_commands(word: str) -> list[psutil.Process]:
    """Return the processes that have a word in their command line."""
    return [process for process in psutil.process_iter(["cmdline"]) if word in " ".join(process.info["cmdline"] or [])]


@pytest.mark.usefixtures("shared_server")
def test_an_exception_in_a_cell_is_named_with_the_notebook_to_open(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "raise ValueError('no\\nluck')")
    assert fail(notebook, tmp_path / "out.ipynb") == "cell 2 raised ValueError: no luck"
    assert "no\\nluck" in (tmp_path / "out.ipynb").read_text()


@pytest.mark.usefixtures("shared_server")
def test_a_killed_kernel_is_a_failure(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert fail(notebook, tmp_path / "out.ipynb") == (
        "its kernel was killed (SIGKILL), as systems do when memory runs out: then run fewer with --jobs 1"
    )


@pytest.mark.usefixtures("shared_server")
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


@pytest.mark.usefixtures("shared_server")
def test_a_kernel_that_hangs_is_ended(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import time; time.sleep(1000)")
    limits = Limits(stall_timeout=4)
    assert fail(notebook, tmp_path / "out.ipynb", limits) == ("no progress for 4 s (--stall-timeout), so it was ended")


@pytest.mark.usefixtures("shared_server")
def test_a_kernel_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import time; big = b'.' * 400_000_000; time.sleep(1000)")
    assert fail(notebook, tmp_path / "out.ipynb", Limits(n_bytes=400_000_000)) == (
        "it used more than the 400 MB of memory that it may use, so it was ended"
    )


@pytest.mark.usefixtures("shared_server")
def test_a_stopped_kernel_is_ended(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    assert "no progress" in fail(notebook, tmp_path / "out.ipynb", Limits(stall_timeout=4))


@pytest.mark.usefixtures("shared_server")
def test_epochs_are_signs_of_life(tmp_path: Path) -> None:
    source = "import time, pathlib\nfor n in range(12):\n    time.sleep(0.5)\n    pathlib.Path(run_dir, 'progress').write_text('.' * n)"
    notebook = write_notebook(tmp_path / "n.ipynb", "run_dir = ''", source)
    execute_notebook(notebook, tmp_path / "out.ipynb", {"run_dir": str(tmp_path)}, Limits(stall_timeout=4))


def test_a_kernel_that_cannot_start_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, limit[1]))  # enough for the worker, not for a kernel
    try:
        cause = fail(notebook, tmp_path / "out.ipynb")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert "kernel" in cause or "Too many open files" in cause


@pytest.mark.usefixtures("shared_server")
def test_stopping_ends_the_kernel_at_once(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import time; time.sleep(1000)")
    stopping = Event()
    Timer(5, stopping.set).start()
    started = time.monotonic()
    assert fail(notebook, tmp_path / "out.ipynb", Limits(stopping)) == "stopped"
    assert time.monotonic() - started < 8


def test_a_kernel_ends_with_whoever_started_it(tmp_path: Path, short: Path) -> None:
    notebook = write_notebook(
        tmp_path / "n.ipynb", "x = 1", "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()))",
        "pathlib.Path(PLACE, 'started').write_text(str(os.getpid())); time.sleep(1000)".replace("PLACE", repr(str(tmp_path))),
    )  # fmt: skip
    code = f"from pathlib import Path; from lrreport.sweep.execute import execute_notebook; execute_notebook(Path({str(notebook)!r}), Path({str(tmp_path)!r}) / 'out.ipynb', {{}})"
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(short)})
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "started").exists() and time.monotonic() < until:
            time.sleep(0.1)
        kernel = psutil.Process(int((tmp_path / "started").read_text()))
        assert list(short.glob(f"{PRIVATE}*/k-*"))  # the kernel's sockets
    finally:
        parent.kill()
        parent.wait()
    psutil.wait_procs([kernel], timeout=10)
    assert not kernel.is_running()
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
    execute_notebook(notebook, tmp_path / "out.ipynb", {})
    transport, folder = read_outputs(tmp_path / "out.ipynb")
    assert transport == "'ipc'"
    assert folder.startswith("('700',")
    assert folder.endswith("'1')")


@pytest.mark.parametrize(
    "name", ["with space", 'it\'s "quoted"', "semi;colon & $HOME `x`", "ü ñ 名", "{braces} {0}", "%s 50% #"]
)
@pytest.mark.usefixtures("shared_server")
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    notebook = write_notebook(folder / "n.ipynb", "name = ''", "name")
    execute_notebook(notebook, folder / "out.ipynb", {"name": name})
    assert read_outputs(folder / "out.ipynb") == [repr(name)]
    assert escape_braces("{a}") == "{{a}}"


def test_a_path_that_the_locale_cannot_spell_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "ü 名"
    folder.mkdir()
    write_notebook(folder / "n.ipynb", "name = ''", "name")
    code = (
        "import sys; from pathlib import Path; from lrreport.sweep.execute import execute_notebook\n"
        "folder = Path(sys.argv[1]); execute_notebook(folder / 'n.ipynb', folder / 'out.ipynb', {'name': str(folder)})"
    )
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code, folder], env=os.environ | plain, check=True)
    assert read_outputs(folder / "out.ipynb") == [repr(str(folder))]


def test_a_refusal_of_the_system_has_path_and_remedy() -> None:
    assert describe_os_error(OSError(28, "No space left on device", "/x/y")) == (
        "/x/y: No space left on device; free some space there and repeat"
    )
    assert describe_os_error(OSError("odd")) == "odd"


@pytest.mark.usefixtures("shared_server")
def test_no_socket_of_a_kernel_is_on_a_network(tmp_path: Path) -> None:
    """Not in the kernel, nor in what its cells start; output of forked processes still reaches the notebook."""
    notebook = write_notebook(
        tmp_path / "n.ipynb", "x = 1",
        "import multiprocessing, os, psutil, subprocess, sys, time\nsubprocess.run([sys.executable, '-c', 'print(1)'])\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "fork = multiprocessing.get_context('fork').Process(target=print, args=['from a fork'], kwargs={'flush': True})\n"
        "fork.start(); fork.join()\ntime.sleep(0.5)",
        "family = [psutil.Process(os.getppid()), *psutil.Process(os.getppid()).children(recursive=True)]\n"
        "len(family), [c for process in family for c in process.net_connections('inet')]",
    )  # fmt: skip
    execute_notebook(notebook, tmp_path / "out.ipynb", {})
    assert read_outputs(tmp_path / "out.ipynb") == ["(3, [])"]
    assert "from a fork" in (tmp_path / "out.ipynb").read_text()


@pytest.mark.usefixtures("shared_server")
def test_a_cell_may_leave_no_process_behind(tmp_path: Path) -> None:
    source = f"import subprocess; subprocess.Popen(['sleep', '987654'], start_new_session=False); {str(tmp_path)!r}"
    execute_notebook(write_notebook(tmp_path / "n.ipynb", "x = 1", source), tmp_path / "out.ipynb", {})
    assert not find_commands("sleep 987654")


def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["random", "papermill", "json", "torch", "psutil", "traitlets", "lrreport", "IPython", "ipykernel", "zmq"]
    for name in names:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user')")
    monkeypatch.chdir(tmp_path)
    code = f"import importlib.util; [importlib.util.find_spec(name).origin for name in {names}]"
    execute_notebook(write_notebook(tmp_path / "n.ipynb", "x = 1", code), tmp_path / "out.ipynb", {})
    (origins,) = read_outputs(tmp_path / "out.ipynb")
    assert "site-packages" in origins
    assert str(tmp_path) not in origins


@pytest.mark.usefixtures("shared_server")
def test_a_notebook_of_the_user_works_in_its_folder(tmp_path: Path) -> None:
    """Its modules are imported, but none of them stands in for the standard library's."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/helper.py").write_text("value = 7")
    (tmp_path / "mine/random.py").write_text("raise SystemExit('not the library')")
    (tmp_path / "mine/data.csv").write_text("1,2")
    notebook = write_notebook(
        tmp_path / "mine/n.ipynb",
        "x = 1",
        "import random, helper; helper.value, open('data.csv').read(), random.Random(1).random() < 1",
    )
    execute_notebook(notebook, tmp_path / "out.ipynb", {}, code_folder=tmp_path / "mine")
    assert read_outputs(tmp_path / "out.ipynb") == ["(7, '1,2', True)"]


def test_a_kernel_works_with_closed_standard_streams(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "x + 1")
    code = f"from pathlib import Path; from lrreport.sweep.execute import execute_notebook; execute_notebook(Path({str(notebook)!r}), Path({str(tmp_path)!r}) / 'out.ipynb', {{}})"
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code], check=False)
    assert done.returncode == 0
    assert read_outputs(tmp_path / "out.ipynb") == ["2"]


def run_command(tmp_path: Path, code: str, **options: object) -> str:
    """Run Python code as a command that must fail; return the cause."""
    with pytest.raises(FailedError) as error:
        execute_command(["python", "-c", code], tmp_path, tmp_path, **options)  # type: ignore[arg-type]
    cause, _, paths = str(error.value).partition("; see ")
    assert paths == f"{tmp_path / 'stderr.log'} and stdout.log beside it"
    return cause


def test_a_command_has_its_folder_and_variables(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['A'], os.environ['OMP_NUM_THREADS'], sys.stdin.read() == '')"
    execute_command(["python", "-c", code], tmp_path, tmp_path, environment={"A": "b; $c"})
    assert (tmp_path / "stdout.log").read_text() == f"{tmp_path} b; $c 1 True\n"


def test_the_failure_of_a_command_is_its_last_line(tmp_path: Path) -> None:
    assert run_command(tmp_path, "print('out'); raise ValueError('no luck')") == "exit status 1: ValueError: no luck"
    assert run_command(tmp_path, "import sys; sys.exit(3)") == "exit status 3"
    assert run_command(tmp_path, "import os; os.kill(os.getpid(), 9)") == "SIGKILL"
    assert run_command(tmp_path, "import sys; sys.exit('a\\x1b[31mb' * 500)").count("\n") == 0
    with pytest.raises(
        FailedError, match="^the command cannot be run: no-such-program: No such file or directory; see "
    ):
        execute_command(["no-such-program"], tmp_path, tmp_path)


def test_a_command_that_hangs_or_prints_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang = "import subprocess, time; subprocess.Popen(['sleep', '123123']); time.sleep(1000)"
    assert (
        run_command(tmp_path, hang, limits=Limits(stall_timeout=2))
        == "no progress for 2 s (--stall-timeout), so it was ended"
    )
    assert not find_commands("sleep 123123")
    monkeypatch.setattr("lrreport.sweep.execute.LARGEST_LOG", 1_000_000)
    assert run_command(tmp_path, "while True: print('x' * 10_000)") == "it printed more than 1 MB, so it was ended"


def test_a_command_ends_with_whoever_started_it(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from lrreport.sweep.execute import execute_command; execute_command(['sleep', '456456'], Path('/'), Path({str(tmp_path)!r}))"
    parent = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 30
    while not find_commands("sleep 456456") and time.monotonic() < until:
        time.sleep(0.1)
    (command,) = [process for process in find_commands("sleep 456456") if process.name() == "sleep"]
    parent.kill()
    parent.wait()
    psutil.wait_procs([command], timeout=10)
    assert not command.is_running()


def test_the_end_of_a_process_has_a_name() -> None:
    assert [describe_end(code) for code in (3, -9, -15, -99)] == ["exit status 3", "SIGKILL", "SIGTERM", "signal 99"]
