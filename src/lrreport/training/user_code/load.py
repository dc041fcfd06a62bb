"""Import and call functions of the user's, by import path "module:function"."""

import importlib
import inspect
import io
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from functools import wraps
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.record.provenance import find_modules

LISTED = 10  # functions that a message names
SIGNATURES = {
    "dataset": "load() -> (train inputs, train targets, test inputs, test targets), and optionally class names",
    "model": "make(input_shape, n_outputs, **options) -> torch.nn.Module",
    "loss": "loss(outputs, targets, **options) -> a value for each example",
    "optimizer": "make(parameters, learning_rate, **options) -> torch.optim.Optimizer",
    "schedule": "schedule(step, n_steps, steps_per_epoch, **options) -> the factor of the learning rate",
}
CALLED_EACH_STEP = ("loss", "schedule")


def import_function(setting: str, path: str, folder: str) -> Callable[..., Any]:
    """Return the function that a setting names, looked for in `folder` first.

    When called it finds files by paths relative to that folder, unless it is called at every step. Raises LrreportError,
    which names the setting and its value, if it cannot be imported or is not callable.
    """
    module_name, _, function_name = path.partition(":")
    _refuse_shadowed(setting, path, folder)
    with prefer_modules_in(folder), chdir(folder or "."), capture_stdout():
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as err:
            if err.name is None or not f"{module_name}.".startswith(f"{err.name}."):
                raise LrreportError(f"{setting} = {path!r}: importing it failed ({describe_error(err)})") from err
            where = f"no module {err.name!r} in {folder or 'this folder'}, nor installed"
            raise LrreportError(f"{setting} = {path!r}: {where}; put {err.name}.py there") from err
        except (Exception, SystemExit) as err:
            line = "" if isinstance(err, SyntaxError) else find_line(err, [])  # its message names the line
            raise LrreportError(f"{setting} = {path!r}: importing it failed ({describe_error(err)}{line})") from err
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if inspect.isroutine(value) and not name.startswith("_")]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        raise LrreportError(
            f"{setting} = {path!r}: {module_name} has no function {function_name!r}; "
            f"it has {', '.join(names[:LISTED]) or 'none'}{more}"
        )
    if setting in CALLED_EACH_STEP or not folder:
        return function  # type: ignore[no-any-return]

    @wraps(function)
    def call_in_folder(*arguments: Any, **options: Any) -> Any:
        with chdir(folder):
            return function(*arguments, **options)

    return call_in_folder


def _refuse_shadowed(setting: str, path: str, folder: str) -> None:
    """Raise LrreportError for a module of the user's whose name is that of an installed one, which may be imported already."""
    elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != Path(folder).resolve()]
    for name, file in find_modules([path], Path(folder) if folder else None).items():
        if not folder or "." in name or not file.is_relative_to(folder):
            continue
        spec = PathFinder.find_spec(name, elsewhere)
        origin = spec.origin if spec else "one of Python's own" if name in sys.stdlib_module_names else None
        if origin and not (Path(origin).exists() and file.samefile(origin)):
            raise LrreportError(
                f"{setting} = {path!r}: {file} is hidden by another module of that name, {origin}; rename yours"
            )


@contextmanager
def prefer_modules_in(folder: str) -> Iterator[None]:
    """Put `folder` first on `sys.path` inside the block and last after it.

    Late imports then resolve without shadowing installed packages.
    """
    if not folder:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


@contextmanager
def capture_stdout() -> Iterator[io.StringIO]:
    """Capture what is printed inside the block, so that it does not stand between results; a nested block shares it."""
    if isinstance(sys.stdout, io.StringIO):
        yield sys.stdout
        return
    with redirect_stdout(io.StringIO()) as printed:
        yield printed


def call(setting: str, path: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what a function of the user's returns; raise LrreportError with the error and its line if it fails."""
    try:
        with capture_stdout():
            return function(*arguments, **options)
    except (Exception, SystemExit) as err:
        raise refuse(setting, path, f"it raised {describe_error(err)}{find_line(err, [path])}") from err


def find_line(err: BaseException, paths: Iterable[str]) -> str:
    """Return " at FILE line N": where an exception left the modules of the user's functions, or else where it began.

    Nothing for one that began with our call, whose arguments the function does not take.
    """
    files = [getattr(sys.modules.get(path.partition(":")[0]), "__file__", None) for path in paths]
    folders = [Path(file).parent for file in files if file]
    frames = traceback.extract_tb(err.__traceback__)
    own = [frame for frame in frames if any(_is_within(Path(frame.filename), folder) for folder in folders)]
    frame = (own or frames)[-1]
    if Path(frame.filename) == Path(__file__):
        return ""
    return f" at {Path(frame.filename).name} line {frame.lineno}"


def _is_within(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and "site-packages" not in file.relative_to(folder).parts


def describe_error(err: BaseException) -> str:
    """Return an exception in one line: its type and its message."""
    return ": ".join(filter(None, [type(err).__name__, " ".join(str(err).split())]))


def describe_kind(value: Any) -> str:
    """Return what kind of value it is, such as "a tuple of 2"."""
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    return f"{article} {kind}" + (f" of {len(value)}" if isinstance(value, tuple | list) else "")


def refuse(setting: str, path: str, problem: str) -> LrreportError:
    """Return the error that names a setting, its value, the problem and the expected signature."""
    return LrreportError(f"{setting} = {path!r}: {problem}; expected is {SIGNATURES[setting]}")
