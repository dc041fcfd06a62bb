"""Where a trained network errs: confusions of classes, its most confident mistakes, its largest errors."""

from collections.abc import Sequence

import pandas as pd
from torch import Tensor, bincount

from lrreport.training.data import Splits
from lrreport.training.loop import Fit


def find_tested(fits: Sequence[Fit]) -> Tensor | None:
    """Return the test outputs (n_test, n_outputs) of the first fit that has some, or None if all have diverged."""
    return next((fit.test_outputs for fit in fits if fit.test_outputs is not None), None)


def tabulate_confusions(splits: Splits, fits: Sequence[Fit]) -> pd.DataFrame:
    """Return which share of each true class (down) was predicted as each class (across), for the test examples.

    Empty for regression, and where all fits have diverged.
    """
    outputs, names = find_tested(fits), splits.class_names
    if outputs is None or not names:
        return pd.DataFrame()
    shares = share_confusions(splits.test.targets.cpu(), outputs.argmax(1), len(names))
    return pd.DataFrame(shares.numpy(), index=list(names), columns=list(names))


def tabulate_mistakes(splits: Splits, fits: Sequence[Fit], count: int = 10) -> pd.DataFrame:
    """Return the most confident mistakes on the test examples, or for regression the largest errors, worst first.

    The index numbers the examples; the columns are true, predicted, and probability or error.
    """
    outputs, targets = find_tested(fits), splits.test.targets.cpu()
    columns = ["true", "predicted", "probability" if splits.class_names else "error"]
    if outputs is None:
        return pd.DataFrame(columns=columns)
    if not splits.class_names:
        errors = (outputs - targets).abs().amax(1)  # (n_test,)
        worst = errors.argsort(descending=True, stable=True)[:count]
        rows = [(_write(targets[index]), _write(outputs[index]), f"{float(errors[index]):.4g}") for index in worst]
    else:
        worst = find_confident_mistakes(targets, outputs, count)
        confidence, predictions = outputs.softmax(dim=1).max(dim=1)
        rows = [
            (splits.class_names[targets[p]], splits.class_names[predictions[p]], f"{float(confidence[p]):.3f}")
            for p in worst
        ]
    return pd.DataFrame(rows, columns=columns, index=worst.tolist())


def _write(values: Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.tolist())


def share_confusions(labels: Tensor, predictions: Tensor, n_classes: int) -> Tensor:
    """Return which share of each true class (down) was predicted as each class (across): (n_classes, n_classes).

    The row of a class that does not occur is NaN.
    """
    counts = bincount(labels * n_classes + predictions, minlength=n_classes**2).reshape(n_classes, n_classes)
    return counts / counts.sum(dim=1, keepdim=True)


def find_confident_mistakes(labels: Tensor, logits: Tensor, count: int) -> Tensor:
    """Return the worst of the wrong predictions with the highest probability, the most confident first: (≤ count,)."""
    confidence, predictions = logits.softmax(dim=1).max(dim=1)
    wrong = (predictions != labels).nonzero().squeeze(1)
    return wrong[confidence[wrong].argsort(descending=True, stable=True)[:count]]
