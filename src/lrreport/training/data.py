"""A dataset -> tensors: three splits, scaled, with every example in exactly one of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrreport.errors import LrreportError
from lrreport.provenance import digest_module
from lrreport.settings import IMPORT_PATH
from lrreport.training.cache import find_prepared, load_prepared
from lrreport.training.datasets import Dataset, load_dataset
from lrreport.training.files import ensure_files, find_data_root, find_digests

PREPARED = "prepared"  # folder of the data root
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Inputs (n, …) float32, pixels in [-1, 1], or int64 of a user's own, and labels (n,) int64."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> "Split":
        """Return the split on a device, "cpu" or "cuda"."""
        return Split(self.inputs.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Splits:
    """The examples to learn from, those that compare learning rates, and those that decide nothing.

    `equal_images` is what `count_equal` says of them, `digests` are the SHA-256 of what they were made from.
    """

    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    equal_images: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of examples in each split."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    def to(self, device: str) -> "Splits":
        """Return the splits on a device, "cpu" or "cuda"."""
        train, validation, test = (one.to(device) for one in (self.train, self.validation, self.test))
        return Splits(train, validation, test, self.class_names, self.equal_images, self.digests)


def load_splits(
    dataset: str,
    validation_size: int,
    split_seed: int,
    code_folder: str = "",
    prepared: str = "",
    data_root: Path | None = None,
) -> Splits:
    """Return a dataset's splits; the validation examples are drawn from those to train, of each class in proportion.

    `code_folder` is where a dataset of a user's own is looked for, unless `keep_splits` has kept it as `prepared`. Raises
    LrreportError if the data cannot be had, or has too few examples for a validation set of `validation_size`.
    """
    folder = find_data_root(data_root) / PREPARED
    if IMPORT_PATH.match(dataset):
        kept = find_prepared(folder, prepared) if prepared else None
        return divide(kept or prepare(load_dataset(dataset, code_folder), validation_size, split_seed))
    ensure_files(dataset, data_root)
    key = name_prepared(dataset, find_digests(dataset, data_root), validation_size, split_seed)
    return divide(
        load_prepared(folder, key, lambda: prepare(load_dataset(dataset, "", data_root), validation_size, split_seed))
    )


def keep_splits(name: str, dataset: Dataset, validation_size: int, split_seed: int) -> tuple[Splits, str]:
    """Return the splits of a dataset of a user's own, and the key under which `load_splits` finds them."""
    key = name_prepared(name, dataset.digests, validation_size, split_seed)
    kept = load_prepared(find_data_root() / PREPARED, key, lambda: prepare(dataset, validation_size, split_seed))
    return divide(kept), key


def name_prepared(dataset: str, digests: Mapping[str, str], validation_size: int, split_seed: int) -> str:
    """Return the key of prepared data: it names all that they depend on."""
    modules = [digest_module(Path(__file__).with_name(name)) for name in ("data.py", "datasets.py")]
    made_from = (dataset, sorted(digests.items()), validation_size, split_seed, modules)
    return hashlib.sha256(repr(made_from).encode()).hexdigest()[:16]


def divide(prepared: Mapping[str, Any]) -> Splits:
    """Return the splits that `prepare` made, under its names."""
    train, validation, test = (Split(prepared[f"{name} inputs"], prepared[f"{name} labels"]) for name in SPLITS)
    return Splits(train, validation, test, tuple(prepared["class names"]), prepared["equal"], prepared["digests"])


def prepare(dataset: Dataset, validation_size: int, split_seed: int) -> dict[str, Any]:
    """Return all that splits consist of, as tensors and plain values."""
    held_out = hold_out(dataset.train_labels, validation_size, split_seed)
    inputs = {
        "train": dataset.train_inputs[~held_out],
        "validation": dataset.train_inputs[held_out],
        "test": dataset.test_inputs,
    }
    return {
        **{f"{name} inputs": scale_pixels(one) if one.dtype == torch.uint8 else one for name, one in inputs.items()},
        "train labels": dataset.train_labels[~held_out],
        "validation labels": dataset.train_labels[held_out],
        "test labels": dataset.test_labels,
        "equal": count_equal(inputs),
        "class names": list(dataset.class_names),
        "digests": dataset.digests,
    }


def scale_pixels(pixels: Tensor) -> Tensor:
    """Return pixels 0 … 255 as float32 values in [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1)


def hold_out(labels: Tensor, size: int, seed: int) -> Tensor:
    """Return a mask (n,) that is true for `size` labels, of each class in proportion, drawn with `seed`."""
    classes, counts = labels.unique(return_counts=True)
    n, n_classes = len(labels), len(classes)
    if counts.min() < 2 or not n_classes <= size <= n - n_classes:
        problem = f"there can be {n_classes} to {n - n_classes}"
        if counts.min() < 2:
            problem = (
                f"class {int(classes[counts.argmin()])} has one example only, and both sides need one of each class"
            )
        raise LrreportError(f"validation_size = {size}: of {n} examples in {n_classes} classes {problem}")
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(n, dtype=torch.bool)
    for label, share in zip(classes, share_out(size, counts.tolist()), strict=True):
        members = torch.nonzero(labels == label).squeeze(1)  # (n_members,)
        mask[members[torch.randperm(len(members), generator=generator)[:share]]] = True
    return mask


def share_out(size: int, counts: Sequence[int]) -> list[int]:
    """Return how many to take of each class, in proportion to its count (largest remainder); some of each, and some stay."""
    exact = [size * count / sum(counts) for count in counts]
    shares = [min(max(1, int(one)), count - 1) for one, count in zip(exact, counts, strict=True)]
    while sum(shares) < size:
        place = max((p for p in range(len(counts)) if shares[p] < counts[p] - 1), key=lambda p: exact[p] - shares[p])
        shares[place] += 1
    while sum(shares) > size:
        place = min((p for p in range(len(counts)) if shares[p] > 1), key=lambda p: exact[p] - shares[p])
        shares[place] -= 1
    return shares


def count_equal(parts: Mapping[str, Tensor]) -> dict[str, int]:
    """Return how many examples repeat an earlier one of their split, and how many of a later split one of an earlier.

    The splits' inputs (n, …) are given by name; the keys are these names, or two of them joined by " and ".
    """
    digests = {name: [_digest_example(one) for one in inputs.numpy()] for name, inputs in parts.items()}
    counts = {name: len(found) - len(set(found)) for name, found in digests.items()}
    for one, other in combinations(digests, 2):
        known = set(digests[one])
        counts[f"{one} and {other}"] = sum(digest in known for digest in digests[other])
    return counts


def _digest_example(example: "np.ndarray[Any, Any]") -> bytes:
    return hashlib.blake2b(example.tobytes(), digest_size=16).digest()


def pick_examples(split: Split, per_class: int) -> Tensor:
    """Return the places of the first `per_class` examples of each class, class by class: (n_classes · per_class,)."""
    return torch.cat([torch.nonzero(split.labels == label)[:per_class, 0] for label in split.labels.unique()])


def show_images(inputs: Tensor) -> "np.ndarray[Any, Any] | None":
    """Return inputs (n, channels, height, width) as images (n, height, width[, 3]) in [0, 1]; None if they are none."""
    if inputs.dim() != 4 or inputs.shape[1] not in (1, 3):
        return None
    low, high = inputs.min(), inputs.max()
    scaled = (inputs.cpu() - low.cpu()) / (high - low).cpu().clamp(min=1e-12)
    return scaled.permute(0, 2, 3, 1).squeeze(-1).numpy()
