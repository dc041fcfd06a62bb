"""The network: multilayer perceptrons side by side, one for each seed, whose initial weights depend on that seed alone."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn


class ParallelLinear(nn.Module):
    """Linear layers of networks that share nothing: inputs (n_networks, n, n_in) -> outputs (n_networks, n, n_out).

    Networks this small keep a processor waiting between one product and the next; trained side by side they take two
    thirds of the time.
    """

    def __init__(self, n_in: int, n_out: int, generators: Sequence[Generator]):
        super().__init__()
        self.sizes = (n_in, n_out)
        self.weight = nn.Parameter(torch.empty(len(generators), n_in, n_out))
        self.bias = nn.Parameter(torch.empty(len(generators), 1, n_out))
        # Uniform within ± 1/√n_in, PyTorch's own initialisation of a linear layer, but drawn from the generator of each
        # network, so that nothing else in the process can change it.
        for place, generator in enumerate(generators):
            for parameter in (self.weight, self.bias):
                nn.init.uniform_(parameter.data[place], -(n_in**-0.5), n_in**-0.5, generator=generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs · weight + bias for each network: (n_networks, n, n_out)."""
        return torch.baddbmm(self.bias, inputs, self.weight)

    def extra_repr(self) -> str:
        """Say how many numbers go in and come out."""
        return "{} → {}".format(*self.sizes)


def make_networks(sizes: Sequence[int], generators: Sequence[Generator]) -> nn.Sequential:
    """Return a network for each generator, side by side: layers of these sizes, inputs first, classes last, ReLU between.

    It takes images (n_networks, n, sizes[0]) and gives logits (n_networks, n, sizes[-1]).
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [ParallelLinear(n_in, n_out, generators), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def count_parameters(networks: nn.Module) -> int:
    """Return how many numbers training can change in each of the networks."""
    return sum(parameter[0].numel() for parameter in networks.parameters())


def describe_layers(networks: nn.Sequential) -> list[dict[str, object]]:
    """Return a row for each layer: what it is, and how many numbers in it training can change in each network."""
    return [{"layer": str(layer).removeprefix("Parallel"), "parameters": count_parameters(layer)} for layer in networks]
