"""A user's own functions by import path, "module:function", and what each must take and give back."""

import hashlib
import importlib
import inspect
import io
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrreport import LrreportError

SIGNATURES = {
    "dataset": "load() -> (train inputs, train labels, test inputs, test labels) and, if you like, class names",
    "model": "make(input_shape, n_classes) -> torch.nn.Module",
    "loss": "loss(logits, labels) -> a value for each example",
    "optimizer": "make(parameters, learning_rate) -> torch.optim.Optimizer",
}


def import_function(setting: str, path: str, folder: str) -> Callable[..., Any]:
    """Return the function that a setting names, looked for in `folder` first.

    Raises LrreportError, which names the setting and its value, if it cannot be imported or called.
    """
    module_name, _, name = path.partition(":")
    with finding_modules_in(folder), quietly():
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as err:
            if err.name is None or not f"{module_name}.".startswith(f"{err.name}."):
                raise LrreportError(f"{setting} = {path!r}: importing it failed ({describe(err)})") from err
            where = f"no module {err.name!r} in {folder or 'this folder'}, nor installed"
            raise LrreportError(f"{setting} = {path!r}: {where}; put {err.name}.py there") from err
        except Exception as err:
            raise LrreportError(f"{setting} = {path!r}: importing it failed ({describe(err)})") from err
    function = getattr(module, name, None)
    if not callable(function):
        there = [one for one, value in vars(module).items() if inspect.isroutine(value) and not one.startswith("_")]
        raise LrreportError(
            f"{setting} = {path!r}: {module_name} has no function {name!r}; it has {', '.join(there) or 'none'}"
        )
    return function  # type: ignore[no-any-return]


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
def quietly() -> Iterator[None]:
    """Let what a user's code prints go nowhere: it would stand between the results."""
    with redirect_stdout(io.StringIO()):
        yield


