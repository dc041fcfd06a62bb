"""Braking distances in metres, to be predicted from three numbers; a study names them as dataset = "braking:load"."""

import torch
from torch import Tensor

GRAVITY = 9.81  # m/s²


def load() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return inputs (n, 3) float32 and targets (n,) float32 in metres, to train with and to test on.

    The inputs are speed, friction and slope, each scaled to [-1, 1]; a distance is measured to within 5 %.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = 2 * torch.rand(900, 3, generator=generator) - 1
    speed = 15 + 10 * inputs[:, 0]  # m/s
    friction, slope = 0.6 + 0.2 * inputs[:, 1], 0.1 * inputs[:, 2]
    metres = speed**2 / (2 * GRAVITY * (friction + slope))
    metres = metres * (1 + 0.05 * torch.randn(900, generator=generator))
    return inputs[:600], metres[:600], inputs[600:], metres[600:]
