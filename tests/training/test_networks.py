"""Networks side by side: their sizes, initial weights, padding, noise and gradients."""

import math

import pytest
import torch
from torch import nn

from lrreport.training import build, data, loop, networks


def make_generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_networks_have_the_sizes_and_the_bounds_they_say() -> None:
    body = networks.make_mlp((784, 128, 64, 10), make_generators(0, 1))
    stack = networks.Networks(body, 2)
    assert networks.count_parameters(stack, 2) == 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10
    assert networks.describe_layers(stack)[1] == {"layer": "Linear(784 → 128)", "parameters": 784 * 128 + 128}
    for layer, n_inputs in ((body[1], 784), (body[3], 128), (body[5], 64)):
        weight = layer.weight.detach()
        assert weight.abs().max() <= n_inputs**-0.5
        assert float(weight.std()) == pytest.approx(n_inputs**-0.5 / math.sqrt(3), rel=0.1)
        assert not torch.equal(weight[0], weight[1])


def test_initial_weights_ignore_the_global_generator(make_training, splits: data.Splits) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    first = build.start_networks(make_training(), splits, loop.make_generators(3)[:1])
    torch.manual_seed(2)
    second = build.start_networks(make_training(), splits, loop.make_generators(3)[:1])
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(("n_in", "n_out"), [(784, 128), (64, 10), (37, 5), (1, 3), (6, 1), (1, 1)])
@pytest.mark.parametrize("n", [1, 7, 32])
def test_padding_changes_no_output(n_in: int, n_out: int, n: int) -> None:
    body = networks.make_mlp((n_in, n_out), make_generators(0, 1))
    layer = body[1]
    assert networks.count_parameters(body, 2) == (n_in + 1) * n_out
    inputs = torch.randn(2, n, n_in)
    outputs = body(inputs)
    assert outputs.shape == (2, n, n_out)
    weight, bias = layer.weight[:, :n_in, :n_out], layer.bias[..., :n_out]
    torch.testing.assert_close(outputs, inputs @ weight + bias)
    assert layer.weight[0].numel() % networks.LANES == 0
    outputs.sum().backward()
    assert int(layer.weight.grad[:, n_in:].count_nonzero() + layer.weight.grad[..., n_out:].count_nonzero()) == 0


@pytest.mark.parametrize("own", [False, True])
def test_gradients_are_clipped_network_by_network_as_torch_does(own: bool) -> None:
    if own:
        make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))  # noqa: E731
        body: nn.Module = networks.stack_networks(make, torch.zeros(1, 6), make_generators(0, 1), make_generators(0, 1))
    else:
        body = networks.make_mlp((6, 5, 3), make_generators(0, 1), "tanh")
    stack = networks.Networks(body, 2)
    loss = stack(torch.randn(2, 8, 6)).square().sum((1, 2)) * torch.tensor([100.0, 0.001])
    loss.backward(torch.ones(2))
    parts = [[weight.grad for weight in network.parameters()] for network in body.networks] if own else []
    parts = parts or [[weight.grad[index] for weight in stack.parameters()] for index in range(2)]
    norms = [math.sqrt(sum(float(gradient.square().sum()) for gradient in part)) for part in parts]
    assert norms[0] > 0.5 > norms[1]
    expected = [[gradient * min(1, 0.5 / norm) for gradient in part] for part, norm in zip(parts, norms, strict=True)]
    stack.clip_gradients(0.5)
    for part, wanted in zip(parts, expected, strict=True):
        for gradient, clipped in zip(part, wanted, strict=True):
            torch.testing.assert_close(gradient, clipped, rtol=1e-4, atol=1e-8)


def test_a_state_can_be_kept_and_given_back() -> None:
    make = lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))  # noqa: E731
    own = networks.stack_networks(make, torch.zeros(1, 3), make_generators(0, 1), make_generators(0, 1))
    for body in (own, networks.make_mlp((3, 4), make_generators(0, 1))):
        stack = networks.Networks(body, 2)
        kept, neighbour = stack.copy_state(1), stack.copy_state(0)
        with torch.no_grad():
            for tensor in stack.list_tensors(1):
                tensor.add_(1)
        assert not any(torch.equal(a, b) for a, b in zip(kept, stack.copy_state(1), strict=True))
        stack.load_state(1, kept)
        assert all(torch.equal(a, b) for a, b in zip(kept, stack.copy_state(1), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(neighbour, stack.copy_state(0), strict=True))


def test_networks_of_the_users_see_memory_on_a_cache_line_both_ways() -> None:
    """Products may round differently off it, so that a network would depend on its position in memory."""
    addresses = []

    class Watch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs = inputs * self.weight
            outputs.register_hook(lambda gradient: addresses.append(gradient.data_ptr()))
            addresses.append(inputs.data_ptr())
            return outputs

    stack = networks.stack_networks(Watch, torch.zeros(1, 3), make_generators(0, 1, 2), make_generators(0, 1, 2))
    outputs = stack(torch.zeros(3, 5, 3))
    (outputs * torch.randn(3, 5, 3)).sum().backward()
    assert len(addresses) == 6
    assert not [address for address in addresses if address % networks.CACHE_LINE]


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    dropout = networks.ParallelDropout(0.25, make_generators(0, 1))
    dropped = dropout(torch.ones(2, 1000, 50))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    assert not torch.equal(dropped[0], dropped[1])
    dropout.eval()
    assert torch.equal(dropout(torch.ones(2, 3, 4)), torch.ones(2, 3, 4))


def test_noise_of_a_network_of_the_users_differs_from_step_to_step_and_from_seed_to_seed() -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs + torch.rand(inputs.shape)

    weights, _, noise = zip(*map(loop.make_generators, (0, 1)), strict=True)
    stack = networks.stack_networks(Noise, torch.zeros(1, 4), weights, noise)
    first, second = stack(torch.zeros(2, 3, 4)), stack(torch.zeros(2, 3, 4))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_networks_of_the_users_draw_random_numbers_of_their_own() -> None:
    def run(*seeds: int) -> torch.Tensor:
        weights, _, noise = zip(*map(loop.make_generators, seeds), strict=True)
        make = lambda: nn.Sequential(nn.Dropout(0.5), nn.LazyLinear(2))  # noqa: E731
        stack = networks.stack_networks(make, torch.ones(1, 6), weights, noise)
        inputs = torch.ones(len(seeds), 5, 6)
        return torch.stack([stack(inputs) for _ in range(3)])[:, -1].detach()

    assert torch.equal(run(1), run(0, 1))
    assert not torch.equal(run(0), run(1))
