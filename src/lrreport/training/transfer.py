"""The data files as bytes: from a machine that has them to one that cannot get them otherwise."""

import gzip
from collections.abc import Mapping
from pathlib import Path

from lrreport.training.fetch import Source
from lrreport.training.files import TORCHVISION, ensure_files, find_digests, keep_downloaded, read_idx, verify_files


def read_files(dataset: str) -> dict[str, bytes]:
    """Return a dataset's files, by name, verified and compressed; raises LrreportError when they cannot be had."""
    paths, digests = verify_files(dataset), find_digests(dataset)
    # The fastest level: it takes a second, halves what is sent, and others save little more.
    return {name: gzip.compress(read_idx(path, digests[name]), 1) for name, path in paths.items()}


def keep_files(dataset: str, contents: Mapping[str, bytes]) -> None:
    """Keep files that `read_files` gave elsewhere in the data folder here, unless they are there.

    Raises LrreportError if one has not the digest that it must have, or cannot be kept.
    """

    if dataset in TORCHVISION:
        keep_downloaded(dataset, {name: gzip.decompress(content) for name, content in contents.items()})
        return

    def write(workspace: Path) -> Path:
        for name, content in contents.items():
            (workspace / f"{Path(name).name}.gz").write_bytes(content)
        return workspace

    ensure_files(dataset, sources=(Source("what was sent", write),))
