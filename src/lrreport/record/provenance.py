"""The identity of a run, so that equal runs are made once, and facts about its machine and software."""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.project import PACKAGE, find_checkout, find_notebook
from lrreport.study.frozen import FrozenModel
from lrreport.study.settings import Setup, Training

TRAINING_NOTEBOOK, RANGE_NOTEBOOK = "train.ipynb", "range_test.ipynb"
# The code that decides a run of the built-in loop: these modules and all training modules that they import, except
# those that only find, fetch and store the data, which is identified by its digests.
TRAINING_ROOTS, RANGE_ROOTS = ("lrreport.training.loop:", "lrreport.training.data:"), ("lrreport.training.range_test:",)
MOVES_DATA = {f"lrreport.training.{name}" for name in ("files", "fetch", "cache", "transfer", "user_code")}
PACKAGES = ("lrreport", "torch", "numpy", "pydantic", "papermill", "ipykernel")
_PARSING = threading.Lock()


class Identity(FrozenModel):
    """Everything that decides what a run computes; digests are SHA-256 in hexadecimal.

    `producer` are the digests of the code that makes the run, `versions` those of the packages that decide its numbers.
    """

    settings: dict[str, Any]
    seed: int | None = None
    producer: dict[str, str] = {}
    data: dict[str, str] = {}
    versions: dict[str, str] = {}
    device: str = ""

    @property
    def key(self) -> str:
        """The name of the run's folder in outputs/runs: 16 hexadecimal digits."""
        return digest_text(json.dumps(self.model_dump(mode="json"), sort_keys=True))[:16]


def identify(
    setup: Setup,
    seeds: Sequence[int],
    data: Mapping[str, str],
    code_folder: Path | str = "",
    device: str | None = None,
) -> list[Identity]:
    """Return the identity of each seed's run with these settings and data (file name → digest) on this machine.

    A range test is a single run of all its seeds, which are then among its settings. The user's modules are looked for
    in `code_folder`. A `device` replaces this machine's.
    """
    training = isinstance(setup, Training)
    notebook, roots = (TRAINING_NOTEBOOK, TRAINING_ROOTS) if training else (RANGE_NOTEBOOK, RANGE_ROOTS)
    settings = setup.model_dump(mode="json", exclude={"device"}, exclude_none=True)
    user_code = digest_user_code(setup.import_paths().values(), Path(code_folder) if code_folder else None)
    shared: dict[str, Any] = {
        "producer": {
            "notebook": digest_notebook(find_notebook(notebook)),
            **_digest_training_modules(roots),
            **user_code,
        },
        "data": dict(sorted(data.items())),
        "versions": {"torch": _read_release("torch")},
        "device": device or find_device(setup.device),
    }
    if not training:
        return [Identity(settings=settings | {"seeds": list(seeds)}, **shared)]
    return [Identity(settings=settings, seed=seed, **shared) for seed in seeds]


@cache
def _digest_training_modules(roots: tuple[str, ...]) -> dict[str, str]:
    """Return the digests of the training modules that decide a run, by walking their imports."""
    files = find_modules(roots, None, "lrreport.training")
    deciding = sorted(name for name in files if name.startswith("lrreport.training.") and not _moves_data(name))
    return {f"training/{name.rpartition('.')[2]}.py": digest_module(files[name]) for name in deciding}


def _moves_data(module: str) -> bool:
    return any(f"{module}.".startswith(f"{name}.") for name in MOVES_DATA)


def list_versions() -> dict[str, str]:
    """Return the versions that must agree wherever runs of a study are made."""
    return {
        "lrreport": _read_release("lrreport"),
        "torch": _read_release("torch"),
        "Python": platform.python_version(),
    }


def _read_release(package: str) -> str:
    # "2.13.0+cpu" and "2.13.0" are the same release: the build is among the facts.
    return importlib.metadata.version(package).partition("+")[0]


def find_device(device: str) -> str:
    """Return "cpu" or "cuda": the type of device that a study's setting means on this machine.

    Raises LrreportError for "cuda" where torch has no GPU.
    """
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise LrreportError('device = "cuda": torch finds no GPU that it can use here; set it to "auto" or "cpu"')
    return "cpu"


def _may_have_gpu() -> bool:
    """Return whether an NVIDIA driver (WSL's too) is present: asking torch costs a second of import."""
    return any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/dxg"))


@cache
def digest_notebook(path: Path) -> str:
    """Return the SHA-256 of a notebook's code cells without comments and layout; the parameters cell does not count."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and not {"parameters", "check"} & set(cell["metadata"].get("tags", ()))
    ]
    return digest_text("\n".join(_canonical(parse_source(source)) for source in sources))


def digest_module(path: Path) -> str:
    """Return the SHA-256 of a module's syntax tree without docstrings, comments and positions."""
    return _read_module(path)[1]


def _read_module(path: Path) -> tuple[ast.Module, str]:
    """Return the syntax tree of a module, without docstrings, and its SHA-256; a file that has changed is read again."""
    stat = path.stat()
    return _read_version(path, stat.st_mtime_ns, stat.st_size)


