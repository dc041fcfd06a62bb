"""Make the record of a run from its logged lines, checked against the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lrreport.errors import FailedError
from lrreport.record.provenance import collect_facts
from lrreport.record.record import RunRecord, Series
from lrreport.study.metrics import Metric
from lrreport.sweep.lines import LoggedRun, Point, shorten_value
from lrreport.sweep.producer import Run

MOST_METRICS = 200  # of a run; more are a dump of something else


@dataclass(frozen=True)
class Expected:
    """The metrics that a study knows, and those that its decision needs."""

    metrics: Mapping[str, Metric]
    needed: tuple[str, ...]


def make_record(logged: LoggedRun, run: Run, expected: Expected, facts: Mapping[str, Any]) -> RunRecord:
    """Return the record of a run whose lines are complete; raises FailedError for lines that are not a run of this study.

    A run that diverged has its points before the first value that is not finite, and no final values.
    """
    _check_settings(logged, run)
    if logged.status not in ("completed", "diverged"):
        reason = f": {logged.reason}" if logged.reason else ""
        raise FailedError(f"it ended as {shorten_value(logged.status)}{reason}")
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
                f"it logged {name} = {shorten_value(value)} but was started with {expected}; use the value that it gets"
            )


def _declare(names: Sequence[str], expected: Expected) -> dict[str, Metric]:
    if len(names) > MOST_METRICS:
        raise FailedError(f"it logged {len(names):,} metrics, at most {MOST_METRICS} are recorded; log fewer")
    for name in names:
        if name not in expected.metrics:
            raise FailedError(
                f"it logged {shorten_value(name)}, which the study does not know; declare it in the study: "
                f'[metrics.{shorten_value(name)}] with better = "higher" or "lower"'
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


@cache
def find_facts() -> dict[str, Any]:
    """Return the facts of this machine, collected once."""
    return collect_facts()
