"""A dataset -> tensors: what to train with, scaled, and for each seed which of it is held out for validation."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrreport.errors import LrreportError
from lrreport.record.provenance import digest_module
from lrreport.study.settings import IMPORT_PATH, Setup
from lrreport.training.cache import find_prepared, load_prepared
from lrreport.training.datasets import Dataset, load_dataset
from lrreport.training.files import ensure_files, find_data_root, find_digests

PREPARED = "prepared"  # folder of the data root


@dataclass(frozen=True)
class Split:
    """Inputs (n, …) float32, or int64 of the user's own; labels (n,) int64, or for regression targets (n, k) float32."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: str) -> "Split":
        """Return the split on a device, "cpu" or "cuda"."""
        return Split(self.inputs.to(device), self.targets.to(device))

    def gather_inputs(self, index: Tensor) -> Tensor:
        """Return the inputs (m, b, …) of examples by their indices (m, b): indexing copies rows in twice the time."""
        return self.inputs.index_select(0, index.flatten()).view(*index.shape, *self.inputs.shape[1:])

    def take(self, index: Tensor) -> "Split":
        """Return some of the examples, by their indices."""
        return Split(self.inputs[index], self.targets[index])


@dataclass(frozen=True)
class Splits:
    """The examples to train with, which of them each seed learns from and which it holds out, and the test examples.

    `train_index` (n_seeds, n_train) and `validation_index` (n_seeds, n_validation) are indices among the examples of
    `train`, so that the data are there once for all seeds; `is_shared` says whether a study gives all seeds the same ones.
    There are no class names for regression. `equal_images` is what `count_equal` says of the examples, `digests` are the
    SHA-256 of what they were made from.
    """

    train: Split
    test: Split
    class_names: tuple[str, ...]
    seeds: tuple[int, ...]
    train_index: Tensor
    validation_index: Tensor
    is_shared: bool
    equal_images: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def n_outputs(self) -> int:
        """The number of classes, or of targets of an example."""
        return len(self.class_names) or self.train.targets.shape[1]

    @property
    def sizes(self) -> dict[str, int]:
        """The number of examples of a seed in each split."""
        return {
            "train": self.train_index.shape[1],
            "validation": self.validation_index.shape[1],
            "test": len(self.test),
        }

    def to(self, device: str) -> "Splits":
        """Return the splits with their examples on a device, "cpu" or "cuda"."""
        return replace(self, train=self.train.to(device), test=self.test.to(device))


def load_splits(
    setup: Setup, seeds: Sequence[int], code_folder: str = "", prepared: str = "", data_root: Path | None = None
) -> Splits:
    """Return the data of a study, divided for each seed.

    A dataset of the user's is looked for in `code_folder`, unless `keep_prepared` has kept it under the key `prepared`.
    Raises LrreportError if the data cannot be read, or has too few examples for the study's validation set.
    """
    folder = find_data_root(data_root) / PREPARED
    if IMPORT_PATH.match(setup.dataset):
        kept = find_prepared(folder, prepared) if prepared else None
        tensors = kept or prepare(load_dataset(setup.dataset, code_folder), setup.input_range)
    else:
        ensure_files(setup.dataset, data_root)
        key = name_prepared(setup.dataset, find_digests(setup.dataset), setup.input_range)
        tensors = load_prepared(
            folder, key, lambda: prepare(load_dataset(setup.dataset, "", data_root), setup.input_range)
        )
    return divide(tensors, setup.validation_size, setup.split_seed, seeds)


def keep_prepared(name: str, dataset: Dataset, input_range: tuple[float, float]) -> str:
    """Keep the tensors of a dataset of the user's; return the key under which `load_splits` finds them."""
    key = name_prepared(name, dataset.digests, input_range)
    load_prepared(find_data_root() / PREPARED, key, lambda: prepare(dataset, input_range))
    return key


def name_prepared(dataset: str, digests: Mapping[str, str], input_range: tuple[float, float]) -> str:
    """Return the key of prepared data: the SHA-256 of all that they depend on."""
    modules = [digest_module(Path(__file__).with_name(name)) for name in ("data.py", "datasets.py")]
    made_from = (dataset, sorted(digests.items()), tuple(input_range), modules)
    return hashlib.sha256(repr(made_from).encode()).hexdigest()


def prepare(dataset: Dataset, input_range: tuple[float, float] = (-1.0, 1.0)) -> dict[str, Any]:
    """Return all that the data of a study consist of, as tensors and plain values."""
    inputs = {"train": dataset.train_inputs, "test": dataset.test_inputs}
    return {
        **{f"{name} inputs": scale_pixels(part, input_range) for name, part in inputs.items()},
        "train targets": dataset.train_targets,
        "test targets": dataset.test_targets,
        "equal": count_equal(inputs),
        "class names": list(dataset.class_names),
        "digests": dataset.digests,
    }


