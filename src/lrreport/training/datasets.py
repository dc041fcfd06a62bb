"""Datasets by name or import path: inputs and targets to train with and to test on, as tensors."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrreport.study.settings import IMPORT_PATH
from lrreport.training.files import FOLDERS, ensure_files, find_digests, read_file
from lrreport.training.user_code.dataset import digest_names, digest_tensor, load_own

CLASS_NAMES = {
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip
CLASS_NAMES["sample"] = CLASS_NAMES["fashion_mnist"]
DIGITS = tuple("0123456789")
IDX_TYPES = {0x08: "u1", 0x0C: ">i4"}  # by the third byte of a file


@dataclass(frozen=True)
class Dataset:
    """Inputs (n, …) and targets to train with and to test on; pixels are uint8, other inputs float32 or int64.

    Targets are labels (n,) int64, or for regression (n, k) float32, which have no class names. `digests` are those of
    files by name, or of the user's own tensors.
    """

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    class_names: tuple[str, ...]
    digests: dict[str, str]


def load_dataset(name: str, code_folder: str = "", data_root: Path | None = None) -> Dataset:
    """Return a dataset, fetched if need be; images are (n, channels, height, width).

    Raises LrreportError if its files cannot be read, or if a function of the user's returns something else.
    """
    if IMPORT_PATH.match(name):
        parts, class_names = load_own(name, code_folder)
        digests = {part: digest_tensor(tensor) for part, tensor in parts.items()}
        digests |= {"class names": digest_names(class_names)} if class_names else {}
        return Dataset(
            **{part.replace(" ", "_"): tensor for part, tensor in parts.items()},
            class_names=class_names,
            digests=digests,
        )
    paths = ensure_files(name, data_root)
    contents = [read_file(paths[file.name], file) for file in FOLDERS[name].files]
    tensors = _read_batches(contents) if name == "cifar10" else [_read_idx(content) for content in contents]
    images, labels, test_images, test_labels = tensors
    names = CLASS_NAMES.get(name, DIGITS)
    return Dataset(images, labels.long(), test_images, test_labels.long(), names, find_digests(name))


def _read_idx(content: bytes) -> Tensor:
    """Return the array of an IDX file: images (n, 1, height, width) uint8, or labels (n,).

    Of QMNIST's labels (n, 8), which also say who wrote a digit, only the digit is taken.
    """
    dtype, n_dims = np.dtype(IDX_TYPES[content[2]]), content[3]
    shape = np.frombuffer(content, dtype=">u4", count=n_dims, offset=4)
    array = np.frombuffer(content, dtype=dtype, offset=4 + 4 * n_dims).reshape(shape)
    if n_dims == 2:
        array = array[:, 0]
    tensor = torch.from_numpy(array.astype(dtype.newbyteorder("=")))
    return tensor.unsqueeze(1) if n_dims == 3 else tensor


def _read_batches(contents: list[bytes]) -> list[Tensor]:
    """Return images (n, 3, 32, 32) and labels (n,) of CIFAR-10's batches, to train with and to test on.

    They are pickles, which are safe to read since their digests are the published ones.
    """
    batches: list[dict[str, Any]] = [pickle.loads(content, encoding="latin1") for content in contents]
    *train, test = [(torch.as_tensor(batch["data"]), torch.as_tensor(batch["labels"])) for batch in batches]
    images, labels = (torch.cat(parts) for parts in zip(*train, strict=True))
    return [images.reshape(-1, 3, 32, 32), labels, test[0].reshape(-1, 3, 32, 32), test[1]]
