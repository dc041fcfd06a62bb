"""The command line: forwarded arguments, and a single line with status 2 for invalid arguments."""

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lrreport.cli import STOPPED, main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learning-rates", "0"], "command line: vary.learning_rate = 0.0: input should be greater than 0; give a positive number, such as 0.001"),
        (["--learning-rates", "-1"], "command line: vary.learning_rate = -1.0: input should be greater than 0; give a positive number, such as 0.001"),
        (["--learning-rates", "nan"], "command line: vary.learning_rate = nan: input should be a finite number; give a positive number, such as 0.001"),
        (["--learning-rates", "abc"], "--learning-rates: 'abc' is not a number, such as 0.001"),
        (["--learning-rates", "0.1 0.1"], "command line: vary.learning_rate = [0.1, 0.1]: 0.1 appears twice"),
        (["--epochs", "0"], "command line: fixed.epochs = 0: input should be greater than or equal to 1; give a whole number from 1 on, such as 5"),
        (["--epochs", "2.5"], "--epochs: '2.5' is not a whole number, such as 5"),
        (["--device", "tpu"], "command line: fixed.device = 'tpu': there is no such device (did you mean 'cpu'?); give \"auto\", \"cpu\" or \"cuda\""),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_starts_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["report", "studies/quick.toml", "--outputs", str(tmp_path / "outputs"), *arguments])
    assert (status, capsys.readouterr().err) == (2, f"lrreport: {message}\n")
    assert not (tmp_path / "outputs").exists()


def test_a_published_claim_that_does_not_exist_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    claim = '[published]\ntitle="t"\n[[published.claim]]\nsays="so"\nclaim="nicest"\n'
    path.write_text(f'[vary]\nlearning_rate=[0.1]\n[fixed]\ndataset="sample"\nvalidation_size=500\n{claim}')
    assert main(["report", str(path), "--outputs", str(tmp_path / "outputs")]) == 2
    assert "published claim 'so': no claim 'nicest'; the claims are" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("command", ["status", "plan", "data", "export"])
