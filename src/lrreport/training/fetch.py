"""Where the data files are fetched from, tried in order; each source fills a folder or raises the reason why it cannot."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from lrreport.errors import LrreportError

PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
TORCHVISION_SECONDS = 600
APT_SECONDS = 300


@dataclass(frozen=True)
class Source:
    """A source of files: `fetch` may use the folder that it is given, and returns the folder that has them."""

    name: str
    fetch: Callable[[Path], Path]


def find_debian_folder(workspace: Path, folder: Path = DEBIAN_FOLDER) -> Path:
    """Return the folder that Debian's package installs; raise LrreportError if it is not installed."""
    if not folder.is_dir():
        raise LrreportError("not installed")
    return folder


def download_with_torchvision(workspace: Path, class_name: str = "FashionMNIST", mirror: str | None = None) -> Path:
    """Return the folder to which torchvision downloaded one of its datasets, in a process that is ended if it hangs."""
    # -P, so that no module of the folder we were called from is imported instead of an installed module
    command = [sys.executable, "-P", "-m", "lrreport.training.fetch", class_name, str(workspace)]
    _run([*command, *([mirror] if mirror else [])], TORCHVISION_SECONDS)
    return workspace / ("cifar-10-batches-py" if class_name == "CIFAR10" else f"{class_name}/raw")


def download_with_apt(workspace: Path) -> Path:
    """Return a folder unpacked from Debian's package, fetched without root and without touching the system."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise LrreportError("this system has no apt-get")
    lists, cache = workspace / "lists", workspace / "cache"
    for folder in (lists, cache):
        (folder / "partial").mkdir(parents=True)
    options = {"Dir::State::Lists": str(lists), "Dir::Cache": str(cache), "Debug::NoLocking": "1"}
    apt = ["apt-get", "-q", *(word for option in options.items() for word in ("-o", "=".join(option)))]
    _run([*apt, "update"], APT_SECONDS, workspace)
    _run([*apt, "download", PACKAGE], APT_SECONDS, workspace)
    packages = list(workspace.glob(f"{PACKAGE}_*.deb"))
    if not packages:
        raise LrreportError("apt-get downloaded no package")
    _run(["dpkg-deb", "-x", str(packages[0]), str(workspace / "root")], APT_SECONDS)
    return workspace / "root" / DEBIAN_FOLDER.relative_to("/")


def list_sources(class_name: str) -> tuple[Source, ...]:
    """Return the sources of a dataset that torchvision has under this name."""
    downloaded = Source("torchvision's download", partial(download_with_torchvision, class_name=class_name))
    if class_name != "FashionMNIST":
        return (downloaded,)
    return (
        Source(f"the folder of Debian's package, {DEBIAN_FOLDER}", find_debian_folder),
        downloaded,
        Source(f"apt-get download {PACKAGE}", download_with_apt),
    )


def _run(command: list[str], seconds: float, folder: Path | None = None) -> None:
    """Run a command; raise LrreportError with the last line it printed if it fails or takes too long."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command, cwd=folder, env=ours, timeout=seconds, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as err:
        raise LrreportError(f"no answer within {seconds:g} s") from err
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise LrreportError(lines[-1] if lines else f"{command[0]} ended with status {done.returncode}")


def import_torchvision() -> ModuleType:
    """Return torchvision, also where torch is a CPU build and torchvision the build for CUDA.

    The registry's torchvision is built for CUDA. Beside a CPU build of torch its C++ operators do not load, and the
    import fails because two of them have no schema. Nothing here needs these operators, so defining the schemas
    is enough; where the operators do load, nothing is defined.
    """
    try:
        import torchvision
    except RuntimeError as err:
        if "torchvision::nms" not in str(err):
            raise
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_torchvision.library = library  # type: ignore[attr-defined]  # the schemas go when the library does
        import torchvision
    return torchvision  # type: ignore[no-any-return]


def main(class_name: str, root: str, mirror: str | None = None) -> None:
    """Download the training and the test part of a dataset into `root` with torchvision."""
    dataset = getattr(import_torchvision().datasets, class_name)
    if mirror is not None:
        dataset.mirrors = [mirror]
    if class_name == "FashionMNIST":
        # Its digests are of the compressed files, which another mirror may have compressed anew; ours are of the content.
        dataset.resources = [(name, None) for name, _ in dataset.resources]
    for train in (True, False):
        dataset(root, train=train, download=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
