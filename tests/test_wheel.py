"""The built wheel in an environment without this checkout: a command that works in any folder."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
STUDY = '[vary]\nlearning_rate = [0.01, 0.001]\n[fixed]\ndataset = "sample"\nvalidation_size = 500\nepochs = 1\n'


@pytest.fixture(scope="module")
def command(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment, which takes the dependencies from this one but not the checkout."""
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


def test_a_study_in_a_folder_of_its_own_writes_where_it_is_told(command: Path, tmp_path: Path) -> None:
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
        "lrreport: studies/fashion_mnist.toml: cannot read the study (No such file or directory); lrreport new NAME writes one\n"
    )
