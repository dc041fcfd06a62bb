"""The data files: find, verify, read; where they are missing, fetch.py gets them."""

import gzip
import hashlib
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from lrreport.errors import LrreportError
from lrreport.project import PACKAGE, expand_user
from lrreport.training.fetch import Source, list_sources

DATA_ROOT = "LRREPORT_DATA"  # the environment variable that names the folder for data
SAMPLE = PACKAGE / "sample"


@dataclass(frozen=True)
class DataFile:
    """A file and the digests that are published of it, in hexadecimal: of its content, or of its archive NAME.gz."""

    name: str
    sha256: str = ""
    md5: str = ""
    archive_md5: str = ""

    @property
    def digest(self) -> str:
        """The digest that stands for the file in the identity of a run."""
        return self.sha256 or f"md5:{self.md5 or self.archive_md5}"

    def verify(self, content: bytes, archive: bytes | None = None) -> str:
        """Return why this is not the published file, or nothing if it is."""
        if archive is not None and self.archive_md5:
            digest = _digest_md5(archive)
            if digest == self.archive_md5:
                return ""
            if not self.sha256:
                return f"the MD5 of the archive is {digest[:12]}… and should be {self.archive_md5[:12]}…"
        if self.sha256:
            digest = hashlib.sha256(content).hexdigest()
            return "" if digest == self.sha256 else f"its SHA-256 is {digest[:12]}… and should be {self.sha256[:12]}…"
        if self.md5:
            digest = _digest_md5(content)
            return "" if digest == self.md5 else f"its MD5 is {digest[:12]}… and should be {self.md5[:12]}…"
        return f"only its archive can be verified; put {self.name}.gz, as downloaded, beside it"


@dataclass(frozen=True)
class DataFolder:
    """The files of a dataset: its name for messages, its class in torchvision, and its folder below the data root."""

    title: str
    class_name: str
    folder: str
    files: tuple[DataFile, ...]


def _digest_md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _list_idx(sha256: Sequence[str] = ("",) * 4, archive_md5: Sequence[str] = ("",) * 4) -> tuple[DataFile, ...]:
    return tuple(
        DataFile(name, content, archive_md5=archive)
        for name, content, archive in zip(IDX, sha256, archive_md5, strict=True)
    )


FOLDERS = {
    "fashion_mnist": DataFolder("Fashion-MNIST", "FashionMNIST", "FashionMNIST/raw", _list_idx((
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ))),
    "sample": DataFolder("the sample", "", "", _list_idx((
        "2fecf98c2f9f3a28a5d3138662ae6ed69e60ac6452cdd0e5bd3d908839b3a11b",
        "448c52e942b163a8a102c68ff69d23f47fa356d92eaef198b16bd5c2e1487241",
        "a907c8479d43ced66b5a6ed08d5dce15a130fe3f8f9b736ba141f20e9dce5d64",
        "715f1309b1fdf75aeada62391baf22ebeb7d362d6d68018b73b0a14f64d344c2",
    ))),
    "mnist": DataFolder("MNIST", "MNIST", "MNIST/raw", _list_idx((
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ), (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c",
    ))),
    "kmnist": DataFolder("KMNIST", "KMNIST", "KMNIST/raw", _list_idx(archive_md5=(
        "bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134",
    ))),
    "qmnist": DataFolder("QMNIST", "QMNIST", "QMNIST/raw", (
        DataFile("qmnist-train-images-idx3-ubyte", archive_md5="ed72d4157d28c017586c42bc6afe6370"),
        DataFile("qmnist-train-labels-idx2-int", archive_md5="0058f8dd561b90ffdd0f734c6a30e5e4"),
        DataFile("qmnist-test-images-idx3-ubyte", archive_md5="1394631089c404de565df7b7aeaf9412"),
        DataFile("qmnist-test-labels-idx2-int", archive_md5="5b5b05890a5e13444e108efe57b788aa"),
    )),
    "cifar10": DataFolder("CIFAR-10", "CIFAR10", "cifar-10-batches-py", (
        DataFile("data_batch_1", md5="c99cafc152244af753f735de768cd75f"),
        DataFile("data_batch_2", md5="d4bba439e000b95fd0a9bffe97cbabec"),
        DataFile("data_batch_3", md5="54ebc095f3ab1f0389bbae665268c751"),
        DataFile("data_batch_4", md5="634d18415352ddfa80567beed471001a"),
        DataFile("data_batch_5", md5="482c414d41f54cd18b22e5b47cb7c3cb"),
        DataFile("test_batch", md5="40351d587109b95175f43aff81a1287e"),
    )),
}  # fmt: skip
DIGESTS = {dataset: {file.name: file.digest for file in known.files} for dataset, known in FOLDERS.items()}
Notify = Callable[[str], None]


def notify_on_stderr(line: str) -> None:
    """Print a line of progress to stderr, where it does not mix with results."""
    print(line, file=sys.stderr, flush=True)


def find_data_root(data_root: Path | None = None) -> Path:
    """Return the folder for data, as an absolute path: the argument, else $LRREPORT_DATA, else the user's cache."""
    chosen = data_root or os.environ.get(DATA_ROOT, "")
    return expand_user(chosen).absolute() if str(chosen).strip() else platformdirs.user_cache_path("lrreport")


