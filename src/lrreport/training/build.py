"""From a study's settings to what trains: networks, optimizers, and losses."""

from collections.abc import Callable, Sequence

from torch import Generator, Tensor, nn, stack
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from lrreport.errors import LrreportError
from lrreport.study.settings import AbsoluteError, CrossEntropy, Own, Setup, SquaredError
from lrreport.training.data import Splits
from lrreport.training.networks import Networks, NetworkStack, make_mlp, make_plain_mlp, stack_networks
from lrreport.training.optimizers import OptimizerGroup, make_optimizer
from lrreport.training.scores import LossFunction
from lrreport.training.user_code.load import import_function


def start_networks(
    setup: Setup, splits: Splits, weights: Sequence[Generator], noise: Sequence[Generator] = (), code_folder: str = ""
) -> Networks:
    """Return an untrained network for each generator of weights, for these splits and on their device.

    `noise` are the generators of random numbers drawn while training; modules of the user's are looked for in
    `code_folder`.
    """
    noise, model = noise or weights, setup.model
    example = splits.train.inputs[:1].cpu()
    if isinstance(model, Own):
        make_own = import_function("model", model.name, code_folder)
        make: Callable[[], nn.Module] = lambda: make_own(tuple(example.shape[1:]), splits.n_outputs, **model.options)  # noqa: E731
        body: nn.Module = stack_networks(make, example, weights, noise)
    else:
        sizes = (example.numel(), *model.hidden_sizes, splits.n_outputs)
        if isinstance(setup.optimizer, Own):  # it may look at a whole layer, so each network needs layers of its own
            make = lambda: make_plain_mlp(sizes, model.activation, model.dropout)  # noqa: E731
            body = stack_networks(make, example, weights, noise)
        else:
            body = make_mlp(sizes, weights, model.activation, model.dropout, noise)
    return Networks(body, len(weights), setup.precision).to(splits.train.inputs.device)


def start_optimizers(setup: Setup, networks: Networks, learning_rate: float, code_folder: str = "") -> OptimizerGroup:
    """Return the study's optimizer of these networks, or the user's for each of them."""
    if isinstance(setup.optimizer, Own):
        assert isinstance(networks.body, NetworkStack)
        make = import_function("optimizer", setup.optimizer.name, code_folder)
        options = setup.optimizer.options
        return OptimizerGroup(
            [make(list(network.parameters()), learning_rate, **options) for network in networks.body.networks]
        )
    return OptimizerGroup([make_optimizer(setup, networks.parameters(), learning_rate)])


def choose_losses(setup: Setup, targets: Tensor, code_folder: str = "") -> tuple[LossFunction, LossFunction]:
    """Return the loss to train with and the loss to score with, which has no label smoothing.

    Raises LrreportError for a loss that does not take targets of this type.
    """
    loss = setup.loss
    if isinstance(loss, Own):
        own = import_function("loss", loss.name, code_folder)
        separate = apply_separately(lambda outputs, targets: own(outputs, targets, **loss.options))
        return separate, separate
    if isinstance(loss, CrossEntropy) == targets.is_floating_point():
        kind, remedy = (
            ("numbers", '"mse" or "l1"') if targets.is_floating_point() else ("class labels", '"cross_entropy"')
        )
        raise LrreportError(f"loss = {loss.name!r}: the targets of {setup.dataset} are {kind}; set loss = {remedy}")
    if isinstance(loss, SquaredError):
        return average_outputs(mse_loss), average_outputs(mse_loss)
    if isinstance(loss, AbsoluteError):
        return average_outputs(l1_loss), average_outputs(l1_loss)
    return measure_cross_entropy(loss.label_smoothing), measure_cross_entropy()


def measure_cross_entropy(label_smoothing: float = 0.0) -> LossFunction:
    """Return the cross-entropy of logits (m, n, n_classes) and labels (m, n) in nats: (m, n)."""
    return lambda logits, labels: cross_entropy(
        logits.flatten(0, -2), labels.flatten(), reduction="none", label_smoothing=label_smoothing
    ).view_as(labels)


def average_outputs(loss: Callable[..., Tensor]) -> LossFunction:
    """Return a loss of single numbers as the mean over the outputs of an example: (m, n, k) -> (m, n)."""
    return lambda outputs, targets: loss(outputs, targets.to(outputs.dtype), reduction="none").mean(2)


def apply_separately(loss: LossFunction) -> LossFunction:
    """Return a loss of a network's outputs (n, k) and targets (n[, k]) as a loss of several networks that share nothing."""
    return lambda outputs, targets: stack([loss(*pair) for pair in zip(outputs, targets, strict=True)])
