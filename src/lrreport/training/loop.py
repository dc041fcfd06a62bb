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
from torch import Generator, Tensor

from lrreport.errors import LrreportError
from lrreport.record import EpochRow, Score, SeedResult
from lrreport.settings import Parameters
from lrreport.training.build import Measure, choose_loss, measure_loss, start_networks, start_optimizers
from lrreport.training.data import Split, Splits
from lrreport.training.model import Networks
from lrreport.training.optimizers import Together, make_schedule
from lrreport.training.own_code import quietly


@dataclass(frozen=True)
class Fit:
    """One seed's result, its loss at every training step (n_steps,) and its test logits (n_test, n_classes).

    A diverged fit has the step losses up to the last finite one and no test logits.
    """

    result: SeedResult
    step_losses: Tensor
    test_logits: Tensor | None


def fit_seeds(
    parameters: Parameters, splits: Splits, on_epoch: Callable[[], None] = lambda: None, code_folder: str = ""
) -> list[Fit]:
    """Train a network for each seed, all at one learning rate, and return how each of them went.

    They are scored on validation after each epoch, on all three splits after the last; `on_epoch` is called after each.
    A seed alone decides the initial weights and the order of the batches, so runs that differ in their learning rate
    are paired: they start equal and see the same batches. `code_folder` is where a user's own code is looked for.
    """
    with computing_repeatably(), quietly():
        weights, orders, noise = zip(*map(make_generators, parameters.seeds), strict=True)
        networks = start_networks(parameters, splits, weights, noise, code_folder)
        optimizer = start_optimizers(parameters, networks, parameters.learning_rate, code_folder)
        n_steps = math.ceil(len(splits.train) / parameters.batch_size)
        schedule = make_schedule(parameters, optimizer.parts, parameters.learning_rate, n_steps, parameters.epochs)
        training_loss, measure = choose_loss(parameters, code_folder)
        train, validation = (score(networks, split, measure) for split in (splits.train, splits.validation))
        histories = [[row] for row in make_rows(0, train, validation, 0.0)]
        if not all(math.isfinite(row.train_loss + row.val_loss) for [row] in histories):
            raise LrreportError(
                "the loss of the untrained network is not finite: mend its outputs, the loss or the data"
            )
        losses = []
        for epoch in range(1, parameters.epochs + 1):
            started = time.process_time()
            step_losses, train = train_epoch(
                networks, optimizer, schedule, training_loss, splits.train, parameters.batch_size, orders
            )
            seconds = (time.process_time() - started) / len(histories)
            losses.append(step_losses)
            rows = make_rows(epoch, train, score(networks, splits.validation, measure), seconds)
            for history, row in zip(histories, rows, strict=True):
                if len(history) == epoch and math.isfinite(row.train_loss + row.val_loss):
                    history.append(row)
            on_epoch()
            if all(len(history) <= epoch for history in histories):  # nothing is left to train
                break
        logits = predict(networks, splits.test)
        final = zip(
            score(networks, splits.train, measure),
            score(networks, splits.validation, measure),
            score_logits(logits, splits.test.labels, measure),
            strict=True,
        )
    steps = torch.stack(losses, dim=1)  # (n_seeds, n_epochs, n_steps per epoch)
    return list(map(make_fit, parameters.seeds, histories, final, steps, logits.cpu()))


def train_epoch(
    networks: Networks,
    optimizer: Together,
    schedule: Together,
    measure: Measure,
    split: Split,
    batch_size: int,
    orders: Sequence[Generator],
) -> tuple[Tensor, list[Score]]:
    """Take one step for each batch of a random permutation, the last and smaller batch included.

    Each network has a permutation of its own. Returns the losses at each step, before it (n_networks, n_steps)
    float32, and for each network the means over all examples seen.
    """
    networks.train()
    order = torch.stack([torch.randperm(len(split), generator=one) for one in orders])  # (n_networks, n)
    order = order.to(split.labels.device)
    labels = split.labels[order]  # (n_networks, n)
    losses, seen, sizes = [], [], []
    for batch, wanted in zip(order.split(batch_size, dim=1), labels.split(batch_size, dim=1), strict=True):
        logits = networks(split.inputs[batch])  # (n_networks, batch_size, n_classes)
        loss = measure(logits, wanted).mean(1)  # (n_networks,)
        optimizer.zero_grad()
        loss.backward(torch.ones_like(loss))  # they share no weights, so each gets the gradient of its own loss
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        seen.append(logits.detach())
        sizes.append(batch.shape[1])
    step_losses = torch.stack(losses, dim=1).float().cpu()  # (n_networks, n_steps)
    means = step_losses.double() @ torch.tensor(sizes, dtype=torch.float64) / len(split)
    n_correct = (torch.cat(seen, dim=1).argmax(2) == labels).sum(1)
    return step_losses, make_scores(means, n_correct / len(split))


@torch.inference_mode()
def predict(networks: Networks, split: Split) -> Tensor:
    """Return the logits (n_networks, n, n_classes) of a split, with fixed weights."""
    networks.eval()
    chunks = split.inputs.split(1000)  # each is copied for every network
    return torch.cat([networks(inputs.expand(networks.n_networks, *inputs.shape)) for inputs in chunks], dim=1)


def score(networks: Networks, split: Split, measure: Measure = measure_loss) -> list[Score]:
    """Return for each network its loss and accuracy on a split, with fixed weights."""
    return score_logits(predict(networks, split), split.labels, measure)


def score_logits(logits: Tensor, labels: Tensor, measure: Measure = measure_loss) -> list[Score]:
    """Return for each network the mean loss, which may be infinite or not a number, and the fraction correct."""
    labels = labels.expand(len(logits), -1)
    return make_scores(measure(logits, labels).double().mean(1), (logits.argmax(2) == labels).double().mean(1))


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


def make_generators(seed: int) -> tuple[Generator, Generator, Generator]:
    """Return independent generators for the initial weights, the order of the batches, and noise such as dropout.

    Their seeds are spawned from one, as numpy's SeedSequence does it (O'Neill, 2015, on seeding with hashes).
    """
    children = np.random.SeedSequence(seed).spawn(3)
    weights, order, noise = (
        Generator().manual_seed(int(child.generate_state(1, np.uint64)[0] >> 1)) for child in children
    )
    return weights, order, noise


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
