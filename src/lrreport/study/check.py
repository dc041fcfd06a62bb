"""Check a study as a whole: its levels, the metrics it names, and what it says of an earlier report."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrreport.errors import LrreportError
from lrreport.study.factors import Level, find_level, index_levels
from lrreport.study.metrics import SPLIT_PREFIXES

if TYPE_CHECKING:
    from lrreport.study.study import Study

MOST_LEVELS = 2000  # of a study; more would make an unreadable report


def check_study(study: "Study") -> None:
    """Raise LrreportError for the first invalid level of a study, unknown metric, or impossible result of an earlier report."""
    if len(study.levels) > MOST_LEVELS:
        raise LrreportError(
            f"{study.where}: {len(study.levels)} levels are more than a report can show ({MOST_LEVELS})"
        )
    for level in study.levels if study.has_own_loop else ():
        study.settings_of(level)
    for name in (study.decide.metric, study.decide.best_of):
        if name is not None and study.import_ is None and study.find_metric(name) is None:
            prefixes = ", ".join(f"{prefix}_" for prefix in SPLIT_PREFIXES)
            raise LrreportError(
                f"{study.where}: decide = {name!r}: there is no such metric; give a quantity of {', '.join(study.quantities)} "
                f'after {prefixes}, or declare it as [metrics.{name}] with better = "higher"'
            )
    for name in study.metrics:
        if study.find_metric(name) is None and name not in study.quantities:
            raise LrreportError(f'{study.where}: metrics.{name} is not built in; set better = "higher" or "lower"')
    levels = index_levels(study.levels)
    for result in study.published.result if study.published is not None else ():
        _check_published(study, levels, result.level, result.values)
        if not result.values:
            raise LrreportError(
                f"{study.where}: published.result: it gives no number; add a metric, such as test_accuracy = 0.87"
            )
    for difference in study.published.difference if study.published is not None else ():
        level, than = (
            _check_published(study, levels, values, {difference.metric: 0.0}, "difference")
            for values in (difference.level, difference.than)
        )
        if level == than:
            raise LrreportError(
                f"{study.where}: published.difference: it compares {level.name} with itself; name two levels"
            )


def _check_published(
    study: "Study",
    levels: Mapping[frozenset[tuple[str, Any]], Level],
    values: dict[str, Any],
    numbers: dict[str, float],
    key: str = "result",
) -> Level:
    """Return the level that an earlier report names; raise LrreportError unless it and the metrics exist."""
    level = find_level(levels, values)
    if level is None:
        shown = ", ".join(f"{name} = {value}" for name, value in values.items()) or "without a value of any factor"
        names = ", ".join(level.name for level in study.levels[:20])
        raise LrreportError(f"{study.where}: published.{key}: the study has no level {shown}; it has {names}")
    for name, number in numbers.items():
        metric = study.find_metric(name)
        if metric is None and study.import_ is None:
            raise LrreportError(f"{study.where}: published.{key}: there is no metric {name!r}")
        if key == "result" and metric is not None and metric.clip(number) != number:
            hint = "a fraction, such as 0.87 for 87 %" if metric.scale == "fraction" else "a value that is possible"
            raise LrreportError(f"{study.where}: published.result: {name} = {number:g}: give {hint}")
    return level
