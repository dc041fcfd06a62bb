"""The built wheel in an environment without this checkout: a command that works in any folder."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from tests.sweep.tiny import write_notebook

pytestmark = pytest.mark.slow
STUDY = '[vary]\nlearning_rate = [0.01, 0.001]\n[fixed]\ndataset = "sample"\nvalidation_size = 500\nepochs = 1\n'


@pytest.fixture(scope="module")
def command(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment, with this environment's dependencies but not the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(repository)], check=True, capture_output=True, timeout=300)
    [wheel] = folder.glob("lrreport-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True, timeout=100)
    [site] = (folder / "env").glob("lib/python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel)],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    # A path in a .pth file is searched, but .pth files in it, such as that of the checkout, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "env/bin/python"


def run(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # nbconvert's templates belong to the dependencies, which lie in this environment.
    templates = str(Path(sys.prefix) / "share/jupyter")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "JUPYTER_PATH": templates}
    return subprocess.run([str(command), "-m", "lrreport.cli", *arguments], cwd=folder, env=environment, capture_output=True,
                          text=True, timeout=500, check=False)  # fmt: skip


def test_a_new_study_is_reported_where_it_lies(command: Path, repository: Path, tmp_path: Path) -> None:
    assert run(command, tmp_path, "new", "my").stdout.splitlines() == [str(tmp_path / "my.toml")]
    done = run(
        command, tmp_path, "report", "my.toml", "--learning-rates", "0.01", "0.001", "--seeds", "0-2", "--epochs", "1"
    )
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.splitlines()[-1])
    assert page.is_relative_to(tmp_path / "outputs")
    assert page.exists()
    assert str(repository) not in page.read_text()


def test_a_study_in_a_read_only_folder_writes_to_outputs(command: Path, tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/mine.toml").write_text(f"seeds = [0, 1]\n{STUDY}")
    (tmp_path / "studies").chmod(0o555)
    done = run(command, tmp_path, "report", "studies/mine.toml", "--outputs", "elsewhere")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere/mine/report.html").exists()
    assert [path.name for path in (tmp_path / "studies").iterdir()] == ["mine.toml"]


def test_without_a_study_there_is_one_line(command: Path, tmp_path: Path) -> None:
    done = run(command, tmp_path, "report")
    assert done.returncode == 2
    assert done.stderr == (
        "lrreport: studies/fashion_mnist.toml: cannot read the study (No such file or directory); lrreport new NAME writes a study\n"
    )


def test_a_script_and_a_notebook_of_the_user_as_the_docs_have_them(
    command: Path, repository: Path, tmp_path: Path
) -> None:
    """The three calls and the study of docs/your-own.md, word for word, around a loop of two lines."""
    blocks = re.findall(r"(?:^ {7}.*\n|^\n)+", (repository / "docs/your-own.md").read_text(), re.MULTILINE)
    calls, study = (textwrap.dedent(block).strip() for block in blocks if block.strip())
    start, run_line, epoch, end = (line for line in calls.splitlines() if line)
    values = epoch.replace("0.81", "0.8 + epoch * lr / 10")
    loop = f"{run_line}\nfor epoch in range(5):\n    {values}\n{end}\n"
    options = "import argparse\nparser = argparse.ArgumentParser()\nfor name in ('--lr', '--seed'):\n    parser.add_argument(name, type=float)\n"
    options += "options = parser.parse_args()\nlr, seed = options.lr, int(options.seed)\n"
    (tmp_path / "train.py").write_text(f"{start}\n{options}{loop}")
    (tmp_path / "study.toml").write_text(study)
    write_notebook(tmp_path / "mine.ipynb", "learning_rate = 0.1\nseed = 0", f"{start}\nlr = learning_rate\n{loop}")
    line = next(line for line in study.splitlines() if line.startswith("command"))
    (tmp_path / "noted.toml").write_text(study.replace(line, 'notebook = "mine.ipynb"'))
    for file in ("study.toml", "noted.toml"):
        done = run(command, tmp_path, "report", file, "--seeds", "0", "1")
        assert done.returncode == 0, done.stderr
        page = Path(done.stdout.splitlines()[-1])
        findings = json.loads((page.parent / "findings.json").read_text())
        assert findings["kicker"].endswith("all 6 runs finished")
