"""The data files: find, verify, read; where they are missing, fetch.py gets them."""

import gzip
import hashlib
import os
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from lrreport import LrreportError
from lrreport.training.fetch import SOURCES, Source

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
SAMPLE = Path(__file__).resolve().parents[1] / "sample"
Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Print a line of progress where it does not mix with results."""
    print(line, file=sys.stderr, flush=True)


def find_data_root(data_root: Path | None = None) -> Path:
    """Return the folder for data: the argument, else $LRREPORT_DATA, else the user's cache."""
    chosen = data_root or os.environ.get("LRREPORT_DATA")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("lrreport")


def ensure_files(
    dataset: str,
    data_root: Path | None = None,
    say: Say = say_on_stderr,
    sources: tuple[Source, ...] = SOURCES,
) -> dict[str, Path]:
    """Return the path of each of a dataset's IDX files, by name; Fashion-MNIST is fetched if it is not there yet.

    Fetched files are verified and unpacked into FashionMNIST/raw of the data root, where torchvision looks too.
    Raises LrreportError, with every place tried and its reason, when they cannot be had.
    """
    if dataset == "sample":
        return {name: SAMPLE / f"{name}.gz" for name in DIGESTS[dataset]}
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
            read_idx(path, DIGESTS[dataset][name])
        except LrreportError as err:
            if dataset == "sample":
                raise
            say(f"{err}; setting it aside as {path.name}.refused")
            path.replace(path.with_name(f"{path.name}.refused"))
    return ensure_files(dataset, data_root, say)


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
