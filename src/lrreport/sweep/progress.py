"""The progress of a sweep: a bar over the epochs of all runs on a terminal, else a line per minute."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lrreport.record.record import PROGRESS

if TYPE_CHECKING:
    from tqdm import tqdm

    from lrreport.sweep.producer import Run


@dataclass
class Progress:
    """Counts finished epochs of the runs to be made, or finished runs where the number of epochs is unknown."""

    seconds_between_lines: float = 60.0
    _bar: "tqdm[None] | None" = None
    _unit: str = "epoch"
    _n_done: int = 0  # of the runs that have ended
    _watched: dict[Path, int] = field(default_factory=dict)  # workspace -> the most that its runs can count
    _n_shown: int = 0  # never falls, although runs that have just ended are counted nowhere for a moment
    _started: float = 0.0
    _last_line: float = 0.0
    _n_total: int = 0

    def start(self, runs: "Sequence[Run]") -> None:
        """Start counting."""
        from tqdm import tqdm

        self._unit = "epoch" if all(run.n_epochs for run in runs if run.level is not None) else "run"
        self._n_total, self._n_done, self._n_shown = sum(map(self._weigh, runs)), 0, 0
        self._started = self._last_line = time.monotonic()
        hidden = sys.stderr is None or not sys.stderr.isatty()
        self._bar = tqdm(
            total=self._n_total, unit=self._unit, desc="Training", disable=hidden, dynamic_ncols=True, leave=True
        )

    def _weigh(self, run: "Run") -> int:
        if run.level is None:
            return 0  # a range test, which has no epochs
        return run.n_epochs if self._unit == "epoch" else 1

    def watch(self, workspace: Path, runs: "Sequence[Run]") -> None:
        """Count the epochs noted in a workspace from now on."""
        self._watched[workspace] = sum(map(self._weigh, runs)) if self._unit == "epoch" else 0

    def forget(self, workspace: Path) -> None:
        """Stop counting a workspace."""
        self._watched.pop(workspace, None)

    def finish(self, runs: "Sequence[Run]") -> None:
        """Count these runs as a whole."""
        self._n_done += sum(map(self._weigh, runs))

    def show(self) -> None:
        """Move the bar, or print a line if the last is a minute old."""
        n_done = self._n_done
        for workspace, most in list(self._watched.items()):
            with suppress(OSError):  # it has no epoch yet, or its runs have just been kept
                n_done += min(most, (workspace / PROGRESS).stat().st_size)
        n_done = self._n_shown = min(max(n_done, self._n_shown), self._n_total)
        if self._bar is not None:
            self._bar.update(max(0, n_done - self._bar.n))
        now = time.monotonic()
        if (self._bar is None or self._bar.disable) and now - self._last_line >= self.seconds_between_lines:
            self._last_line = now
            self.print(f"lrreport: {self._describe(n_done, now - self._started)}")

    def _describe(self, n_done: int, seconds: float) -> str:
        count = f"{n_done:,} of {self._n_total:,} {self._unit}s"
        if not 0 < n_done < self._n_total:
            return count
        left = seconds / n_done * (self._n_total - n_done)
        return f"{count}, about {max(1, round(left / 60))} min left"

    def print(self, line: str) -> None:
        """Print a line to stderr, above the bar, if any."""
        if sys.stderr is not None:
            from tqdm import tqdm

            with suppress(OSError, ValueError):  # stderr was closed
                tqdm.write(line, file=sys.stderr)
                sys.stderr.flush()

    def close(self) -> None:
        """End the bar as it is."""
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.close()
