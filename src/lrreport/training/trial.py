"""A user's own functions tried before anything runs: each by itself, then together in two steps of training."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrreport import LrreportError
from lrreport.settings import IMPORT_PATH, Fixed
from lrreport.training.build import choose_loss, start_networks, start_optimizers
from lrreport.training.data import Split, Splits, divide, keep_splits, load_splits, prepare
from lrreport.training.datasets import load_dataset
from lrreport.training.loop import computing_repeatably, make_generators, predict, train_epoch
from lrreport.training.optimizers import make_schedule
from lrreport.training.own_code import call, describe, describe_kind, find_place, import_function, quietly, refuse

N_TRIED = 3  # examples that a network by itself is tried on
RATE = 0.001  # the learning rate of the trial


def try_code(setups: Sequence[Fixed], code_folder: str, patience: float = float("inf")) -> tuple[dict[str, str], str]:
    """Try every function of the user's own that the settings of a study's levels name.

    Returns the digests of a dataset of the user's own. If it took longer than `patience` (seconds) to load it is not
    compared with a second call, but kept for all runs, and its key is returned too. Raises LrreportError for the first
    function that does not do.
    """
    splits, digests, prepared = _load(setups[0], code_folder, patience)
    n_classes, tried = len(splits.class_names), set()
    for setup in setups:
        for setting, path in setup.imported().items():
            if setting == "dataset" or (setting, path) in tried:
                continue
            tried.add((setting, path))
            function = import_function(setting, path, code_folder)
            if setting == "model":
                try_model(path, function, splits.train.inputs[:N_TRIED], n_classes)
            elif setting == "loss":
                try_loss(path, function, n_classes)
            else:
                try_optimizer(path, function)
        rehearse(setup, splits, code_folder)
    return digests, prepared


def _load(setup: Fixed, code_folder: str, patience: float) -> tuple[Splits, dict[str, str], str]:
    if not IMPORT_PATH.match(setup.dataset):
        return load_splits(setup.dataset, setup.validation_size, setup.split_seed), {}, ""
    start = time.monotonic()
    dataset = load_dataset(setup.dataset, code_folder)
    if time.monotonic() - start > patience:
        splits, key = keep_splits(setup.dataset, dataset, setup.validation_size, setup.split_seed)
        return splits, dataset.digests, key
    if load_dataset(setup.dataset, code_folder).digests != dataset.digests:
        raise LrreportError(
            f"dataset = {setup.dataset!r}: called twice it gives different tensors; let it give the same each time, such as "
            "with a torch.Generator of a fixed seed"
        )
    return divide(prepare(dataset, setup.validation_size, setup.split_seed)), dataset.digests, ""


def try_model(path: str, make: Callable[..., Any], inputs: Tensor, n_classes: int) -> None:
    """Raise LrreportError unless a user's function makes a new network that turns inputs (n, …) into logits.

    One seed must always give the same network and logits, and evaluation draws no random numbers.
    """
    network, logits = _make_and_call(path, make, inputs, n_classes)
    again, repeated = _make_and_call(path, make, inputs, n_classes)
    if {id(one) for one in network.parameters()} & {id(one) for one in again.parameters()}:
        raise refuse("model", path, "called twice it gives networks that share weights; make new layers at each call")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise refuse("model", path, "the network has no weights to train")
    wanted = f"for inputs {tuple(inputs.shape)} its logits must be floating point ({len(inputs)}, {n_classes})"
    if not isinstance(logits, Tensor):
        raise refuse("model", path, f"{wanted}, not {describe_kind(logits)}")
    if logits.shape != (len(inputs), n_classes) or not logits.is_floating_point():
        raise refuse("model", path, f"{wanted}, not {logits.dtype} {tuple(logits.shape)}")
    if not _are_same(logits, repeated):
        raise refuse("model", path, "with one seed it gives other logits; let all random numbers come from torch")
    network.eval()
    given = inputs.clone()
    with torch.no_grad():
        first, second = (call("model", path, network, given) for _ in range(2))
    if not torch.equal(given, inputs):
        raise refuse(
            "model", path, "it changes its inputs, which are used again; let it work on new tensors, such as x = x + 1"
        )
    if not _are_same(first, second):
        raise refuse(
            "model", path, "in evaluation mode a second call gives other logits; draw nothing if not self.training"
        )


def _make_and_call(path: str, make: Callable[..., Any], inputs: Tensor, n_classes: int) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    network = call("model", path, make, tuple(inputs.shape[1:]), n_classes)
    if not isinstance(network, nn.Module):
        raise refuse("model", path, f"it gives {describe_kind(network)}")
    return network, call("model", path, network, inputs.clone())


def try_loss(path: str, loss: Callable[..., Any], n_classes: int) -> None:
    """Raise LrreportError unless a user's loss gives one value for each example, through which gradients flow."""
    weights = torch.linspace(-1, 1, 4 * n_classes).reshape(4, n_classes).requires_grad_()
    labels = torch.arange(4) % n_classes
    given = weights * 1, labels.clone()
    values = call("loss", path, loss, *given)
    if not isinstance(values, Tensor) or values.shape != (4,):
        found = f"{tuple(values.shape)}" if isinstance(values, Tensor) else describe_kind(values)
        raise refuse("loss", path, f"for 4 examples it gives {found}, not (4,); leave out the mean over examples")
    if not values.requires_grad:
        raise refuse("loss", path, "no gradient flows from its values to the logits")
    if not (torch.equal(given[0], weights) and torch.equal(given[1], labels)):
        raise refuse("loss", path, "it changes the logits or labels that it is given")
    if not _are_same(values, call("loss", path, loss, weights * 1, labels)):
        raise refuse("loss", path, "a second call gives other values; draw no random numbers in it")


