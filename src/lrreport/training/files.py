"""The data files: find, verify, read; where they are missing, fetch.py gets them."""

import gzip
import hashlib
import json
import os
import shutil
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from lrreport.errors import LrreportError
from lrreport.training.fetch import SOURCES, Source, download

# SHA-256 of the decompressed IDX files, whichever way they come.
DIGESTS = {
    "fashion_mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "sample": {
        "train-images-idx3-ubyte": "2fecf98c2f9f3a28a5d3138662ae6ed69e60ac6452cdd0e5bd3d908839b3a11b",
        "train-labels-idx1-ubyte": "448c52e942b163a8a102c68ff69d23f47fa356d92eaef198b16bd5c2e1487241",
        "t10k-images-idx3-ubyte": "a907c8479d43ced66b5a6ed08d5dce15a130fe3f8f9b736ba141f20e9dce5d64",
        "t10k-labels-idx1-ubyte": "715f1309b1fdf75aeada62391baf22ebeb7d362d6d68018b73b0a14f64d344c2",
    },
}


@dataclass(frozen=True)
class TorchvisionFiles:
    """A dataset that torchvision downloads: its class there, the folder below the data root, and the files in it."""

    class_name: str
    folder: str
    names: tuple[str, ...]


IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
TORCHVISION = {
    "mnist": TorchvisionFiles("MNIST", "MNIST/raw", IDX),
    "kmnist": TorchvisionFiles("KMNIST", "KMNIST/raw", IDX),
    "qmnist": TorchvisionFiles("QMNIST", "QMNIST/raw", (
        "qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int", "qmnist-test-images-idx3-ubyte",
        "qmnist-test-labels-idx2-int",
    )),
    "cifar10": TorchvisionFiles("CIFAR10", "cifar-10-batches-py", (
        *(f"data_batch_{place}" for place in range(1, 6)), "test_batch", "batches.meta",
    )),
}  # fmt: skip
NOTED = "digests.json"  # beside files whose digests are those of the first download, which torchvision verified
SAMPLE = Path(__file__).resolve().parents[1] / "sample"
Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Print a line of progress where it does not mix with results."""
    print(line, file=sys.stderr, flush=True)


def find_data_root(data_root: Path | None = None) -> Path:
    """Return the folder for data: the argument, else $LRREPORT_DATA, else the user's cache."""
    chosen = data_root or os.environ.get("LRREPORT_DATA")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("lrreport")


