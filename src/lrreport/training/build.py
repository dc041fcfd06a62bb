"""From a study's settings to what trains: networks, optimisers, and the measure of loss."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

from torch import Generator, Tensor, nn, stack
from torch.nn.functional import cross_entropy

from lrreport.settings import IMPORT_PATH, Setup
from lrreport.training.data import Splits
from lrreport.training.model import ACTIVATIONS, Networks, SideBySide, make_mlp, make_own
from lrreport.training.optimizers import Together, make_optimizer
from lrreport.training.own_code import import_function

Measure: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # logits (…, n_classes) and labels (…) -> losses (…)


def start_networks(
    setup: Setup, splits: Splits, weights: Sequence[Generator], noise: Sequence[Generator] = (), code_folder: str = ""
) -> Networks:
    """Return an untrained network for each generator of weights, for these splits and on their device.

    `noise` are the generators of random numbers drawn while training; `code_folder` is where own code is looked for.
    """
    noise = noise or weights
    example = splits.train.inputs[:1].cpu()
    sizes = (example.numel(), *setup.hidden_sizes, len(splits.class_names))
    if IMPORT_PATH.match(setup.model):
        make = import_function("model", setup.model, code_folder)
        body: nn.Module = make_own(make, example, len(splits.class_names), weights, noise)
    elif IMPORT_PATH.match(setup.optimizer):  # it may look at a whole layer, so each network needs layers of its own
        body = make_own(lambda *_: make_plain_mlp(sizes, setup.activation, setup.dropout), example, 0, weights, noise)
    else:
        body = make_mlp(sizes, weights, setup.activation, setup.dropout, noise)
    return Networks(body, len(weights), setup.precision).to(splits.train.inputs.device)


def make_plain_mlp(sizes: Sequence[int], activation: str, dropout: float) -> nn.Sequential:
    """Return one multilayer perceptron of PyTorch's own layers."""
    layers: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation](), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers[: -2 if dropout else -1])


def start_optimizers(setup: Setup, networks: Networks, learning_rate: float, code_folder: str = "") -> Together:
    """Return the study's optimiser of these networks, or of a user's own making one for each of them."""
    if IMPORT_PATH.match(setup.optimizer):
        assert isinstance(networks.body, SideBySide)
        make = import_function("optimizer", setup.optimizer, code_folder)
        return Together([make(list(one.parameters()), learning_rate) for one in networks.body.networks])
    return Together([make_optimizer(setup, networks.parameters(), learning_rate)])


def choose_loss(setup: Setup, code_folder: str = "") -> tuple[Measure, Measure]:
    """Return the loss to train with and the one to score with, which knows no label smoothing."""
    if IMPORT_PATH.match(setup.loss):
        own = take_one_by_one(import_function("loss", setup.loss, code_folder))
        return own, own
    smoothing = setup.label_smoothing
    return flatten(
        lambda logits, labels: cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    ), measure_loss


def flatten(loss: Measure) -> Measure:
    """Return a loss of logits (n, n_classes) and labels (n,) as one of any number of networks."""
    return lambda logits, labels: loss(logits.flatten(0, -2), labels.flatten()).view_as(labels)


def take_one_by_one(loss: Measure) -> Measure:
    """Return a loss of logits (n, n_classes) and labels (n,) as one of several networks that know nothing of each other."""
    return lambda logits, labels: stack([loss(*pair) for pair in zip(logits, labels, strict=True)])


def measure_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each prediction in nats, in the shape of the labels."""
    return cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view_as(labels)
