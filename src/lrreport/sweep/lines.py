"""Read the lines that a user's notebook or command logs as they arrive."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrreport.errors import FailedError

AXES = ("epoch", "step", "samples", "seconds")
NO_METRICS = (*AXES, "status", "reason", "lr", "learning_rate", "grad_norm")  # keys of a line that measure no outcome
LARGEST_LOG, LONGEST_LINE = 500_000_000, 1_000_000  # bytes
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
            raise FailedError(
                f"line {self._n_lines} of its log is not JSON: {shorten_value(content)}; {REMEDY}"
            ) from err
        if not isinstance(line, dict):
            raise FailedError(f"line {self._n_lines} of its log is not an object: {shorten_value(content)}; {REMEDY}")
        if "run" in line:
            self.runs.append(LoggedRun(line["run"] if isinstance(line["run"], dict) else {}))
            return 0
        if not self.runs or self.runs[-1].status:
            self.runs.append(LoggedRun({}))
        run = self.runs[-1]
        run.diverged |= line.get("status") == "diverged"
        if "end" in line:
            run.status = "diverged" if run.diverged and line["end"] == "completed" else str(line["end"])
            run.reason = shorten_value(line.get("reason") or "", 500)
            final = line.get("final")
            run.final = self._read_values(final if isinstance(final, dict) else {}, run)
            return 0
        axis = next((axis for axis in AXES if axis in line), None)
        if axis is None:
            raise FailedError(f"line {self._n_lines} of its log has no epoch or step: {shorten_value(content)}")
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
            raise FailedError(
                f"line {self._n_lines} of its log: {shorten_value(name)} = {shorten_value(value)} is not a number"
            )
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
        run.diverged = True
        return None


def shorten_value(value: Any, longest: int = 80) -> str:
    """Return a value of a log as a single line of at most `longest` printable characters."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
