"""Curves as text for the page: values and grids of points in base64."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.floating[Any]]]"


@dataclass
class Packer:
    """Collects grids of positions on an axis, each once, and values in the order in which the script reads them."""

    grids: list[list[float | int] | int] = field(default_factory=list)
    _positions: list[Floats] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)
    _n_places: int = 0
    _values: list[Floats] = field(default_factory=list)
    _steps: list[Floats] = field(default_factory=list)

    def add_grid(self, at: Floats) -> int:
        """Return the index of a grid: [first, step, n] where its positions are evenly spaced, else [offset, n]."""
        key = at.astype("<f8").tobytes()
        if key not in self._known:
            self._known[key] = len(self.grids)
            steps = np.diff(at)
            if len(at) > 1 and np.allclose(steps, steps[0], rtol=1e-9, atol=0):
                self.grids.append([float(at[0]), float(steps[0]), len(at)])
            else:
                self.grids.append([self._n_places, len(at)])
                self._positions.append(at)
                self._n_places += len(at)
        return self._known[key]

    def add_values(self, values: Floats, from_steps: bool) -> None:
        """Append values, (n,) or (3, n) for mean, lowest and highest of a bin."""
        (self._steps if from_steps else self._values).append(values.ravel())

    def to_json(self) -> dict[str, Any]:
        """Return the grids and the numbers: positions and values as float32, step losses without their lowest byte."""
        return {
            "grids": self.grids,
            "places": encode(_join(self._positions)),
            "values": encode(_join(self._values)),
            "steps": encode(_join(self._steps), n_bytes=3),
        }


def encode(values: Floats, n_bytes: int = 4) -> str:
    """Return little-endian float32 in base64; with 3 bytes each is rounded to 16 significant bits (to 1 part in 65,536)."""
    if n_bytes == 4:
        return base64.b64encode(values.astype("<f4").tobytes()).decode()
    bits = values.astype("<f4").view("<u4")
    finite = np.isfinite(values)
    rounded = np.where(finite, bits + np.uint32(0x80), bits) >> np.uint32(8)
    rounded = np.where(finite, rounded, np.uint32(0x7FC000))  # not a number, whatever it was
    return base64.b64encode(rounded.astype("<u4").view("u1").reshape(-1, 4)[:, :3].tobytes()).decode()


def _join(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *parts])