@cache
def _read_version(path: Path, changed: int, size: int) -> tuple[ast.Module, str]:
    tree = parse_source(path.read_bytes())  # bytes, since a file may say which encoding it has
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree, digest_text(_canonical(tree))


def parse_source(source: str | bytes) -> ast.Module:
    """Return a syntax tree, parsed by a single thread at a time.

    CPython 3.11 shares the recursion depth of parsing between threads and then raises SystemError (https://github.com/python/cpython/issues/106905).
    """
    with _PARSING:
        return ast.parse(source)


def digest_user_code(paths: Iterable[str], folder: Path | None) -> dict[str, str]:
    """Return the digests of the modules that hold these functions ("module:function"), and of those they import.

    Only modules beside them count: those in `folder`, or in the same installed package, whose parents count too. A
    module that cannot be found or read is left out, since importing it will raise the reason.
    """
    return {name: digest_module(file) for name, file in find_modules(paths, folder).items()}


def is_user_module(name: str, folder: Path) -> bool:
    """Return whether a module is the user's: in this folder, or installed from a folder where it is still being edited."""
    top = name.partition(".")[0]
    if _find_file(folder, name.split(".")) or _find_file(folder, [top]):
        return True
    file = find_module(top, folder)
    installed = [PACKAGE, *(Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib"))]
    return file is not None and not any(map(file.is_relative_to, installed))


def read_user_code(paths: Iterable[str], folder: Path) -> dict[str, bytes]:
    """Return the files in `folder` that `digest_user_code` visits, by their paths in it."""
    files = [file for file in find_modules(paths, folder).values() if file.is_relative_to(folder)]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def find_modules(paths: Iterable[str], folder: Path | None, package: str = "") -> dict[str, Path]:
    """Return the files of the modules that `digest_user_code` visits, by module; with a `package` only those in it."""
    files: dict[str, Path] = {}
    waiting = [path.partition(":")[0] for path in paths]
    packages = {name.partition(".")[0] for name in waiting}
    while waiting:
        name = waiting.pop()
        if name in files or not f"{name}.".startswith(f"{package}." if package else ""):
            continue
        file = find_module(name, folder)
        # Not whatever lies below the folder: that may hold a whole Python with all that is installed.
        in_folder = folder is not None and file == _find_file(folder, name.split("."))
        if file is None or not (in_folder or name.partition(".")[0] in packages):
            continue
        try:
            tree, _ = _read_module(file)
        except (OSError, ValueError, SyntaxError):
            continue
        files[name] = file
        parent = name if file.name == "__init__.py" else name.rpartition(".")[0]
        parents = [name[:index] for index, letter in enumerate(name) if letter == "."]
        waiting += [*list_imports(tree, parent), *parents]
    return files


def find_module(name: str, folder: Path | None) -> Path | None:
    """Return the file of a module, looked for in a folder and then among what is installed, without importing it."""
    top, *rest = name.split(".")
    spec = None if folder is not None and _find_file(folder, [top, *rest]) else PathFinder.find_spec(top)
    if spec is None:
        return None if folder is None else _find_file(folder, [top, *rest])
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    files = (_find_file(Path(folder), rest) for folder in spec.submodule_search_locations or ())
    return next((file for file in files if file), None)


def _find_file(folder: Path, parts: list[str]) -> Path | None:
    path = folder.joinpath(*parts)
    files = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def list_imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that a syntax tree may import; a name imported from a package may be a module too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*filter(None, above), *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" if module else alias.name for alias in node.names)


class _Sign(str):
    """Syntax between the values of a written syntax tree."""


_sign = cache(_Sign)
_OPEN, _COMMA, _CLOSE, _END = map(_Sign, ("[", ",", "]", ")"))


def _canonical(node: Any) -> str:
    """Write a syntax tree as text; empty fields are left out, since each release of Python adds some.

    Without recursion: a sum of many terms is a deep tree.
    """
    written: list[str] = []
    waiting = [node]  # what comes first is last in it
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Sign):
            written.append(node)
        elif isinstance(node, ast.AST):
            waiting.append(_END)
            for name, value in reversed([*ast.iter_fields(node)]):
                if value is not None and value != []:
                    waiting += (_COMMA, value, _sign(f"{name}="))
            waiting.append(_sign(f"{type(node).__name__}("))
        elif isinstance(node, list):
            waiting.append(_CLOSE)
            for value in reversed(node):
                waiting += (_COMMA, value)
            waiting.append(_OPEN)
        else:
            written.append(repr(node))
    return "".join(written)


def digest_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def collect_facts() -> dict[str, Any]:
    """Return facts about this machine and process, none of which may decide a result."""
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "cpu": _read_cpu_model(),
        "cpu_count": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
        "host": socket.gethostname(),
        **_read_commit(),
    }


def _read_cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _read_commit() -> dict[str, Any]:
    """Return the commit of the checkout and whether tracked files differ from it; None without git."""
    git = ["git", "-C", str(find_checkout() or PACKAGE)]
    if find_checkout() is None:  # an installed wheel, whose folder may lie in some other repository
        return {"commit": None, "dirty": None}
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        status = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}