def call(setting: str, path: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a user's function gives; raise LrreportError that says how it failed, and where."""
    try:
        with quietly():
            return function(*arguments)
    except Exception as err:
        frame = traceback.extract_tb(err.__traceback__)[-1]
        place = f"{Path(frame.filename).name} line {frame.lineno}"
        expected = f"expected is {SIGNATURES[setting]}"
        raise LrreportError(f"{setting} = {path!r}: it raised {describe(err)} at {place}; {expected}") from err


def describe(err: BaseException) -> str:
    """Return an exception in one line."""
    return f"{type(err).__name__}: {' '.join(str(err).split())}"


def load_own(path: str, folder: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return a user's data, checked: inputs (n, …) float32 and labels (n,) int64 to train and to test, and class names."""
    given = call("dataset", path, import_function("dataset", path, folder))
    if not isinstance(given, tuple | list) or len(given) not in (4, 5):
        raise _refuse("dataset", path, f"it gives {_name(given)}")
    parts = dict(zip(("train inputs", "train labels", "test inputs", "test labels"), given, strict=False))
    for name, value in parts.items():
        if not isinstance(value, Tensor):
            raise _refuse("dataset", path, f"its {name} are {_name(value)}, not a torch.Tensor")
    for part in ("train", "test"):
        inputs, labels = parts[f"{part} inputs"], parts[f"{part} labels"]
        if inputs.dtype != torch.float32:
            raise _refuse("dataset", path, f"its {part} inputs are {inputs.dtype}; make them torch.float32")
        if labels.dtype != torch.int64 or labels.dim() != 1:
            raise _refuse(
                "dataset",
                path,
                f"its {part} labels are {labels.dtype} {tuple(labels.shape)}; make them torch.int64 (n,)",
            )
        if inputs.dim() < 2 or len(inputs) != len(labels) or not len(labels):
            shapes = f"inputs {tuple(inputs.shape)} and labels {tuple(labels.shape)}"
            raise _refuse(
                "dataset", path, f"its {part} {shapes} do not go together; make them (n, …) and (n,), n above 0"
            )
        if not inputs.isfinite().all():
            raise _refuse("dataset", path, f"its {part} inputs hold infinities or NaN; clean them")
    if parts["train inputs"].shape[1:] != parts["test inputs"].shape[1:]:
        shapes = " and ".join(str(tuple(parts[f"{part} inputs"].shape[1:])) for part in ("train", "test"))
        raise _refuse("dataset", path, f"an example to train and one to test have different shapes, {shapes}")
    n_classes = len(given[4]) if len(given) == 5 else int(parts["train labels"].max()) + 1
    for part in ("train", "test"):
        low, high = int(parts[f"{part} labels"].min()), int(parts[f"{part} labels"].max())
        if low < 0 or high >= n_classes:
            raise _refuse(
                "dataset",
                path,
                f"its {part} labels go from {low} to {high}; with {n_classes} classes make them 0 to {n_classes - 1}",
            )
    if n_classes < 2 or len(parts["train labels"].unique()) < n_classes:
        there = parts["train labels"].unique().tolist()
        raise _refuse(
            "dataset",
            path,
            f"of {n_classes} classes the train labels have {there[:10]}; each of two or more must occur",
        )
    if n_classes > 256:
        raise _refuse("dataset", path, f"it has {n_classes} classes; at most 256 can be recorded")
    names = given[4] if len(given) == 5 else range(n_classes)
    return {name: value.contiguous() for name, value in parts.items()}, tuple(map(str, names))


def check_model(path: str, make: Callable[..., Any], inputs: Tensor, n_classes: int) -> nn.Module:
    """Return a network of a user's own, tried on a few inputs (n, …); raise LrreportError for what does not fit."""
    shape = tuple(inputs.shape[1:])
    torch.manual_seed(0)
    network = call("model", path, make, shape, n_classes)
    if not isinstance(network, nn.Module):
        raise _refuse("model", path, f"it gives {_name(network)}")
    torch.manual_seed(0)
    again = call("model", path, make, shape, n_classes)
    if any(
        not torch.equal(one, other)
        for one, other in zip(network.state_dict().values(), again.state_dict().values(), strict=False)
    ):
        raise _refuse(
            "model", path, "made twice with one seed it has other weights; let all random numbers come from torch"
        )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise _refuse("model", path, "the network has no weights to train")
    logits = call("model", path, network, inputs)
    wanted = f"for inputs {tuple(inputs.shape)} its logits must be floating point ({len(inputs)}, {n_classes})"
    if not isinstance(logits, Tensor):
        raise _refuse("model", path, f"{wanted}, not {_name(logits)}")
    if logits.shape != (len(inputs), n_classes) or not logits.is_floating_point():
        raise _refuse("model", path, f"{wanted}, not {logits.dtype} {tuple(logits.shape)}")
    return network


def check_loss(path: str, loss: Callable[..., Any], n_classes: int) -> None:
    """Raise LrreportError unless a user's loss gives one value for each example, through which gradients flow."""
    logits = torch.zeros(4, n_classes, requires_grad=True)
    values = call("loss", path, loss, logits, torch.arange(4) % n_classes)
    if not isinstance(values, Tensor) or values.shape != (4,):
        found = f"{tuple(values.shape)}" if isinstance(values, Tensor) else _name(values)
        raise _refuse("loss", path, f"for 4 examples it gives {found}, not (4,); leave out the mean over examples")
    if not values.requires_grad:
        raise _refuse("loss", path, "no gradient flows from its values to the logits")


def check_optimizer(path: str, make: Callable[..., Any]) -> None:
    """Raise LrreportError unless a user's function gives an optimiser that takes the learning rate it is given."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = call("optimizer", path, make, [weight], 0.125)
    if not isinstance(optimizer, Optimizer):
        raise _refuse("optimizer", path, f"it gives {_name(optimizer)}")
    if {group["lr"] for group in optimizer.param_groups} != {0.125}:
        raise _refuse("optimizer", path, "its groups do not have the learning rate that it was given")
    weight.grad = torch.ones(2)
    call("optimizer", path, optimizer.step)


def digest_tensor(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor: its type, its shape and its values."""
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _refuse(setting: str, path: str, problem: str) -> LrreportError:
    return LrreportError(f"{setting} = {path!r}: {problem}; expected is {SIGNATURES[setting]}")


def _name(value: Any) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}" + (
        f" of {len(value)}" if isinstance(value, tuple | list) else ""
    )
