"""Scikit-learn's handwritten digits as a table of 64 numbers each; a study names them as dataset = "digits:load"."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor


def load() -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    """Return inputs (n, 64) float32 and labels (n,) int64, to train with and to test on, and the names of the classes."""
    table = load_digits()
    inputs = torch.tensor(table.data, dtype=torch.float32) / 16  # the numbers go from 0 to 16
    labels = torch.tensor(table.target, dtype=torch.int64)
    train, test = train_test_split(torch.arange(len(labels)), test_size=500, stratify=labels, random_state=0)
    return inputs[train], labels[train], inputs[test], labels[test], [str(digit) for digit in range(10)]


def load_rare() -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    """Return the same digits in two classes, of which one is rare: is it an 8?"""
    train_inputs, train_labels, test_inputs, test_labels, _ = load()
    return train_inputs, (train_labels == 8).long(), test_inputs, (test_labels == 8).long(), ["other", "eight"]
