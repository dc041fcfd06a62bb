"""Make the embedded sample from the real files: `python tools/make_sample.py`."""

import gzip
import hashlib
import struct
import sys
from pathlib import Path

import numpy as np

from lrreport.training.files import FOLDERS, SAMPLE, read_file, verify_files

FILES = {file.name: file for file in FOLDERS["fashion_mnist"].files}
PER_CLASS = {"train": 200, "t10k": 100}
SEED = 0


def make_sample(paths: dict[str, Path], folder: Path) -> dict[str, str]:
    """Write the sample's four files into `folder`, equally many images of each class; return their digests."""
    digests = {}
    for split, per_class in PER_CLASS.items():
        images, labels = (f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte")
        pixels = np.frombuffer(read_file(paths[images], FILES[images]), np.uint8, offset=16)
        classes = np.frombuffer(read_file(paths[labels], FILES[labels]), np.uint8, offset=8)
        chosen = choose(classes, per_class)
        contents = {
            images: struct.pack(">4I", 0x803, len(chosen), 28, 28) + pixels.reshape(-1, 784)[chosen].tobytes(),
            labels: struct.pack(">2I", 0x801, len(chosen)) + classes[chosen].tobytes(),
        }
        for name, content in contents.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def choose(
    classes: "np.ndarray[tuple[int], np.dtype[np.uint8]]", per_class: int
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the indices of `per_class` random images of each class, in the order of the file."""
    generator = np.random.default_rng(SEED)
    drawn = [generator.permutation(np.flatnonzero(classes == label))[:per_class] for label in np.unique(classes)]
    return np.sort(np.concatenate(drawn))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
    for name, digest in make_sample(verify_files("fashion_mnist"), target).items():
        print(f'"{name}": "{digest}",')
