"""Optimisers and schedules by name: PyTorch's own, with the study's parameters; rates by closed forms."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from lrreport.settings import Fixed, Parameters
from lrreport.training import build, data, loop, optimizers
from lrreport.training.model import ParallelDropout


@pytest.fixture(scope="module")
def splits() -> data.Splits:
    return data.load_splits("sample", 500, 0)


def make_setup(**settings: Any) -> Fixed:
    return Fixed.model_validate({"dataset": "sample", "validation_size": 500, **settings})


def fit(splits: data.Splits, **settings: Any) -> loop.Fit:
    fixed = make_setup(epochs=1, **settings)
    return loop.fit_seeds(Parameters(learning_rate=0.01, seeds=(0, 1), **dict(fixed)), splits)[0]


@pytest.mark.parametrize(("settings", "expected"), [
    ({"optimizer": "adam", "betas": [0.8, 0.9], "eps": 1e-6}, lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.9), eps=1e-6)),
    ({"optimizer": "adamw", "weight_decay": 0.5}, lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5)),
    ({"optimizer": "adamw"}, lambda p: torch.optim.AdamW(p, lr=0.1)),
    ({"optimizer": "sgd", "momentum": 0.9, "nesterov": True}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    ({"optimizer": "rmsprop", "alpha": 0.5, "momentum": 0.1}, lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.5, momentum=0.1)),
])  # fmt: skip
def test_each_optimizer_is_pytorchs_with_these_parameters(settings: dict[str, Any], expected: Any) -> None:
    ends = []
    for make in (lambda p: optimizers.make_optimizer(make_setup(**settings), p, 0.1), expected):
        weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
        optimizer = make([weight])
        for step in range(5):
            optimizer.zero_grad()
            (weight**2 * (step + 1)).sum().backward()
            optimizer.step()
        ends.append(weight.detach())
    torch.testing.assert_close(ends[0], ends[1])


def rates_of(n_epochs: int, **settings: Any) -> list[float]:
    """The learning rate of each step, ten an epoch, of a schedule that is asked for 0.1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = optimizers.make_schedule(make_setup(**settings), [optimizer], 0.1, 10, n_epochs)
    rates = []
    for _ in range(10 * n_epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_schedules_by_their_closed_forms() -> None:
    assert rates_of(3) == [0.1] * 30
    assert rates_of(3, schedule="cosine") == pytest.approx([0.05 * (1 + math.cos(math.pi * t / 30)) for t in range(30)])
    assert rates_of(4, schedule="step", step_epochs=2, gamma=0.5) == pytest.approx([0.1] * 20 + [0.05] * 20)
    assert rates_of(3, schedule="step") == pytest.approx([0.1] * 10 + [0.01] * 10 + [0.001] * 10)
    warm = [0.1 * (0.05 + 0.95 * t / 20) for t in range(20)]
    assert rates_of(3, schedule="linear_warmup", warmup_epochs=2) == pytest.approx([*warm, *[0.1] * 10])
    cycle = rates_of(3, schedule="one_cycle")
    assert cycle[0] == pytest.approx(0.1 / 25)
    assert max(cycle) == pytest.approx(0.1, rel=0.01)
    assert cycle.index(max(cycle)) == pytest.approx(9, abs=1)
    assert cycle[-1] < 0.001


@pytest.mark.parametrize("settings", [
    {"activation": "tanh"}, {"dropout": 0.5}, {"label_smoothing": 0.1}, {"schedule": "one_cycle"}, {"precision": "bfloat16"},
    {"optimizer": "sgd"}, {"weight_decay": 0.1}, {"hidden_sizes": []},
])  # fmt: skip
def test_each_setting_has_an_effect_and_repeats(splits: data.Splits, settings: dict[str, Any]) -> None:
    plain, one, again = fit(splits), fit(splits, **settings), fit(splits, **settings)
    assert torch.equal(one.step_losses, again.step_losses)
    assert not torch.equal(one.step_losses, plain.step_losses)
    assert one.result.status == "completed"


def test_double_precision_is_close_to_single(splits: data.Splits) -> None:
    single, double = fit(splits), fit(splits, precision="float64")
    torch.testing.assert_close(single.step_losses, double.step_losses, rtol=1e-3, atol=1e-3)


def test_label_smoothing_is_in_training_alone() -> None:
    training, scoring = build.choose_loss(make_setup(label_smoothing=0.2))
    logits, labels = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[0]])
    log_p = torch.log_softmax(logits[0, 0], 0)
    assert float(training(logits, labels)) == pytest.approx(float(-(0.9 * log_p[0] + 0.1 * log_p[1])))
    assert float(scoring(logits, labels)) == pytest.approx(float(-log_p[0]))


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    dropout = ParallelDropout(0.25, [torch.Generator().manual_seed(seed) for seed in (0, 1)])
    dropped = dropout(torch.ones(2, 1000, 50))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    assert not torch.equal(dropped[0], dropped[1])
    dropout.eval()
    assert torch.equal(dropout(torch.ones(2, 3, 4)), torch.ones(2, 3, 4))
