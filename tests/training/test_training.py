"""Splits, network and loop: identities, closed forms and second routes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from lrreport import LrreportError
from lrreport.settings import Parameters
from lrreport.study import load_study
from lrreport.training import build, data, datasets, loop, model, outcome, own_code
from lrreport.training.optimizers import Together


@pytest.fixture(scope="module")
def splits() -> data.Splits:
    return data.load_splits("sample", 500, 0)


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    run = next(load_study("studies/quick.toml").runs())
    return run.model_copy(update={"learning_rate": 0.001, "epochs": 2, "seeds": (0,)})


def test_splits_are_stratified_scaled_and_share_no_image(splits: data.Splits) -> None:
    assert splits.sizes == {"train": 1500, "validation": 500, "test": 1000}
    assert splits.validation.labels.bincount().tolist() == [50] * 10
    assert (float(splits.train.inputs.min()), float(splits.train.inputs.max())) == (-1.0, 1.0)
    rows = torch.cat([splits.train.inputs, splits.validation.inputs, splits.test.inputs])
    assert len(rows.unique(dim=0)) == 3000


def test_the_split_depends_on_its_seed_alone() -> None:
    one, same, other = (data.load_splits("sample", 500, seed) for seed in (0, 0, 1))
    assert torch.equal(one.validation.inputs, same.validation.inputs)
    assert not torch.equal(one.validation.inputs, other.validation.inputs)


def test_pixels_are_scaled_by_hand() -> None:
    pixels = torch.tensor([[0, 255, 51]], dtype=torch.uint8)
    assert data.scale_pixels(pixels)[0].tolist() == pytest.approx([-1.0, 1.0, -0.6])


def test_equal_images_are_counted_within_and_between_splits() -> None:
    rows = torch.eye(4)
    parts = {"train": rows[[0, 0, 0, 1]], "validation": rows[[1, 2]], "test": rows[[3, 0, 0]]}
    assert data.count_equal(parts) == {
        "train": 2,
        "validation": 0,
        "test": 1,
        "train and validation": 1,
        "train and test": 2,
        "validation and test": 0,
    }


@pytest.mark.parametrize("size", [9, 1991, 5000])
def test_a_validation_size_that_leaves_a_class_out_is_refused(size: int) -> None:
    with pytest.raises(LrreportError) as error:
        data.load_splits("sample", size, 0)
    assert str(error.value) == f"validation_size = {size}: of 2000 examples in 10 classes there can be 10 to 1990"


def test_classes_are_held_out_in_proportion() -> None:
    assert data.share_out(100, [600, 300, 100]) == [60, 30, 10]
    assert data.share_out(7, [50, 50, 50]) in ([3, 2, 2], [2, 3, 2], [2, 2, 3])
    assert data.share_out(30, [900, 95, 5]) == [27, 2, 1]
    assert data.share_out(995, [900, 95, 5]) == [897, 94, 4]
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    with pytest.raises(
        LrreportError, match="^validation_size = 10: of 100 examples in 3 classes class 2 has one example only"
    ):
        data.hold_out(labels, 10, 0)
    held_out = data.hold_out(labels[:-1], 11, 0)
    assert labels[:-1][held_out].bincount().tolist() == [10, 1]


@given(st.lists(st.integers(2, 50), min_size=2, max_size=6), st.data())
def test_every_class_is_on_both_sides(counts: list[int], choice: st.DataObject) -> None:
    size = choice.draw(st.integers(len(counts), sum(counts) - len(counts)))
    shares = data.share_out(size, counts)
    assert sum(shares) == size
    assert all(1 <= share < count for share, count in zip(shares, counts, strict=True))


def fit_one(parameters: Parameters, splits: data.Splits, seed: int = 0) -> loop.Fit:
    [fit] = loop.fit_seeds(parameters.model_copy(update={"seeds": (seed,)}), splits)
    return fit


def test_networks_have_the_sizes_and_the_bounds_they_say() -> None:
    body = model.make_mlp((784, 128, 64, 10), [torch.Generator().manual_seed(seed) for seed in (0, 1)])
    networks = model.Networks(body, 2)
    assert model.count_parameters(networks, 2) == 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10
    assert model.describe_layers(networks)[1] == {"layer": "Linear(784 → 128)", "parameters": 784 * 128 + 128}
    for layer, n_inputs in ((body[1], 784), (body[3], 128), (body[5], 64)):
        weight = layer.weight.detach()
        assert weight.abs().max() <= n_inputs**-0.5
        assert float(weight.std()) == pytest.approx(n_inputs**-0.5 / math.sqrt(3), rel=0.1)
        assert not torch.equal(weight[0], weight[1])


def test_initial_weights_ignore_the_global_generator(parameters: Parameters, splits: data.Splits) -> None:
    torch.manual_seed(1)
    one = build.start_networks(parameters, splits, loop.make_generators(3)[:1])
    torch.manual_seed(2)
    other = build.start_networks(parameters, splits, loop.make_generators(3)[:1])
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def copy_network(networks: model.Networks, place: int) -> nn.Sequential:
    """One of the networks as PyTorch's own layers."""
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in list(networks.body.children())[1:]:
        if isinstance(layer, model.ParallelLinear):
            plain = nn.Linear(*layer.sizes)
            with torch.no_grad():
                plain.weight.copy_(layer.weight[place].T)
                plain.bias.copy_(layer.bias[place, 0])
            layers.append(plain)
        else:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@pytest.mark.parametrize("seeds", [(0,), (3, 0)])
