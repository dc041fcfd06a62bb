"""Files that real programs wrote, committed in compressed archives."""

import tarfile
from pathlib import Path


def unpack(path: Path, folder: Path) -> None:
    """Unpack a tar file into a folder."""
    with tarfile.open(path) as archive:
        # An attribute, since Python 3.11 knows the argument `filter` from its release 3.11.4 on.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
