"""Try functions of the user's before anything runs: each by itself, then together in two steps of training."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrreport.errors import LrreportError
from lrreport.study.settings import IMPORT_PATH, Own, Training
from lrreport.training.build import choose_losses, start_networks, start_optimizers
from lrreport.training.cache import find_prepared
from lrreport.training.data import PREPARED, Splits, divide, keep_prepared, load_splits, prepare
from lrreport.training.datasets import load_dataset
from lrreport.training.files import find_data_root
from lrreport.training.loop import compute_repeatably, make_generators, predict, train_epoch
from lrreport.training.optimizers import make_schedule
from lrreport.training.user_code.load import (
    call,
    capture_stdout,
    describe_error,
    describe_kind,
    find_line,
    import_function,
    refuse,
)

N_EXAMPLES = 3  # with which a network by itself is called
RATE = 0.001
SEEDS = (0, 1)


class Validation(NamedTuple):
    """The digests of a dataset of the user's, its key if it was kept, and lines for the user."""

    digests: dict[str, str]
    prepared: str
    notes: list[str]


def validate_setups(setups: Sequence[Training], code_folder: str, patience: float = math.inf) -> Validation:
    """Try every function of the user's that the settings of a study's levels name.

    A dataset that takes longer than `patience` seconds to load is not called a second time, but kept for all runs.
    Raises LrreportError for the first function that does not fit.
    """
    splits, digests, prepared, notes = _load(setups[0], code_folder, patience)
    tried = set[str]()
    for setup in setups:
        own = {name: getattr(setup, name) for name in ("model", "loss", "optimizer", "schedule")}
        own = {
            name: spec for name, spec in own.items() if isinstance(spec, Own) and spec.model_dump_json() not in tried
        }
        tried |= {spec.model_dump_json() for spec in own.values()}
        functions = {name: import_function(name, spec.name, code_folder) for name, spec in own.items()}
        choose_losses(setup, splits.train.targets, code_folder)  # does it take such targets?
        if "model" in own:
            notes += try_model(own["model"], functions["model"], splits)
        if "loss" in own:
            try_loss(own["loss"], functions["loss"], splits)
        if "schedule" in own:
            n_steps = math.ceil(splits.sizes["train"] / setup.batch_size)
            try_schedule(own["schedule"], functions["schedule"], n_steps, setup.epochs)
        if "optimizer" in own:
            network = start_networks(setup, splits, [torch.Generator()], code_folder=code_folder)
            try_optimizer(own["optimizer"], functions["optimizer"], list(network.parameters()))
        if setup.import_paths():  # a level may have nothing of the user's
            rehearse(setup, splits, code_folder)
    return Validation(digests, prepared, notes)


def _load(setup: Training, code_folder: str, patience: float) -> tuple[Splits, dict[str, str], str, list[str]]:
    path = setup.dataset
    if not IMPORT_PATH.match(path):
        return load_splits(setup, SEEDS), {}, "", []
    import_function("dataset", path, code_folder)  # which may take long, and is no part of loading the data
    started = time.monotonic()
    dataset = load_dataset(path, code_folder)
    seconds, key, notes = time.monotonic() - started, "", list[str]()
    if seconds > patience:
        key = keep_prepared(path, dataset, setup.input_range)
        if find_prepared(find_data_root() / PREPARED, key) is None:
            key = ""
        notes.append(
            f"dataset = {path!r}: loading it took {seconds:.0f} s, so it was not called a second time to compare; if it "
            "returns other tensors each time, every report will train anew"
        )
    elif load_dataset(path, code_folder).digests != dataset.digests:
        raise LrreportError(
            f"dataset = {path!r}: called twice it returns different tensors; draw random numbers from a generator with a "
            "fixed seed"
        )
    splits = divide(prepare(dataset, setup.input_range), setup.validation_size, setup.split_seed, SEEDS)
    return splits, dataset.digests, key, notes


