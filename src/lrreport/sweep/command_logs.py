"""Logs that the user's command writes in its own format, read by a source once the command has ended."""

import importlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrreport.errors import FailedError, LrreportError
from lrreport.project import expand_user
from lrreport.record.record import save_record
from lrreport.sweep.lines import LoggedRun
from lrreport.sweep.producer import Run
from lrreport.sweep.record_log import Expected, find_facts, make_record
from lrreport.sweep.values import fill_in

MOST_FILES = 10_000  # in the folder of a run's logs
Snapshot = dict[Path, tuple[int, int]]  # file -> size and time of change


@dataclass(frozen=True)
class CommandLogs:
    """Which source reads the logs of a run, and where they are: `path` may name settings and the seed in braces."""

    source: str
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        """Return the specification as text, for a digest."""
        return json.dumps([self.source, self.path, dict(self.options)], sort_keys=True)

    def locate(self, folder: Path, values: Mapping[str, Any]) -> "LogLocation":
        """Return the location of a run's logs from its settings and seed."""
        return LogLocation(
            folder / expand_user(fill_in(self.path, values, "producer.log.path")), self.source, self.options
        )

    def check(self) -> None:
        """Raise LrreportError unless there is such a source, and its options are right."""
        self.parse()

    def parse(self) -> Any:
        """Return the options as an ImportSpec."""
        from lrreport.sources.spec import ImportSpec
        from lrreport.study.parsing import parse_settings

        return parse_settings(ImportSpec, {"from": self.source, **self.options}, "producer.log")


@dataclass(frozen=True)
class LogLocation:
    """The file or folder with the logs of a run."""

    path: Path
    source: str
    options: Mapping[str, Any]

    def snapshot(self) -> Snapshot:
        """Return the files with their sizes and times, so that files of an earlier start are not read again."""
        files = [self.path] if self.path.is_file() else sorted(self.path.rglob("*"))[: MOST_FILES + 1]
        if len(files) > MOST_FILES:
            raise FailedError(
                f"its logs are more than {MOST_FILES:,} files; name a folder that holds those of a single run"
            )
        return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()}

    def list_watched(self) -> list[Path]:
        """Return the paths whose changes show progress."""
        return [self.path]

    def save_run(self, run: Run, workspace: Path, before: Snapshot, expected: Expected) -> None:
        """Save the record of the run in the new or changed files; raises LrreportError."""
        from lrreport.sources.folder import Folder

        now = self.snapshot()
        changed = {file for file, state in now.items() if before.get(file) != state}
        if not changed:
            raise FailedError(f"it wrote no logs to {self.path}; check producer.log.path")
        spec = CommandLogs(self.source, "", self.options).parse()
        folder = Folder(self.path)
        folder.paths = [path for path in folder.paths if folder.root / path in {file.resolve() for file in changed}]
        folder.select(spec.paths, spec.exclude)
        logs, _ = importlib.import_module(f"lrreport.sources.{self.source}").read(folder, spec)
        columns = _map_columns(
            expected, [*(p.metric for log in logs for p in log.points), *(m for log in logs for m in log.final)]
        )
        measured = [log for log in logs if {points.metric for points in log.points} | set(log.final) & columns.keys()]
        if len(measured) != 1:
            raise FailedError(f"its logs in {self.path} hold {len(measured)} runs; give each run its own path")
        logged = _read_log(measured[0], columns, spec.percent)
        save_record(workspace / run.key, make_record(logged, run, expected, find_facts()), {})


def _map_columns(expected: Expected, columns: Iterable[str]) -> dict[str, str]:
    """Map the columns of the logs to metrics: by the study's `from`, by equal names, else by guessing from the name.

    "eval_accuracy" is val_accuracy; an ambiguous metric is left out. Raises FailedError where the deciding metric is
    missing.
    """
    names = list(dict.fromkeys(columns))
    from lrreport.sources.guess import guess_metric

    mapped = {name: name for name in expected.metrics}
    mapped |= {column: name for name, metric in expected.metrics.items() for column in metric.columns}
    known = {mapped[name] for name in names if name in mapped}
    guesses = {name: guess_metric(name, [sibling for sibling in names if sibling != name]) for name in names}
    counts = Counter(guess.name for guess in guesses.values() if guess is not None)
    for name, guess in guesses.items():
        if guess is not None and guess.name in expected.metrics and guess.name not in known and counts[guess.name] == 1:
            mapped.setdefault(name, guess.name)
    present = {mapped[name] for name in names if name in mapped}
    if missing := [name for name in expected.needed if name not in present]:
        raise FailedError(
            f"its logs have {', '.join(names[:8]) or 'no numbers'} but not {missing[0]}, which the study decides on; "
            f'add [metrics.{missing[0]}] with from = "COLUMN", or change [decide]'
        )
    return mapped


def _read_log(log: Any, columns: Mapping[str, str], percent: tuple[str, ...]) -> LoggedRun:
    """Convert a source's log to logged lines; columns that are not metrics are left out."""
    logged = LoggedRun({}, status="completed")
    for points in log.points:
        name = columns.get(points.metric)
        if name is None:
            continue
        scale = 0.01 if points.metric in percent else 1.0
        pairs = sorted(zip(points.at.tolist(), points.values.tolist(), strict=True))
        for at, value in pairs:
            finite = math.isfinite(value)
            logged.points.append((points.axis, at, {name: value * scale if finite else None}))
            logged.diverged |= not finite
    for column, value in log.final.items():
        if column in columns:
            scale = 0.01 if column in percent else 1.0
            logged.final[columns[column]] = value * scale if math.isfinite(value) else None
            logged.diverged |= not math.isfinite(value)
    if logged.diverged or log.status == "diverged":
        logged.status = "diverged"
    if logged.status == "diverged":  # make_record cuts at the first value that is not finite, in order of the axis
        logged.points.sort(key=lambda point: (point[0], point[1]))
    if log.status in ("failed", "stopped"):
        raise LrreportError(f"the run {log.status}{f' ({log.reason})' if log.reason else ''}")
    return logged