def test_a_fit_equals_a_plain_loop(parameters: Parameters, splits: data.Splits, seeds: tuple[int, ...]) -> None:
    """The same training of one network, with PyTorch's layers and loss, written with nothing of ours but the seeds."""
    fit = loop.fit_seeds(parameters.model_copy(update={"seeds": seeds}), splits)[-1]
    torch.set_num_threads(1)
    weights, order, _ = loop.make_generators(0)
    network = copy_network(build.start_networks(parameters, splits, [weights]), 0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    losses = []
    for _ in range(2):
        for batch in torch.randperm(1500, generator=order).split(64):
            loss = cross_entropy(network(splits.train.inputs[batch]), splits.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert fit.result.seed == 0
    assert fit.step_losses.numpy() == pytest.approx(np.array(losses), rel=1e-4)
    assert len(losses) == 2 * math.ceil(1500 / 64)
    with torch.no_grad():
        accuracy = (network(splits.test.inputs).argmax(1) == splits.test.labels).double().mean()
    assert fit.result.test is not None
    assert fit.result.test.accuracy == pytest.approx(float(accuracy), abs=0.003)


def test_running_means_weigh_each_image_once(parameters: Parameters, splits: data.Splits) -> None:
    fit = fit_one(parameters, splits)
    sizes = [64] * 23 + [1500 - 23 * 64]
    first = fit.step_losses[:24].double().numpy()
    assert fit.result.epochs[1].train_loss == pytest.approx(float(np.dot(first, sizes) / 1500))


def test_row_0_is_the_untrained_network(parameters: Parameters, splits: data.Splits) -> None:
    fast, slow = (fit_one(parameters.model_copy(update={"learning_rate": rate}), splits) for rate in (0.01, 0.0001))
    assert fast.result.epochs[0] == slow.result.epochs[0]
    assert fast.result.epochs[0].val_loss == pytest.approx(math.log(10), abs=0.05)
    assert float(fast.step_losses[0]) == float(slow.step_losses[0])


def test_equal_calls_give_equal_bits(parameters: Parameters, splits: data.Splits) -> None:
    one, other = fit_one(parameters, splits, seed=5), fit_one(parameters, splits, seed=5)
    assert torch.equal(one.step_losses, other.step_losses)
    assert one.result.test == other.result.test


def test_settings_of_torch_are_given_back(parameters: Parameters, splits: data.Splits) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fit_one(parameters, splits)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_loss_that_leaves_the_numbers_ends_the_fit(parameters: Parameters, splits: data.Splits) -> None:
    fit = fit_one(parameters.model_copy(update={"learning_rate": 1e30}), splits)
    assert fit.result.status == "diverged"
    assert fit.result.test is None
    assert fit.test_logits is None
    assert [row.epoch for row in fit.result.epochs] == [0]
    assert fit.step_losses.isfinite().all()
    assert 0 < len(fit.step_losses) < 24


def test_a_network_that_diverges_leaves_its_neighbours_alone(
    parameters: Parameters, splits: data.Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = parameters.model_copy(update={"seeds": (1, 0)})
    healthy = loop.fit_seeds(both, splits)[1]
    start = build.start_networks

    def start_broken(*arguments: Any) -> model.Networks:
        networks = start(*arguments)
        scale = torch.tensor([math.inf, 1.0])[:, None, None]
        networks.register_forward_hook(lambda module, _, logits: logits * scale if module.training else None)
        return networks

    monkeypatch.setattr(loop, "start_networks", start_broken)
    broken, neighbour = loop.fit_seeds(both, splits)
    assert broken.result.status == "diverged"
    assert neighbour.result.status == "completed"
    assert torch.equal(neighbour.step_losses, healthy.step_losses)
    assert neighbour.result.test == healthy.result.test


def test_scores_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]])
    [score] = loop.score_logits(logits, torch.tensor([0, 0, 0]))
    assert score.accuracy == pytest.approx(2 / 3)
    expected = [math.log(2), math.log1p(math.exp(-2)), math.log1p(math.exp(1))]
    assert score.loss == pytest.approx(sum(expected) / 3)


