"""Multilayer perceptrons that start as other libraries start them; a study names one as model = { name = "nets:make_mlp" }."""

from itertools import pairwise
from typing import Literal

from torch import nn


def make_mlp(
    input_shape: tuple[int, ...],
    n_outputs: int,
    hidden: int = 256,
    start: Literal["glorot", "normal"] = "normal",
) -> nn.Module:
    """Return an untrained network with one hidden layer and biases of 0.

    "glorot" draws weights uniformly within √(6 / (n_in + n_out)) (Glorot and Bengio, 2010), the default of Keras; "normal"
    draws them with mean 0 and standard deviation 0.01, as Dive into Deep Learning does.
    """
    n_inputs = 1
    for size in input_shape:
        n_inputs *= size
    layers: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in pairwise((n_inputs, hidden, n_outputs)):
        linear = nn.Linear(n_in, n_out)
        nn.init.zeros_(linear.bias)
        if start == "glorot":
            nn.init.xavier_uniform_(linear.weight)
        else:
            nn.init.normal_(linear.weight, std=0.01)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