def export_data_root() -> None:
    """Make $LRREPORT_DATA absolute, so that processes started later in other folders find the same data."""
    if os.environ.get(DATA_ROOT, "").strip():
        os.environ[DATA_ROOT] = str(find_data_root())


def find_digests(dataset: str) -> dict[str, str]:
    """Return the digest of each file of a named dataset: SHA-256, or "md5:…" where only that is published."""
    return DIGESTS[dataset]


def ensure_files(
    dataset: str,
    data_root: Path | None = None,
    notify: Notify = notify_on_stderr,
    sources: Sequence[Source] | None = None,
) -> dict[str, Path]:
    """Return the path of each file of a named dataset, by name, or of its archive; what is missing is fetched.

    Files are fetched to where torchvision keeps them below the data root, and verified. Nothing is written where they are
    there. Raises LrreportError, with every source tried and its reason, when they cannot be fetched.
    """
    known = FOLDERS[dataset]
    folder = SAMPLE if dataset == "sample" else find_data_root(data_root) / known.folder
    if _find_missing(folder, known):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                _fill(folder, known, notify, list_sources(known.class_name) if sources is None else sources)
        except OSError as err:
            names = ", ".join(file.name for file in _find_missing(folder, known))
            raise LrreportError(
                f"{folder}: lacks {names}, and they cannot be kept there ({err.strerror}); put them there, or name a "
                f"folder that you may write to in {DATA_ROOT}"
            ) from err
    paths = {file.name: find_file(folder, file) for file in known.files}
    return {name: path for name, path in paths.items() if path is not None}


def find_file(folder: Path, file: DataFile) -> Path | None:
    """Return the path of a file or of its archive, whichever can be verified; None if neither is there."""
    content, archive = folder / file.name, folder / f"{file.name}.gz"
    wanted = (content, archive) if file.sha256 or file.md5 else (archive, content)
    return next((path for path in wanted if path.exists()), None)


def _find_missing(folder: Path, known: DataFolder) -> list[DataFile]:
    return [file for file in known.files if find_file(folder, file) is None]


def verify_files(dataset: str, data_root: Path | None = None, notify: Notify = notify_on_stderr) -> dict[str, Path]:
    """Return what `ensure_files` returns, each file read and compared with its published digest.

    One that differs is renamed to NAME.refused and fetched again. Raises LrreportError where that is not possible.
    """
    paths = ensure_files(dataset, data_root, notify)
    for file in FOLDERS[dataset].files:
        path = paths[file.name]
        try:
            read_file(path, file)
        except LrreportError as err:
            unread = isinstance(err.__cause__, OSError) and not isinstance(err.__cause__, gzip.BadGzipFile)
            if dataset == "sample" or unread or not os.access(path.parent, os.W_OK):
                raise
            notify(f"{err}; renaming it to {path.name}.refused")
            path.replace(path.with_name(f"{path.name}.refused"))
    return ensure_files(dataset, data_root, notify)


def read_file(path: Path, file: DataFile) -> bytes:
    """Return the content of a data file, decompressed if its name ends in .gz.

    Raises LrreportError if it cannot be read or differs from the published dataset.
    """
    try:
        archive = path.read_bytes() if path.suffix == ".gz" else None
        content = path.read_bytes() if archive is None else gzip.decompress(archive)
    except (OSError, EOFError, zlib.error) as err:
        raise LrreportError(f"{path}: cannot be read ({err})") from err
    if problem := file.verify(content, archive):
        raise LrreportError(f'{path}: refused, {problem}; for data of your own set dataset = "module:function"')
    return content


def _fill(folder: Path, known: DataFolder, notify: Notify, sources: Sequence[Source]) -> None:
    """Fill a folder from the first source that has the right files."""
    reasons = []
    for source in sources:
        missing = _find_missing(folder, known)
        if not missing:  # another process has just fetched them
            return
        workspace = folder / ".fetching"
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        try:
            notify(f"{known.title}: trying {source.name} …")
            fetched = source.fetch(workspace)
            for file in missing:
                _keep(fetched, file, folder)
        except (LrreportError, OSError) as err:
            reasons.append(f"  {source.name}: {err}")
        else:
            notify(f"{known.title}: verified and kept in {folder}")
            return
        finally:
            shutil.rmtree(workspace, ignore_errors=True)
    debian = "Install Debian's package dataset-fashion-mnist, or put" if known.class_name == "FashionMNIST" else "Put"
    names = ", ".join(file.name if file.sha256 or file.md5 else f"{file.name}.gz" for file in known.files)
    raise LrreportError(
        "\n".join(
            [
                f"{known.title} cannot be fetched. Tried:",
                f"  {folder}: no such files",
                *reasons,
                f"{debian} {names} into {folder}, or name another folder in {DATA_ROOT}. Without the data there is the "
                'embedded sample: dataset = "sample", as in studies/quick.toml',
            ]
        )
    )


def _keep(fetched: Path, file: DataFile, folder: Path) -> None:
    """Copy a file from a source into the data folder, where it appears whole and verified.

    It is unpacked, unless only its archive can be verified.
    """
    path = find_file(fetched, file) or fetched / file.name
    content = read_file(path, file)
    kept = folder / (file.name if file.sha256 or file.md5 else f"{file.name}.gz")
    temporary = folder / f".{kept.name}.{os.getpid()}"
    temporary.write_bytes(path.read_bytes() if kept.suffix == ".gz" else content)
    temporary.replace(kept)
