"""The network: a multilayer perceptron whose initial weights depend on its seed alone."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, nn


def make_network(sizes: Sequence[int], generator: Generator) -> nn.Sequential:
    """Return linear layers of these sizes, inputs first and classes last, with ReLU between them.

    Weights and biases are uniform within ± 1/√(inputs of the layer), PyTorch's own initialisation of a linear
    layer, but drawn from `generator`, so that nothing else in the process can change them.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -(n_in**-0.5), n_in**-0.5, generator=generator)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers training can change."""
    return sum(parameter.numel() for parameter in network.parameters())


def describe_layers(network: nn.Sequential) -> list[dict[str, object]]:
    """Return a row for each layer: what it is and how many numbers in it training can change."""
    return [{"layer": str(layer), "parameters": count_parameters(layer)} for layer in network]
