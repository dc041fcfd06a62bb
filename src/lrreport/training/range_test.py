"""The learning-rate range test: a rate that grows with every step, until the loss blows up (Smith, 2017, section 3.3)."""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import psutil
import torch
from torch import Generator, Tensor

from lrreport.provenance import collect_facts, identify
from lrreport.record import Arrays, RangeRecord
from lrreport.settings import RangeParameters
from lrreport.training.build import choose_loss, start_networks, start_optimizers
from lrreport.training.data import Splits
from lrreport.training.loop import computing_repeatably, make_generators
from lrreport.training.own_code import quietly


def sweep_rates(parameters: RangeParameters, splits: Splits, code_folder: str = "") -> Tensor:
    """Return the loss of each seed's network before each step (n_seeds, n_steps), while the rate grows.

    From its first loss that is infinite or not a number on, a network has NaN.
    """
    with computing_repeatably(), quietly():
        weights, orders, noise = zip(*map(make_generators, parameters.seeds), strict=True)
        networks = start_networks(parameters, splits, weights, noise, code_folder)
        optimizer = start_optimizers(parameters, networks, parameters.lowest, code_folder)
        measure, _ = choose_loss(parameters, code_folder)
        losses = torch.full((parameters.steps, len(orders)), torch.nan)
        batches = draw_batches(len(splits.train), parameters.batch_size, orders)
        for step, (rate, batch) in enumerate(zip(list_rates(parameters), batches, strict=False)):
            optimizer.set_rate(rate)
            batch = batch.to(splits.train.labels.device)  # (n_seeds, batch_size)
            logits = networks(splits.train.inputs[batch])
            loss = measure(logits, splits.train.labels[batch]).mean(1)  # (n_seeds,)
            optimizer.zero_grad()
            loss.backward(torch.ones_like(loss))
            optimizer.step()
            losses[step] = loss.detach().cpu()
    finite = losses.isfinite().long().cumprod(0).bool()
    return losses.where(finite, torch.nan).T


def list_rates(parameters: RangeParameters) -> list[float]:
    """Return the learning rate of each step, growing by the same factor."""
    lowest, factor, n = parameters.lowest, parameters.highest / parameters.lowest, parameters.steps
    return [lowest * factor ** (step / (n - 1)) for step in range(n)]


def draw_batches(n: int, batch_size: int, orders: Sequence[Generator]) -> Iterator[Tensor]:
    """Yield places of images (n_seeds, batch_size), epoch after epoch without end, each seed in an order of its own."""
    while True:
        yield from torch.stack([torch.randperm(n, generator=order) for order in orders]).split(batch_size, dim=1)


def make_range_record(parameters: RangeParameters, splits: Splits, code_folder: str = "") -> RangeRecord:
    """Return the record of a range test; its arrays are those of `collect_range_arrays`."""
    facts = collect_facts() | {"wall_seconds": round(time.time() - psutil.Process().create_time(), 3)}
    return RangeRecord(identity=identify(parameters, splits.digests, code_folder), facts=facts)


def collect_range_arrays(parameters: RangeParameters, losses: Tensor) -> Arrays:
    """Return the arrays that belong to the record of a range test: see `lrreport.record.load_arrays`."""
    return {"rates": np.array(list_rates(parameters)), "losses": losses.numpy()}