def try_optimizer(path: str, make: Callable[..., Any]) -> None:
    """Raise LrreportError unless a user's function gives an optimiser that takes the learning rate it is given."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = call("optimizer", path, make, [weight], 0.125)
    if not isinstance(optimizer, Optimizer):
        raise refuse("optimizer", path, f"it gives {describe_kind(optimizer)}")
    if {group["lr"] for group in optimizer.param_groups} != {0.125}:
        raise refuse("optimizer", path, "its groups do not have the learning rate that it was given")
    weight.grad = torch.ones(2)
    call("optimizer", path, optimizer.step)


def rehearse(setup: Fixed, splits: Splits, code_folder: str) -> None:
    """Take two steps of training twice over, as a run takes them: on a whole batch, and on the rest that ends an epoch.

    Raises LrreportError if that fails, or gives other numbers the second time.
    """
    names = " and ".join(f"{setting} = {path!r}" for setting, path in setup.imported().items())
    n_whole, n_rest = min(setup.batch_size, len(splits.train)), len(splits.train) % setup.batch_size
    n = min(n_whole + (n_rest or n_whole), len(splits.train))
    part = Split(splits.train.inputs[:n], splits.train.labels[:n])
    try:
        first, second = (_take_steps(setup, splits, part, code_folder) for _ in range(2))
    except LrreportError:
        raise
    except (Exception, SystemExit) as err:
        single = "; the last batch of an epoch has 1 example: if that is it, choose another batch_size"
        raise LrreportError(
            f"{names}: two training steps, on batches of {n_whole} and {n - n_whole}, raised {describe(err)} at "
            f"{find_place(err, setup.imported().values())}{single if n_rest == 1 else ''}"
        ) from err
    if not all(map(_are_same, first, second)):
        raise LrreportError(
            f"{names}: two training steps give other numbers the second time; let all random numbers come from torch, and "
            "keep nothing from one call to the next"
        )


def _take_steps(setup: Fixed, splits: Splits, part: Split, code_folder: str) -> list[Tensor]:
    """Return the losses of the steps on one part of the training examples, the weights after them, and logits."""
    with computing_repeatably(), quietly():
        weights, order, noise = make_generators(0)
        networks = start_networks(setup, splits, [weights], [noise], code_folder)
        optimizer = start_optimizers(setup, networks, RATE, code_folder)
        schedule = make_schedule(setup, optimizer.parts, RATE, 2, setup.epochs)
        loss, _ = choose_loss(setup, code_folder)
        losses, _ = train_epoch(networks, optimizer, schedule, loss, part, setup.batch_size, [order])
        logits = predict(networks, Split(part.inputs[:N_TRIED], part.labels[:N_TRIED]))
        return [losses, logits, *networks.state_dict().values()]


def _are_same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal to the bit, NaN included."""
    if one.is_floating_point():
        return torch.equal(one.nan_to_num(), other.nan_to_num())
    return torch.equal(one, other)
