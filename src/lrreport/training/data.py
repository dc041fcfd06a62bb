"""Files -> tensors: three splits, flattened and scaled, with every image in exactly one of them."""

import hashlib
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrreport import LrreportError
from lrreport.provenance import digest_module
from lrreport.training.cache import load_prepared
from lrreport.training.files import DIGESTS, ensure_files, find_data_root, read_idx

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IMAGE_SHAPE = (28, 28)
N_PIXELS = 28 * 28
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Images (n, 784) float32 in [-1, 1] and labels (n,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> "Split":
        """Return the split on a device, "cpu" or "cuda"."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Splits:
    """The images to learn from, those that compare learning rates, and those that decide nothing.

    `equal_images` is what `count_equal_images` says of them.
    """

    train: Split
    validation: Split
    test: Split
    equal_images: dict[str, int]
    class_names: tuple[str, ...] = CLASS_NAMES

    @property
    def sizes(self) -> dict[str, int]:
        """The number of images in each split."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    def to(self, device: str) -> "Splits":
        """Return the splits on a device, "cpu" or "cuda"."""
        return Splits(self.train.to(device), self.validation.to(device), self.test.to(device), self.equal_images)


def load_splits(dataset: str, validation_size: int, split_seed: int, data_root: Path | None = None) -> Splits:
    """Return a dataset's splits; the validation images are drawn from the training file, equally many of each class.

    Raises LrreportError if the files cannot be had or the classes do not fill `validation_size` evenly.
    """
    paths, digests = ensure_files(dataset, data_root), DIGESTS[dataset]
    made_from = (sorted(digests.items()), validation_size, split_seed, digest_module(Path(__file__)))
    key = hashlib.sha256(repr(made_from).encode()).hexdigest()[:16]
    prepared = load_prepared(
        find_data_root(data_root) / "prepared", key, lambda: prepare(paths, digests, validation_size, split_seed)
    )
    train, validation, test = (Split(prepared[f"{name}_images"], prepared[f"{name}_labels"]) for name in SPLITS)
    return Splits(train, validation, test, prepared["equal_images"])


def prepare(
    paths: dict[str, Path], digests: dict[str, str], validation_size: int, split_seed: int
) -> dict[str, Tensor | dict[str, int]]:
    """Return images and labels of each split, by name, and how many images are equal, from files with these digests."""
    pixels, test_pixels = (
        torch.from_numpy(_read_array(paths[name], digests[name], offset=16)).reshape(-1, N_PIXELS)
        for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
    )
    labels, test_labels = (
        torch.from_numpy(_read_array(paths[name], digests[name], offset=8)).long()
        for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
    )
    held_out = hold_out(labels, validation_size, split_seed)
    parts = {"train": pixels[~held_out], "validation": pixels[held_out], "test": test_pixels}
    return {
        "train_labels": labels[~held_out],
        "validation_labels": labels[held_out],
        "test_labels": test_labels,
        "equal_images": count_equal_images(parts),
        **{f"{name}_images": scale_pixels(part) for name, part in parts.items()},
    }


def scale_pixels(pixels: Tensor) -> Tensor:
    """Return pixels 0 … 255 (n, 784) as float32 values in [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1)


def hold_out(labels: Tensor, size: int, seed: int) -> Tensor:
    """Return a mask (n,) that is true for `size` labels, equally many of each class, drawn with `seed`."""
    classes, counts = labels.unique(return_counts=True)
    per_class, rest = divmod(size, len(classes))
    if rest or per_class >= counts.min():
        limit = (int(counts.min()) - 1) * len(classes)
        raise LrreportError(
            f"validation_size = {size}: {len(classes)} classes need a multiple of {len(classes)} "
            f"from {len(classes)} to {limit}"
        )
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for label in classes:
        members = torch.nonzero(labels == label).squeeze(1)  # (n_members,)
        mask[members[torch.randperm(len(members), generator=generator)[:per_class]]] = True
    return mask


def count_equal_images(parts: dict[str, Tensor]) -> dict[str, int]:
    """Return how many images repeat an earlier one of their split, and how many of a later split one of an earlier.

    The splits' images (n, …) are given by name; the keys are these names, or two of them joined by " and ".
    """
    digests = {name: [_digest_image(image) for image in images.numpy()] for name, images in parts.items()}
    counts = {name: len(found) - len(set(found)) for name, found in digests.items()}
    for one, other in combinations(digests, 2):
        known = set(digests[one])
        counts[f"{one} and {other}"] = sum(digest in known for digest in digests[other])
    return counts


def _digest_image(image: "np.ndarray[Any, Any]") -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def pick_examples(split: Split, per_class: int) -> Tensor:
    """Return the places of the first `per_class` images of each class, class by class: (n_classes · per_class,)."""
    return torch.cat([torch.nonzero(split.labels == label)[:per_class, 0] for label in split.labels.unique()])


def _read_array(path: Path, digest: str, offset: int) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    """Return the bytes of an IDX file behind its header, as a copy that torch may write to."""
    return np.frombuffer(read_idx(path, digest), dtype=np.uint8, offset=offset).copy()