@dataclass(frozen=True)
class ModelTrial:
    """Calls of a function that makes networks, on a few inputs (n, …); each refuses what training could not use."""

    model: Own
    make: Callable[..., Any]
    inputs: Tensor
    n_outputs: int

    def refuse(self, problem: str) -> LrreportError:
        """Return the error that names the function and the problem."""
        return refuse("model", self.model.name, problem)

    def predict(self, network: nn.Module) -> Tensor:
        """Return the outputs (n, n_outputs)."""
        passed, shape = self.inputs.clone(), (len(self.inputs), self.n_outputs)
        outputs = call("model", self.model.name, network, passed)
        mode = "" if network.training else " in evaluation mode"
        wanted = f"for inputs {tuple(self.inputs.shape)} its outputs{mode} must be floating point {shape}"
        if not isinstance(outputs, Tensor):
            raise self.refuse(f"{wanted}, not {describe_kind(outputs)}")
        if outputs.shape != shape or not outputs.is_floating_point():
            raise self.refuse(f"{wanted}, not {outputs.dtype} {tuple(outputs.shape)}")
        if not outputs.isfinite().all():
            raise self.refuse("its outputs are not finite")
        if not torch.equal(passed, self.inputs):
            raise self.refuse(
                "it changes its inputs, which are used again; let it work on new tensors, such as x = x + 1"
            )
        return outputs.detach()

    def start(self, seed: int) -> tuple[nn.Module, Tensor, list[Tensor]]:
        """Return a new network, its outputs and a copy of its weights."""
        torch.manual_seed(seed)
        shape = tuple(self.inputs.shape[1:])
        network = call("model", self.model.name, self.make, shape, self.n_outputs, **self.model.options)
        if not isinstance(network, nn.Module):
            raise self.refuse(f"it returns {describe_kind(network)}")
        outputs = self.predict(network)
        return network, outputs, [weight.detach().clone() for weight in network.parameters() if weight.requires_grad]

    def check_evaluation(self, network: nn.Module) -> None:
        """Raise LrreportError if evaluation draws random numbers, or an example's outputs depend on the others."""
        network.eval()
        with torch.no_grad():
            first, second = (self.predict(network) for _ in range(2))
            alone = [call("model", self.model.name, network, example.clone()) for example in self.inputs.split(1)]
        if not _are_same(first, second):
            raise self.refuse("in evaluation mode a second call gives other outputs; draw nothing if not self.training")
        if not torch.allclose(first, torch.cat(alone), rtol=1e-3, atol=1e-4, equal_nan=True):
            raise self.refuse(
                "in evaluation mode an example's outputs depend on the other examples; make them independent"
            )


def try_model(model: Own, make: Callable[..., Any], splits: Splits) -> list[str]:
    """Raise LrreportError unless a function makes a new network that turns inputs (n, …) into outputs (n, n_outputs).

    A seed must always give the same network and outputs; evaluation draws no random numbers, and an example's outputs
    do not depend on the others. Returns notes.
    """
    trial = ModelTrial(model, make, splits.train.inputs[:N_EXAMPLES], splits.n_outputs)
    network, outputs, weights = trial.start(0)
    again, repeated, _ = trial.start(0)
    if {*map(id, network.parameters())} & {*map(id, again.parameters())}:
        raise trial.refuse("called twice it returns networks that share weights; make new layers at each call")
    if not weights:
        raise trial.refuse("the network has no weights to train")
    if not _are_same(outputs, repeated):
        raise trial.refuse("with the same seed it gives other outputs; draw all random numbers from torch")
    trial.check_evaluation(network)
    _, _, others = trial.start(1)
    notes = []
    if all(map(_are_same, weights, others)):
        notes.append("every seed starts from the same weights; only the order of the batches differs")
    if splits.class_names and (outputs >= 0).all() and torch.allclose(outputs.sum(1), torch.ones(1), atol=1e-3):
        notes.append("its outputs add up to 1 like probabilities; cross-entropy takes logits, so leave out the softmax")
    return [f"model = {model.name!r}: {note}" for note in notes]


def try_loss(loss: Own, function: Callable[..., Any], splits: Splits) -> None:
    """Raise LrreportError unless a loss returns one value for each example, through which gradients flow."""
    problem = partial(refuse, "loss", loss.name)
    k = splits.n_outputs
    weights = torch.linspace(-1, 1, 4 * k).reshape(4, k).requires_grad_()
    targets = torch.arange(4) % k if splits.class_names else torch.linspace(-1, 0.5, 4 * k).reshape(4, k)
    passed = weights * 1, targets.clone()
    values = call("loss", loss.name, function, *passed, **loss.options)
    if not isinstance(values, Tensor) or values.shape != (4,):
        shape = f"{tuple(values.shape)}" if isinstance(values, Tensor) else describe_kind(values)
        hint = "; leave out the mean over examples" if shape == "()" else ""
        raise problem(
            f"for outputs {tuple(weights.shape)} and targets {tuple(targets.shape)} it returns {shape}, not (4,){hint}"
        )
    if not values.requires_grad:
        raise problem("no gradient flows from its values to the outputs")
    if not (torch.equal(passed[0], weights) and torch.equal(passed[1], targets)):
        raise problem("it changes the outputs or targets that it is given")
    if not values.isfinite().all():
        raise problem(f"for outputs between -1 and 1 it returns {values.tolist()}, which are not finite")
    if not _are_same(values, call("loss", loss.name, function, weights * 1, targets, **loss.options)):
        raise problem("a second call returns other values; draw no random numbers in it")


