"""The range test: the rates of its steps, and its losses by a plain second route."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lrreport.settings import RangeParameters
from lrreport.training import build, data, loop, range_test


@pytest.fixture(scope="module")
def splits() -> data.Splits:
    return data.load_splits("sample", 500, 0)


def make_parameters(**settings: object) -> RangeParameters:
    return RangeParameters.model_validate(
        {"dataset": "sample", "validation_size": 500, "seeds": (0, 1), "steps": 60} | settings
    )


def test_rates_grow_by_one_factor_from_the_lowest_to_the_highest() -> None:
    rates = range_test.list_rates(make_parameters(lowest=1e-4, highest=1.0))
    assert (rates[0], rates[-1], len(rates)) == (pytest.approx(1e-4), pytest.approx(1.0), 60)
    factors = np.divide(rates[1:], rates[:-1])
    assert factors == pytest.approx(np.full(59, 1e4 ** (1 / 59)))


def test_losses_equal_a_plain_loop(splits: data.Splits) -> None:
    parameters = make_parameters(lowest=1e-5, highest=1e-2, seeds=(3, 0))
    losses = range_test.sweep_rates(parameters, splits)
    assert losses.shape == (2, 60)
    weights, order, _ = loop.make_generators(0)
    start = build.start_networks(parameters, splits, [weights])
    layers = list(start.body.children())[1:]
    network = nn.Sequential(*(nn.Linear(*layer.sizes) if hasattr(layer, "sizes") else nn.ReLU() for layer in layers))
    with torch.no_grad():
        for plain, layer in zip(network, layers, strict=True):
            if isinstance(plain, nn.Linear):
                plain.weight.copy_(layer.weight[0].T)
                plain.bias.copy_(layer.bias[0, 0])
    expected = []
    batches = [batch for _ in range(3) for batch in torch.randperm(1500, generator=order).split(64)]
    optimizer = torch.optim.Adam(network.parameters())
    for rate, batch in zip(range_test.list_rates(parameters), batches, strict=False):
        optimizer.param_groups[0]["lr"] = rate
        loss = cross_entropy(network(splits.train.inputs[batch].flatten(1)), splits.train.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses[1].numpy() == pytest.approx(np.array(expected), rel=1e-3)


def test_losses_start_at_guessing_and_end_where_numbers_do(splits: data.Splits) -> None:
    losses = range_test.sweep_rates(make_parameters(lowest=1e-7, highest=1e30), splits)
    assert losses[:, 0].tolist() == pytest.approx([math.log(10)] * 2, abs=0.15)
    assert losses[:, -1].isnan().all()
    for one in losses:
        first = int(one.isnan().float().argmax())
        assert one[:first].isfinite().all()
        assert one[first:].isnan().all()


def test_equal_calls_give_equal_bits(splits: data.Splits) -> None:
    one, other = (range_test.sweep_rates(make_parameters(highest=1e-2), splits) for _ in range(2))
    assert torch.equal(one, other)