def divide(prepared: Mapping[str, Any], validation_size: int, split_seed: int | str, seeds: Sequence[int]) -> Splits:
    """Return the splits of each seed of what `prepare` made."""
    is_shared = split_seed != "per seed" or not validation_size
    train, test = (Split(prepared[f"{name} inputs"], prepared[f"{name} targets"]) for name in ("train", "test"))
    drawn = [
        draw_split(train.targets, validation_size, split_seed, seed) for seed in (seeds[:1] if is_shared else seeds)
    ]
    train_index, validation_index = (torch.stack(rows).expand(len(seeds), -1) for rows in zip(*drawn, strict=True))
    return Splits(
        train, test, tuple(prepared["class names"]), tuple(seeds), train_index, validation_index, is_shared,
        prepared["equal"], prepared["digests"],
    )  # fmt: skip


def draw_split(targets: Tensor, size: int, split_seed: int | str, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices of the examples that a seed learns from (n − size,) and of those it holds out (size,), in order.

    "per seed" draws them with the fourth generator spawned from the seed: see `lrreport.training.loop.make_generators`.
    """
    if not size:
        return torch.arange(len(targets)), torch.arange(0)
    if split_seed == "per seed":
        split_seed = int(np.random.SeedSequence(seed).spawn(4)[3].generate_state(1, np.uint64)[0] >> 1)
    held_out = hold_out(targets, size, int(split_seed))
    return torch.nonzero(~held_out).squeeze(1), torch.nonzero(held_out).squeeze(1)


def hold_out(targets: Tensor, size: int, seed: int) -> Tensor:
    """Return a mask (n,) that is true for `size` examples drawn with `seed`, of each class in proportion if there are any.

    Raises LrreportError if either side would lack a class, or all examples.
    """
    n = len(targets)
    classes = targets.new_zeros(n, dtype=torch.int64) if targets.is_floating_point() else targets
    labels, counts = classes.unique(return_counts=True)
    if counts.min() < 2 or not len(labels) <= size <= n - len(labels):
        among = "" if targets.is_floating_point() else f" in {len(labels)} classes"
        problem = f"there can be {len(labels)} to {n - len(labels)}"
        if counts.min() < 2:
            problem = (
                f"class {int(labels[counts.argmin()])} has one example only, and both sides need one of each class"
            )
        raise LrreportError(f"validation_size = {size}: of {n} examples{among} {problem}")
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(n, dtype=torch.bool)
    for label, share in zip(labels, share_out(size, counts.tolist()), strict=True):
        members = torch.nonzero(classes == label).squeeze(1)  # (n_members,)
        mask[members[torch.randperm(len(members), generator=generator)[:share]]] = True
    return mask


def share_out(size: int, counts: Sequence[int]) -> list[int]:
    """Return how many to take of each class, in proportion to its count (largest remainder); some of each, and some stay."""
    exact = [size * count / sum(counts) for count in counts]
    shares = [min(max(1, int(share)), count - 1) for share, count in zip(exact, counts, strict=True)]
    while sum(shares) < size:
        furthest = max((i for i in range(len(counts)) if shares[i] < counts[i] - 1), key=lambda i: exact[i] - shares[i])
        shares[furthest] += 1
    while sum(shares) > size:
        furthest = min((i for i in range(len(counts)) if shares[i] > 1), key=lambda i: exact[i] - shares[i])
        shares[furthest] -= 1
    return shares


def scale_pixels(inputs: Tensor, limits: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """Return pixels 0 … 255 (uint8) as float32 values between two limits; other inputs as they are."""
    if inputs.dtype != torch.uint8:
        return inputs
    low, high = limits
    return inputs.float().div_(255 / (high - low)).add_(low)


def count_equal(parts: Mapping[str, Tensor]) -> dict[str, int]:
    """Return how many examples repeat an earlier one of their split, and how many of a later split one of an earlier.

    The splits' inputs (n, …) are given by name; the keys are these names, or two of them joined by " and ".
    """
    digests = {name: [_digest_example(example) for example in inputs.numpy()] for name, inputs in parts.items()}
    counts = {name: len(examples) - len(set(examples)) for name, examples in digests.items()}
    for first, second in combinations(digests, 2):
        known = set(digests[first])
        counts[f"{first} and {second}"] = sum(digest in known for digest in digests[second])
    return counts


def _digest_example(example: "np.ndarray[Any, Any]") -> bytes:
    return hashlib.blake2b(example.tobytes(), digest_size=16).digest()


def pick_examples(split: Split, per_class: int) -> Tensor:
    """Return the indices of the first `per_class` examples of each class, class by class; of regression none."""
    if split.targets.is_floating_point():
        return torch.arange(0)
    labels = split.targets.unique()
    return torch.cat([torch.nonzero(split.targets == label)[:per_class, 0] for label in labels]).cpu()


def show_images(inputs: Tensor) -> "np.ndarray[Any, Any] | None":
    """Return inputs (n, channels, height, width) as images (n, height, width[, 3]) in [0, 1]; None if they are none."""
    if inputs.dim() != 4 or inputs.shape[1] not in (1, 3) or not len(inputs):
        return None
    inputs = inputs.cpu().float()
    low, high = inputs.min(), inputs.max()
    scaled = (inputs - low) / (high - low).clamp(min=1e-12)
    return scaled.permute(0, 2, 3, 1).squeeze(-1).numpy()