def try_schedule(schedule: Own, function: Callable[..., Any], steps_per_epoch: int, epochs: int) -> None:
    """Raise LrreportError unless a schedule returns a finite factor from 0 on for every step."""
    n_steps = steps_per_epoch * epochs
    for step in sorted({0, 1, n_steps // 2, n_steps - 1, n_steps}):
        factor = call("schedule", schedule.name, function, step, n_steps, steps_per_epoch, **schedule.options)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor < math.inf:
            raise refuse("schedule", schedule.name, f"at step {step} of {n_steps} it returns {factor!r}")


def try_optimizer(optimizer: Own, make: Callable[..., Any], parameters: list[nn.Parameter]) -> None:
    """Raise LrreportError unless a function returns an optimizer of just these parameters at the given learning rate."""
    problem = partial(refuse, "optimizer", optimizer.name)
    made = call("optimizer", optimizer.name, make, parameters, RATE, **optimizer.options)
    if not isinstance(made, Optimizer):
        raise problem(f"it returns {describe_kind(made)}")
    if {group["lr"] for group in made.param_groups} != {RATE}:
        raise problem("its groups do not have the learning rate that it was given")
    taken = {id(weight) for group in made.param_groups for weight in group["params"]}
    n_left = sum(weight.requires_grad and id(weight) not in taken for weight in parameters)
    if n_left:
        raise problem(f"it leaves out {n_left} of {len(parameters)} parameters; give it just those that it was given")
    if taken - {*map(id, parameters)}:
        raise problem("it has parameters of others; give it just those that it was given")


def rehearse(setup: Training, splits: Splits, code_folder: str) -> None:
    """Take two steps of training as a run takes them: on a whole batch, and on the rest that ends an epoch.

    That is done twice with two seeds, and once with the first seed alone. Raises LrreportError if it fails, changes nothing,
    or gives other numbers the second time or to a seed that is alone.
    """
    names = " and ".join(f"{setting} = {path!r}" for setting, path in setup.import_paths().items())
    n_train = splits.sizes["train"]
    n_whole, n_rest = min(setup.batch_size, n_train), n_train % setup.batch_size
    n = min(n_whole + (n_rest or n_whole), n_train)
    try:
        first, second, alone = (
            _take_steps(setup, splits, n, seeds, code_folder) for seeds in (SEEDS, SEEDS, SEEDS[:1])
        )
    except LrreportError:
        raise
    except (Exception, SystemExit) as err:
        single = "; the last batch of an epoch has 1 example: if that is the reason, choose another batch_size"
        raise LrreportError(
            f"{names}: two training steps, on batches of {n_whole} and {n - n_whole}, raised {describe_error(err)}"
            f"{find_line(err, setup.import_paths().values())}{single if n_rest == 1 else ''}"
        ) from err
    if all(map(_are_same, first.before, first.after)):
        raise LrreportError(f"{names}: two training steps change none of the network's weights")
    if not all(map(_are_same, first.results + first.after, second.results + second.after)):
        raise LrreportError(
            f"{names}: two training steps give other numbers the second time; draw all random numbers from torch, and keep "
            "nothing from one call to the next"
        )
    if not all(map(_are_same, first.results + first.after, alone.results + alone.after)):
        raise LrreportError(
            f"{names}: two training steps give other numbers if another seed's network trains beside; share nothing between "
            "networks"
        )


class Steps(NamedTuple):
    """The first network's weights before and after two steps, and its losses and outputs."""

    before: list[Tensor]
    after: list[Tensor]
    results: list[Tensor]


def _take_steps(setup: Training, splits: Splits, n: int, seeds: Sequence[int], code_folder: str) -> Steps:
    index = splits.train_index[: len(seeds), :n]
    with compute_repeatably(), capture_stdout():
        weights, orders, noise = zip(*map(make_generators, seeds), strict=True)
        networks = start_networks(setup, splits, weights, noise, code_folder)
        optimizer = start_optimizers(setup, networks, RATE, code_folder)
        schedule = make_schedule(setup, optimizer.parts, 2, code_folder)
        loss, _ = choose_losses(setup, splits.train.targets, code_folder)
        before = networks.copy_state(0)
        losses, _ = train_epoch(
            networks, optimizer, schedule, loss, splits.train, index, setup.batch_size, orders, setup.clip_norm
        )
        outputs = predict(networks, splits.train, index[:, :N_EXAMPLES])
        return Steps(before, networks.copy_state(0), [losses[0], outputs[0]])


def _are_same(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors are equal to the bit, NaN included."""
    if first.is_floating_point():
        return torch.equal(first.nan_to_num(), second.nan_to_num())
    return torch.equal(first, second)