def test_confusions_and_confident_mistakes_by_hand() -> None:
    labels, predictions = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    assert outcome.share_confusions(labels, predictions, 2).tolist() == [[0.5, 0.5], [0.0, 1.0]]
    logits = torch.tensor([[9.0, 0.0], [0.0, 1.0], [5.0, 0.0], [0.0, 2.0]])
    assert outcome.find_confident_mistakes(labels, logits, 5).tolist() == [2, 1]


def test_torchvision_imports_beside_this_torch() -> None:
    from lrreport.training.fetch import import_torchvision

    torchvision = import_torchvision()
    assert torchvision.datasets.FashionMNIST.classes[0] == "T-shirt/top"
    assert tuple(torchvision.datasets.FashionMNIST.classes) == datasets.FASHION


def test_a_network_that_begins_with_no_finite_loss_is_refused(splits: data.Splits) -> None:
    parameters = Parameters(learning_rate=0.1, seeds=(0, 1), dataset="sample", validation_size=500, epochs=1)
    broken = data.Splits(
        splits.train,
        data.Split(splits.validation.inputs * math.inf, splits.validation.labels),
        splits.test,
        splits.class_names,
    )
    with pytest.raises(LrreportError, match="^the loss of the untrained network is not finite: "):
        loop.fit_seeds(parameters, broken)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_loss_of_ones_own_scores_too(splits: data.Splits, tmp_path: Path, seeds: tuple[int, ...]) -> None:
    name = f"own_scores_{len(seeds)}"
    (tmp_path / f"{name}.py").write_text("def loss(logits, labels):\n    return logits.sum(1) * 0 + 7\n")
    parameters = Parameters(
        learning_rate=0.1, seeds=seeds, dataset="sample", validation_size=500, epochs=1, loss=f"{name}:loss"
    )
    for fit in loop.fit_seeds(parameters, splits, code_folder=str(tmp_path)):
        assert [row.val_loss for row in fit.result.epochs] == [7, 7]
        assert fit.result.test is not None
        assert fit.result.test.loss == 7


def test_noise_of_ones_own_network_differs_from_step_to_step() -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs + torch.rand(inputs.shape)

    weights, _, noise = zip(*map(loop.make_generators, (0, 1)), strict=True)
    networks = model.make_own(lambda *_: Noise(), torch.zeros(1, 4), 4, weights, noise)
    first, second = networks(torch.zeros(2, 3, 4)), networks(torch.zeros(2, 3, 4))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_every_group_of_weights_gets_the_rate() -> None:
    weights = [nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [one]} for one in weights], lr=0.1)
    Together([optimizer]).set_rate(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]


def test_tensors_of_other_types_and_shapes_have_other_digests() -> None:
    zeros = torch.zeros(2, 3)
    assert len({own_code.digest_tensor(one) for one in (zeros, zeros.reshape(3, 2), zeros.int(), zeros + 1)}) == 4
