"""Each metric against scikit-learn, for several networks at once, and what guessing gives."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics

from lrreport.study.metrics import QUANTITIES
from lrreport.training import build, scores

RNG = np.random.default_rng(0)
LABELS = torch.tensor(RNG.choice(4, size=200, p=[0.7, 0.2, 0.07, 0.03]))
LOGITS = torch.tensor(RNG.normal(size=(3, 200, 4)), dtype=torch.float32) + 1.5 * torch.nn.functional.one_hot(LABELS, 4)
TARGETS = torch.tensor(RNG.normal(size=(200, 2)), dtype=torch.float32)
OUTPUTS = TARGETS + 0.5 * torch.tensor(RNG.normal(size=(3, 200, 2)), dtype=torch.float32)


@pytest.mark.parametrize(("name", "expected"), [
    ("accuracy", metrics.accuracy_score),
    ("balanced_accuracy", metrics.balanced_accuracy_score),
    ("f1", lambda labels, predictions: metrics.f1_score(labels, predictions, average="macro")),
])  # fmt: skip
def test_classification_agrees_with_scikit_learn(name: str, expected) -> None:  # type: ignore[no-untyped-def]
    result = scores.score_outputs(LOGITS, LABELS, build.measure_cross_entropy())[name]
    assert result.dtype == torch.float64
    assert result.tolist() == pytest.approx([expected(LABELS.numpy(), logits.argmax(1).numpy()) for logits in LOGITS])


@pytest.mark.parametrize(("name", "expected"), [
    ("rmse", lambda targets, outputs: metrics.root_mean_squared_error(targets.ravel(), outputs.ravel())),
    ("mae", lambda targets, outputs: metrics.mean_absolute_error(targets.ravel(), outputs.ravel())),
    ("r2", metrics.r2_score),
])  # fmt: skip
def test_regression_agrees_with_scikit_learn(name: str, expected) -> None:  # type: ignore[no-untyped-def]
    result = scores.score_outputs(OUTPUTS, TARGETS, build.average_outputs(torch.nn.functional.mse_loss))[name]
    assert result.tolist() == pytest.approx(
        [expected(TARGETS.numpy(), outputs.numpy()) for outputs in OUTPUTS], rel=1e-5
    )


def test_losses_by_hand() -> None:
    logits, labels = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]]), torch.tensor([0, 0, 0])
    result = scores.score_outputs(logits, labels, build.measure_cross_entropy())
    expected = [math.log(2), math.log1p(math.exp(-2)), math.log1p(math.exp(1))]
    assert float(result["loss"]) == pytest.approx(sum(expected) / 3)
    assert float(result["accuracy"]) == pytest.approx(2 / 3)
    outputs, targets = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[0.0, 1.0]]])
    assert float(build.average_outputs(torch.nn.functional.mse_loss)(outputs, targets)) == pytest.approx(2.5)
    assert float(build.average_outputs(torch.nn.functional.l1_loss)(outputs, targets)) == pytest.approx(1.5)


def test_a_class_that_does_not_occur_gives_no_nan() -> None:
    """Of three classes the labels have two, and nothing is predicted as the third."""
    logits, labels = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0]]]), torch.tensor([[0, 1, 1]])
    assert float(scores.balanced_accuracy(logits, labels)) == pytest.approx(0.75)
    assert float(scores.f1(logits, labels)) == pytest.approx(metrics.f1_score([0, 1, 1], [0, 1, 0], average="macro"))


def test_a_class_that_is_predicted_but_does_not_occur_lowers_f1() -> None:
    logits, labels = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]]), torch.tensor([[0, 1, 1]])
    assert float(scores.f1(logits, labels)) == pytest.approx(metrics.f1_score([0, 1, 1], [0, 1, 2], average="macro"))


def test_constant_targets_give_no_nan() -> None:
    targets = torch.ones(2, 5, 1)
    outputs = torch.stack([torch.ones(5, 1), torch.zeros(5, 1)])
    assert scores.r2(outputs, targets).tolist() == [1.0, 0.0]


def test_each_network_is_scored_on_its_own_targets() -> None:
    labels = torch.stack([LABELS, LABELS.roll(1), LABELS.roll(2)])
    together = scores.score_outputs(LOGITS, labels, build.measure_cross_entropy())
    for index in range(3):
        alone = scores.score_outputs(LOGITS[index : index + 1], labels[index], build.measure_cross_entropy())
        assert {name: float(values[index]) for name, values in together.items()} == {
            name: float(values) for name, values in alone.items()
        }


def test_guessing_classes_names_the_most_frequent() -> None:
    validation = torch.tensor([0, 0, 0, 1, 2])
    guessed = scores.score_guessing(LABELS, validation)
    assert guessed["accuracy"] == pytest.approx(0.6)
    assert guessed["balanced_accuracy"] == pytest.approx(1 / 3)
    assert guessed["f1"] == pytest.approx(metrics.f1_score(validation, np.zeros(5, dtype=int), average="macro"))


def test_guessing_values_takes_the_mean_or_the_median() -> None:
    training, validation = torch.tensor([[0.0], [0.0], [9.0]]), torch.tensor([[0.0], [6.0]])
    guessed = scores.score_guessing(training, validation)
    assert guessed == {"rmse": pytest.approx(3.0), "mae": pytest.approx(3.0)}
    assert scores.score_guessing(training, torch.tensor([[0.0], [1.0]]))["mae"] == pytest.approx(0.5)


def test_every_score_is_a_quantity_and_the_other_way_round() -> None:
    assert {"loss", *scores.CLASSIFICATION, *scores.REGRESSION} == set(QUANTITIES)
