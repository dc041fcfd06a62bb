"""Source "lightning": folders of Lightning's CSVLogger, each with metrics.csv and hparams.yaml."""

from lrreport.sources import table
from lrreport.sources.folder import Folder, parent
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.spec import ImportSpec
from lrreport.sources.table_files import read_csv


def find(folder: Folder) -> int:
    """Return how many folders hold metrics.csv with a column "step", beside hparams.yaml or in version_N."""
    return len(_find_files(folder))


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Return a run per folder; of the columns METRIC_step and METRIC_epoch, METRIC_epoch is used."""
    notes: list[Note] = []
    logs: list[RunLog] = []
    for path in _find_files(folder):
        frame, more = read_csv(folder, path)
        notes += more
        twins = [name for name in frame.columns if name.endswith("_step") and f"{name[:-5]}_epoch" in frame.columns]
        frame = frame.drop(columns=twins)
        if twins:
            notes.append(Note("excluded", "columns METRIC_step beside METRIC_epoch", len(twins)))
        if frame.empty:
            notes.append(Note("excluded", f"{path}: has a header and no rows"))
            continue
        log = table.read_run(frame, path, parent(path) or "run", spec)
        first = min((points.at.min() for points in log.points if points.axis == "epoch"), default=0)
        if first > 0:
            text = "runs whose first epoch is not 0: a resume into the same folder deletes what was logged before"
            notes.append(Note("cut", text))
        logs.append(log)
    return logs, notes


def _find_files(folder: Folder) -> list[str]:
    names = set(folder.paths)
    return [
        path
        for path in folder.paths
        if path.rsplit("/", 1)[-1] == "metrics.csv"
        and (f"{parent(path)}/hparams.yaml".lstrip("/") in names or "version_" in parent(path).rsplit("/", 1)[-1])
    ]
