"""The networks of all seeds, side by side; the initial weights of each depend on its seed alone."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import is_lazy

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
}  # fmt: skip


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


class ParallelDropout(nn.Module):
    """Dropout for networks side by side, what each drops drawn from its own generator (Srivastava et al., 2014)."""

    def __init__(self, share: float, generators: Sequence[Generator]):
        super().__init__()
        self.share, self.generators = share, generators

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs (n_networks, n, n_features) with a share of them 0 and the others scaled up, in training."""
        if not self.training:
            return inputs
        kept = [torch.rand(inputs.shape[1:], generator=one) >= self.share for one in self.generators]
        return inputs * torch.stack(kept).to(inputs.device) / (1 - self.share)

    def extra_repr(self) -> str:
        """Say which share is dropped."""
        return f"{self.share:g}"


class Flatten(nn.Module):
    """Inputs (n_networks, n, …) -> (n_networks, n, n_features)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return each example's numbers in a row."""
        return inputs.flatten(2)


class SideBySide(nn.Module):
    """Networks of any kind, one for each seed, each with random numbers of its own where it draws some."""

    def __init__(self, networks: Sequence[nn.Module], generators: Sequence[Generator]):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.generators = generators
        self.states: list[tuple[Tensor, Tensor | None]] = []  # of the CPU's and the GPU's generator, network by network

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of each network for its inputs (n_networks, n, …): (n_networks, n, n_classes)."""
        if not self.training:
            return torch.stack([network(one) for network, one in zip(self.networks, inputs, strict=True)])
        device = inputs.device if inputs.is_cuda else None
        self.states = self.states or [start_noise(generator, device) for generator in self.generators]
        outputs = []
        with torch.random.fork_rng(devices=[] if device is None else [device]):
            for place, (network, one) in enumerate(zip(self.networks, inputs, strict=True)):
                on_cpu, on_gpu = self.states[place]
                torch.set_rng_state(on_cpu)
                if on_gpu is not None:
                    torch.cuda.set_rng_state(on_gpu, device)  # type: ignore[arg-type]
                outputs.append(network(one))
                on_gpu = None if device is None else torch.cuda.get_rng_state(device)
                self.states[place] = torch.get_rng_state(), on_gpu
        return torch.stack(outputs)


def start_noise(generator: Generator, device: torch.device | None) -> tuple[Tensor, Tensor | None]:
    """Return the states in which the CPU's generator, and that of a GPU if there is one, start for one network."""
    if device is None:
        return generator.get_state(), None
    return generator.get_state(), Generator(device).manual_seed(generator.initial_seed()).get_state()


class Networks(nn.Module):
    """The networks of all seeds: inputs (n_networks, n, …) -> logits (n_networks, n, n_classes).

    They compute in the precision of the study; bfloat16 is mixed, as torch.autocast has it.
    """

    def __init__(self, body: nn.Module, n_networks: int, precision: str = "float32"):
        super().__init__()
        self.body = body.double() if precision == "float64" else body
        self.n_networks, self.precision = n_networks, precision

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits."""
        if self.precision == "bfloat16":
            with torch.autocast(inputs.device.type, dtype=torch.bfloat16):
                outputs: Tensor = self.body(inputs)
            return outputs.float()
        wider = self.precision == "float64" and inputs.is_floating_point()
        return self.body(inputs.double() if wider else inputs)  # type: ignore[no-any-return]


def make_mlp(
    sizes: Sequence[int],
    generators: Sequence[Generator],
    activation: str = "relu",
    dropout: float = 0.0,
    noise: Sequence[Generator] = (),
) -> nn.Sequential:
    """Return a multilayer perceptron for each generator, side by side: layers of these sizes, inputs first, classes last.

    `noise` are the generators of what is dropped.
    """
    layers: list[nn.Module] = [Flatten()]
    for n_in, n_out in pairwise(sizes):
        layers += [ParallelLinear(n_in, n_out, generators), ACTIVATIONS[activation]()]
        layers += [ParallelDropout(dropout, noise)] if dropout else []
    return nn.Sequential(*layers[: -2 if dropout else -1])


def make_own(
    make: Callable[[tuple[int, ...], int], nn.Module],
    example: Tensor,
    n_classes: int,
    generators: Sequence[Generator],
    noise: Sequence[Generator],
) -> SideBySide:
    """Return a network of a user's own for each generator, which decides all random numbers that making it draws.

    They take inputs such as `example` (1, …), which layers see that find their size at a first call, such as nn.LazyLinear.
    """
    networks = []
    with torch.random.fork_rng(devices=[]):
        for generator in generators:
            torch.set_rng_state(generator.get_state())
            networks.append(make(tuple(example.shape[1:]), n_classes))
            if any(map(is_lazy, networks[-1].parameters())):  # a first call gives such layers their sizes and weights
                networks[-1].eval()(example)
    return SideBySide(networks, noise)


def count_parameters(module: nn.Module, n_networks: int) -> int:
    """Return how many numbers training can change in each of the networks."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad) // n_networks


def describe_layers(networks: Networks) -> list[dict[str, object]]:
    """Return a row for each layer: what it is, and how many numbers in it training can change in each network."""
    body, n_networks = networks.body, networks.n_networks
    if isinstance(body, SideBySide):
        body, n_networks = body.networks[0], 1
    layers = [*body.children()] or [body]
    rows = [(" ".join(str(layer).removeprefix("Parallel").split()), layer) for layer in layers]
    return [
        {"layer": name if len(name) < 80 else f"{name[:77]}...", "parameters": count_parameters(layer, n_networks)}
        for name, layer in rows
    ]
