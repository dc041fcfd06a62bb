"""What networks are scored by: each quantity is a function of outputs and targets, for any number of networks at once.

To add a metric, write a function here and add a `Quantity` of the same name to `study/metrics.py`.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # outputs (m, n, k), targets (m, n[, k]) -> losses (m, n)
Score: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # outputs (m, n, k), targets (m, n[, k]) -> scores (m,) float64
Scores: TypeAlias = dict[str, Tensor]  # quantity -> (m,) float64

CLASSIFICATION: dict[str, Score] = {}  # logits (m, n, n_classes) and labels (m, n) int64
REGRESSION: dict[str, Score] = {}  # outputs (m, n, k) and targets (m, n, k) float32


def for_classes(score: Score) -> Score:
    """Register a function as the classification metric of its name."""
    CLASSIFICATION[score.__name__] = score
    return score


def for_values(score: Score) -> Score:
    """Register a function as the regression metric of its name."""
    REGRESSION[score.__name__] = score
    return score


def list_quantities(targets: Tensor) -> tuple[str, ...]:
    """Return the names of what is scored for targets of this type: floating point for regression, else classes."""
    return ("loss", *(REGRESSION if targets.is_floating_point() else CLASSIFICATION))


def score_outputs(outputs: Tensor, targets: Tensor, loss: LossFunction) -> Scores:
    """Return the mean loss and each metric of m networks' outputs (m, n, k) for targets (m, n[, k]) or (n[, k])."""
    functions, n_dims = (REGRESSION, 2) if targets.is_floating_point() else (CLASSIFICATION, 1)
    targets = targets.expand(len(outputs), *targets.shape[-n_dims:])
    return {
        "loss": loss(outputs, targets).double().mean(1),
        **{name: score(outputs, targets) for name, score in functions.items()},
    }


def score_guessing(train_targets: Tensor, targets: Tensor) -> dict[str, float]:
    """Return what each metric gives without looking at the inputs, for `targets` (n,) or (n, k).

    Classes are guessed by their frequency in training, values by their mean or median there, whichever scores better.
    """
    if train_targets.is_floating_point():
        constants = (train_targets.mean(0), train_targets.median(0).values)
        guesses = torch.stack([constant.expand_as(targets) for constant in constants])
        errors = {
            name: score(guesses, targets.expand_as(guesses)) for name, score in REGRESSION.items() if name != "r2"
        }
        return {name: float(error.min()) for name, error in errors.items()}
    frequencies = train_targets.bincount().double()
    guesses = frequencies.expand(1, len(targets), -1)
    return {name: float(score(guesses, targets[None])) for name, score in CLASSIFICATION.items()}


@for_classes
def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the fraction of correct predictions."""
    return (logits.argmax(2) == labels).double().mean(1)


@for_classes
def balanced_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean recall of the classes that occur in the labels (Brodersen et al., 2010)."""
    correct, actual, _ = count_by_class(logits, labels)
    return _mean_where(actual > 0, correct / actual)


@for_classes
def f1(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the macro F1: the unweighted mean over the classes that occur in the labels or the predictions."""
    correct, actual, predicted = count_by_class(logits, labels)
    return _mean_where(actual + predicted > 0, 2 * correct / (actual + predicted))


@for_values
def rmse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the root mean squared error over all examples and outputs."""
    return (outputs - targets).double().square().mean((1, 2)).sqrt()


@for_values
def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean absolute error over all examples and outputs."""
    return (outputs - targets).double().abs().mean((1, 2))


@for_values
def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the coefficient of determination, the mean over outputs; of constant targets 1 if predicted, else 0."""
    targets = targets.double()
    residual = (outputs - targets).square().sum(1)  # (m, k)
    total = (targets - targets.mean(1, keepdim=True)).square().sum(1)  # (m, k)
    explained = torch.where(total > 0, 1 - residual / total, (residual == 0).double())
    return explained.mean(1)


def count_by_class(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return how often each class is predicted correctly, occurs, and is predicted: each (m, n_classes) float64."""
    predictions, n_classes = logits.argmax(2), logits.shape[2]
    hits = torch.where(predictions == labels, labels, n_classes)  # (m, n); n_classes stands for a mistake
    counts = []
    for classes in (hits, labels, predictions):
        zeros = torch.zeros(len(logits), n_classes + 1, dtype=torch.float64, device=logits.device)
        counts.append(zeros.scatter_add(1, classes, torch.ones_like(classes, dtype=torch.float64))[:, :n_classes])
    return counts[0], counts[1], counts[2]


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Return the mean over the classes (m, n_classes) that the mask selects: (m,)."""
    return values.where(mask, 0).sum(1) / mask.sum(1)
