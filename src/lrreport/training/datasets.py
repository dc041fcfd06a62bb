"""Datasets by name or import path: inputs and labels to train and to test, as tensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrreport.settings import IMPORT_PATH
from lrreport.training.fetch import import_torchvision
from lrreport.training.files import TORCHVISION, ensure_files, find_data_root, find_digests, read_idx
from lrreport.training.own_code import digest_names, digest_tensor, load_own

FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """Inputs (n, …) and labels (n,) int64 to train and to test; pixels are uint8, a user's own inputs float32 or int64.

    `digests` are SHA-256, of files by name, or of a user's own tensors.
    """

    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]
    digests: dict[str, str]


def load_dataset(name: str, code_folder: str = "", data_root: Path | None = None) -> Dataset:
    """Return a dataset, fetched if need be; images are (n, channels, height, width).

    Raises LrreportError if its files cannot be had, or if a user's own function does not give what it should.
    """
    if IMPORT_PATH.match(name):
        parts, class_names = load_own(name, code_folder)
        digests = {part: digest_tensor(one) for part, one in parts.items()}
        digests["class names"] = digest_names(class_names)
        return Dataset(
            **{part.replace(" ", "_"): one for part, one in parts.items()}, class_names=class_names, digests=digests
        )
    paths = ensure_files(name, data_root)
    digests = find_digests(name, data_root)
    if name in TORCHVISION:
        return _load_with_torchvision(name, data_root, digests)
    images, test_images = (
        torch.from_numpy(_read_array(paths[file], digests[file], offset=16)).reshape(-1, 1, 28, 28)
        for file in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
    )
    labels, test_labels = (
        torch.from_numpy(_read_array(paths[file], digests[file], offset=8)).long()
        for file in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
    )
    return Dataset(images, labels, test_images, test_labels, FASHION, digests)


def _load_with_torchvision(name: str, data_root: Path | None, digests: dict[str, str]) -> Dataset:
    datasets = import_torchvision().datasets
    make, root = getattr(datasets, TORCHVISION[name].class_name), str(find_data_root(data_root))
    train, test = make(root, train=True), make(root, train=False)
    inputs, test_inputs = (_put_channels_first(torch.as_tensor(np.asarray(one.data))) for one in (train, test))
    labels, test_labels = (_take_labels(torch.as_tensor(one.targets)) for one in (train, test))
    return Dataset(inputs, labels, test_inputs, test_labels, tuple(train.classes), digests)


def _put_channels_first(images: Tensor) -> Tensor:
    """Return images (n, height, width) or (n, height, width, channels) as (n, channels, height, width)."""
    return images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()


def _take_labels(targets: Tensor) -> Tensor:
    """Return labels (n,); QMNIST has more to say of each image, the digit first."""
    return (targets if targets.dim() == 1 else targets[:, 0]).long()


def _read_array(path: Path, digest: str, offset: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return the bytes of an IDX file behind its header, as a copy that torch may write to."""
    return np.frombuffer(read_idx(path, digest), dtype=np.uint8, offset=offset).copy()
