"""The environment of executions: variables, private folders, standard streams and cores."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lrreport.errors import LrreportError

PRIVATE, MARK = "lrreport-kernel-", ".lrreport-private"  # the prefix of private folders, and a file in each
LONGEST_FOLDER = 70  # bytes of a folder's path; that of a Unix socket has at most 107
# Settings of the user that could change a result: they configure Python, Jupyter, matplotlib and the numerics.
UNWANTED = ("PYTHON", "JUPYTER", "IPYTHON", "MPL", "MATPLOTLIB", "LC_", "LANG", "OMP_", "GOMP_", "KMP_", "MKL_",
            "OPENBLAS_", "DNNL_", "ONEDNN_", "ATEN_", "TORCH_", "PYTORCH_", "CUBLAS_", "NPY_", "NVIDIA_TF32", "TQDM_",
            "COLUMNS", "LINES")  # fmt: skip


def count_cores() -> int:
    """Return how many cores this process may use, or the value of LRREPORT_CORES.

    Raises LrreportError for a value of LRREPORT_CORES that is not a whole number from 1 on.
    """
    text = os.environ.get("LRREPORT_CORES")
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isascii() or not text.isdecimal() or int(text[:9]) < 1:
        raise LrreportError(f"LRREPORT_CORES: {text[:40]!r} is not a whole number from 1 on")
    return int(text[:9])


@contextmanager
def make_private_folder() -> Iterator[Path]:
    """Make a temporary folder that only this user can enter, for a kernel's sockets.

    Those of killed processes are removed as well: folders of this user with our mark in them and a lock that is free.
    """
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > LONGEST_FOLDER:
        parent = Path("/tmp")
    for mark in parent.glob(f"{PRIVATE}*/{MARK}"):
        with suppress(Timeout, OSError):
            if _is_ours(mark.parent):
                with FileLock(mark.with_name(".lock"), timeout=0):
                    shutil.rmtree(mark.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PRIVATE, dir=parent))
    try:
        with FileLock(folder / ".lock"):
            (folder / MARK).touch()  # only now, since a folder with the mark and a free lock may be removed
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    stat = folder.lstat()
    return stat.st_uid == os.getuid() and stat.st_mode & 0o77 == 0 and not folder.is_symlink()


def fill_standard_streams() -> None:
    """Open /dev/null for standard streams that were closed, whose numbers a pipe would get otherwise."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def make_environment(n_threads: int, gpu: str | None = None) -> dict[str, str]:
    """Return our environment without settings of the user that could change a result, for so many threads.

    With a `gpu`, only that GPU is visible.
    """
    matplotlib = importlib.util.find_spec("matplotlib")
    assert matplotlib
    assert matplotlib.origin
    ours = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    threads = {f"{name}_NUM_THREADS": str(n_threads) for name in ("OMP", "MKL", "OPENBLAS")}
    only = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    return ours | threads | only | {
        "PYTHONHASHSEED": "0",  # else sets of words have another order in each process
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "LC_ALL": "C.UTF-8",
        "MPLBACKEND": "agg",
        "MATPLOTLIBRC": str(Path(matplotlib.origin).with_name("mpl-data") / "matplotlibrc"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }  # fmt: skip