def test_every_command_refuses_a_published_claim_that_does_not_exist(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    claim = '[published]\ntitle="t"\n[[published.claim]]\nsays="so"\nclaim="nicest"\n'
    path.write_text(f'[vary]\nlearning_rate=[0.1]\n[fixed]\ndataset="sample"\nvalidation_size=500\n{claim}')
    assert main([command, str(path), "--outputs", str(tmp_path / "outputs")]) == 2
    assert "published claim 'so': no claim 'nicest'; the claims are" in capsys.readouterr().err


def test_the_status_of_an_import_says_that_nothing_is_to_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[vary]\nlearning_rate = [0.1]\n[import]\nfolder = "logs"\n')
    assert main(["status", str(path), "--outputs", str(tmp_path / "outputs")]) == 0
    assert capsys.readouterr().out == f"{path}: its runs are read from logs, so there are none to make\n"


def test_help_names_every_command() -> None:
    text = subprocess.check_output([sys.executable, "-m", "lrreport.cli", "--help"], text=True)
    assert all(f" {name} " in text for name in ("report", "status", "plan", "data", "import", "export", "compare"))


HEAVY = {
    "torch", "numpy", "pandas", "scipy", "statsmodels", "matplotlib", "tqdm", "papermill", "nbconvert", "distributed", "dask",
}  # fmt: skip
MOST_SECONDS = 3.0  # of CPU; about a sixth of it is used


def call_lightly(*arguments: str) -> list[str]:
    """Run a command in a new process; return the lines it prints, and check that it imported nothing heavy."""
    code = (
        "import sys, time; from lrreport.cli import main\n"
        f"try: main({list(arguments)!r})\n"
        "except SystemExit: pass\n"
        f"print(sorted({HEAVY!r} & sys.modules.keys()), time.process_time() < {MOST_SECONDS})"
    )
    lines = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert lines.pop() == "[] True"
    return lines


def test_help_and_status_import_nothing_heavy() -> None:
    assert call_lightly("--help")
    printed = call_lightly("status", "studies/quick.toml", "--outputs", "/nonexistent")
    seeds = "missing (seeds 0, 1, 2, 3, 4)"
    assert [" ".join(line.split()) for line in printed] == [
        f"learning rate 0.01 {seeds}", f"learning rate 0.001 {seeds}", f"learning rate 0.0001 {seeds}",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_report_that_is_up_to_date_imports_nothing_heavy(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "outputs/reference", tmp_path / "runs")  # the runs of the default study
    command = ("report", "--outputs", str(tmp_path))
    first = subprocess.check_output([sys.executable, "-P", "-m", "lrreport.cli", *command], text=True)
    assert call_lightly(*command) == first.splitlines()


def test_output_that_the_terminal_cannot_show_is_written_plainly(tmp_path: Path) -> None:
    code = "import lrreport.cli as c; c._replace_unencodable(); print('1 × 2 − 3 … “x” é')"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=environment) == '1 x 2 - 3 ... "x" ?\n'


def test_a_closed_standard_error_does_not_put_messages_into_the_output() -> None:
    command = f"{shlex.quote(sys.executable)} -P -m lrreport.cli report nowhere.toml 2>&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


def test_modules_of_the_working_folder_are_not_imported(tmp_path: Path) -> None:
    for name in ("random", "papermill", "pydantic", "tomllib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    study = Path("studies/quick.toml").resolve()
    command = [sys.executable, "-m", "lrreport.cli", "status", str(study), "--outputs", str(tmp_path / "outputs")]
    environment = os.environ | {"PYTHONPATH": str(Path("src").resolve())}
    done = subprocess.run([command[0], "-P", *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([command[0], "-P", *command[1:]], cwd=tmp_path, env=os.environ | {"PYTHONPATH": "."}, capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    code = "from lrreport.cli import main; raise SystemExit(main(['status', *__import__('sys').argv[1:]]))"
    done = subprocess.run([sys.executable, "-P", "-c", code, *command[4:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["import", "plan", "export", "compare"])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"lrreport {name}" in capsys.readouterr().out


INTERRUPTED = """
import os, signal, sys
class Interrupt:  # Ctrl-C while the command line is imported
    def find_spec(self, name, path=None, target=None):
        if name == "lrreport.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from lrreport.__main__ import main
main()
"""


def test_ctrl_c_before_anything_is_imported_is_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


IN_PYDANTIC = """
import os, signal, time, warnings
from typing import Annotated, Any
from pydantic import BaseModel, Discriminator, Tag
from lrreport import cli
def find_tag(value):
    if not isinstance(value, dict):
        os.kill(os.getpid(), signal.NUMBER)
    return "dict" if isinstance(value, dict) else "name"
class Name(BaseModel):
    name: str = "a"
class Study(BaseModel):
    model: Annotated[Annotated[Name, Tag("name")] | Annotated[dict, Tag("dict")], Discriminator(find_tag)]
warnings.simplefilter("error")
study = Study.model_construct(model=Name())
signal.signal(signal.NUMBER, cli._stop)
try:
    study.model_dump()
    time.sleep(10)
except BaseException as err:
    print(type(err).__name__)
"""


@pytest.mark.parametrize(("number", "expected"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Terminated")])
def test_a_signal_is_not_lost_in_a_callback_of_pydantic(number: str, expected: str) -> None:
    code = IN_PYDANTIC.replace("NUMBER", number)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"{expected}\n", done.stderr


@pytest.mark.parametrize(("number", "expected"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_is_not_lost_where_exceptions_are_ignored(number: str, expected: int) -> None:
    code = f"""
import os, signal, sys, time
from lrreport import cli

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.{number})
        for _ in range(1000):
            pass

def run(_):
    Finalized()
    time.sleep(20)

cli.run_command = run
sys.exit(cli.main(["status"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expected, done.stderr
    assert done.stderr.splitlines() == [f"lrreport: {STOPPED}"]


@pytest.mark.slow
@pytest.mark.parametrize("twice", [False, True])
def test_ctrl_c_at_any_moment_is_one_line(tmp_path: Path, twice: bool) -> None:
    rng = random.Random(5)
    for _ in range(6):
        command = [sys.executable, "-P", "-m", "lrreport", "report", "studies/quick.toml", "--outputs", str(tmp_path)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as make starts it
        )  # fmt: skip
        for pause in (rng.uniform(0, 1.5), rng.uniform(0, 0.3))[: 1 + twice]:
            time.sleep(pause)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        time.sleep(1)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)  # should it have been deaf to the first
        err = process.communicate(timeout=60)[1]
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 1, err
