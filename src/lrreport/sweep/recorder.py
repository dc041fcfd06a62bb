"""Record runs while they log: save each as soon as its last line is there, and start again after a failure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lrreport.errors import FailedError
from lrreport.record.record import PROGRESS, save_record
from lrreport.sweep.execute import Limits
from lrreport.sweep.lines import REMEDY, VARIABLE, LoggedRun, LogReader
from lrreport.sweep.producer import Run
from lrreport.sweep.record_log import Expected, find_facts, make_record


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
        failure = _start(recorder, log, limits, start)
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


def _start(
    recorder: RunRecorder, log: Path, limits: Limits, start: Callable[[Sequence[Run], Path, Limits], None]
) -> str:
    """Start the recorder's runs and record them to the end of the log; return the error that ended them, or nothing."""

    def tick() -> None:
        recorder.refresh()
        limits.on_tick()

    failure = ""
    try:
        start(recorder.runs, log, replace(limits, on_tick=tick))
    except FailedError as err:
        failure = str(err)
    recorder.refresh(to_the_end=True)
    return failure
