"""Optimizers and schedules by the names of the field, and groups of them that step together."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from lrreport.study.settings import Cosine, LinearWarmup, OneCycle, Own, Setup, Step, Training
from lrreport.training.user_code.load import import_function

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop,
}  # fmt: skip
FUSED = ("adam", "adamw", "sgd")  # a single pass over all weights, not a pass per operation
Factor: TypeAlias = Callable[[int], float]  # step -> factor of the learning rate


class OptimizerGroup:
    """Optimizers, or schedules, that take their steps together."""

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
        """Set the learning rate of the steps that follow."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = learning_rate


def make_optimizer(setup: Setup, parameters: Iterable[nn.Parameter], learning_rate: float) -> Optimizer:
    """Return the study's optimizer; options that the study leaves out have PyTorch's defaults."""
    name = setup.optimizer.name
    fused: dict[str, Any] = {"fused": True} if name in FUSED else {}
    return OPTIMIZERS[name](parameters, lr=learning_rate, **setup.optimizer.arguments, **fused)  # type: ignore[call-arg]


def make_schedule(
    training: Training, optimizers: Sequence[Optimizer], steps_per_epoch: int, code_folder: str = ""
) -> OptimizerGroup:
    """Return the schedules of the learning rate, which change it after each training step; none if it is constant."""
    n_steps = steps_per_epoch * training.epochs
    if isinstance(training.schedule, OneCycle):  # Smith and Topin, 2019
        cycle: dict[str, Any] = {"total_steps": n_steps + 1, "cycle_momentum": False}
        return OptimizerGroup(
            [lr_scheduler.OneCycleLR(optimizer, training.learning_rate, **cycle) for optimizer in optimizers]
        )
    factor = make_factor(training, n_steps, steps_per_epoch, code_folder)
    return OptimizerGroup(
        [lr_scheduler.LambdaLR(optimizer, factor) for optimizer in optimizers] if factor is not None else []
    )


def make_factor(training: Training, n_steps: int, steps_per_epoch: int, code_folder: str = "") -> Factor | None:
    """Return the factor of the learning rate as a function of the step, or None where it is constant.

    "cosine" falls to 0 at the last step, without restarts (Loshchilov and Hutter, 2017), after a linear warm-up if there
    is any; "step" falls by `gamma` every `epochs`, by default after each third of them; "linear_warmup" rises and stays.
    A function of the user's is called as schedule(step, n_steps, steps_per_epoch, **options).
    """
    schedule = training.schedule
    if isinstance(schedule, Own):
        own = import_function("schedule", schedule.name, code_folder)
        return lambda step: own(step, n_steps, steps_per_epoch, **schedule.options)
    if isinstance(schedule, Step):
        every = steps_per_epoch * (schedule.epochs or math.ceil(training.epochs / 3))
        return lambda step: schedule.gamma ** (step // every)
    if isinstance(schedule, LinearWarmup):
        n_warm = max(1, round(steps_per_epoch * schedule.epochs))
        return lambda step: warm_up(step, n_warm)
    if isinstance(schedule, Cosine):
        n_warm = round(steps_per_epoch * schedule.warmup_epochs)
        n_falling = max(1, n_steps - n_warm)
        return lambda step: warm_up(step, n_warm) * 0.5 * (1 + math.cos(math.pi * max(0, step - n_warm) / n_falling))
    return None


def warm_up(step: int, n_warm: int) -> float:
    """Return a factor that rises linearly from 1/n_warm at step 0 to 1 at step n_warm (Goyal et al., 2017)."""
    return 1.0 if step >= n_warm else 1 / n_warm + (1 - 1 / n_warm) * step / n_warm
