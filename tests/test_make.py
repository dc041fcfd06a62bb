"""make: its list of targets, forwarded arguments, and failures of set-up in a single line with a remedy."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = ["help", "setup", "data", "report", "status", "plan", "pdf", "lab", "test", "test-slow", "check", "bench",
           "notebooks", "docs", "lock", "clean"]  # fmt: skip


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Path:
    """The files that make needs, at a path with blanks, quotes, braces and a letter that is not ASCII."""
    folder = tmp_path / 'a "clone"\'s {földer}; 100%'
    (folder / "tools").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "tools/setup_venv.py"):
        shutil.copyfile(repository / name, folder / name)
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, env=known | environment, capture_output=True, text=True, check=False)


def mark_as_set_up(folder: Path) -> None:
    """Let .venv look finished, with a Python that prints the arguments of the module it is to run."""
    (folder / ".venv/bin").mkdir(parents=True)
    tool = folder / ".venv/bin/python"
    tool.write_text(
        '#!/bin/sh\n[ "$1 $2 $3" = "-P -m lrreport" ] && shift 3\nfor word in "$@"; do echo "<$word>"; done\n'
    )
    tool.chmod(0o755)
    code = "import setup_venv; open(setup_venv.STAMP, 'w').write(setup_venv.describe_target())"
    subprocess.run([sys.executable, "-c", code], cwd=folder / "tools", check=True)


def test_make_alone_lists_the_targets_one_line_each(repository: Path) -> None:
    lines = make(repository).stdout.splitlines()
    assert [line.split()[0] for line in lines] == TARGETS


def test_variables_reach_the_command_whatever_they_contain(clone: Path) -> None:
    mark_as_set_up(clone)
    done = make(clone, "report", "STUDY=my studies/it's; {a}.toml", "LRS=0.01 0.001", "EPOCHS=10", "SEEDS=0-9", "JOBS=2", "NAME=`x` \"y\" $b",
                "MOST_SEEDS=20", "CONFIRM=1")  # fmt: skip
    assert done.stdout.splitlines() == [
        "<report>", "<my studies/it's; {a}.toml>", "<--learning-rates=0.01 0.001>", "<--seeds=0-9>", "<--epochs=10>",
        '<--name=`x` "y" $b>', "<--most-seeds=20>", "<--confirm>", "<--jobs=2>",
    ]  # fmt: skip
    assert make(clone, "report").stdout.splitlines() == ["<report>", "<studies/fashion_mnist.toml>"]


@pytest.mark.parametrize("flags", [[], ["-i"]])
def test_a_line_break_does_not_begin_another_command(clone: Path, tmp_path: Path, flags: list[str]) -> None:
    mark_as_set_up(clone)
    done = make(clone, *flags, "report", f"NAME=a\ntouch '{tmp_path / 'made'}' #")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "*** NAME has a line break; leave it out." in done.stderr
    assert not (tmp_path / "made").exists()


def test_the_environment_replaces_nothing_even_if_make_prefers_it(clone: Path) -> None:
    mark_as_set_up(clone)
    environment = dict.fromkeys(
        ("RUN", "LRREPORT", "COMMAND", "SETTINGS", "STUDY_FILE", "KNOWN", "NAME"), "echo replaced"
    )
    assert make(clone, "-e", "report", **environment).stdout.splitlines() == [
        "<report>",
        "<studies/fashion_mnist.toml>",
    ]


@pytest.mark.parametrize("no", ["", "0", "no", "False", "off"])
def test_what_means_no_sets_no_flag(clone: Path, no: str) -> None:
    mark_as_set_up(clone)
    assert "<--confirm>" not in make(clone, "report", f"CONFIRM={no}").stdout


@pytest.mark.parametrize("name", ["STUDY", "NAME", "LRS", "PYTHON"])
def test_make_expands_nothing_that_a_user_types(clone: Path, tmp_path: Path, name: str) -> None:
    mark_as_set_up(clone)
    made = tmp_path / "made"
    make(clone, "report", f"{name}=$(shell touch '{made}')`touch '{made}'`")
    make(clone, "report", **{name: f"$(shell touch '{made}')"})
    assert not made.exists()


def test_settings_do_not_come_from_the_environment(clone: Path) -> None:
    mark_as_set_up(clone)
    done = make(clone, "report", NAME="DESKTOP-1", EPOCHS="3", STUDY="other.toml", JOBS="9", CONFIRM="1")
    assert done.stdout.splitlines() == ["<report>", "<studies/fashion_mnist.toml>"]


def test_settings_of_pip_that_lead_elsewhere_are_set_aside(clone: Path) -> None:
    code = "import setup_venv, sys; setup_venv.run([sys.executable, '-c', 'import os; print(*os.environ)']); print(open(setup_venv.LOG).read())"
    environment = os.environ | {"PIP_USER": "1", "PIP_TARGET": "/x", "PIP_RETRIES": "0", "PYTHONPATH": "."}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=clone / "tools", env=environment, capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert not {"PIP_USER", "PIP_TARGET", "PYTHONPATH"} & set(names)
    assert "PIP_RETRIES" in names


@pytest.mark.parametrize("setting", ["dry-run", "no-deps"])
def test_settings_of_a_configuration_file_of_pip_that_install_nothing_are_overruled(clone: Path, setting: str) -> None:
    config = clone / "pip.conf"
    config.write_text(f"[install]\n{setting} = true\nretries = 3\n")
    show = (
        "from pip._internal.commands import create_command; options, _ = create_command('install').parse_args(['x']); "
        "print(bool(options.dry_run), bool(options.ignore_dependencies), options.retries)"
    )
    code = (
        f"import setup_venv, sys; setup_venv.run([sys.executable, '-c', {show!r}]); print(open(setup_venv.LOG).read())"
    )
    environment = os.environ | {"PIP_CONFIG_FILE": str(config)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone / "tools", env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False", "3"]


@pytest.mark.slow
def test_a_finished_set_up_is_not_repeated_and_a_changed_lock_is(clone: Path) -> None:
    mark_as_set_up(clone)
    assert make(clone, "setup").stderr == ""
    (clone / "requirements.lock").touch()
    assert make(clone, "setup").stderr == ""
    with (clone / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    done = make(
        clone,
        "setup",
        PIP_INDEX_URL="http://127.0.0.1:9/",
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0",
        PIP_FIND_LINKS="",
    )
    assert done.stderr.startswith("Setting up .venv from requirements.lock")
    assert done.returncode == 2
    assert (clone / ".venv/made-from").exists()  # the previous environment, as it was
    assert [path.name for path in clone.glob(".venv-*")] == [".venv-setup.log"]


@pytest.mark.slow
def test_no_network_is_one_line(clone: Path) -> None:
    done = make(
        clone,
        "setup",
        PIP_INDEX_URL="http://127.0.0.1:9/",
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0",
        PIP_FIND_LINKS="",
    )
    assert done.returncode == 2
    log = clone / ".venv-setup.log"
    assert done.stderr.splitlines()[1] == (
        f"setup: pip cannot reach the package index; connect to a network, or set pip's index (log: {log})"
    )
    assert not (clone / ".venv").exists()


@pytest.mark.slow  # downloads
def test_a_download_with_another_digest_is_refused(clone: Path) -> None:
    lock = clone / "requirements.lock"
    pin, *others = re.split(r"(?m)^(?=editables==)", lock.read_text())
    lock.write_text(pin + re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", others[0]))
    done = make(clone, "setup")
    assert done.stderr.splitlines()[1] == (
        f"setup: a download is not the file that requirements.lock names; see the end of {clone / '.venv-setup.log'}"
    )
    assert not (clone / ".venv").exists()


def test_a_second_set_up_waits_for_the_first(clone: Path) -> None:
    first = os.open(clone, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    second = subprocess.Popen([sys.executable, "tools/setup_venv.py"], cwd=clone, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert second.stderr.readline() == "setup: waiting for another set-up of this clone\n"
    mark_as_set_up(clone)
    os.close(first)
    assert second.communicate(timeout=30)[1] == ""
    assert second.returncode == 0


def test_an_interrupted_set_up_is_one_line(clone: Path) -> None:
    first = os.open(clone, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    waiting = subprocess.Popen([sys.executable, "tools/setup_venv.py"], cwd=clone, stderr=subprocess.PIPE, text=True)
    assert waiting.stderr is not None
    waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    assert waiting.communicate(timeout=30)[1] == "setup: stopped; the same command begins it anew\n"
    assert waiting.returncode == 130
    os.close(first)


def test_a_python_that_is_too_old_is_one_line(clone: Path) -> None:
    script = clone / "tools/setup_venv.py"
    script.write_text(script.read_text().replace("OLDEST = (3, 11)", "OLDEST = (9, 1)"))
    done = make(clone, "setup")
    version = "Python {}.{}".format(*sys.version_info)
    assert done.stderr.splitlines()[0] == (
        f"setup: {version} is too old; install Python 9.1 or newer, or name one: make PYTHON=python3.11"
    )


def test_set_up_has_no_syntax_that_an_old_python_cannot_parse(repository: Path) -> None:
    source = (repository / "tools/setup_venv.py").read_text()
    assert not re.search(r'\bf"|:=|\bmatch |\) -> ', source)
    source.encode("ascii")


def test_a_python_without_venv_is_one_line(clone: Path, tmp_path: Path) -> None:
    fake = tmp_path / "python-without-venv"
    fake.write_text(
        f'#!/bin/sh\nif [ "$1" = -m ]; then echo No module named venv; exit 1; fi\nexec {sys.executable} "$@"\n'
    )
    fake.chmod(0o755)
    script = clone / "tools/setup_venv.py"
    script.write_text(script.read_text().replace("[sys.executable, ", f'["{fake}", '))
    done = make(clone, "setup")
    assert done.stderr.splitlines()[1] == (
        f"setup: this Python cannot make virtual environments; install python3-venv (log: {clone / '.venv-setup.log'})"
    )


def test_clean_keeps_runs_and_the_reference(clone: Path) -> None:
    for name in ("runs", "reference", "fashion_mnist"):
        (clone / "outputs" / name).mkdir(parents=True)
    assert make(clone, "clean").returncode == 0
    assert sorted(path.name for path in (clone / "outputs").iterdir()) == ["reference", "runs"]


@pytest.mark.parametrize(
    ("target", "wrong"), [("plan", "MOST_SEEDS"), ("status", "JOBS"), ("data", "NAME"), ("test", "STUDY")]
)
def test_a_variable_that_a_target_does_not_take_is_refused(clone: Path, target: str, wrong: str) -> None:
    mark_as_set_up(clone)
    done = make(clone, target, f"{wrong}=10")
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(rf"Makefile:\d+: \*\*\* {target} does not take {wrong}\.  Stop\.\n", done.stderr)


@pytest.mark.parametrize("wrong", ["EPOCH", "name", "option", "LRREPORT", "Study"])
def test_a_misspelt_variable_is_refused(clone: Path, wrong: str) -> None:
    mark_as_set_up(clone)
    done = make(clone, "report", f"{wrong}=10")
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(
        rf"Makefile:\d+: \*\*\* no variable {wrong}; there are STUDY LRS .*PYTHON\.  Stop\.\n", done.stderr
    )
