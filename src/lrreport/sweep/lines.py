"""Read the lines that a user's notebook or command logs as they arrive, and make records of them."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from lrreport.errors import FailedError
from lrreport.record.provenance import collect_facts
from lrreport.record.record import PROGRESS, RunRecord, Series, save_record
from lrreport.study.metrics import Metric
from lrreport.sweep.execute import Limits
from lrreport.sweep.run import Run

AXES = ("epoch", "step", "samples", "seconds")
NO_METRICS = (*AXES, "status", "reason", "lr", "learning_rate", "grad_norm")  # keys of a line that measure no outcome
LARGEST_LOG, LONGEST_LINE = 500_000_000, 1_000_000  # bytes
MOST_METRICS = 200  # of a run; more are a dump of something else
VARIABLE = "LRREPORT_LOG"
REMEDY = "call lrreport.log.run, epoch and end, or declare its logs with log = { from = ..., path = ... }"
Point = tuple[str, float, dict[str, float | None]]  # axis, position on it, and values by metric


@dataclass
class LoggedRun:
    """The lines of a run; `status` is empty until its last line."""

    settings: dict[str, Any]
    points: list[Point] = field(default_factory=list)
    diverged: bool = False
    status: str = ""
    reason: str = ""
    final: dict[str, float | None] = field(default_factory=dict)

    @property
    def seed(self) -> int | None:
        """The seed among its settings."""
        seed = self.settings.get("seed")
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None


@dataclass(frozen=True)
class Expected:
    """The metrics that a study knows, and those that its decision needs."""

    metrics: Mapping[str, Metric]
    needed: tuple[str, ...]


class LogReader:
    """Reads a growing file of JSON lines: `runs` are those begun so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[LoggedRun] = []
        self._position, self._n_lines = 0, 0

    def read(self, to_the_end: bool = False) -> int:
        """Read the lines added since the last call, except an incomplete last line; return how many points they hold.

        `to_the_end` also reads a last line without a line break. Raises FailedError for a malformed line.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                content = file.read(LARGEST_LOG + 1)
        except FileNotFoundError:
            return 0
        if self._position + len(content) > LARGEST_LOG:
            raise FailedError(f"it logged more than {LARGEST_LOG // 1_000_000} MB; log fewer points")
        end = len(content) if to_the_end else content.rfind(b"\n") + 1
        self._position += end
        return sum(self._read_line(line) for line in content[:end].split(b"\n") if line.strip())

    def _read_line(self, content: bytes) -> int:
        self._n_lines += 1
        if len(content) > LONGEST_LINE:
            raise FailedError(f"line {self._n_lines} of its log has more than {LONGEST_LINE:,} bytes; log numbers only")
        try:
            line = json.loads(content)
        except (ValueError, RecursionError) as err:
            raise FailedError(f"line {self._n_lines} of its log is not JSON: {_shorten(content)}; {REMEDY}") from err
        if not isinstance(line, dict):
            raise FailedError(f"line {self._n_lines} of its log is not an object: {_shorten(content)}; {REMEDY}")
        if "run" in line:
            self.runs.append(LoggedRun(line["run"] if isinstance(line["run"], dict) else {}))
            return 0
        if not self.runs or self.runs[-1].status:
            self.runs.append(LoggedRun({}))
        run = self.runs[-1]
        run.diverged |= line.get("status") == "diverged"
        if "end" in line:
            run.status = "diverged" if run.diverged and line["end"] == "completed" else str(line["end"])
            run.reason = _shorten(line.get("reason") or "", 500)
            final = line.get("final")
            run.final = self._read_values(final if isinstance(final, dict) else {}, run)
            return 0
        axis = next((axis for axis in AXES if axis in line), None)
        if axis is None:
            raise FailedError(f"line {self._n_lines} of its log has no epoch or step: {_shorten(content)}")
        at = self._read_number(axis, line[axis], run)
        if at is None:
            raise FailedError(f"line {self._n_lines} of its log: {axis} is not a finite number")
        run.points.append((axis, at, self._read_values(line, run)))
        return 1

    def _read_values(self, line: Mapping[str, Any], run: LoggedRun) -> dict[str, float | None]:
        return {name: self._read_number(name, line[name], run) for name in line if name not in NO_METRICS}

    def _read_number(self, name: str, value: Any, run: LoggedRun) -> float | None:
        """Return a finite number, or None for null; a number that is not finite says that the run diverged."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FailedError(f"line {self._n_lines} of its log: {_shorten(name)} = {_shorten(value)} is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
        run.diverged = True
        return None


