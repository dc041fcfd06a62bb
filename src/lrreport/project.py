"""Locate files: those that ship with lrreport, and the outputs beside a study or in this checkout."""

from pathlib import Path

from lrreport.errors import LrreportError

PACKAGE = Path(__file__).resolve().parent


def expand_user(path: Path | str) -> Path:
    """Return a path with a leading ~ as the home folder; raise LrreportError if there is none, as for "~nobody/x"."""
    if "\0" in str(path):
        raise LrreportError(f"{path}: it has the character NUL, which no path has; leave it out")
    try:
        return Path(path).expanduser()
    except RuntimeError as err:
        raise LrreportError(f"{path}: {Path(path).parts[0]} is no home folder here; write the whole path") from err


def resolve_path(path: Path | str, folder: Path | None = None) -> Path:
    """Return a path below a folder (default: the working folder), absolute and without links, ~ being the home folder."""
    try:
        return ((folder or Path.cwd()) / expand_user(path)).resolve()
    except RuntimeError as err:
        raise LrreportError(f"{path}: its links lead back to themselves; name another path") from err


def find_checkout() -> Path | None:
    """Return the root of the git checkout that this package is imported from, or None for an installed wheel."""
    root = PACKAGE.parent.parent
    if (PACKAGE / "notebooks").is_dir():  # a wheel, which may lie inside another project
        return None
    return root if (root / "pyproject.toml").is_file() and (root / "studies").is_dir() else None


def find_notebook(name: str) -> Path:
    """Return the path of a notebook that ships with lrreport, such as "train.ipynb"."""
    checkout = find_checkout()
    return (checkout or PACKAGE) / "notebooks" / name


def find_studies() -> list[Path]:
    """Return the study files of the checkout, those in folders last; an installed wheel has none."""
    checkout = find_checkout()
    files = (checkout / "studies").rglob("*.toml") if checkout else ()
    return sorted(files, key=lambda path: (len(path.parts), path))


def find_reference() -> Path:
    """Return the folder with the committed runs of the default study."""
    return (find_checkout() or PACKAGE) / "outputs" / "reference"


def choose_outputs(study_file: Path | None) -> Path:
    """Return the default folder for runs and reports: the checkout's outputs/, or outputs/ beside the study's file."""
    checkout = find_checkout()
    if checkout is not None:
        return checkout / "outputs"
    return (study_file.parent if study_file is not None else Path.cwd()) / "outputs"
