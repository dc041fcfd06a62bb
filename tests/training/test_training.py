"""Splits, network and loop: identities, closed forms and second routes."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from lrreport import LrreportError
from lrreport.study import Parameters, load_study
from lrreport.training import data, loop, model, outcome


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
    assert (float(splits.train.images.min()), float(splits.train.images.max())) == (-1.0, 1.0)
    rows = torch.cat([splits.train.images, splits.validation.images, splits.test.images])
    assert len(rows.unique(dim=0)) == 3000


def test_the_split_depends_on_its_seed_alone() -> None:
    one, same, other = (data.load_splits("sample", 500, seed) for seed in (0, 0, 1))
    assert torch.equal(one.validation.images, same.validation.images)
    assert not torch.equal(one.validation.images, other.validation.images)


def test_pixels_are_scaled_by_hand() -> None:
    pixels = np.zeros(784, dtype=np.uint8)
    pixels[:3] = [0, 255, 51]
    assert data.scale_images(pixels)[0, :3].tolist() == pytest.approx([-1.0, 1.0, -0.6])


@pytest.mark.parametrize("size", [501, 5, 2000])
def test_a_validation_size_that_classes_cannot_fill_is_refused(size: int) -> None:
    with pytest.raises(LrreportError) as error:
        data.load_splits("sample", size, 0)
    assert str(error.value) == f"validation_size = {size}: 10 classes need a multiple of 10 from 10 to 1990"


def test_network_has_the_sizes_and_the_bounds_it_says() -> None:
    network = model.make_network((784, 128, 64, 10), torch.Generator().manual_seed(0))
    assert model.count_parameters(network) == 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10
    for layer, n_inputs in ((network[0], 784), (network[2], 128), (network[4], 64)):
        weight = layer.weight.detach()
        assert weight.abs().max() <= n_inputs**-0.5
        assert float(weight.std()) == pytest.approx(n_inputs**-0.5 / math.sqrt(3), rel=0.1)


def test_initial_weights_ignore_the_global_generator(parameters: Parameters, splits: data.Splits) -> None:
    torch.manual_seed(1)
    one = loop.start_network(parameters, splits, loop.make_generators(3)[0])
    torch.manual_seed(2)
    other = loop.start_network(parameters, splits, loop.make_generators(3)[0])
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_fit_equals_a_plain_loop(parameters: Parameters, splits: data.Splits) -> None:
    """The same training written with nothing of ours but the seeds."""
    fit = loop.fit(parameters, splits, seed=0)
    torch.set_num_threads(1)
    weights, order = loop.make_generators(0)
    network = model.make_network((784, 128, 64, 10), weights)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    losses = []
    for _ in range(2):
        for batch in torch.randperm(1500, generator=order).split(64):
            loss = cross_entropy(network(splits.train.images[batch]), splits.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert fit.step_losses.numpy() == pytest.approx(np.array(losses), rel=1e-4)
    assert len(losses) == 2 * math.ceil(1500 / 64)
    with torch.no_grad():
        accuracy = (network(splits.test.images).argmax(1) == splits.test.labels).double().mean()
    assert fit.result.test is not None
    assert fit.result.test.accuracy == pytest.approx(float(accuracy), abs=0.003)


def test_running_means_weigh_each_image_once(parameters: Parameters, splits: data.Splits) -> None:
    fit = loop.fit(parameters, splits, seed=0)
    sizes = [64] * 23 + [1500 - 23 * 64]
    first = fit.step_losses[:24].double().numpy()
    assert fit.result.epochs[1].train_loss == pytest.approx(float(np.dot(first, sizes) / 1500))


def test_row_0_is_the_untrained_network(parameters: Parameters, splits: data.Splits) -> None:
    fast, slow = (
        loop.fit(parameters.model_copy(update={"learning_rate": rate}), splits, seed=0) for rate in (0.01, 0.0001)
    )
    assert fast.result.epochs[0] == slow.result.epochs[0]
    assert fast.result.epochs[0].val_loss == pytest.approx(math.log(10), abs=0.05)
    assert float(fast.step_losses[0]) == float(slow.step_losses[0])


def test_equal_calls_give_equal_bits(parameters: Parameters, splits: data.Splits) -> None:
    one, other = loop.fit(parameters, splits, seed=5), loop.fit(parameters, splits, seed=5)
    assert torch.equal(one.step_losses, other.step_losses)
    assert one.result.test == other.result.test


def test_settings_of_torch_are_given_back(parameters: Parameters, splits: data.Splits) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    loop.fit(parameters, splits, seed=0)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_loss_that_leaves_the_numbers_ends_the_fit(parameters: Parameters, splits: data.Splits) -> None:
    fit = loop.fit(parameters.model_copy(update={"learning_rate": 1e30}), splits, seed=0)
    assert fit.result.status == "diverged"
    assert fit.result.test is None
    assert [row.epoch for row in fit.result.epochs] == [0]
    assert fit.step_losses.isfinite().all()
    assert 0 < len(fit.step_losses) < 24


def test_scores_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    score = loop.score_logits(logits, torch.tensor([0, 0, 0]))
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
    assert tuple(torchvision.datasets.FashionMNIST.classes) == data.CLASS_NAMES