def make_record(logged: LoggedRun, run: Run, expected: Expected, facts: Mapping[str, Any]) -> RunRecord:
    """Return the record of a run whose lines are complete; raises FailedError for lines that are not a run of this study.

    A run that diverged has its points before the first value that is not finite, and no final values.
    """
    _check_settings(logged, run)
    if logged.status not in ("completed", "diverged"):
        reason = f": {logged.reason}" if logged.reason else ""
        raise FailedError(f"it ended as {_shorten(logged.status)}{reason}")
    points = logged.points
    if logged.status == "diverged":
        broken = next((index for index, (_, _, values) in enumerate(points) if None in values.values()), len(points))
        points = points[:broken]
    names = list(dict.fromkeys([name for _, _, values in logged.points for name in values] + list(logged.final)))
    metrics = _declare(names, expected)
    history = _collect_series(points)
    final: dict[str, float] = {}
    if logged.status == "completed":
        final = {series.metric: value for series in history for value in series.values[-1:] if value is not None}
        final |= {name: value for name, value in logged.final.items() if value is not None}
        _check_needed(list(final), expected)
    for name, value in [*((s.metric, v) for s in history for v in s.values if v is not None), *final.items()]:
        _check_bounds(metrics[name], value)
    return RunRecord(
        identity=run.identity,
        settings=run.identity.settings,
        seed=run.identity.seed,
        status=logged.status,
        reason=logged.reason,
        metrics=metrics,
        history=history,
        final=final,
        facts=dict(facts),
    )


def _check_settings(logged: LoggedRun, run: Run) -> None:
    """Raise FailedError if the lines name another value of a setting than the run was started with."""
    wanted = {name.rpartition(".")[2]: value for name, value in run.identity.settings.items()}
    for name, value in logged.settings.items():
        expected = wanted.get(name)
        numbers = isinstance(expected, int | float) and isinstance(value, int | float)
        if (numbers or (isinstance(expected, str) and isinstance(value, str))) and value != expected:
            raise FailedError(
                f"it logged {name} = {_shorten(value)} but was started with {expected}; use the value that it gets"
            )


def _declare(names: Sequence[str], expected: Expected) -> dict[str, Metric]:
    if len(names) > MOST_METRICS:
        raise FailedError(f"it logged {len(names):,} metrics, at most {MOST_METRICS} are recorded; log fewer")
    for name in names:
        if name not in expected.metrics:
            raise FailedError(
                f"it logged {_shorten(name)}, which the study does not know; declare it in the study: "
                f'[metrics.{_shorten(name)}] with better = "higher" or "lower"'
            )
    return {name: expected.metrics[name] for name in names}


def _check_needed(names: Sequence[str], expected: Expected) -> None:
    for needed in expected.needed:
        if needed not in names:
            raise FailedError(
                f"it logged {', '.join(names[:8]) or 'no metric'} but not {needed}, which the study decides on; log it, or "
                "change [decide]"
            )


def _check_bounds(metric: Metric, value: float) -> None:
    for bound, beyond, word in (
        (metric.low, metric.low is not None and value < metric.low - 1e-6, "below"),
        (metric.high, metric.high is not None and value > metric.high + 1e-6, "above"),
    ):
        if beyond:
            hint = "; log a fraction, not a percentage" if metric.scale == "fraction" and word == "above" else ""
            raise FailedError(f"it logged {metric.name} = {value:g}, {word} the limit of {bound:g}{hint}")


