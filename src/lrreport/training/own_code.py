"""A user's own functions by import path, "module:function", and what each must take and give back."""

import hashlib
import importlib
import inspect
import io
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stdout
from functools import wraps
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrreport.errors import LrreportError
from lrreport.provenance import find_own_modules

LISTED = 10  # functions that a message names
SIGNATURES = {
    "dataset": "load() -> (train inputs, train labels, test inputs, test labels) and, if you like, class names",
    "model": "make(input_shape, n_classes) -> torch.nn.Module",
    "loss": "loss(logits, labels) -> a value for each example",
    "optimizer": "make(parameters, learning_rate) -> torch.optim.Optimizer",
}


def import_function(setting: str, path: str, folder: str) -> Callable[..., Any]:
    """Return the function that a setting names, looked for in `folder` first.

    A relative path of a file that it reads is one from that folder. Raises LrreportError, which names the setting and its
    value, if it cannot be imported or called.
    """
    module_name, _, function_name = path.partition(":")
    _refuse_namesakes(setting, path, folder)
    with finding_modules_in(folder), chdir(folder or "."), quietly():
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as err:
            if err.name is None or not f"{module_name}.".startswith(f"{err.name}."):
                raise LrreportError(f"{setting} = {path!r}: importing it failed ({describe(err)})") from err
            where = f"no module {err.name!r} in {folder or 'this folder'}, nor installed"
            raise LrreportError(f"{setting} = {path!r}: {where}; put {err.name}.py there") from err
        except (Exception, SystemExit) as err:
            place = "" if isinstance(err, SyntaxError) else find_place(err, [])  # which tells its own
            raise LrreportError(f"{setting} = {path!r}: importing it failed ({describe(err)}{place})") from err
    function = getattr(module, function_name, None)
    if not callable(function):
        there = [one for one, value in vars(module).items() if inspect.isroutine(value) and not one.startswith("_")]
        more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
        raise LrreportError(
            f"{setting} = {path!r}: {module_name} has no function {function_name!r}; "
            f"it has {', '.join(there[:LISTED]) or 'none'}{more}"
        )
    if setting == "loss" or not folder:  # a loss is called at every step
        return function  # type: ignore[no-any-return]

    @wraps(function)
    def call_in_folder(*arguments: Any) -> Any:
        with chdir(folder):
            return function(*arguments)

    return call_in_folder


def _refuse_namesakes(setting: str, path: str, folder: str) -> None:
    """Raise LrreportError for a module in the folder that has the name of another, which Python may have imported already."""
    elsewhere = [place for place in sys.path if place and Path(place).resolve() != Path(folder).resolve()]
    for name, file in find_own_modules([path], Path(folder) if folder else None).items():
        if not folder or "." in name or not file.is_relative_to(folder):
            continue
        spec = PathFinder.find_spec(name, elsewhere)
        other = spec.origin if spec else "one of Python's own" if name in sys.stdlib_module_names else None
        if other and not (Path(other).exists() and file.samefile(other)):
            raise LrreportError(
                f"{setting} = {path!r}: {file} is hidden by another module of that name, {other}; rename yours"
            )


@contextmanager
def finding_modules_in(folder: str) -> Iterator[None]:
    """Look for modules in a folder before anywhere else; afterwards, for those imported late, only after anywhere else."""
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
def quietly() -> Iterator[io.StringIO]:
    """Keep what a user's code prints from standing between the results; yield where it goes, the same within another."""
    if isinstance(sys.stdout, io.StringIO):
        yield sys.stdout
        return
    with redirect_stdout(io.StringIO()) as heard:
        yield heard


