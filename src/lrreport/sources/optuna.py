"""Source "optuna": a database of trials, which is recognised so that it can be refused with the reason."""

from lrreport.errors import LrreportError
from lrreport.sources.folder import Folder
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.spec import ImportSpec
from lrreport.sources.sqlite import is_database, open_database, read_rows

TABLES = {"trials", "trial_params", "studies"}


def find(folder: Folder) -> int:
    """Return how many databases of Optuna there are."""
    return len(_select(folder))


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Raise LrreportError: a search tries most settings once, where it went well, and without seeds."""
    path, n_trials, names = max((_read_search(folder, path) for path in _select(folder)), key=lambda search: search[1])
    if n_trials == 0:
        raise LrreportError(f"{path}: an Optuna database without trials; there is nothing to compare")
    raise LrreportError(
        f"{path}: an Optuna search of {n_trials} trials over {', '.join(names[:5]) or 'no settings'}, which has no seeds and "
        "tries values where earlier ones did well; run each value that you want to compare with several seeds and log those"
    )


def _select(folder: Folder) -> list[str]:
    return [path for path in folder.paths if is_database(folder, path, TABLES)]


def _read_search(folder: Folder, path: str) -> tuple[str, int, list[str]]:
    """Return path, number of trials and names of the settings of a database."""
    with open_database(folder, path) as database:
        n_trials = int(read_rows(database, path, "SELECT count(*) FROM trials")[0][0])
        names = read_rows(database, path, "SELECT DISTINCT param_name FROM trial_params")
    return path, n_trials, [str(row[0]) for row in names]
