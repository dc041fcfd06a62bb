"""The learning-rate range test: a rate that grows with every step, until the loss blows up (Smith, 2017, section 3.3)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from lrreport.record.provenance import identify
from lrreport.record.record import Arrays, RangeRecord
from lrreport.study.settings import RangeSetup
from lrreport.training.build import choose_losses, start_networks, start_optimizers
from lrreport.training.data import Splits
from lrreport.training.eager import run_eagerly
from lrreport.training.loop import compute_repeatably, make_generators
from lrreport.training.make_record import collect_run_facts
from lrreport.training.user_code.load import capture_stdout


def sweep_rates(setup: RangeSetup, splits: Splits, code_folder: str = "") -> Tensor:
    """Return the loss of each seed's network before each step (n_seeds, n_steps), while the rate grows.

    From its first loss that is infinite or not a number on, a network has NaN.
    """
    with compute_repeatably(), run_eagerly(setup), capture_stdout():
        weights, orders, noise = zip(*map(make_generators, splits.seeds), strict=True)
        networks = start_networks(setup, splits, weights, noise, code_folder)
        optimizer = start_optimizers(setup, networks, setup.lowest, code_folder)
        measure, _ = choose_losses(setup, splits.train.targets, code_folder)
        losses = torch.full((setup.steps, len(orders)), torch.nan)
        batches = draw_batches(splits.train_index, setup.batch_size, orders)
        for step, (rate, batch) in enumerate(zip(list_rates(setup), batches, strict=False)):
            optimizer.set_rate(rate)
            batch = batch.to(splits.train.targets.device)  # (n_seeds, batch_size)
            outputs = networks(splits.train.gather_inputs(batch))
            loss = measure(outputs, splits.train.targets[batch]).mean(1)  # (n_seeds,)
            optimizer.zero_grad()
            loss.sum().backward()
            if setup.clip_norm is not None:
                networks.clip_gradients(setup.clip_norm)
            optimizer.step()
            losses[step] = loss.detach().cpu()
    finite = losses.isfinite().long().cumprod(0).bool()
    return losses.where(finite, torch.nan).T


def list_rates(setup: RangeSetup) -> list[float]:
    """Return the learning rate of each step, growing by the same factor."""
    lowest, factor, n = setup.lowest, setup.highest / setup.lowest, setup.steps
    return [lowest * factor ** (step / (n - 1)) for step in range(n)]


def draw_batches(index: Tensor, batch_size: int, orders: Sequence[Generator]) -> Iterator[Tensor]:
    """Yield indices of examples (n_seeds, batch_size), epoch after epoch without end, each seed in an order of its own.

    `index` (n_seeds, n) are the indices of the examples that each seed learns from.
    """
    while True:
        shuffled = [own[torch.randperm(len(own), generator=order)] for own, order in zip(index, orders, strict=True)]
        yield from torch.stack(shuffled).split(batch_size, dim=1)


def make_range_records(
    setup: RangeSetup, splits: Splits, losses: Tensor, code_folder: str = ""
) -> list[tuple[RangeRecord, Arrays]]:
    """Return the record of a range test, with its arrays: rates (n_steps,) and losses (n_seeds, n_steps)."""
    [identity] = identify(setup, splits.seeds, splits.digests, code_folder)
    settings = setup.model_dump(mode="json", exclude_none=True) | {"seeds": list(splits.seeds)}
    arrays = {"rates": np.array(list_rates(setup)), "losses": losses.numpy()}
    return [(RangeRecord(identity=identity, settings=settings, facts=collect_run_facts(splits)), arrays)]