def call(setting: str, path: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a user's function gives; raise LrreportError that says how it failed, and where."""
    try:
        with quietly():
            return function(*arguments)
    except (Exception, SystemExit) as err:
        raise refuse(setting, path, f"it raised {describe(err)}{find_place(err, [path])}") from err


def find_place(err: BaseException, paths: Iterable[str]) -> str:
    """Return " at …", the file and line where an exception left the modules of a user's own functions, or else where it began.

    Nothing for one that began with our call, which had other arguments than the function takes.
    """
    files = [getattr(sys.modules.get(path.partition(":")[0]), "__file__", None) for path in paths]
    folders = [Path(file).parent for file in files if file]
    frames = traceback.extract_tb(err.__traceback__)
    frame = ([one for one in frames if any(_is_within(Path(one.filename), folder) for folder in folders)] or frames)[-1]
    if Path(frame.filename) == Path(__file__):
        return ""
    return f" at {Path(frame.filename).name} line {frame.lineno}"


def _is_within(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and "site-packages" not in file.relative_to(folder).parts


def describe(err: BaseException) -> str:
    """Return an exception in one line."""
    return ": ".join(filter(None, [type(err).__name__, " ".join(str(err).split())]))


def load_own(path: str, folder: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return a user's data, checked: inputs (n, …) and labels (n,) int64, to train and to test, and class names.

    Inputs are float32, or int64 such as the words of a text by number.
    """
    given = call("dataset", path, import_function("dataset", path, folder))
    if not isinstance(given, tuple | list) or len(given) not in (4, 5):
        raise refuse("dataset", path, f"it gives {describe_kind(given)}")
    parts = dict(zip(("train inputs", "train labels", "test inputs", "test labels"), given, strict=False))
    parts = {name: torch.as_tensor(value) if _is_numeric(value) else value for name, value in parts.items()}
    for name, value in parts.items():
        if not isinstance(value, Tensor):
            raise refuse("dataset", path, f"its {name} are {describe_kind(value)}, not a torch.Tensor")
        if value.layout != torch.strided or value.device.type != "cpu":
            raise refuse(
                "dataset", path, f"its {name} are {value.layout} on {value.device}; make them dense, on the CPU"
            )
    for part in ("train", "test"):
        inputs, labels = parts[f"{part} inputs"], parts[f"{part} labels"]
        if inputs.dtype not in (torch.float32, torch.int64):
            raise refuse(
                "dataset",
                path,
                f"its {part} inputs are {inputs.dtype}; make them torch.float32, or torch.int64 to look up in an embedding",
            )
        if labels.dtype != torch.int64 or labels.dim() != 1:
            raise refuse(
                "dataset",
                path,
                f"its {part} labels are {labels.dtype} {tuple(labels.shape)}; make them torch.int64 (n,)",
            )
        if inputs.dim() < 2 or len(inputs) != len(labels) or not inputs.numel():
            shapes = f"inputs {tuple(inputs.shape)} and labels {tuple(labels.shape)}"
            raise refuse(
                "dataset",
                path,
                f"its {part} {shapes} do not go together; make them (n, …) and (n,), none of the sizes 0",
            )
        if not inputs.isfinite().all():
            raise refuse("dataset", path, f"its {part} inputs hold infinities or NaN; clean them")
    if parts["train inputs"].dtype != parts["test inputs"].dtype:
        types = " and ".join(str(parts[f"{part} inputs"].dtype) for part in ("train", "test"))
        raise refuse("dataset", path, f"inputs to train and to test have different types, {types}")
    if parts["train inputs"].shape[1:] != parts["test inputs"].shape[1:]:
        shapes = " and ".join(str(tuple(parts[f"{part} inputs"].shape[1:])) for part in ("train", "test"))
        raise refuse("dataset", path, f"an example to train and one to test have different shapes, {shapes}")
    if len(given) == 5 and not isinstance(given[4], tuple | list):
        raise refuse("dataset", path, f"its class names are {describe_kind(given[4])}, not a list")
    if len(given) == 5 and len({*map(str, given[4])}) < len(given[4]):
        raise refuse("dataset", path, f"its class names {list(given[4])} hold one twice")
    n_classes = len(given[4]) if len(given) == 5 else int(parts["train labels"].max()) + 1
    for part in ("train", "test"):
        low, high = int(parts[f"{part} labels"].min()), int(parts[f"{part} labels"].max())
        if low < 0 or high >= n_classes:
            raise refuse(
                "dataset",
                path,
                f"its {part} labels go from {low} to {high}; with {n_classes} "
                f"{'class names' if len(given) == 5 else 'classes'} make them 0 to {n_classes - 1}",
            )
    if n_classes < 2 or len(parts["train labels"].unique()) < n_classes:
        there = parts["train labels"].unique().tolist()
        raise refuse(
            "dataset",
            path,
            f"of {n_classes} classes the train labels have {there[:10]}; each of two or more must occur",
        )
    if n_classes > 256:
        raise refuse("dataset", path, f"it has {n_classes} classes; at most 256 can be recorded")
    names = given[4] if len(given) == 5 else range(n_classes)
    return {name: value.detach().contiguous() for name, value in parts.items()}, tuple(map(str, names))


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def digest_tensor(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor: its type, its shape and its values."""
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def digest_names(names: Sequence[str]) -> str:
    """Return the SHA-256 of the names of classes."""
    return hashlib.sha256(repr(tuple(names)).encode()).hexdigest()


def refuse(setting: str, path: str, problem: str) -> LrreportError:
    """Return the error that names a setting, its value, what is wrong with it and what is expected."""
    return LrreportError(f"{setting} = {path!r}: {problem}; expected is {SIGNATURES[setting]}")


def describe_kind(value: Any) -> str:
    """Return what kind of value it is, such as "a tuple of 2"."""
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}" + (
        f" of {len(value)}" if isinstance(value, tuple | list) else ""
    )
