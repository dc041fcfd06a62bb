"""Fit one network for each seed, side by side; the loop a reader wants to see."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from lrreport.record import EpochRow, Score, SeedResult
from lrreport.study import Parameters, Setup
from lrreport.training.data import Split, Splits
from lrreport.training.model import make_networks


@dataclass(frozen=True)
class Fit:
    """One seed's result, its loss at every training step (n_steps,) and its test logits (n_test, n_classes).

    A diverged fit has the step losses up to the last finite one and no test logits.
    """

    result: SeedResult
    step_losses: Tensor
    test_logits: Tensor | None


def fit_seeds(parameters: Parameters, splits: Splits, on_epoch: Callable[[], None] = lambda: None) -> list[Fit]:
    """Train a network for each seed, all at one learning rate, and return how each of them went.

    They are scored on validation after each epoch, on all three splits after the last; `on_epoch` is called after each.
    A seed alone decides the initial weights and the order of the batches, so runs that differ in their learning rate
    are paired: they start equal and see the same batches.
    """
    with computing_repeatably():
        weights, orders = zip(*map(make_generators, parameters.seeds), strict=True)
        networks = start_networks(parameters, splits, weights)
        optimizer = torch.optim.Adam(networks.parameters(), lr=parameters.learning_rate, fused=True)
        untrained = make_rows(0, score(networks, splits.train), score(networks, splits.validation), 0.0)
        histories = [[row] for row in untrained]
        losses = []
        for epoch in range(1, parameters.epochs + 1):
            started = time.process_time()
            step_losses, train = train_epoch(networks, optimizer, splits.train, parameters.batch_size, orders)
            seconds = (time.process_time() - started) / len(histories)
            losses.append(step_losses)
            rows = make_rows(epoch, train, score(networks, splits.validation), seconds)
            for history, row in zip(histories, rows, strict=True):
                if len(history) == epoch and math.isfinite(row.train_loss + row.val_loss):
                    history.append(row)
            on_epoch()
            if all(len(history) <= epoch for history in histories):  # nothing is left to train
                break
        logits = predict(networks, splits.test)
        final = zip(
            score(networks, splits.train),
            score(networks, splits.validation),
            score_logits(logits, splits.test.labels),
            strict=True,
        )
    steps = torch.stack(losses, dim=1)  # (n_seeds, n_epochs, n_steps per epoch)
    return list(map(make_fit, parameters.seeds, histories, final, steps, logits.cpu()))


def train_epoch(
    networks: nn.Module, optimizer: torch.optim.Optimizer, split: Split, batch_size: int, orders: Sequence[Generator]
) -> tuple[Tensor, list[Score]]:
    """Take one step for each batch of a random permutation, the last and smaller batch included.

    Each network has a permutation of its own. Returns the losses at each step, before it (n_networks, n_steps)
    float32, and for each network the means over all images seen.
    """
    order = torch.stack([torch.randperm(len(split), generator=one) for one in orders])  # (n_networks, n)
    order = order.to(split.labels.device)
    labels = split.labels[order]  # (n_networks, n)
    losses, seen, sizes = [], [], []
    for batch, wanted in zip(order.split(batch_size, dim=1), labels.split(batch_size, dim=1), strict=True):
        logits = networks(split.images[batch])  # (n_networks, batch_size, n_classes)
        loss = measure_loss(logits, wanted).mean(1)  # (n_networks,)
        optimizer.zero_grad()
        loss.backward(torch.ones_like(loss))  # they share no weights, so each gets the gradient of its own loss
        optimizer.step()
        losses.append(loss.detach())
        seen.append(logits.detach())
        sizes.append(batch.shape[1])
    step_losses = torch.stack(losses, dim=1).cpu()  # (n_networks, n_steps)
    means = step_losses.double() @ torch.tensor(sizes, dtype=torch.float64) / len(split)
    n_correct = (torch.cat(seen, dim=1).argmax(2) == labels).sum(1)
    return step_losses, make_scores(means, n_correct / len(split))


def measure_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each prediction in nats, in the shape of the labels."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)


@torch.inference_mode()
def predict(networks: nn.Module, split: Split) -> Tensor:
    """Return the logits (n_networks, n, n_classes) of a split, with fixed weights."""
    n_networks = len(next(networks.parameters()))
    chunks = split.images.split(1000)  # each is copied for every network
    return torch.cat([networks(images.expand(n_networks, -1, -1)) for images in chunks], dim=1)


def score(networks: nn.Module, split: Split) -> list[Score]:
    """Return for each network its loss and accuracy on a split, with fixed weights."""
    return score_logits(predict(networks, split), split.labels)


def score_logits(logits: Tensor, labels: Tensor) -> list[Score]:
    """Return for each network the mean cross-entropy in nats, which may be infinite or not a number, and the fraction correct."""
    labels = labels.expand(len(logits), -1)
    return make_scores(measure_loss(logits, labels).double().mean(1), (logits.argmax(2) == labels).double().mean(1))


def make_scores(losses: Tensor, accuracies: Tensor) -> list[Score]:
    """Return a score for each network, whatever the numbers are."""
    pairs = zip(losses.tolist(), accuracies.tolist(), strict=True)
    return [Score.model_construct(loss=loss, accuracy=accuracy) for loss, accuracy in pairs]


def make_rows(epoch: int, train: list[Score], validation: list[Score], cpu_seconds: float) -> list[EpochRow]:
    """Return for each network the row of an epoch in its history, whatever the numbers are."""
    return [
        EpochRow.model_construct(
            epoch=epoch,
            train_loss=one.loss,
            train_accuracy=one.accuracy,
            val_loss=other.loss,
            val_accuracy=other.accuracy,
            cpu_seconds=cpu_seconds,
        )
        for one, other in zip(train, validation, strict=True)
    ]


def make_fit(seed: int, history: list[EpochRow], final: tuple[Score, ...], step_losses: Tensor, logits: Tensor) -> Fit:
    """Return how one network went, given its loss at every step (n_epochs, n_steps per epoch) and its test logits.

    It diverged if its history ends early or a final loss is not a finite number.
    """
    completed = len(history) == len(step_losses) + 1 and all(math.isfinite(one.loss) for one in final)
    if not completed:
        steps = step_losses[: len(history)].flatten()  # row 0 is untrained, so these include the epoch that broke
        result = SeedResult(seed=seed, status="diverged", epochs=tuple(history))
        return Fit(result, steps[: int(steps.isfinite().long().cumprod(0).sum())], None)
    train, validation, test = final
    result = SeedResult(
        seed=seed, status="completed", epochs=tuple(history), train=train, validation=validation, test=test
    )
    return Fit(result, step_losses.flatten(), logits)


def start_networks(parameters: Setup, splits: Splits, weights: Sequence[Generator]) -> nn.Sequential:
    """Return an untrained network for each generator of weights, for these splits and on their device."""
    sizes = (splits.train.images.shape[1], *parameters.hidden_sizes, len(splits.class_names))
    return make_networks(sizes, weights).to(splits.train.images.device)


def make_generators(seed: int) -> tuple[Generator, Generator]:
    """Return independent generators for the initial weights and for the order of the batches.

    Their seeds are spawned from one, as numpy's SeedSequence does it (O'Neill, 2015, on seeding with hashes).
    """
    children = np.random.SeedSequence(seed).spawn(2)
    weights, order = (int(child.generate_state(1, np.uint64)[0] >> 1) for child in children)
    return Generator().manual_seed(weights), Generator().manual_seed(order)


@contextmanager
def computing_repeatably() -> Iterator[None]:
    """Compute with one thread and deterministic kernels, so that the same study gives the same bits.

    Two threads add up in another order, which changes the last digits.
    """
    n_threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # costs a tenth of the time, and nothing reads it
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = fills
