"""Datasets by name, read from the files as torchvision keeps them on the disk."""

import gzip
import hashlib
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrreport.errors import LrreportError
from lrreport.training import data, datasets, files
from lrreport.training.datasets import load_dataset
from lrreport.training.fetch import import_torchvision


def write_idx(path: Path, array: "np.ndarray[Any, Any]", code: int) -> None:
    head = struct.pack(f">{'I' * (1 + array.ndim)}", (code << 8) | array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def publish(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files that lie there be those that are published."""
    known = files.FOLDERS[name]
    folder = root / known.folder
    digests = [hashlib.md5((folder / file.name).read_bytes()).hexdigest() for file in known.files]
    kept = tuple(files.DataFile(file.name, md5=digest) for file, digest in zip(known.files, digests, strict=True))
    monkeypatch.setitem(files.FOLDERS, name, replace(known, files=kept))


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_digits_and_characters_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_training, name: str
) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / files.FOLDERS[name].folder
    folder.mkdir(parents=True)
    for file in files.IDX:
        (folder / file).write_bytes(gzip.decompress((files.SAMPLE / f"{file}.gz").read_bytes()))
    publish(name, tmp_path, monkeypatch)
    dataset, sample = load_dataset(name, data_root=tmp_path), load_dataset("sample")
    assert torch.equal(dataset.train_inputs, sample.train_inputs)
    assert torch.equal(dataset.test_targets, sample.test_targets)
    assert dataset.train_inputs.shape == (2000, 1, 28, 28)
    assert len(dataset.class_names) == 10
    splits = data.load_splits(make_training(dataset=name), (0,), data_root=tmp_path)
    assert splits.sizes == {"train": 1500, "validation": 500, "test": 1000}
    assert splits.digests == files.find_digests(name)


def test_what_lies_in_torchvisions_processed_folder_is_not_read(tmp_path: Path) -> None:
    """Tensors there once came before the raw files, whatever they are."""
    processed = tmp_path / "MNIST/processed"
    processed.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(600, 28, 28, dtype=torch.uint8), torch.zeros(600, dtype=torch.int64)), processed / name)
    raw = tmp_path / "MNIST/raw"
    raw.mkdir()
    for name in files.IDX:
        (raw / name).write_bytes(b"noise")
    with pytest.raises(LrreportError, match="train-images-idx3-ubyte: refused, its SHA-256 is"):
        load_dataset("mnist", data_root=tmp_path)


def test_of_qmnist_the_digit_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / files.FOLDERS["qmnist"].folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        write_idx(folder / f"qmnist-{part}-images-idx3-ubyte", rng.integers(0, 256, (30, 28, 28), np.uint8), 0x08)
        labels = np.stack([np.arange(30) % 10, *[np.full(30, 77)] * 7], axis=1)
        write_idx(folder / f"qmnist-{part}-labels-idx2-int", labels.astype(">i4"), 0x0C)
    publish("qmnist", tmp_path, monkeypatch)
    dataset = load_dataset("qmnist", data_root=tmp_path)
    assert dataset.train_targets.tolist() == [index % 10 for index in range(30)]
    assert dataset.test_inputs.shape == (30, 1, 28, 28)


def test_colours_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / files.FOLDERS["cifar10"].folder
    folder.mkdir(parents=True)
    images = np.arange(10 * 3072, dtype=np.int64).astype(np.uint8).reshape(10, 3072)
    for file in files.FOLDERS["cifar10"].files:
        (folder / file.name).write_bytes(pickle.dumps({"data": images, "labels": list(range(10))}))
    publish("cifar10", tmp_path, monkeypatch)
    dataset = load_dataset("cifar10", data_root=tmp_path)
    assert dataset.train_inputs.shape == (50, 3, 32, 32)
    assert dataset.test_inputs[0].flatten().tolist() == images[0].tolist()
    assert dataset.test_targets.tolist() == list(range(10))


def test_names_and_digests_are_those_of_torchvision() -> None:
    known = import_torchvision().datasets
    assert tuple(known.FashionMNIST.classes) == datasets.CLASS_NAMES["fashion_mnist"]
    assert tuple(known.KMNIST.classes) == datasets.CLASS_NAMES["kmnist"]
    assert tuple(name[0] for name in known.MNIST.classes) == datasets.DIGITS
    for name in ("mnist", "kmnist"):
        resources = getattr(known, name.upper()).resources
        assert [(f"{file.name}.gz", file.archive_md5) for file in files.FOLDERS[name].files] == resources
    resources = [resource for part in ("train", "test") for resource in known.QMNIST.resources[part]]
    assert [file.archive_md5 for file in files.FOLDERS["qmnist"].files] == [digest for _, digest in resources]
    assert all(
        url.endswith(f"{file.name}.gz") for file, (url, _) in zip(files.FOLDERS["qmnist"].files, resources, strict=True)
    )
    batches = [*known.CIFAR10.train_list, *known.CIFAR10.test_list]
    assert [[file.name, file.md5] for file in files.FOLDERS["cifar10"].files] == batches
