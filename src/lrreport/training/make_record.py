"""The records of the runs that training made."""

import time
from collections.abc import Sequence
from typing import Any

import psutil
import torch

from lrreport.record.provenance import collect_facts, identify
from lrreport.record.record import Arrays, RunRecord, Series, declare_metrics, make_series
from lrreport.study.metrics import QUANTITIES, SPLIT_PREFIXES, Metric
from lrreport.study.settings import CrossEntropy, Training
from lrreport.training.build import start_networks
from lrreport.training.data import Splits
from lrreport.training.loop import Fit
from lrreport.training.networks import count_parameters
from lrreport.training.scores import score_guessing

CPU_SECONDS = Metric(
    name="cpu_seconds", label="CPU time of an epoch", split="train", better="lower", unit="s", low=0, digits=2
)


def make_records(
    training: Training, splits: Splits, fits: Sequence[Fit], code_folder: str = ""
) -> list[tuple[RunRecord, Arrays]]:
    """Return the record of each seed's run, and its arrays: step_losses, test_predictions and test_labels.

    `history` has each metric on the axis "epoch", from 0, the untrained network, to the last epoch. With early stopping it
    also has final_train_* and test_* at the best epoch, where it differs from the last, and at the last. `final` is of the
    last epoch. The chance level of a metric is what `score_guessing` says; guessing a class is right at least once in
    n_classes.
    """
    identities = identify(training, splits.seeds, splits.digests, code_folder)
    described, facts = describe(training, splits, code_folder), collect_run_facts(splits)
    metrics = declare(training, splits, fits)
    made = []
    for identity, fit in zip(identities, fits, strict=True):
        record = RunRecord(
            identity=identity,
            settings=training.model_dump(mode="json", exclude_none=True),
            seed=fit.seed,
            status=fit.status,
            reason=fit.reason,
            metrics=metrics,
            history=make_history(fit),
            final=fit.final,
            description=described,
            facts=facts,
        )
        made.append((record, collect_arrays(splits, fit)))
    return made


def declare(training: Training, splits: Splits, fits: Sequence[Fit]) -> dict[str, Metric]:
    """Return each metric that was measured, with its chance level; a loss but cross-entropy has no unit and margin."""
    names = dict.fromkeys(name for fit in fits for row in (*fit.history, fit.final, fit.best) for name in row)
    scored = splits.train.take(splits.validation_index[0]) if splits.sizes["validation"] else splits.test
    chance = {
        name: level
        for name, level in score_guessing(splits.train.targets, scored.targets).items()
        if QUANTITIES[name].chance is None
    }
    if splits.class_names:
        chance["accuracy"] = max(chance["accuracy"], 1 / len(splits.class_names))
    levels = {f"{prefix}_{name}": level for prefix in SPLIT_PREFIXES for name, level in chance.items()}
    metrics = declare_metrics(names, levels)
    if not isinstance(training.loss, CrossEntropy):
        losses = {f"{prefix}_loss" for prefix in SPLIT_PREFIXES} & metrics.keys()
        metrics |= {name: metrics[name].model_copy(update={"unit": "", "margin": None}) for name in losses}
    return {**metrics, CPU_SECONDS.name: CPU_SECONDS}


def make_history(fit: Fit) -> tuple[Series, ...]:
    """Return the history of a fit as series by epoch."""
    series = [make_series(name, [row[name] for row in fit.history]) for name in fit.history[0]]
    series.append(make_series(CPU_SECONDS.name, fit.cpu_seconds))
    if fit.best_epoch is not None and fit.final:
        rows = {fit.best_epoch: fit.best, fit.n_epochs: fit.final}
        series += [
            Series(metric=name, axis="epoch", at=tuple(rows), values=tuple(row[name] for row in rows.values()))
            for name in fit.best
        ]
    return tuple(series)


def describe(training: Training, splits: Splits, code_folder: str) -> dict[str, Any]:
    """Return what a record says of model and data."""
    network = start_networks(training, splits, [torch.Generator()], code_folder=code_folder)
    return {
        "n_parameters": count_parameters(network, 1),
        "split_sizes": splits.sizes,
        "class_names": list(splits.class_names),
        "equal_images": splits.equal_images,
    }


def collect_run_facts(splits: Splits) -> dict[str, Any]:
    """Return the facts of this process, with its device and its seconds so far, which the runs of all its seeds share."""
    device = splits.train.targets.device
    return collect_facts() | {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": 1,
        "wall_seconds": round(max(0.0, time.time() - psutil.Process().create_time()), 3),
    }


def collect_arrays(splits: Splits, fit: Fit) -> Arrays:
    """Return the arrays that belong to the record of a run; a diverged run has no predictions."""
    targets = splits.test.targets.cpu()
    few = torch.uint8 if len(splits.class_names) <= 256 else torch.uint16
    labels = targets if targets.is_floating_point() else targets.to(few)
    arrays = {"step_losses": fit.step_losses.numpy(), "test_labels": labels.numpy()}
    if fit.test_outputs is not None:
        outputs = fit.test_outputs
        predictions = outputs.float() if targets.is_floating_point() else outputs.argmax(1).to(few)
        arrays["test_predictions"] = predictions.numpy()
    if targets.is_floating_point() and targets.shape[1] == 1:
        arrays |= {name: arrays[name][:, 0] for name in arrays if name.startswith("test_")}
    return arrays