def find_digests(dataset: str, data_root: Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of each of a named dataset's files; nothing for one that torchvision has yet to download."""
    if dataset in DIGESTS:
        return DIGESTS[dataset]
    try:
        noted = json.loads((find_data_root(data_root) / TORCHVISION[dataset].folder / NOTED).read_text("utf-8"))
        return {name: str(noted[name]) for name in TORCHVISION[dataset].names}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def ensure_files(
    dataset: str,
    data_root: Path | None = None,
    say: Say = say_on_stderr,
    sources: tuple[Source, ...] = SOURCES,
) -> dict[str, Path]:
    """Return the path of each file of a named dataset, by name; it is fetched if it is not there yet.

    Files of Fashion-MNIST are verified and unpacked into FashionMNIST/raw of the data root, where torchvision looks too.
    For the others torchvision knows digests, and their SHA-256 are noted for later.
    Raises LrreportError, with every place tried and its reason, when they cannot be had.
    """
    if dataset == "sample":
        return {name: SAMPLE / f"{name}.gz" for name in DIGESTS[dataset]}
    if dataset in TORCHVISION:
        return _ensure_with_torchvision(dataset, find_data_root(data_root), say)
    digests = DIGESTS[dataset]
    raw = find_data_root(data_root) / "FashionMNIST" / "raw"
    if not all((raw / name).exists() for name in digests):
        try:
            raw.mkdir(parents=True, exist_ok=True)
            with FileLock(raw / ".lock"):
                _fill(raw, digests, say, sources)
        except OSError as err:
            raise LrreportError(f"{raw}: cannot keep the data there ({err.strerror}); set LRREPORT_DATA") from err
    return {name: raw / name for name in digests}


def verify_files(dataset: str, data_root: Path | None = None, say: Say = say_on_stderr) -> dict[str, Path]:
    """Return what `ensure_files` returns, each file read; one that has changed is set aside and fetched anew."""
    paths = ensure_files(dataset, data_root, say)
    for name, path in paths.items():
        try:
            read_idx(path, find_digests(dataset, data_root)[name])
        except LrreportError as err:
            if dataset == "sample":
                raise
            say(f"{err}; setting it aside as {path.name}.refused")
            path.replace(path.with_name(f"{path.name}.refused"))
    return ensure_files(dataset, data_root, say)


def _ensure_with_torchvision(dataset: str, root: Path, say: Say) -> dict[str, Path]:
    """Return the files of a dataset that torchvision knows; raise LrreportError if it cannot download them."""
    wanted = TORCHVISION[dataset]
    folder = root / wanted.folder
    paths = {name: folder / name for name in wanted.names}
    if not find_digests(dataset, root) or not all(path.exists() for path in paths.values()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                say(f"{wanted.class_name}: trying torchvision's download …")
                download(wanted.class_name, root)
                _note_digests(folder, {name: path.read_bytes() for name, path in paths.items()})
        except OSError as err:
            raise LrreportError(f"{folder}: cannot keep the data there ({err.strerror}); set LRREPORT_DATA") from err
        except LrreportError as err:
            raise LrreportError(
                f"{wanted.class_name} could not be had: {err}; put its files, as torchvision keeps them, into {folder}, or "
                "name another folder in LRREPORT_DATA"
            ) from err
    return paths


def _note_digests(folder: Path, contents: dict[str, bytes]) -> None:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    temporary = folder / f".{NOTED}.{os.getpid()}"
    temporary.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / NOTED)


def keep_downloaded(dataset: str, contents: dict[str, bytes]) -> None:
    """Keep the files of a dataset that torchvision downloaded elsewhere, unless it is here; raises LrreportError."""
    folder = find_data_root() / TORCHVISION[dataset].folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not find_digests(dataset):
                for name, content in contents.items():
                    (folder / Path(name).name).write_bytes(content)
                _note_digests(folder, contents)
    except OSError as err:
        raise LrreportError(f"{folder}: cannot keep the data there ({err.strerror}); set LRREPORT_DATA") from err


def read_idx(path: Path, digest: str) -> bytes:
    """Return the bytes of an IDX file, decompressed if its name ends in .gz.

    Raises LrreportError if it cannot be read or its SHA-256 is not `digest`.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as err:
        raise LrreportError(f"{path}: cannot be read ({err})") from err
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise LrreportError(f"{path}: refused, its SHA-256 is {found[:12]}… and should be {digest[:12]}…")
    return content


def _fill(raw: Path, digests: dict[str, str], say: Say, sources: tuple[Source, ...]) -> None:
    """Fill a folder from the first source that has the right files."""
    reasons = []
    for source in sources:
        missing = {name: digest for name, digest in digests.items() if not (raw / name).exists()}
        if not missing:  # another process has just fetched them
            return
        workspace = raw / ".fetching"
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        try:
            say(f"Fashion-MNIST: trying {source.place} …")
            folder = source.fetch(workspace)
            for name, digest in missing.items():
                _unpack(folder, name, digest, raw)
        except (LrreportError, OSError) as err:
            reasons.append(f"  {source.place}: {err}")
        else:
            say(f"Fashion-MNIST: verified and kept in {raw}")
            return
        finally:
            shutil.rmtree(workspace, ignore_errors=True)
    raise LrreportError(
        "\n".join(
            [
                "Fashion-MNIST could not be had. Tried:",
                f"  {raw}: no such files",
                *reasons,
                f"Install Debian's package dataset-fashion-mnist, or put {', '.join(digests)} into {raw}, or name "
                "another folder in LRREPORT_DATA. "
                "Without the data there is the embedded sample: make report STUDY=studies/quick.toml",
            ]
        )
    )


def _unpack(folder: Path, name: str, digest: str, raw: Path) -> None:
    """Copy one file, compressed or not, from a source into the data folder, where it appears whole and verified."""
    packed = folder / f"{name}.gz"
    content = read_idx(packed if packed.exists() else folder / name, digest)
    temporary = raw / f".{name}.{os.getpid()}"
    temporary.write_bytes(content)
    temporary.replace(raw / name)
