"""Fit one network for each seed, side by side; the loop a reader wants to see."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic
from torch import Generator, Tensor

from lrreport.errors import LrreportError
from lrreport.study.metrics import find_metric
from lrreport.study.settings import Training
from lrreport.training.build import choose_losses, start_networks, start_optimizers
from lrreport.training.data import Split, Splits
from lrreport.training.eager import run_eagerly
from lrreport.training.networks import Networks
from lrreport.training.optimizers import OptimizerGroup, make_schedule
from lrreport.training.scores import LossFunction, Scores, accuracy, list_quantities, score_outputs
from lrreport.training.user_code.load import capture_stdout

Row = dict[str, float]  # metric -> value
RUNNING = ("loss", "accuracy")  # quantities of which a mean over the epoch is kept


@dataclass
class Fit:
    """How one seed's training went.

    `history` has a row for the untrained network and for each epoch after which all numbers were finite: train_* are
    means over the epoch, val_* are taken at its end. `final` are the values of the network after its last epoch: the last
    row, final_train_* and test_*; it is empty if the fit diverged. With early stopping `best_epoch` is the epoch at which
    the metric that stops was best, and `best` the values of final_train_* and test_* then. `step_losses` (n_steps,) are
    the losses before each step up to the last finite one, `test_outputs` (n_test, n_outputs) those of the last epoch.
    """

    seed: int
    status: str = "completed"
    reason: str = ""
    history: list[Row] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    final: Row = field(default_factory=dict)
    best_epoch: int | None = None
    best: Row = field(default_factory=dict)
    step_losses: Tensor = field(default_factory=lambda: torch.empty(0))
    test_outputs: Tensor | None = None

    @property
    def n_epochs(self) -> int:
        """How many epochs its history has."""
        return len(self.history) - 1


def fit_seeds(
    training: Training, splits: Splits, on_epoch: Callable[[], None] = lambda: None, code_folder: str = ""
) -> list[Fit]:
    """Train a network for each seed of the splits, all with the same settings, and return how each of them went.

    They are scored on validation after each epoch, on all splits after the last; `on_epoch` is called after each. A seed
    alone decides the initial weights, the order of the batches and the validation examples, so runs that differ in their
    learning rate are paired: they start equal and see the same batches. Modules of the user's are looked for in
    `code_folder`. Raises LrreportError if the loss of an untrained network is not finite.
    """
    with compute_repeatably(), run_eagerly(training), capture_stdout():
        weights, orders, noise = zip(*map(make_generators, splits.seeds), strict=True)
        networks = start_networks(training, splits, weights, noise, code_folder)
        optimizer = start_optimizers(training, networks, training.learning_rate, code_folder)
        n_steps = math.ceil(splits.sizes["train"] / training.batch_size)
        schedule = make_schedule(training, optimizer.parts, n_steps, code_folder)
        training_loss, loss = choose_losses(training, splits.train.targets, code_folder)
        stopper = EarlyStopper(training, splits)
        fits = [Fit(seed) for seed in splits.seeds]
        untrained = score_train(networks, splits, loss)
        running: Scores = {name: values for name, values in untrained.items() if name in RUNNING}
        add_rows(fits, make_rows(train=running, val=score_validation(networks, splits, loss)))
        if any(fit.reason for fit in fits):
            raise LrreportError("the loss of the untrained network is not finite: check its outputs, loss and data")
        losses = []
        for _ in range(training.epochs):
            started = time.process_time()
            step_losses, running = train_epoch(
                networks, optimizer, schedule, training_loss, splits.train, splits.train_index, training.batch_size,
                orders, training.clip_norm,
            )  # fmt: skip
            seconds = (time.process_time() - started) / len(fits)
            losses.append(step_losses)
            add_rows(fits, make_rows(train=running, val=score_validation(networks, splits, loss)), seconds)
            stopper.observe(fits, networks)
            on_epoch()
            if all(fit.reason for fit in fits):  # nothing is left to train
                break
        finish_fits(fits, networks, splits, loss, stopper)
    by_seed = torch.stack(losses, dim=1)  # (n_seeds, n_epochs, n_steps per epoch)
    for fit, seed_losses in zip(fits, by_seed, strict=True):
        seen = seed_losses[: fit.n_epochs + (fit.status == "diverged")].flatten()  # with the epoch that broke
        fit.step_losses = seen[: int(seen.isfinite().long().cumprod(0).sum())]
    return fits


def train_epoch(
    networks: Networks,
    optimizer: OptimizerGroup,
    schedule: OptimizerGroup,
    measure: LossFunction,
    split: Split,
    index: Tensor,
    batch_size: int,
    orders: Sequence[Generator],
    clip_norm: float | None = None,
) -> tuple[Tensor, Scores]:
    """Take one step for each batch of a random permutation, the last and smaller batch included.

    Each network has examples (`index`, n_networks × n) and a permutation of its own. Returns the losses before each step
    (n_networks, n_steps) float32, and the means over all examples seen of the loss and, for classes, the accuracy.
    """
    networks.train()
    order = torch.stack(
        [own[torch.randperm(len(own), generator=generator)] for own, generator in zip(index, orders, strict=True)]
    )
    order = order.to(split.targets.device)  # (n_networks, n)
    targets = split.targets[order]  # (n_networks, n[, n_outputs])
    losses, seen, sizes = [], [], []
    for batch, wanted in zip(order.split(batch_size, dim=1), targets.split(batch_size, dim=1), strict=True):
        outputs = networks(split.gather_inputs(batch))  # (n_networks, batch_size, n_outputs)
        loss = measure(outputs, wanted).mean(1)  # (n_networks,)
        optimizer.zero_grad()
        loss.sum().backward()  # they share no weights, so each gets the gradient of its own loss
        if clip_norm is not None:
            networks.clip_gradients(clip_norm)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        seen.append(outputs.detach())
        sizes.append(batch.shape[1])
    step_losses = torch.stack(losses, dim=1).float().cpu()  # (n_networks, n_steps)
    means = {"loss": step_losses.double() @ torch.tensor(sizes, dtype=torch.float64) / sum(sizes)}
    if not targets.is_floating_point():
        means["accuracy"] = accuracy(torch.cat(seen, dim=1), targets).float()  # as records of schema 1 have it
    return step_losses, means


@torch.no_grad()  # not inference_mode: what a module keeps of its first pass must do for training too
def predict(networks: Networks, split: Split, index: Tensor | None = None) -> Tensor:
    """Return the outputs (n_networks, n, n_outputs) for a split, with fixed weights.

    `index` are the examples, (n,) of all networks or (n_networks, n) of each; None stands for all of the split.
    """
    networks.eval()
    if index is None:
        chunks = split.inputs.split(1000)
    else:
        chunks = (split.inputs[part.to(split.inputs.device)] for part in index.split(1000, dim=-1))
    if index is None or index.dim() == 1:
        chunks = (chunk.expand(networks.n_networks, *chunk.shape) for chunk in chunks)
    return torch.cat([networks(chunk) for chunk in chunks], dim=1)


def score(networks: Networks, split: Split, measure: LossFunction, index: Tensor | None = None) -> Scores:
    """Return each metric of each network on a split, with fixed weights."""
    targets = split.targets if index is None else split.targets[index.to(split.targets.device)]
    return score_outputs(predict(networks, split, index), targets, measure)


def score_train(networks: Networks, splits: Splits, measure: LossFunction) -> Scores:
    """Return each metric of each network on the examples that it learns from, with fixed weights."""
    if splits.is_shared:
        return score(networks, splits.train, measure, splits.train_index[0])
    index = splits.train_index.to(splits.train.targets.device)
    outputs = predict(networks, splits.train)  # of all examples, which costs less than to copy those of each seed
    own = outputs.gather(1, index.unsqueeze(2).expand(-1, -1, outputs.shape[2]))
    return score_outputs(own, splits.train.targets[index], measure)


def score_validation(networks: Networks, splits: Splits, measure: LossFunction) -> Scores:
    """Return each metric of each network on its validation examples, or nothing where there are none."""
    if not splits.sizes["validation"]:
        return {}
    index = splits.validation_index[0] if splits.is_shared else splits.validation_index
    return score(networks, splits.train, measure, index)


def make_rows(**scores: Scores) -> list[Row]:
    """Return the scores of each network as a row of metrics: make_rows(val={"loss": …}) gives "val_loss"."""
    columns = {
        f"{prefix}_{name}": values.tolist()
        for prefix, split_scores in scores.items()
        for name, values in split_scores.items()
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def add_rows(fits: Sequence[Fit], rows: Sequence[Row], seconds: float = 0.0) -> None:
    """Add a row, and the CPU seconds of its epoch, to each fit that goes on; where it is not finite, the fit has diverged."""
    for fit, row in zip(fits, rows, strict=True):
        if fit.reason:  # it has diverged or stopped
            continue
        if is_finite(row):
            fit.history.append(row)
            fit.cpu_seconds.append(seconds)
        else:
            fit.status, fit.reason = "diverged", f"a value was not finite in epoch {len(fit.history)}"


def is_finite(row: Row) -> bool:
    """Return whether all values are finite numbers."""
    return all(map(math.isfinite, row.values()))


class EarlyStopper:
    """Stop each seed once its metric has not improved for `patience` epochs; the others train on.

    The weights of its best epoch, and of its last if it stops early, are kept to score the network with at the end.
    """

    def __init__(self, training: Training, splits: Splits):
        self.settings = training.early_stopping
        self.best: dict[int, list[Tensor]] = {}  # index of the network -> weights
        self.last: dict[int, list[Tensor]] = {}
        if self.settings is not None:
            known = [f"val_{name}" for name in list_quantities(splits.train.targets)]
            metric = find_metric(self.settings.metric)
            if metric is None or metric.name not in known:
                raise LrreportError(
                    f"early_stopping.metric = {self.settings.metric!r}: not measured here; give one of {', '.join(known)}"
                )
            self.sign = metric.sign

    def observe(self, fits: Sequence[Fit], networks: Networks) -> None:
        """Look at the last row of each fit that goes on; keep the best weights so far, and stop it if it is time."""
        if self.settings is None:
            return
        for index, fit in enumerate(fits):
            if fit.reason:
                continue
            values = [self.sign * row[self.settings.metric] for row in fit.history[1:]]
            if fit.best_epoch is None or values[-1] > values[fit.best_epoch - 1]:
                fit.best_epoch, self.best[index] = len(values), networks.copy_state(index)
            if len(values) - fit.best_epoch >= self.settings.patience:
                self.last[index] = networks.copy_state(index)
                epochs = f"{self.settings.patience} epoch{'s' if self.settings.patience > 1 else ''}"
                fit.reason = f"stopped after epoch {len(values)}: {self.settings.metric} had not improved for {epochs}"


def finish_fits(
    fits: Sequence[Fit], networks: Networks, splits: Splits, loss: LossFunction, stopper: EarlyStopper
) -> None:
    """Score each network on all splits with the weights of its last epoch, and with early stopping of its best."""
    for index, state in stopper.last.items():
        networks.load_state(index, state)
    outputs = predict(networks, splits.test)
    test = score_outputs(outputs, splits.test.targets, loss)
    rows = make_rows(final_train=score_train(networks, splits, loss), test=test)
    for fit, row, own in zip(fits, rows, outputs.cpu(), strict=True):
        if fit.status != "diverged" and is_finite(row):
            fit.final, fit.test_outputs = {**fit.history[-1], **row}, own
        else:
            fit.status, fit.reason = "diverged", fit.reason or "a final value was not finite"
    if not stopper.best:
        return
    for index, state in stopper.best.items():
        networks.load_state(index, state)
    best = make_rows(final_train=score_train(networks, splits, loss), test=score(networks, splits.test, loss))
    for fit, row in zip(fits, best, strict=True):
        if fit.status != "diverged" and is_finite(row):
            fit.best = row
        else:
            fit.best_epoch = None


def make_generators(seed: int) -> tuple[Generator, Generator, Generator]:
    """Return independent generators for the initial weights, the order of the batches, and noise such as dropout.

    Their seeds are spawned from `seed`, as numpy's SeedSequence does it (O'Neill, 2015, on seeding with hashes); the fourth
    of them draws the validation examples, see `lrreport.training.data.draw_split`.
    """
    children = np.random.SeedSequence(seed).spawn(3)
    weights, order, noise = (
        Generator().manual_seed(int(child.generate_state(1, np.uint64)[0] >> 1)) for child in children
    )
    return weights, order, noise


@contextmanager
def compute_repeatably() -> Iterator[None]:
    """Compute with one thread and deterministic kernels, so that the same study gives the same bits.

    Two threads add up in another order, which changes the last digits.
    """
    n_threads = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms would import the compiler
    memory.fill_uninitialized_memory = False  # costs a tenth of the time, and nothing reads it
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = fills
