"""One training epoch: our loop beside a bare one, PyTorch's tutorial and the matrix products alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Subset

from lrreport.bench.measure import Row, compare, take_turns
from lrreport.settings import Parameters
from lrreport.training.build import measure_loss, start_networks, start_optimizers
from lrreport.training.data import Split, Splits, load_splits
from lrreport.training.fetch import import_torchvision
from lrreport.training.files import find_data_root
from lrreport.training.loop import computing_repeatably, make_generators, score, train_epoch
from lrreport.training.optimizers import Together

SLOWEST, FASTEST = 1.2, 6.0  # times a bare loop, times as fast as the tutorial
OTHERS = (((128, 64), 32), ((128, 64), 256), ((512, 512), 64))  # hidden sizes, batch size


def measure_loops(parameters: Parameters, n: int, n_images: int | None = None) -> Iterator[Row]:
    """Yield the rows on one epoch of a network, n readings each, on the first `n_images` of each split or on all."""
    splits = load_splits(parameters.dataset, parameters.validation_size, parameters.split_seed)
    train, validation, test = (_cut(split, n_images) for split in (splits.train, splits.validation, splits.test))
    splits = Splits(train, validation, test, splits.class_names)
    one = replace_seeds(parameters, 1)
    with computing_repeatably():
        yield from _measure_network(parameters, splits, n)
        floor = {"ours": make_ours(one, splits), "products": make_products(one, splits.train)}
        yield compare("epoch, one seed", "the matrix products alone", "slower", take_turns(floor, n, n_warm=1), None)
        yield from _measure_tutorial(parameters, splits, n, n_images)
        for sizes, batch_size in OTHERS:
            changed = parameters.model_copy(update={"hidden_sizes": sizes, "batch_size": batch_size})
            yield from _measure_network(changed, splits, n)
        if torch.cuda.is_available():
            yield from _measure_network(parameters, splits.to("cuda"), n)


def _measure_network(parameters: Parameters, splits: Splits, n: int) -> Iterator[Row]:
    """Yield how much slower than a bare loop our epoch is: for one seed, and for several side by side, each of them."""
    one, n_seeds = replace_seeds(parameters, 1), len(parameters.seeds)
    name = "-".join(map(str, parameters.hidden_sizes)) + f", batch {parameters.batch_size}"
    if splits.train.labels.is_cuda:
        name += ", on the GPU"
    calls = {
        "one seed": make_ours(one, splits),
        "several": make_ours(parameters, splits),
        "bare": make_bare(one, splits.train),
    }
    times = take_turns(calls, n, n_warm=1)
    bare, several = times["bare"], [seconds / n_seeds for seconds in times["several"]]
    yield compare(
        f"epoch, one seed ({name})", "bare loop", "slower", {"ours": times["one seed"], "bare": bare}, SLOWEST
    )
    yield compare(
        f"epoch, each of {n_seeds} seeds ({name})", "bare loop", "slower", {"ours": several, "bare": bare}, SLOWEST
    )


def _measure_tutorial(parameters: Parameters, splits: Splits, n: int, n_images: int | None) -> Iterator[Row]:
    one, n_seeds = replace_seeds(parameters, 1), len(parameters.seeds)
    calls = {
        "one seed": make_ours(one, splits),
        "several": make_ours(parameters, splits),
        "tutorial": make_tutorial(one, n_images),
    }
    times = take_turns(calls, n, n_warm=1)
    tutorial, several = times["tutorial"], [seconds / n_seeds for seconds in times["several"]]
    for what, ours in (("one seed", times["one seed"]), (f"each of {n_seeds} seeds", several)):
        yield compare(f"epoch, {what}", "PyTorch's tutorial", "faster", {"ours": ours, "tutorial": tutorial}, FASTEST)


def replace_seeds(parameters: Parameters, n: int) -> Parameters:
    """Return the parameters with n seeds."""
    return parameters.model_copy(update={"seeds": tuple(range(n))})


def make_ours(parameters: Parameters, splits: Splits) -> Callable[[], None]:
    """Return our epoch: a step for each batch with its loss and accuracy, then the score on validation."""
    weights, orders, noise = zip(*map(make_generators, parameters.seeds), strict=True)
    networks = start_networks(parameters, splits, weights, noise)
    optimizer, constant = start_optimizers(parameters, networks, parameters.learning_rate), Together([])

    def run() -> None:
        train_epoch(networks, optimizer, constant, measure_loss, splits.train, parameters.batch_size, orders)
        score(networks, splits.validation)

    return run


def make_network(parameters: Parameters, n_inputs: int, n_classes: int) -> nn.Sequential:
    """Return the network as PyTorch's own modules make it."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((n_inputs, *parameters.hidden_sizes, n_classes)):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def make_bare(parameters: Parameters, split: Split) -> Callable[[], None]:
    """Return an epoch of nothing but forward, backward and fused Adam, on batches by index of prepared tensors."""
    network = make_network(parameters, split.inputs[0].numel(), 10).to(split.labels.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=parameters.learning_rate, fused=True)

    def run() -> None:
        order = torch.randperm(len(split)).to(split.labels.device)
        for batch in order.split(parameters.batch_size):
            optimizer.zero_grad()
            cross_entropy(network(split.inputs[batch]), split.labels[batch]).backward()
            optimizer.step()
        if split.labels.is_cuda:
            torch.cuda.synchronize()

    return run


def make_products(parameters: Parameters, split: Split) -> Callable[[], None]:
    """Return the matrix products of an epoch alone, forward and backward, into memory allocated before."""
    sizes = (split.inputs[0].numel(), *parameters.hidden_sizes, 10)
    n, device = parameters.batch_size, split.inputs.device
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
    n_steps = -(-len(split) // n)

    def run() -> None:
        for _ in range(n_steps):
            for place, (x, w, y) in enumerate(layers):
                torch.mm(x, w, out=outputs[place])
                torch.mm(x.T, y, out=weights[place])
                if place:  # nobody needs the gradient of the images
                    torch.mm(y, w.T, out=inputs[place])

    return run


def make_tutorial(parameters: Parameters, n_images: int | None) -> Callable[[], None]:
    """Return an epoch as in PyTorch's quickstart: DataLoader, ToTensor, default Adam, then the test set."""
    torchvision = import_torchvision()
    loaders = []
    for train in (True, False):
        images: Any = torchvision.datasets.FashionMNIST(
            str(find_data_root()), train=train, transform=torchvision.transforms.ToTensor()
        )
        chosen = Subset(images, range(len(images) if n_images is None else n_images))
        loaders.append(DataLoader(chosen, batch_size=parameters.batch_size))
    network = make_network(parameters, 784, 10)
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(network.parameters(), lr=parameters.learning_rate)

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


def _cut(split: Split, n: int | None) -> Split:
    return split if n is None else replace(split, inputs=split.inputs[:n], labels=split.labels[:n])
