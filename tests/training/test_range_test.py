"""The range test: the rates of its steps, and its losses by a plain second route."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from lrreport.study.settings import RangeSetup
from lrreport.training import build, data, loop, range_test
from lrreport.training.networks import make_plain_mlp


def make_setup(**settings: object) -> RangeSetup:
    return RangeSetup.model_validate({"dataset": "sample", "validation_size": 500, "steps": 60} | settings)


def sweep(setup: RangeSetup, *seeds: int) -> torch.Tensor:
    return range_test.sweep_rates(setup, data.load_splits(setup, seeds))


def test_rates_grow_by_one_factor_from_the_lowest_to_the_highest() -> None:
    rates = range_test.list_rates(make_setup(lowest=1e-4, highest=1.0))
    assert (rates[0], rates[-1], len(rates)) == (pytest.approx(1e-4), pytest.approx(1.0), 60)
    factors = np.divide(rates[1:], rates[:-1])
    assert factors == pytest.approx(np.full(59, 1e4 ** (1 / 59)))


def test_losses_equal_a_plain_loop() -> None:
    setup = make_setup(lowest=1e-5, highest=1e-2)
    losses = sweep(setup, 3, 0)
    assert losses.shape == (2, 60)
    splits = data.load_splits(setup, (0,))
    weights, order, _ = loop.make_generators(0)
    stack = build.start_networks(setup, splits, [weights])
    network = make_plain_mlp((784, 128, 64, 10), "relu", 0.0)
    with torch.no_grad():
        for plain, layer in zip(network[1:], list(stack.body.children())[1:], strict=True):
            if isinstance(plain, torch.nn.Linear):
                plain.weight.copy_(layer.weight[0].T)
                plain.bias.copy_(layer.bias[0, 0, : len(plain.bias)])
    expected = []
    learnt = splits.train.take(splits.train_index[0])
    batches = [batch for _ in range(3) for batch in torch.randperm(1500, generator=order).split(64)]
    optimizer = torch.optim.Adam(network.parameters())
    for rate, batch in zip(range_test.list_rates(setup), batches, strict=False):
        optimizer.param_groups[0]["lr"] = rate
        loss = cross_entropy(network(learnt.inputs[batch]), learnt.targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses[1].numpy() == pytest.approx(np.array(expected), rel=1e-3)


def test_losses_start_at_guessing_and_end_where_numbers_do() -> None:
    losses = sweep(make_setup(lowest=1e-7, highest=1e30), 0, 1)
    assert losses[:, 0].tolist() == pytest.approx([math.log(10)] * 2, abs=0.15)
    assert losses[:, -1].isnan().all()
    for curve in losses:
        first = int(curve.isnan().float().argmax())
        assert curve[:first].isfinite().all()
        assert curve[first:].isnan().all()


def test_a_seeds_losses_are_the_same_to_the_bit_whatever_its_neighbours() -> None:
    setup = make_setup(highest=1e-2, clip_norm=1.0)
    assert torch.equal(sweep(setup, 0, 1)[1], sweep(setup, 1)[0])


def test_the_record_has_all_seeds_among_its_settings() -> None:
    setup = make_setup()
    splits = data.load_splits(setup, (0, 1))
    [(record, arrays)] = range_test.make_range_records(setup, splits, torch.zeros(2, 60))
    assert record.kind == "range test"
    assert record.settings["seeds"] == record.identity.settings["seeds"] == [0, 1]
    assert {name: array.shape for name, array in arrays.items()} == {"rates": (60,), "losses": (2, 60)}
