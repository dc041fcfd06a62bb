"""A user's own functions tried before anything runs: each by itself, then together in two steps of training."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrreport.errors import LrreportError
from lrreport.settings import IMPORT_PATH, Fixed
from lrreport.training.build import choose_loss, start_networks, start_optimizers
from lrreport.training.data import Split, Splits, divide, keep_splits, load_splits, prepare
from lrreport.training.datasets import load_dataset
from lrreport.training.loop import computing_repeatably, make_generators, predict, train_epoch
from lrreport.training.model import Networks, SideBySide
from lrreport.training.optimizers import make_schedule
from lrreport.training.own_code import call, describe, describe_kind, find_place, import_function, quietly, refuse

N_TRIED = 3  # examples that a network by itself is tried on
RATE = 0.001  # the learning rate of the trial


class Trial(NamedTuple):
    """What came of it: of a dataset of the user's own the digests, and its key if it was kept; and what to tell."""

    digests: dict[str, str]
    prepared: str
    notes: list[str]


def try_code(setups: Sequence[Fixed], code_folder: str, patience: float = float("inf")) -> Trial:
    """Try every function of the user's own that the settings of a study's levels name.

    A dataset that takes longer than `patience` (seconds) to load is not compared with a second call, but kept for all runs.
    Raises LrreportError for the first function that does not do.
    """
    splits, digests, prepared = _load(setups[0], code_folder, patience)
    n_classes, tried, notes = len(splits.class_names), set(), list[str]()
    for setup in setups:
        imported = {name: path for name, path in setup.imported().items() if name != "dataset" and path not in tried}
        tried |= set(imported.values())
        functions = {name: import_function(name, path, code_folder) for name, path in imported.items()}
        if "model" in functions:
            notes += try_model(setup.model, functions["model"], splits.train.inputs[:N_TRIED], n_classes)
        if "loss" in functions:
            try_loss(setup.loss, functions["loss"], n_classes)
        if "optimizer" in functions:
            network = start_networks(setup, splits, [torch.Generator()], code_folder=code_folder)
            try_optimizer(setup.optimizer, functions["optimizer"], list(network.parameters()))
        if setup.imported():  # a level may have nothing of the user's own
            rehearse(setup, splits, code_folder)
    return Trial(digests, prepared, notes)


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


def try_model(path: str, make: Callable[..., Any], inputs: Tensor, n_classes: int) -> list[str]:
    """Raise LrreportError unless a user's function makes a new network that turns inputs (n, …) into logits.

    One seed must always give the same network and logits; evaluation draws no random numbers, and judges each example by
    itself. Returns what to tell of it.
    """

    def predict_with(network: nn.Module) -> Tensor:
        given = inputs.clone()
        logits = call("model", path, network, given)
        wanted = (
            f"for inputs {tuple(inputs.shape)} its logits{'' if network.training else ' in evaluation mode'} must be "
        )
        wanted += f"floating point ({len(inputs)}, {n_classes})"
        if not isinstance(logits, Tensor):
            raise refuse("model", path, f"{wanted}, not {describe_kind(logits)}")
        if logits.shape != (len(inputs), n_classes) or not logits.is_floating_point():
            raise refuse("model", path, f"{wanted}, not {logits.dtype} {tuple(logits.shape)}")
        if not logits.isfinite().all():
            raise refuse("model", path, "its logits are not finite")
        if not torch.equal(given, inputs):
            problem = "it changes its inputs, which are used again; let it work on new tensors, such as x = x + 1"
            raise refuse("model", path, problem)
        return logits.detach()

    def make_with(seed: int) -> tuple[nn.Module, Tensor, list[Tensor]]:
        torch.manual_seed(seed)
        network = call("model", path, make, tuple(inputs.shape[1:]), n_classes)
        if not isinstance(network, nn.Module):
            raise refuse("model", path, f"it gives {describe_kind(network)}")
        logits = predict_with(network)
        return network, logits, [one.detach().clone() for one in network.parameters() if one.requires_grad]

    network, logits, weights = make_with(0)
    again, repeated, _ = make_with(0)
    if {id(one) for one in network.parameters()} & {id(one) for one in again.parameters()}:
        raise refuse("model", path, "called twice it gives networks that share weights; make new layers at each call")
    if not weights:
        raise refuse("model", path, "the network has no weights to train")
    if not _are_same(logits, repeated):
        raise refuse("model", path, "with one seed it gives other logits; let all random numbers come from torch")
    network.eval()
    with torch.no_grad():
        first, second = (predict_with(network) for _ in range(2))
        alone = torch.cat([call("model", path, network, one.clone()) for one in inputs.split(1)])
    if not _are_same(first, second):
        raise refuse(
            "model", path, "in evaluation mode a second call gives other logits; draw nothing if not self.training"
        )
    if not torch.allclose(first, alone, rtol=1e-3, atol=1e-4, equal_nan=True):
        raise refuse(
            "model", path, "in evaluation mode an example's logits depend on those beside it; judge each by itself"
        )
    _, _, others = make_with(1)
    notes = []
    if all(map(_are_same, weights, others)):
        notes += ["every seed begins with the same weights; only the order of the batches tells them apart"]
    if (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones(len(logits)).to(logits), atol=1e-3):
        notes += [
            "each row of its outputs adds up to 1, as probabilities do; cross-entropy takes logits, without a softmax"
        ]
    return [f"model = {path!r}: {note}" for note in notes]


