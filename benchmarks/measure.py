"""What a measurement is: readings taken in turns, their median and range, and whether they reach a target."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["slower", "faster", "share", "growth", "seconds", "megabytes"]
UNITS = {"slower": "×", "faster": "×", "share": "%", "growth": "×", "seconds": "s", "megabytes": "MB"}


@dataclass(frozen=True)
class Row:
    """A line of the table: readings of `what`, in comparison with `beside` where it is a ratio.

    "slower" is our time over theirs, "faster" theirs over ours, "growth" how much the cost per item rises
    with their number; `target` is the most that is allowed, of "faster" the least. `times` holds the seconds behind them.
    """

    what: str
    beside: str
    kind: Kind
    readings: tuple[float, ...]
    target: float | None = None
    times: dict[str, list[float]] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The median of the readings."""
        return statistics.median(self.readings)

    @property
    def share_of_target(self) -> float | None:
        """How much of what the target allows is used: at most 1 if it is reached; None without a target."""
        if self.target is None:
            return None
        return self.target / self.median if self.kind == "faster" else self.median / self.target

    def describe(self) -> list[str]:
        """Return the cells of the table: what, beside, median, range, target and whether it is reached."""
        low, high = (self._show(value) for value in (min(self.readings), max(self.readings)))
        share, sign = self.share_of_target, "≥" if self.kind == "faster" else "≤"
        target = f"{sign} {self._show(self.target)}" if self.target is not None else "stated"
        verdict = "" if share is None else "reached" if share <= 1 else "MISSED"
        return [self.what, self.beside, self._show(self.median), f"{low} … {high}", target, verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data, with its median and unit."""
        reached = None if self.share_of_target is None else self.share_of_target <= 1
        return asdict(self) | {"median": self.median, "unit": UNITS[self.kind], "reached": reached}

    def _show(self, value: float) -> str:
        number = 100 * value if self.kind == "share" else value
        return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f} {UNITS[self.kind]}"


def time_call(call: Callable[[], Any]) -> float:
    """Return the seconds of wall time that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def take_turns(calls: Mapping[str, Callable[[], Any]], n: int, n_warm: int = 0) -> dict[str, list[float]]:
    """Return the seconds of each call, by name, n times over, after `n_warm` calls that do not count.

    They take turns, so that all see the machine's moods alike.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(n_warm):
        for call in calls.values():
            call()
    for _ in range(n):
        for name, call in calls.items():
            times[name].append(time_call(call))
    return times


def compare(what: str, beside: str, kind: Kind, times: Mapping[str, Sequence[float]], target: float | None) -> Row:
    """Return the row of a ratio, turn by turn: `times` holds ours first, then theirs."""
    ours, theirs = times.values()
    pairs = zip(ours, theirs, strict=True)
    readings = tuple(b / a if kind == "faster" else a / b for a, b in pairs)
    return Row(what, beside, kind, readings, target, {name: list(seconds) for name, seconds in times.items()})
