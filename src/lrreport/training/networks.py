"""The networks of all seeds, side by side; the initial weights of each depend on its seed alone."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import pad
from torch.nn.parameter import is_lazy

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
}  # fmt: skip
# A network's last digits must not depend on those beside it. Vectorised loops round the elements after the last full
# vector differently, and products round differently where a matrix begins off a cache line; so each network's matrices
# are padded with zeros to whole vectors: 32 numbers are two vectors of AVX-512, which loops take at once.
LANES, CACHE_LINE = 32, 64  # numbers, bytes


def round_up(size: int, multiple: int = LANES) -> int:
    """Return the next multiple: 10 → 32."""
    return -(-size // multiple) * multiple


class ParallelLinear(nn.Module):
    """Linear layers of networks that share nothing: inputs (n_networks, n, n_in) -> outputs (n_networks, n, n_out).

    Networks this small keep a processor waiting between products; trained side by side they take two
    thirds of the time. Where n_in · n_out is odd the weights have more columns, which stay zero.
    """

    def __init__(self, n_in: int, n_out: int, generators: Sequence[Generator]):
        super().__init__()
        self.sizes = (n_in, n_out)
        whole = n_in > 1 and n_out > 1 and n_in * n_out % LANES == 0
        self.width = n_out if whole else round_up(n_out)
        self.weight = nn.Parameter(torch.zeros(len(generators), max(n_in, 2), self.width))
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, round_up(n_out)))
        # Uniform within ± 1/√n_in, PyTorch's own initialisation of a linear layer, but drawn from the generator of each
        # network, so that nothing else in the process can change it.
        for index, generator in enumerate(generators):
            for parameter, n_rows in ((self.weight, n_in), (self.bias, 1)):
                drawn = torch.empty(n_rows, n_out).uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
                parameter.data[index, :n_rows, :n_out] = drawn

    @property
    def n_padding(self) -> int:
        """How many numbers of each network only fill up a vector."""
        n_in, n_out = self.sizes
        return self.weight[0].numel() + self.bias[0].numel() - (n_in + 1) * n_out

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs · weight + bias for each network: (n_networks, n, n_out)."""
        inputs = pad(inputs, (0, 1)) if self.sizes[0] == 1 else inputs
        bias = self.bias if self.bias.shape[2] == self.width else self.bias[..., : self.width]
        outputs = torch.baddbmm(bias, inputs, self.weight)
        return outputs if self.width == self.sizes[1] else outputs[..., : self.sizes[1]]

    def extra_repr(self) -> str:
        """Return how many numbers go in and come out."""
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
        kept = [torch.rand(inputs.shape[1:], generator=generator) >= self.share for generator in self.generators]
        return inputs * torch.stack(kept).to(inputs.device) / (1 - self.share)

    def extra_repr(self) -> str:
        """Return the share that is dropped."""
        return f"{self.share:g}"


class Flatten(nn.Module):
    """Inputs (n_networks, n, …) -> (n_networks, n, n_features)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return each example's numbers in a row."""
        return inputs.flatten(2)


class ParallelSequential(nn.Sequential):
    """Layers in sequence, on batches filled up with zeros to whole vectors where their size is odd."""

    def __init__(self, layers: Sequence[nn.Module], sizes: Sequence[int]):
        super().__init__(*layers)
        self.sizes = sizes

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the last layer: (n_networks, n, n_out)."""
        n = inputs.shape[1]
        first, *hidden, last = self.sizes
        if n > 1 and not (n * first % 16 or n * last % 16 or any(n * width % LANES for width in hidden)):
            return self.compute(inputs)
        zeros = inputs.new_zeros(len(inputs), round_up(n) - n, *inputs.shape[2:])
        return self.compute(torch.cat([inputs, zeros], dim=1))[:, :n]

    def compute(self, outputs: Tensor) -> Tensor:
        """Return the outputs of the last layer for a batch of any size."""
        for layer in self:
            outputs = layer(outputs)
        return outputs


class _AlignGradient(torch.autograd.Function):
    """Leave a tensor as it is, and align its gradient."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return align(gradient)


def align(tensor: Tensor) -> Tensor:
    """Return a tensor that is contiguous and begins on a cache line: itself if it does already."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % CACHE_LINE == 0 else tensor.clone()


class NetworkStack(nn.Module):
    """A network of any kind for each seed, each with its own random numbers."""

    def __init__(self, networks: Sequence[nn.Module], generators: Sequence[Generator]):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.generators = generators
        self.states: list[tuple[Tensor, Tensor | None]] = []  # of the CPU's and the GPU's generator, network by network

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of each network for its inputs (n_networks, n, …): (n_networks, n, n_outputs)."""
        pairs = list(zip(self.networks, map(align, inputs), strict=True))
        if not self.training:
            return torch.stack([network(examples) for network, examples in pairs])
        device = inputs.device if inputs.is_cuda else None
        self.states = self.states or [start_noise(generator, device) for generator in self.generators]
        outputs = []
        with torch.random.fork_rng(devices=[] if device is None else [device]):
            for index, (network, examples) in enumerate(pairs):
                on_cpu, on_gpu = self.states[index]
                torch.set_rng_state(on_cpu)
                if on_gpu is not None:
                    torch.cuda.set_rng_state(on_gpu, device)  # type: ignore[arg-type]
                outputs.append(_AlignGradient.apply(network(examples)))  # type: ignore[no-untyped-call]
                on_gpu = None if device is None else torch.cuda.get_rng_state(device)
                self.states[index] = torch.get_rng_state(), on_gpu
        return torch.stack(outputs)


