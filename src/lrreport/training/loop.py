"""Fit one network; the loop a reader wants to see."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from lrreport.record import EpochRow, Score, SeedResult
from lrreport.study import Parameters
from lrreport.training.data import Split, Splits
from lrreport.training.model import make_network


@dataclass(frozen=True)
class Fit:
    """One seed's result, its loss at every training step (n_steps,) and its test logits (n_test, n_classes).

    A diverged fit has the step losses up to the last finite one and no test logits.
    """

    result: SeedResult
    step_losses: Tensor
    test_logits: Tensor | None


def fit_seeds(parameters: Parameters, splits: Splits, on_epoch: Callable[[], None] = lambda: None) -> list[Fit]:
    """Return a fit for each seed, all at one learning rate; `on_epoch` is called after each epoch."""
    return [fit(parameters, splits, seed, on_epoch) for seed in parameters.seeds]


def fit(parameters: Parameters, splits: Splits, seed: int, on_epoch: Callable[[], None] = lambda: None) -> Fit:
    """Train one network and score it on validation after each epoch, on all three splits after the last.

    The seed alone decides the initial weights and the order of the batches, so runs that differ in their
    learning rate are paired: they start equal and see the same batches.
    """
    weights, order = make_generators(seed)
    with computing_repeatably():
        network = start_network(parameters, splits, weights)
        optimizer = torch.optim.Adam(network.parameters(), lr=parameters.learning_rate, fused=True)
        train, validation = score(network, splits.train), score(network, splits.validation)
        rows, losses = [make_row(0, train, validation, 0.0)], []
        for epoch in range(1, parameters.epochs + 1):
            started = time.process_time()
            step_losses, train = train_epoch(network, optimizer, splits.train, parameters.batch_size, order)
            seconds = time.process_time() - started
            losses.append(step_losses)
            validation = score(network, splits.validation)
            on_epoch()
            if not all_finite(train, validation):
                return Fit(SeedResult(seed=seed, status="diverged", epochs=tuple(rows)), cut_finite(losses), None)
            rows.append(make_row(epoch, train, validation, seconds))
        train, test_logits = score(network, splits.train), predict(network, splits.test)
        test = score_logits(test_logits, splits.test.labels)
        if not all_finite(train, test):
            return Fit(SeedResult(seed=seed, status="diverged", epochs=tuple(rows)), cut_finite(losses), None)
        result = SeedResult(
            seed=seed, status="completed", epochs=tuple(rows), train=train, validation=validation, test=test
        )
        return Fit(result, torch.cat(losses), test_logits.cpu())


def train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, split: Split, batch_size: int, order: Generator
) -> tuple[Tensor, Score]:
    """Take one step for each batch of a random permutation, the last and smaller batch included.

    Returns the loss at each step, before it (n_steps,) float32, and the means over all images seen.
    """
    batches = torch.randperm(len(split), generator=order).to(split.labels.device).split(batch_size)
    losses = torch.empty(len(batches), device=split.labels.device)
    n_correct = torch.zeros((), dtype=torch.int64, device=split.labels.device)
    for step, batch in enumerate(batches):
        labels = split.labels[batch]  # (batch_size,)
        logits = network(split.images[batch])  # (batch_size, n_classes)
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[step] = loss.detach()
        n_correct += (logits.argmax(1) == labels).sum()
    losses = losses.cpu()
    sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float64)
    mean_loss = float(losses.double() @ sizes / len(split))
    return losses, Score.model_construct(loss=mean_loss, accuracy=int(n_correct) / len(split))


@torch.inference_mode()
def predict(network: nn.Module, split: Split) -> Tensor:
    """Return the logits (n, n_classes) of a split, with fixed weights."""
    return torch.cat([network(images) for images in split.images.split(10_000)])


def score(network: nn.Module, split: Split) -> Score:
    """Return the loss and accuracy of a network on a split, with fixed weights."""
    return score_logits(predict(network, split), split.labels)


def score_logits(logits: Tensor, labels: Tensor) -> Score:
    """Return the mean cross-entropy in nats and the fraction correct; the loss may be infinite or not a number."""
    loss = cross_entropy(logits, labels, reduction="none").double().mean()
    accuracy = (logits.argmax(1) == labels).double().mean()
    return Score.model_construct(loss=float(loss), accuracy=float(accuracy))


def start_network(parameters: Parameters, splits: Splits, weights: Generator) -> nn.Module:
    """Return the untrained network for these splits, on their device."""
    sizes = (splits.train.images.shape[1], *parameters.hidden_sizes, len(splits.class_names))
    return make_network(sizes, weights).to(splits.train.images.device)


def make_generators(seed: int) -> tuple[Generator, Generator]:
    """Return independent generators for the initial weights and for the order of the batches.

    Their seeds are spawned from one, as numpy's SeedSequence does it (O'Neill, 2015, on seeding with hashes).
    """
    children = np.random.SeedSequence(seed).spawn(2)
    weights, order = (int(child.generate_state(1, np.uint64)[0] >> 1) for child in children)
    return Generator().manual_seed(weights), Generator().manual_seed(order)


def make_row(epoch: int, train: Score, validation: Score, cpu_seconds: float) -> EpochRow:
    """Return the row of an epoch in a history."""
    return EpochRow(
        epoch=epoch,
        train_loss=train.loss,
        train_accuracy=train.accuracy,
        val_loss=validation.loss,
        val_accuracy=validation.accuracy,
        cpu_seconds=cpu_seconds,
    )


def all_finite(*scores: Score) -> bool:
    """Return whether every loss is a finite number."""
    return all(math.isfinite(score.loss) for score in scores)


def cut_finite(losses: list[Tensor]) -> Tensor:
    """Return the step losses before the first that is infinite or not a number."""
    steps = torch.cat(losses)
    broken = torch.nonzero(~steps.isfinite())
    return steps[: int(broken[0])] if len(broken) else steps


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
