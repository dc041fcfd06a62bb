"""Write a runnable example: a commented study file, and optionally a module with data and a network."""

import keyword
import re
import sys
from pathlib import Path

from lrreport.errors import LrreportError
from lrreport.record.files import replace_file
from lrreport.record.provenance import find_module
from lrreport.study.study import parse_study

STUDY = """\
# {name}: the question and all settings. Make its report with: lrreport report {name}.toml
title = "Impact of the learning rate: {name}"
seeds = [0, 1, 2, 3, 4]       # each repeats every rate; {{ first = 5, most = 20 }} adds more until the study is decided

[vary]                        # at most two settings
learning_rate = [0.1, 0.01, 0.001, 0.0001]
# batch_size = [16, 64, 256]  # or "optimizer.weight_decay", "model.dropout", optimizer = ["adam", "sgd"] ...

[fixed]                       # what is left out has a default
{fixed}epochs = 5
batch_size = 64
optimizer = "adam"            # or {{ name = "sgd", momentum = 0.9 }}, "adamw", "rmsprop", or a function of your own
schedule = "constant"         # or {{ name = "cosine", warmup_epochs = 1 }}, "one_cycle", "step", "linear_warmup"

[decide]                      # what the levels are compared on
metric = "val_accuracy"       # or val_f1, val_balanced_accuracy, val_loss; for regression val_rmse, val_mae, val_r2
margin = 0.005                # a difference that counts as small, fixed before looking: 0.5 points
"""
NAMED = """\
dataset = "sample"            # "fashion_mnist", "mnist", "kmnist", "qmnist", "cifar10", or a function of your own
validation_size = 500         # examples held out of those to train with, on which the rates are compared
model = {{ name = "mlp", hidden_sizes = [128, 64], activation = "relu", dropout = 0.0 }}
"""
OWN = """\
dataset = "{module}:load"  # the function load in {module}.py, beside this file
model = "{module}:make_network"
validation_size = 300         # examples held out of those to train with, on which the rates are compared
"""
MODULE = '''\
"""The data and the network of the study in {name}.toml: replace both by your own."""

import torch
from torch import Tensor, nn


def load() -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    """Return inputs (n, ...) float32 and labels (n,) int64, to train and to test, and the names of the classes.

    Here they are waves of two frequencies in noise, the same at each call: (n, 64).
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(2000) % 2
    shifts = 6.3 * torch.rand(2000, 1, generator=generator)
    waves = torch.sin(torch.linspace(0, 12, 64) * (1 + 0.3 * labels[:, None]) + shifts)
    inputs = waves + torch.randn(2000, 64, generator=generator)
    return inputs[:1500], labels[:1500], inputs[1500:], labels[1500:], ["slow", "fast"]


def make_network(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return an untrained network: inputs (n, *input_shape) -> logits (n, n_classes)."""
    n_features = torch.Size(input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(n_features, 64), nn.ReLU(), nn.Linear(64, n_classes))
'''


def write_new(name: str, folder: Path, with_code: bool) -> list[Path]:
    """Write `name`.toml into a folder, and a module if `with_code`; return the paths.

    Raises LrreportError for an invalid name, and if a file exists.
    """
    name = name.removesuffix(".toml")
    parse_study({"name": name, "vary": {"learning_rate": [0.1]}}, "new")
    module = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if (
        module[0].isdigit()
        or keyword.iskeyword(module)
        or find_module(module, None)
        or module in sys.stdlib_module_names
    ):
        module = f"study_{module}"  # not the name of an importable module
    fixed = OWN.format(module=module) if with_code else NAMED.format()
    files = {folder / f"{name}.toml": STUDY.format(name=name, fixed=fixed)}
    if with_code:
        files[folder / f"{module}.py"] = MODULE.format(name=name)
    for path in files:
        if path.exists():
            raise LrreportError(f"{path}: already exists; choose another name, or remove it")
    for path, text in files.items():
        try:
            replace_file(path, text.encode())
        except OSError as err:
            raise LrreportError(f"{path}: cannot write it ({err.strerror}); go to another folder") from err
    return list(files)
