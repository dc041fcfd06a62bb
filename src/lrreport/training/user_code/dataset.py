"""A dataset of the user's: called, converted to tensors where that loses nothing, and checked."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrreport.training.user_code.load import call, describe_kind, import_function, refuse

PARTS = ("train inputs", "train targets", "test inputs", "test targets")
MOST_CLASSES = 1000


def load_own(path: str, folder: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a dataset of the user's by the names in PARTS, and its class names.

    Inputs (n, …) are float32, int64 such as words by number, or uint8 for pixels 0 … 255, which are scaled to the study's
    input_range. Integer targets (n,) are class labels, int64; floating-point targets (n,) or (n, k) are values to
    predict, float32 (n, k), and have no class names. Arrays of any byte order, stride and precision are converted; text
    labels become numbers in the order of the class names. Raises LrreportError for anything else.
    """
    problem = partial(refuse, "dataset", path)
    returned = call("dataset", path, import_function("dataset", path, folder))
    if not isinstance(returned, tuple | list) or len(returned) not in (4, 5):
        raise problem(f"it returns {describe_kind(returned)}")
    values, names = dict(zip(PARTS, returned, strict=False)), returned[4] if len(returned) == 5 else None
    names = names.tolist() if isinstance(names, np.ndarray) else names
    if names is not None and not isinstance(names, tuple | list):
        raise problem(f"its class names are {describe_kind(names)}, not a list")
    names = None if names is None else list(map(str, names))
    if names is not None and len(set(names)) < len(names):
        raise problem(f"its class names {names} contain a name twice")
    names = _number_text_labels(values, names, problem)
    parts = {name: _convert(name, value, problem) for name, value in values.items()}
    _check_shapes(parts, problem)
    if parts["train targets"].is_floating_point():
        if names is not None:
            raise problem("its targets are numbers, so leave out the class names, or make the labels torch.int64")
        return parts, ()
    return parts, _check_labels(parts, names, problem)


def _number_text_labels(values: dict[str, Any], names: list[str] | None, problem: Any) -> list[str] | None:
    """Replace labels that are text by the indices of their class names, sorted unless these are given."""
    texts = {name: text for name in PARTS[1::2] if (text := _read_texts(values[name])) is not None}
    if len(texts) < 2:
        return names
    names = names or sorted(set(texts["train targets"].tolist()))
    indices = {text: index for index, text in enumerate(names)}
    for name, array in texts.items():
        if unknown := sorted(set(array.ravel().tolist()) - indices.keys()):
            raise problem(f"its {name} contain {unknown[0]!r}, which is not among the class names {names[:10]}")
        if array.ndim == 1:
            values[name] = torch.tensor([indices[text] for text in array.tolist()])
    return names


def _read_texts(labels: Any) -> np.ndarray | None:
    """Return labels that are text, in an array, a list or a column of pandas, as an array of text; None for others."""
    if isinstance(labels, Tensor) or not (isinstance(labels, list) or hasattr(labels, "__array__")):
        return None
    array = np.asarray(labels)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    is_text = array.dtype.kind in "UT" or (
        array.dtype.kind == "O" and all(isinstance(label, str) for label in array.flat)
    )
    return np.array([str(label) for label in array.flat]).reshape(array.shape) if is_text else None


def _convert(name: str, value: Any, problem: Any) -> Tensor:
    """Return an array or tensor as a contiguous tensor on the CPU, of the type that training computes with."""
    if hasattr(value, "__array__") and not isinstance(value, Tensor):  # an array, or a table of pandas
        if np.ma.is_masked(value):
            raise problem(f"its {name} have masked entries, which would count; fill them or leave them out")
        array = np.asarray(value)
        if array.dtype.kind == "O":  # a table of pandas with columns of several types
            array = np.array(array.tolist())
        if array.dtype.kind not in "biuf":
            raise problem(f"its {name} are an array of {array.dtype}; make them numbers")
        native = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
        value = torch.from_numpy(np.ascontiguousarray(array.astype(native)))
    if not isinstance(value, Tensor):
        raise problem(f"its {name} are {describe_kind(value)}, not an array or a tensor")
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_nested or value.is_quantized:
        kind = "nested" if value.is_nested else "quantized" if value.is_quantized else str(value.layout)
        raise problem(f"its {name} are {kind} on {value.device}; make them dense, on the CPU")
    if value.is_complex():
        raise problem(f"its {name} are {value.dtype}; make them torch.float32")
    value = value.detach()
    if value.is_floating_point():
        value = value.float()
        if not value.isfinite().all():
            raise problem(f"its {name} contain infinities or NaN, or are too large for float32; clean them")
    elif value.dtype != torch.uint8 or name.endswith("targets") or value.dim() < 3:  # uint8 images are pixels
        value = value.long()
    tensor: Tensor = value.unsqueeze(1) if _is_column(name, value) else value
    return tensor.contiguous()


def _is_column(name: str, value: Tensor) -> bool:
    return name in PARTS[1::2] and value.is_floating_point() and value.dim() == 1


def _check_shapes(parts: dict[str, Tensor], problem: Any) -> None:
    for split in ("train", "test"):
        inputs, targets = parts[f"{split} inputs"], parts[f"{split} targets"]
        n_dims = 2 if targets.is_floating_point() else 1
        if targets.dim() != n_dims:
            wanted = "(n,) or (n, k)" if targets.is_floating_point() else "(n,)"
            raise problem(f"its {split} targets are {targets.dtype} {tuple(targets.shape)}; make them {wanted}")
        if inputs.dim() < 2 or len(inputs) != len(targets) or not inputs.numel() or not targets.numel():
            shapes = f"inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)}"
            raise problem(f"its {split} {shapes} do not match; make them (n, …) and (n,), none of the sizes 0")
    for kind in ("inputs", "targets"):
        train, test = parts[f"train {kind}"], parts[f"test {kind}"]
        if train.dtype != test.dtype:
            raise problem(f"its train and test {kind} have different types, {train.dtype} and {test.dtype}")
        if train.shape[1:] != test.shape[1:]:
            shapes = f"{tuple(train.shape[1:])} and {tuple(test.shape[1:])}"
            raise problem(f"an example of its train and test {kind} has different shapes, {shapes}")


def _check_labels(parts: dict[str, Tensor], names: list[str] | None, problem: Any) -> tuple[str, ...]:
    """Return the class names, by default the labels; raise LrreportError unless the labels are 0 to n_classes − 1."""
    n_classes = int(parts["train targets"].max()) + 1 if names is None else len(names)
    for split in ("train", "test"):
        low, high = int(parts[f"{split} targets"].min()), int(parts[f"{split} targets"].max())
        if low < 0 or high >= n_classes:
            kind = "classes" if names is None else "class names"
            raise problem(
                f"its {split} labels go from {low} to {high}; with {n_classes} {kind} make them 0 to {n_classes - 1}"
            )
    labels = parts["train targets"].unique().tolist()
    if n_classes < 2 or len(labels) < n_classes:
        raise problem(f"of {n_classes} classes the train labels have {labels[:10]}; each of two or more must occur")
    if n_classes > MOST_CLASSES:
        raise problem(f"it has {n_classes} classes; at most {MOST_CLASSES} can be recorded")
    return tuple(names or map(str, range(n_classes)))


def digest_tensor(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor: its type, its shape and its values."""
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def digest_names(names: Sequence[str]) -> str:
    """Return the SHA-256 of the names of classes."""
    return hashlib.sha256(repr(tuple(names)).encode()).hexdigest()