def start_noise(generator: Generator, device: torch.device | None) -> tuple[Tensor, Tensor | None]:
    """Return the states in which the CPU's generator, and that of a GPU if there is any, start for a network."""
    if device is None:
        return generator.get_state(), None
    return generator.get_state(), Generator(device).manual_seed(generator.initial_seed()).get_state()


class Networks(nn.Module):
    """The networks of all seeds: inputs (n_networks, n, …) -> outputs (n_networks, n, n_outputs).

    They compute in the precision of the study; bfloat16 is mixed, as torch.autocast has it.
    """

    def __init__(self, body: nn.Module, n_networks: int, precision: str = "float32"):
        super().__init__()
        self.body = body.double() if precision == "float64" else body
        self.n_networks, self.precision = n_networks, precision

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs."""
        if self.precision == "bfloat16":
            with torch.autocast(inputs.device.type, dtype=torch.bfloat16):
                outputs: Tensor = self.body(inputs)
            return outputs.float()
        wider = self.precision == "float64" and inputs.is_floating_point()
        return self.body(inputs.double() if wider else inputs)  # type: ignore[no-any-return]

    def list_tensors(self, index: int) -> list[Tensor]:
        """Return the weights and buffers of a network, sharing memory with it."""
        if isinstance(self.body, NetworkStack):
            return list(self.body.networks[index].state_dict().values())
        return [tensor[index] for tensor in self.state_dict().values()]

    def copy_state(self, index: int) -> list[Tensor]:
        """Return a copy of the weights and buffers of a network."""
        return [tensor.clone() for tensor in self.list_tensors(index)]

    def load_state(self, index: int, state: Sequence[Tensor]) -> None:
        """Give a network the weights and buffers that `copy_state` returned."""
        with torch.no_grad():
            for tensor, kept in zip(self.list_tensors(index), state, strict=True):
                tensor.copy_(kept)

    def clip_gradients(self, clip_norm: float) -> None:
        """Scale the gradients of each network down to this norm over all its parameters where theirs is larger."""
        if isinstance(self.body, NetworkStack):
            for network in self.body.networks:
                nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
            return
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        squares = [gradient.flatten(1).square().sum(1) for gradient in gradients]  # each (n_networks,)
        norms = sum(squares[1:], squares[0]).sqrt()  # added in turn: in the same order whatever the neighbours
        factors = (clip_norm / (norms + 1e-6)).clamp(max=1)  # (n_networks,), as torch.nn.utils has it
        for gradient in gradients:
            gradient.mul_(factors.view(-1, 1, 1))


def make_mlp(
    sizes: Sequence[int],
    generators: Sequence[Generator],
    activation: str = "relu",
    dropout: float = 0.0,
    noise: Sequence[Generator] = (),
) -> ParallelSequential:
    """Return a multilayer perceptron for each generator, side by side: layers of these sizes, inputs first, outputs last.

    `noise` are the generators of what is dropped.
    """
    layers: list[nn.Module] = [Flatten()]
    for n_in, n_out in pairwise(sizes):
        layers += [ParallelLinear(n_in, n_out, generators), ACTIVATIONS[activation]()]
        layers += [ParallelDropout(dropout, noise)] if dropout else []
    return ParallelSequential(layers[: -2 if dropout else -1], sizes)


def make_plain_mlp(sizes: Sequence[int], activation: str, dropout: float) -> nn.Sequential:
    """Return a multilayer perceptron of PyTorch's own layers."""
    layers: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation](), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers[: -2 if dropout else -1])


def stack_networks(
    make: Callable[[], nn.Module], example: Tensor, generators: Sequence[Generator], noise: Sequence[Generator]
) -> NetworkStack:
    """Return a network of the user's for each generator, which decides all random numbers that making it draws.

    They take inputs such as `example` (1, …), with which layers are called that find their size at a first call, such as
    nn.LazyLinear.
    """
    networks = []
    with torch.random.fork_rng(devices=[]):
        for generator in generators:
            torch.set_rng_state(generator.get_state())
            networks.append(make())
            if any(map(is_lazy, networks[-1].parameters())):  # a first call gives such layers their sizes and weights
                networks[-1].eval()(example)
    return NetworkStack(networks, noise)


def count_parameters(module: nn.Module, n_networks: int) -> int:
    """Return how many numbers training can change in each of the networks."""
    n_padding = sum(layer.n_padding for layer in module.modules() if isinstance(layer, ParallelLinear))
    n_all = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return n_all // n_networks - n_padding


def describe_layers(networks: Networks) -> list[dict[str, object]]:
    """Return a row for each layer: what it is, and how many numbers in it training can change in each network."""
    body, n_networks = networks.body, networks.n_networks
    if isinstance(body, NetworkStack):
        body, n_networks = body.networks[0], 1
    layers = [*body.children()] or [body]
    rows = [(" ".join(str(layer).removeprefix("Parallel").split()), layer) for layer in layers]
    return [
        {"layer": name if len(name) < 80 else f"{name[:77]}...", "parameters": count_parameters(layer, n_networks)}
        for name, layer in rows
    ]