def try_loss(path: str, loss: Callable[..., Any], n_classes: int) -> None:
    """Raise LrreportError unless a user's loss gives one value for each example, through which gradients flow."""
    weights = torch.linspace(-1, 1, 4 * n_classes).reshape(4, n_classes).requires_grad_()
    labels = torch.arange(4) % n_classes
    given = weights * 1, labels.clone()
    values = call("loss", path, loss, *given)
    if not isinstance(values, Tensor) or values.shape != (4,):
        found = f"{tuple(values.shape)}" if isinstance(values, Tensor) else describe_kind(values)
        hint = "; leave out the mean over examples" if found == "()" else ""
        raise refuse("loss", path, f"for 4 examples it gives {found}, not (4,){hint}")
    if not values.requires_grad:
        raise refuse("loss", path, "no gradient flows from its values to the logits")
    if not (torch.equal(given[0], weights) and torch.equal(given[1], labels)):
        raise refuse("loss", path, "it changes the logits or labels that it is given")
    if not values.isfinite().all():
        raise refuse("loss", path, f"for logits between -1 and 1 it gives {values.tolist()}, which are not finite")
    if not _are_same(values, call("loss", path, loss, weights * 1, labels)):
        raise refuse("loss", path, "a second call gives other values; draw no random numbers in it")


def try_optimizer(path: str, make: Callable[..., Any], parameters: list[nn.Parameter]) -> None:
    """Raise LrreportError unless a user's function gives an optimiser of just these parameters at the learning rate given."""
    optimizer = call("optimizer", path, make, parameters, RATE)
    if not isinstance(optimizer, Optimizer):
        raise refuse("optimizer", path, f"it gives {describe_kind(optimizer)}")
    if {group["lr"] for group in optimizer.param_groups} != {RATE}:
        raise refuse("optimizer", path, "its groups do not have the learning rate that it was given")
    taken = {id(one) for group in optimizer.param_groups for one in group["params"]}
    n_left = sum(one.requires_grad and id(one) not in taken for one in parameters)
    if n_left or taken - {id(one) for one in parameters}:
        problem = f"it leaves out {n_left} of {len(parameters)} parameters" if n_left else "it has parameters of others"
        raise refuse("optimizer", path, f"{problem}; give it just the ones that it was given")


def rehearse(setup: Fixed, splits: Splits, code_folder: str) -> None:
    """Take two steps of training as a run takes them: on a whole batch, and on the rest that ends an epoch.

    That is done twice over with two seeds, and once with one of them alone. Raises LrreportError if it fails, changes
    nothing, gives other numbers the second time, or others to a seed that is alone.
    """
    names = " and ".join(f"{setting} = {path!r}" for setting, path in setup.imported().items())
    n_whole, n_rest = min(setup.batch_size, len(splits.train)), len(splits.train) % setup.batch_size
    n = min(n_whole + (n_rest or n_whole), len(splits.train))
    part = Split(splits.train.inputs[:n], splits.train.labels[:n])
    try:
        first, second, alone = (
            _take_steps(setup, splits, part, seeds, code_folder) for seeds in ((0, 1), (0, 1), (0,))
        )
    except LrreportError:
        raise
    except (Exception, SystemExit) as err:
        single = "; the last batch of an epoch has 1 example: if that is it, choose another batch_size"
        raise LrreportError(
            f"{names}: two training steps, on batches of {n_whole} and {n - n_whole}, raised {describe(err)}"
            f"{find_place(err, setup.imported().values())}{single if n_rest == 1 else ''}"
        ) from err
    if all(map(_are_same, first.before, first.after)):
        raise LrreportError(f"{names}: two training steps change none of the network's weights")
    if not all(map(_are_same, first.told + first.after, second.told + second.after)):
        raise LrreportError(
            f"{names}: two training steps give other numbers the second time; let all random numbers come from torch, and "
            "keep nothing from one call to the next"
        )
    # Another order of additions may change last digits, and Adam makes steps of them: so no weights, and not to the bit.
    if not all(
        torch.allclose(*pair, rtol=0.01, atol=0.01, equal_nan=True) for pair in zip(first.told, alone.told, strict=True)
    ):
        raise LrreportError(
            f"{names}: two training steps give other numbers if another seed's network trains beside; share nothing between "
            "networks"
        )


class Steps(NamedTuple):
    """What became of the first network: its weights before and after, and its losses and logits."""

    before: list[Tensor]
    after: list[Tensor]
    told: list[Tensor]


def _take_steps(setup: Fixed, splits: Splits, part: Split, seeds: Sequence[int], code_folder: str) -> Steps:
    with computing_repeatably(), quietly():
        weights, orders, noise = zip(*map(make_generators, seeds), strict=True)
        networks = start_networks(setup, splits, weights, noise, code_folder)
        optimizer = start_optimizers(setup, networks, RATE, code_folder)
        schedule = make_schedule(setup, optimizer.parts, RATE, 2, setup.epochs)
        loss, _ = choose_loss(setup, code_folder)
        before = _copy_first(networks)
        losses, _ = train_epoch(networks, optimizer, schedule, loss, part, setup.batch_size, orders)
        logits = predict(networks, Split(part.inputs[:N_TRIED], part.labels[:N_TRIED]))
        return Steps(before, _copy_first(networks), [losses[0], logits[0]])


def _copy_first(networks: Networks) -> list[Tensor]:
    """Return the weights of the first of the networks, and what else it keeps."""
    if isinstance(networks.body, SideBySide):
        return [one.clone() for one in networks.body.networks[0].state_dict().values()]
    return [one[0].clone() for one in networks.state_dict().values()]


def _are_same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal to the bit, NaN included."""
    if one.is_floating_point():
        return torch.equal(one.nan_to_num(), other.nan_to_num())
    return torch.equal(one, other)
