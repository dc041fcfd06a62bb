"""What training gave: the record of a run, and where a network errs."""

import time
from collections.abc import Sequence

import psutil
import torch
from torch import Tensor

from lrreport.provenance import collect_facts, identify
from lrreport.record import Arrays, RunRecord
from lrreport.settings import Parameters
from lrreport.training.build import start_networks
from lrreport.training.data import Splits
from lrreport.training.loop import Fit
from lrreport.training.model import count_parameters


def make_record(parameters: Parameters, splits: Splits, fits: Sequence[Fit], code_folder: str = "") -> RunRecord:
    """Return the record of a run; its arrays are those of `collect_arrays`."""
    device = splits.train.labels.device
    network = start_networks(parameters, splits, [torch.Generator()], code_folder=code_folder)
    return RunRecord(
        identity=identify(parameters, splits.digests, code_folder),
        split_sizes=splits.sizes,
        equal_images=splits.equal_images,
        class_names=splits.class_names,
        majority_accuracy=float((splits.validation.labels == splits.train.labels.mode().values).double().mean()),
        n_parameters=count_parameters(network, 1),
        seeds=tuple(fit.result for fit in fits),
        facts=collect_facts()
        | {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": 1,
            "wall_seconds": round(time.time() - psutil.Process().create_time(), 3),  # of this process so far
        },
    )


def collect_arrays(splits: Splits, fits: Sequence[Fit]) -> Arrays:
    """Return the arrays that belong to a record: see `lrreport.record.load_arrays`."""
    arrays = {"test_labels": splits.test.labels.to("cpu", torch.uint8).numpy()}
    for fit in fits:
        arrays[f"step_losses_{fit.result.seed}"] = fit.step_losses.numpy()
        if fit.test_logits is not None:
            arrays[f"test_predictions_{fit.result.seed}"] = fit.test_logits.argmax(1).to(torch.uint8).numpy()
    return arrays


def share_confusions(labels: Tensor, predictions: Tensor, n_classes: int) -> Tensor:
    """Return which share of each true class (down) was taken for each class (across): (n_classes, n_classes)."""
    counts = torch.bincount(labels * n_classes + predictions, minlength=n_classes**2).reshape(n_classes, n_classes)
    return counts / counts.sum(dim=1, keepdim=True)


def find_confident_mistakes(labels: Tensor, logits: Tensor, count: int) -> Tensor:
    """Return the places of the wrong predictions with the highest probability, the most confident first: (≤ count,)."""
    confidence, predictions = logits.softmax(dim=1).max(dim=1)
    wrong = torch.nonzero(predictions != labels).squeeze(1)
    return wrong[confidence[wrong].argsort(descending=True, stable=True)[:count]]
