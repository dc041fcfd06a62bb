"""Whether the range tried is wide enough: may a level at either end be the best?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from lrreport.inference.measurements import Measurements
from lrreport.study.factors import Factor

Side = Literal["lowest", "highest"]
STEP = 3.0  # ratio of successive learning rates to try; two steps are about a decade
SMALL = 0.1  # positive values that are all below are changed by factors even where they span little


@dataclass(frozen=True)
class Edge:
    """Whether the range of a factor may be too narrow.

    `ends` are the levels at an end that may be the best or are practically as good, with their side; `next_values` are the
    values to try beyond; `failed` are the levels of an end where no seed trained.
    """

    factor: str
    verdict: Literal["supported", "contradicted", "undecided", "not testable"]
    reason: str
    ends: tuple[tuple[int, Side], ...] = ()
    next_values: tuple[Any, ...] = ()
    failed: tuple[int, ...] = ()


def find_edges(measurements: Measurements, table: pd.DataFrame, verdict: str) -> tuple[Edge, ...]:
    """Return for each factor whether its range may be too narrow, by the table of a `Decision`."""
    return tuple(_judge_factor(measurements, factor, table, verdict) for factor in measurements.factors)


def _judge_factor(measurements: Measurements, factor: Factor, table: pd.DataFrame, verdict: str) -> Edge:
    """Supported if an end may be the best and is not behind its neighbour by the margin; contradicted if both ends are out.

    An end that is out but practically as good as the best leaves it undecided, as does an end that is behind its neighbour.
    """
    if not factor.numeric:
        return Edge(factor.name, "not testable", "no order")
    if len(factor.values) < 2:
        return Edge(factor.name, "not testable", "one value")
    if verdict == "not testable":
        return Edge(factor.name, "not testable", "no decision")
    ordered = sorted(factor.values)
    sides: dict[Side, Any] = {"lowest": ordered[0], "highest": ordered[-1]}
    ends, failed, states = [], [], []
    for side, value in sides.items():
        levels = [level.index for level in measurements.levels if level.values[factor.name] == value]
        if not (table.n_runs[levels] > 0).any():
            return Edge(factor.name, "not testable", f"no run at the {side} end")
        tried = [i for i in levels if table.n_runs[i] > 0]
        failed += tried if (table.n[tried] == 0).all() else []
        open_ends = [
            i for i in levels if table.may_be_best[i] and not _is_behind_neighbour(measurements, factor, table, i)
        ]
        near = [i for i in levels if table.may_be_best[i] or table.good_enough[i]]
        states.append("supported" if open_ends else "undecided" if near else "contradicted")
        ends += [(i, side) for i in open_ends or near]
    result = next((state for state in ("supported", "undecided") if state in states), "contradicted")
    if result == "supported":
        ends = [(i, side) for i, side in ends if states[list(sides).index(side)] == "supported"]
    beyond = [value for side in sides if any(side == end for _, end in ends) for value in list_next(factor, side)]
    return Edge(factor.name, result, "", tuple(ends), tuple(beyond), tuple(failed))  # type: ignore[arg-type]


def _is_behind_neighbour(measurements: Measurements, factor: Factor, table: pd.DataFrame, index: int) -> bool:
    """Return whether the next level along a factor has a mean that is better by the margin or more."""
    values, ordered = measurements.levels[index].values, sorted(factor.values)
    inner = ordered[1] if values[factor.name] == ordered[0] else ordered[-2]
    wanted = values | {factor.name: inner}
    neighbour = next((level.index for level in measurements.levels if level.values == wanted), None)
    if neighbour is None or not table.n[neighbour] or measurements.margin is None:
        return False
    gain = measurements.metric.sign * (table["mean"][neighbour] - table["mean"][index])
    return bool(gain >= measurements.margin)


def list_next(factor: Factor, side: Side, n: int = 2) -> list[Any]:
    """Return the next values beyond an end of a factor: about three times as far each, or one more step if it is linear.

    >>> list_next(Factor("learning_rate", "learning rate", (0.001, 0.1), True), "highest")
    [0.3, 1.0]
    """
    ordered: Sequence[Any] = sorted(factor.values)
    end, inner = (ordered[-1], ordered[-2]) if side == "highest" else (ordered[0], ordered[1])
    whole = all(isinstance(value, int) for value in ordered)
    linear = [float(f"{end + (end - inner) * i:.12g}") for i in range(1, n + 1)]
    spent = not whole and max(linear) <= 0  # one more step would leave the positive numbers
    if whole and all(value > 0 and value & (value - 1) == 0 for value in ordered):  # batch sizes
        beyond = [end * 2**i if side == "highest" else end // 2**i for i in range(1, n + 1)]
    elif factor.is_log or (ordered[0] > 0 and (ordered[-1] < SMALL or spent)):
        powers = [STEP**i if side == "highest" else STEP**-i for i in range(1, n + 1)]
        beyond = [_round(end * power) for power in powers]
    else:
        beyond = linear
    beyond = [value for value in beyond if value > 0 or ordered[0] < 0]
    return list(dict.fromkeys(round(value) for value in beyond if round(value) not in ordered)) if whole else beyond


def _round(value: float) -> float:
    """Return a value with one significant digit, 0.9 as 1, so that 0.1 is followed by 0.3 and 1."""
    rounded = float(f"{value:.1g}")
    return float(f"{value / 0.9:.1g}") if f"{rounded:e}".startswith("9") else rounded