def _collect_series(points: Sequence[Point]) -> tuple[Series, ...]:
    """Return the values of each metric on each axis, without points where a metric is null."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for axis, at, values in points:
        for name, value in values.items():
            if value is not None:
                pairs = series.setdefault((name, axis), [])
                if pairs and at <= pairs[-1][0]:
                    problem = "twice" if at == pairs[-1][0] else f"after {axis} {pairs[-1][0]:g}"
                    raise FailedError(f"it logged {name} at {axis} {at:g} {problem}; points must ascend")
                pairs.append((at, value))
    return tuple(
        Series(metric=name, axis=axis, at=tuple(at for at, _ in pairs), values=tuple(value for _, value in pairs))
        for (name, axis), pairs in series.items()
    )


def _shorten(value: Any, longest: int = 80) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


@cache
def find_facts() -> dict[str, Any]:
    """Return the facts of this machine, collected once."""
    return collect_facts()


class RunRecorder:
    """Saves each run of an execution in the workspace as soon as its last line is logged."""

    def __init__(self, log: Path, runs: Sequence[Run], workspace: Path, expected: Expected) -> None:
        self.runs, self.workspace, self.expected = runs, workspace, expected
        self.errors: dict[str, str] = {}  # by the key of the run
        self.ended: set[str] = set()  # keys
        self._reader = LogReader(log)
        self._n_matched = 0

    def refresh(self, to_the_end: bool = False) -> None:
        """Read the lines logged since the last call; raises FailedError for lines of no expected run."""
        n_points = self._reader.read(to_the_end)
        if n_points:
            with (self.workspace / PROGRESS).open("ab") as file:
                file.write(b"." * n_points)
        while self._n_matched < len(self._reader.runs) and self._reader.runs[self._n_matched].status:
            logged = self._reader.runs[self._n_matched]
            self._n_matched += 1
            run = self._match(logged)
            self.ended.add(run.key)
            try:
                record = make_record(logged, run, self.expected, find_facts())
                save_record(self.workspace / run.key, record, {})
            except FailedError as err:
                self.errors[run.key] = str(err)

    def _match(self, logged: LoggedRun) -> Run:
        """Return the run of these lines: by seed, or the next in order if they have none."""
        left = [run for run in self.runs if run.key not in self.ended]
        if logged.seed is None and left:
            return left[0]
        for run in self.runs:
            if run.identity.seed == logged.seed and logged.seed is not None:
                if run.key in self.ended:
                    raise FailedError(f"it logged seed {logged.seed} twice")
                return run
        wanted = ", ".join(str(run.identity.seed) for run in self.runs)
        raise FailedError(f"it logged a run of seed {logged.seed}, but the seeds of this start are {wanted}")

    def find_current(self) -> Run | None:
        """Return the run that has begun and not ended, or None."""
        if self._n_matched == len(self._reader.runs):
            return None
        return self._match(self._reader.runs[-1])

    def describe_absence(self, run: Run) -> str:
        """Return why a run has no record although its process ended without an error."""
        if not self._reader.runs:
            return f"it logged nothing to the file that {VARIABLE} names; {REMEDY}"
        current = self._reader.runs[-1]
        if self._n_matched < len(self._reader.runs) and self._match(current) is run:
            where = f"after {current.points[-1][0]} {current.points[-1][1]:g}" if current.points else "before any epoch"
            return f"its log stops {where}, without a last line; call lrreport.log.end when the run is done"
        return f"it logged no run of seed {run.identity.seed}"


def make_logged(
    runs: Sequence[Run],
    workspace: Path,
    limits: Limits,
    expected: Expected,
    start: Callable[[Sequence[Run], Path, Limits], None],
) -> dict[str, str]:
    """Make runs by `start(runs, log, limits)`, which executes code that logs; return the reasons of failed runs by key.

    If it fails within a run, that run gets the error and the remaining runs are started again; two failures in a row
    without a finished run end this.
    """
    errors: dict[str, str] = {}
    remaining, fruitless = list(runs), 0
    while remaining:
        log = workspace / f"log-{remaining[0].identity.seed}.jsonl"
        log.unlink(missing_ok=True)
        recorder = RunRecorder(log, remaining, workspace, expected)

        def tick(recorder: RunRecorder = recorder) -> None:
            recorder.refresh()
            limits.on_tick()

        failure = ""
        try:
            start(remaining, log, replace(limits, on_tick=tick))
        except FailedError as err:
            failure = str(err)
        recorder.refresh(to_the_end=True)
        errors |= recorder.errors
        left = [run for run in remaining if run.key not in recorder.ended]
        if limits.stopping.is_set():
            raise FailedError("stopped")
        current = recorder.find_current()
        fruitless = fruitless + 1 if len(left) == len(remaining) else 0
        if failure and current is not None and len(left) > 1 and fruitless < 2:
            errors[current.key] = failure
            remaining = [run for run in left if run is not current]
            continue
        errors |= {run.key: failure or recorder.describe_absence(run) for run in left}
        break
    return errors
