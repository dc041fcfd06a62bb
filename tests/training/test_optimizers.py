"""Optimizers and schedules by name: PyTorch's own, with the study's options; rates by closed forms."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from lrreport.study.settings import Training
from lrreport.training import build, data, loop, optimizers


@pytest.mark.parametrize(("optimizer", "expected"), [
    ({"name": "adam", "betas": [0.8, 0.9], "eps": 1e-6}, lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.9), eps=1e-6)),
    ({"name": "adamw", "weight_decay": 0.5}, lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5)),
    ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1)),
    ({"name": "sgd", "momentum": 0.9, "nesterov": True}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    ({"name": "rmsprop", "alpha": 0.5, "momentum": 0.1}, lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.5, momentum=0.1)),
])  # fmt: skip
def test_each_optimizer_is_pytorchs_with_these_options(optimizer: Any, expected: Any) -> None:
    ends = []
    for make in (lambda p: optimizers.make_optimizer(Training(optimizer=optimizer), p, 0.1), expected):
        weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
        made = make([weight])
        for step in range(5):
            made.zero_grad()
            (weight**2 * (step + 1)).sum().backward()
            made.step()
        ends.append(weight.detach())
    torch.testing.assert_close(ends[0], ends[1])


def list_rates(optimizer: torch.optim.Optimizer, schedule: Any, n_steps: int) -> list[float]:
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def make_sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)


def rates_of(n_epochs: int, schedule: Any, folder: str = "") -> list[float]:
    """The learning rate of each step, ten an epoch, of a schedule around 0.1."""
    optimizer = make_sgd()
    training = Training(learning_rate=0.1, epochs=n_epochs, schedule=schedule)
    return list_rates(optimizer, optimizers.make_schedule(training, [optimizer], 10, folder), 10 * n_epochs)


def rates_of_torch(n_steps: int, make: Any) -> list[float]:
    optimizer = make_sgd()
    return list_rates(optimizer, make(optimizer), n_steps)


@pytest.mark.parametrize(("schedule", "make"), [
    ("constant", lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    ("cosine", lambda o: lr_scheduler.CosineAnnealingLR(o, 40)),
    ("step", lambda o: lr_scheduler.StepLR(o, 20, 0.1)),
    ({"name": "step", "epochs": 3, "gamma": 0.5}, lambda o: lr_scheduler.StepLR(o, 30, 0.5)),
    ("linear_warmup", lambda o: lr_scheduler.LinearLR(o, 1 / 10, total_iters=10)),
    ({"name": "linear_warmup", "epochs": 2.5}, lambda o: lr_scheduler.LinearLR(o, 1 / 25, total_iters=25)),
    ("one_cycle", lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=41, cycle_momentum=False)),
])  # fmt: skip
def test_each_schedule_is_pytorchs(schedule: Any, make: Any) -> None:
    assert rates_of(4, schedule) == pytest.approx(rates_of_torch(40, make), rel=1e-9)


def test_cosine_with_a_warm_up_is_one_after_the_other() -> None:
    warm = [0.1 * (0.05 + 0.95 * t / 20) for t in range(20)]
    falling = [0.05 * (1 + math.cos(math.pi * t / 30)) for t in range(30)]
    assert rates_of(5, {"name": "cosine", "warmup_epochs": 2}) == pytest.approx([*warm, *falling])
    assert rates_of(1, {"name": "cosine", "warmup_epochs": 1})[-1] == pytest.approx(0.1 * (0.1 + 0.9 * 0.9))


def test_a_schedule_of_the_users_gives_the_factor(tmp_path: Path) -> None:
    (tmp_path / "own_schedule.py").write_text(
        "def decay(step, n_steps, steps_per_epoch, rate=0.5):\n    return rate ** (step // steps_per_epoch) * n_steps / 30\n"
    )
    rates = rates_of(3, {"name": "own_schedule:decay", "rate": 0.1}, str(tmp_path))
    assert rates == pytest.approx([0.1] * 10 + [0.01] * 10 + [0.001] * 10)


@pytest.mark.parametrize("settings", [
    {"model": {"name": "mlp", "activation": "tanh"}}, {"model": {"name": "mlp", "dropout": 0.5}},
    {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}}, {"schedule": "one_cycle"}, {"precision": "bfloat16"},
    {"optimizer": "sgd"}, {"optimizer": {"name": "adam", "weight_decay": 0.1}}, {"model": {"name": "mlp", "hidden_sizes": []}},
    {"clip_norm": 0.1}, {"input_range": [0, 1]},
])  # fmt: skip
def test_each_setting_has_an_effect_and_repeats(make_training, settings: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    fits = []
    for changes in ({}, settings, settings):
        training = make_training(epochs=1, learning_rate=0.01, **changes)
        fits.append(loop.fit_seeds(training, data.load_splits(training, (0,)))[0])
    plain, first, again = fits
    assert torch.equal(first.step_losses, again.step_losses)
    assert not torch.equal(first.step_losses, plain.step_losses)
    assert first.status == "completed"


def test_double_precision_is_close_to_single(make_training, splits: data.Splits) -> None:  # type: ignore[no-untyped-def]
    single, double = (
        loop.fit_seeds(make_training(epochs=1, precision=precision), splits)[0] for precision in ("float32", "float64")
    )
    torch.testing.assert_close(single.step_losses, double.step_losses, rtol=1e-3, atol=1e-3)


def test_label_smoothing_is_in_training_alone(make_training) -> None:  # type: ignore[no-untyped-def]
    logits, labels = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[0]])
    smoothed = make_training(loss={"name": "cross_entropy", "label_smoothing": 0.2})
    training, scoring = build.choose_losses(smoothed, labels)
    log_p = torch.log_softmax(logits[0, 0], 0)
    assert float(training(logits, labels)) == pytest.approx(float(-(0.9 * log_p[0] + 0.1 * log_p[1])))
    assert float(scoring(logits, labels)) == pytest.approx(float(-log_p[0]))


def test_every_group_of_weights_gets_the_rate() -> None:
    weights = [nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weight]} for weight in weights], lr=0.1)
    optimizers.OptimizerGroup([optimizer]).set_rate(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
