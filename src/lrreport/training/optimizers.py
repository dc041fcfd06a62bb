"""Optimisers and schedules by the names of the field, and any number of them as if they were one."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from lrreport.settings import Setup

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop,
}  # fmt: skip
FUSED = ("adam", "adamw", "sgd")  # one pass over all weights instead of one for each operation
ARGUMENTS = ("momentum", "nesterov", "betas", "alpha", "eps", "weight_decay")


class Together:
    """Optimisers, or schedules, that take their steps together."""

    def __init__(self, parts: Sequence[Any]):
        self.parts = parts

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        """Take one step."""
        for part in self.parts:
            part.step()

    def set_rate(self, learning_rate: float) -> None:
        """Let the steps that follow have this learning rate."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = learning_rate


def make_optimizer(setup: Setup, parameters: Iterable[nn.Parameter], learning_rate: float) -> Optimizer:
    """Return the study's optimiser; what the study leaves out has PyTorch's default."""
    given = {name: getattr(setup, name) for name in ARGUMENTS if getattr(setup, name) is not None}
    fused: dict[str, Any] = {"fused": True} if setup.optimizer in FUSED else {}
    return OPTIMIZERS[setup.optimizer](parameters, lr=learning_rate, **given, **fused)  # type: ignore[call-arg]


def make_schedule(
    setup: Setup, optimizers: Sequence[Optimizer], learning_rate: float, steps_per_epoch: int, epochs: int
) -> Together:
    """Return the schedules of the learning rate, which change it after each training step; none if it is constant.

    "cosine" falls to 0 at the last step (Loshchilov and Hutter, 2017, without restarts); "one_cycle" rises to the learning
    rate over the first 30 % of the steps and falls far below (Smith and Topin, 2019); "step" falls by `gamma` after every
    `step_epochs`, by default a third of the epochs; "linear_warmup" rises from near 0 over `warmup_epochs`, by default 1,
    and then stays.
    """
    n_steps = steps_per_epoch * epochs
    if setup.schedule == "cosine":
        return Together([lr_scheduler.CosineAnnealingLR(one, n_steps) for one in optimizers])
    if setup.schedule == "one_cycle":
        cycle: dict[str, Any] = {"total_steps": n_steps + 1, "cycle_momentum": False}
        return Together([lr_scheduler.OneCycleLR(one, learning_rate, **cycle) for one in optimizers])
    if setup.schedule == "step":
        every = steps_per_epoch * (setup.step_epochs or math.ceil(epochs / 3))
        gamma = 0.1 if setup.gamma is None else setup.gamma
        return Together([lr_scheduler.StepLR(one, every, gamma) for one in optimizers])
    if setup.schedule == "linear_warmup":
        n_warm = max(1, round(steps_per_epoch * (setup.warmup_epochs or 1)))
        return Together([lr_scheduler.LinearLR(one, 1 / n_warm, total_iters=n_warm) for one in optimizers])
    return Together([])
