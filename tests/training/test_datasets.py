"""Datasets by name, read as torchvision keeps them on the disk."""

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrreport import LrreportError
from lrreport.training import data, files
from lrreport.training.datasets import load_dataset
from lrreport.training.fetch import import_torchvision


def write_idx(path: Path, array: "np.ndarray[Any, Any]", code: int) -> None:
    head = struct.pack(f">{'I' * (1 + array.ndim)}", (code << 8) | array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def keep(name: str, root: Path) -> None:
    """Note the digests of files that lie there, as after a download."""
    paths = files.TORCHVISION[name].names
    folder = root / files.TORCHVISION[name].folder
    files._note_digests(folder, {one: (folder / one).read_bytes() for one in paths})


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_digits_and_characters_are_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / files.TORCHVISION[name].folder
    folder.mkdir(parents=True)
    for one in files.IDX:
        (folder / one).write_bytes(gzip.decompress((files.SAMPLE / f"{one}.gz").read_bytes()))
    keep(name, tmp_path)
    found, sample = load_dataset(name, data_root=tmp_path), load_dataset("sample")
    assert torch.equal(found.train_inputs, sample.train_inputs)
    assert torch.equal(found.test_labels, sample.test_labels)
    assert found.train_inputs.shape == (2000, 1, 28, 28)
    assert len(found.class_names) == 10
    splits = data.load_splits(name, 500, 0, data_root=tmp_path)
    assert splits.sizes == {"train": 1500, "validation": 500, "test": 1000}
    assert splits.digests == files.find_digests(name, tmp_path)


def test_of_qmnist_the_digit_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / files.TORCHVISION["qmnist"].folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        write_idx(folder / f"qmnist-{part}-images-idx3-ubyte", rng.integers(0, 256, (30, 28, 28), np.uint8), 0x08)
        labels = np.stack([np.arange(30) % 10, *[np.full(30, 77)] * 7], axis=1)
        write_idx(folder / f"qmnist-{part}-labels-idx2-int", labels.astype(">i4"), 0x0C)
    keep("qmnist", tmp_path)
    found = load_dataset("qmnist", data_root=tmp_path)
    assert found.train_labels.tolist() == [place % 10 for place in range(30)]
    assert found.test_inputs.shape == (30, 1, 28, 28)


def test_colours_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar = import_torchvision().datasets.CIFAR10
    monkeypatch.setattr(cifar, "_check_integrity", lambda self: True)  # these are not its files
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = tmp_path / files.TORCHVISION["cifar10"].folder
    folder.mkdir(parents=True)
    images = np.arange(10 * 3072, dtype=np.int64).astype(np.uint8).reshape(10, 3072)
    for one in files.TORCHVISION["cifar10"].names[:-1]:
        (folder / one).write_bytes(pickle.dumps({"data": images, "labels": list(range(10))}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    keep("cifar10", tmp_path)
    found = load_dataset("cifar10", data_root=tmp_path)
    assert found.train_inputs.shape == (50, 3, 32, 32)
    assert found.test_inputs[0].flatten().tolist() == images[0].tolist()
    assert found.class_names == tuple("abcdefghij")


def test_a_file_that_changed_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / files.TORCHVISION["mnist"].folder
    folder.mkdir(parents=True)
    for one in files.IDX:
        (folder / one).write_bytes(b"content of " + one.encode())
    keep("mnist", tmp_path)
    (folder / files.IDX[0]).write_bytes(b"other content")
    said: list[str] = []

    def refuse(class_name: str, root: Path) -> None:
        raise LrreportError("no network here")

    monkeypatch.setattr(files, "download", refuse)
    with pytest.raises(LrreportError) as error:
        files.verify_files("mnist", tmp_path, said.append)
    assert "setting it aside as train-images-idx3-ubyte.refused" in said[0]
    assert str(error.value) == (
        f"MNIST could not be had: no network here; put its files, as torchvision keeps them, into {folder}, or name another "
        "folder in LRREPORT_DATA"
    )


def test_inputs_are_shown_only_if_they_are_images() -> None:
    assert data.show_images(torch.rand(3, 64)) is None
    assert data.show_images(torch.rand(3, 2, 8, 8)) is None
    grey, coloured = data.show_images(torch.rand(3, 1, 8, 8)), data.show_images(torch.rand(3, 3, 8, 8))
    assert grey is not None
    assert coloured is not None
    assert (grey.shape, coloured.shape) == ((3, 8, 8), (3, 8, 8, 3))
    assert (float(coloured.min()), float(coloured.max())) == (0.0, 1.0)
