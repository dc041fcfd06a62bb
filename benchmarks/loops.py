"""A training epoch: our loop beside a bare loop, PyTorch's tutorial and the matrix products alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Subset

from benchmarks.measure import Row, compare, take_turns
from lrreport.study.settings import MLP, Training
from lrreport.training.build import measure_cross_entropy, start_networks, start_optimizers
from lrreport.training.data import Split, Splits, load_splits
from lrreport.training.fetch import import_torchvision
from lrreport.training.files import find_data_root
from lrreport.training.loop import compute_repeatably, make_generators, score_validation, train_epoch
from lrreport.training.optimizers import OptimizerGroup

SLOWEST, FASTEST = 1.2, 6.0  # times a bare loop, times as fast as the tutorial
OTHERS = (((128, 64), 32), ((128, 64), 256), ((512, 512), 64))  # hidden sizes, batch size


def measure_loops(training: Training, n_seeds: int, n: int, n_images: int | None = None) -> Iterator[Row]:
    """Yield the rows on an epoch of a network, n readings each, on the first `n_images` of each split or on all."""
    splits = _cut(load_splits(training, range(n_seeds)), n_images)
    single = _take_seeds(splits, 1)
    with compute_repeatably():
        yield from _measure_network(training, splits, n)
        floor = {"ours": make_ours(training, single), "products": make_products(training, single)}
        yield compare("epoch, one seed", "the matrix products alone", "slower", take_turns(floor, n, n_warm=1), None)
        yield from _measure_tutorial(training, splits, n, n_images)
        for sizes, batch_size in OTHERS:
            changed = training.model_copy(update={"model": MLP(hidden_sizes=sizes), "batch_size": batch_size})
            yield from _measure_network(changed, splits, n)
        if torch.cuda.is_available():
            yield from _measure_network(training, splits.to("cuda"), n)


def _measure_network(training: Training, splits: Splits, n: int) -> Iterator[Row]:
    """Yield how much slower than a bare loop our epoch is: for one seed, and for several side by side, each of them."""
    single, n_seeds = _take_seeds(splits, 1), len(splits.seeds)
    name = "-".join(map(str, _sizes(training))) + f", batch {training.batch_size}"
    if splits.train.targets.is_cuda:
        name += ", on the GPU"
    calls = {
        "one seed": make_ours(training, single),
        "several": make_ours(training, splits),
        "bare": make_bare(training, single),
    }
    times = take_turns(calls, n, n_warm=1)
    bare, several = times["bare"], [seconds / n_seeds for seconds in times["several"]]
    yield compare(
        f"epoch, one seed ({name})", "bare loop", "slower", {"ours": times["one seed"], "bare": bare}, SLOWEST
    )
    yield compare(
        f"epoch, each of {n_seeds} seeds ({name})", "bare loop", "slower", {"ours": several, "bare": bare}, SLOWEST
    )


def _measure_tutorial(training: Training, splits: Splits, n: int, n_images: int | None) -> Iterator[Row]:
    single, n_seeds = _take_seeds(splits, 1), len(splits.seeds)
    calls = {
        "one seed": make_ours(training, single),
        "several": make_ours(training, splits),
        "tutorial": make_tutorial(training, n_images),
    }
    times = take_turns(calls, n, n_warm=1)
    tutorial, several = times["tutorial"], [seconds / n_seeds for seconds in times["several"]]
    for what, ours in (("one seed", times["one seed"]), (f"each of {n_seeds} seeds", several)):
        yield compare(f"epoch, {what}", "PyTorch's tutorial", "faster", {"ours": ours, "tutorial": tutorial}, FASTEST)


def _sizes(training: Training) -> tuple[int, ...]:
    assert isinstance(training.model, MLP)
    return training.model.hidden_sizes


def make_ours(training: Training, splits: Splits) -> Callable[[], None]:
    """Return our epoch: a step for each batch with its loss and accuracy, then the score on validation."""
    weights, orders, noise = zip(*map(make_generators, splits.seeds), strict=True)
    networks, loss = start_networks(training, splits, weights, noise), measure_cross_entropy()
    optimizer, constant = start_optimizers(training, networks, training.learning_rate), OptimizerGroup([])

    def run() -> None:
        train_epoch(networks, optimizer, constant, loss, splits.train, splits.train_index, training.batch_size, orders)
        score_validation(networks, splits, loss)

    return run


def make_network(training: Training, n_inputs: int, n_classes: int) -> nn.Sequential:
    """Return the network built from PyTorch's modules."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((n_inputs, *_sizes(training), n_classes)):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def make_bare(training: Training, splits: Splits) -> Callable[[], None]:
    """Return an epoch of nothing but forward, backward and fused Adam, on batches by index of prepared tensors."""
    index = splits.train_index[0].to(splits.train.targets.device)
    inputs, labels = splits.train.inputs[index], splits.train.targets[index]
    network = make_network(training, inputs[0].numel(), 10).to(labels.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=training.learning_rate, fused=True)

    def run() -> None:
        order = torch.randperm(len(labels)).to(labels.device)
        for batch in order.split(training.batch_size):
            optimizer.zero_grad()
            cross_entropy(network(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        if labels.is_cuda:
            torch.cuda.synchronize()

    return run


def make_products(training: Training, splits: Splits) -> Callable[[], None]:
    """Return the matrix products of an epoch alone, forward and backward, into memory allocated before."""
    sizes = (splits.train.inputs[0].numel(), *_sizes(training), 10)
    n, device = training.batch_size, splits.train.inputs.device
    layers = [
        (
            torch.rand(n, n_in, device=device),
            torch.rand(n_in, n_out, device=device),
            torch.rand(n, n_out, device=device),
        )
        for n_in, n_out in pairwise(sizes)
    ]
    weights, inputs, outputs = (
        [torch.empty_like(part) for part in parts] for parts in zip(*((w, x, y) for x, w, y in layers), strict=True)
    )
    n_steps = -(-splits.sizes["train"] // n)

    def run() -> None:
        for _ in range(n_steps):
            for layer, (x, w, y) in enumerate(layers):
                torch.mm(x, w, out=outputs[layer])
                torch.mm(x.T, y, out=weights[layer])
                if layer:  # nobody needs the gradient of the images
                    torch.mm(y, w.T, out=inputs[layer])

    return run


def make_tutorial(training: Training, n_images: int | None) -> Callable[[], None]:
    """Return an epoch as in PyTorch's quickstart: DataLoader, ToTensor, default Adam, then the test set."""
    torchvision = import_torchvision()
    loaders = []
    for train in (True, False):
        images: Any = torchvision.datasets.FashionMNIST(
            str(find_data_root()), train=train, transform=torchvision.transforms.ToTensor()
        )
        chosen = Subset(images, range(len(images) if n_images is None else n_images))
        loaders.append(DataLoader(chosen, batch_size=training.batch_size))
    network = make_network(training, 784, 10)
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(network.parameters(), lr=training.learning_rate)

    def run() -> None:
        network.train()
        for images, labels in loaders[0]:
            loss = loss_fn(network(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        network.eval()
        test_loss, correct = 0.0, 0.0
        with torch.no_grad():
            for images, labels in loaders[1]:
                logits = network(images)
                test_loss += loss_fn(logits, labels).item()
                correct += (logits.argmax(1) == labels).float().sum().item()

    return run


def _cut(splits: Splits, n: int | None) -> Splits:
    """Return splits with the first n examples of each, or as they are."""
    if n is None:
        return splits
    return replace(
        splits,
        train_index=splits.train_index[:, :n],
        validation_index=splits.validation_index[:, :n],
        test=Split(splits.test.inputs[:n], splits.test.targets[:n]),
    )


def _take_seeds(splits: Splits, n: int) -> Splits:
    """Return the splits of the first n seeds."""
    return replace(
        splits, seeds=splits.seeds[:n], train_index=splits.train_index[:n], validation_index=splits.validation_index[:n]
    )
