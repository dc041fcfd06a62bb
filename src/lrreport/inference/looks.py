"""Looks at a study: the error that each may spend, and which levels get how many seeds at the next."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import ALPHA
from lrreport.study.decide import Look

if TYPE_CHECKING:
    from lrreport.inference.choice import Decision

# What more seeds would not change.
HOPELESS = ("none learns", "one level", "no runs", "no scores", "error spent", "no choice")


def find_share(number: int) -> float:
    """Return the share of the 5 % that look `number` spends, 1 / (m (m + 1)): 2.5 %, 0.83 %, 0.42 % …, all together 5 %."""
    return ALPHA / (number * (number + 1))


def share_error(measurements: Measurements, n_seeds: Mapping[int, int]) -> Look:
    """Return this look at the study, with its share of the 5 %: look m may be wrong with probability 5 % / (m (m + 1)).

    The shares of all looks add up to 5 %, however many there are (Kim and Nelson, 2001, plan looks with an indifference
    zone; shares that are fixed beforehand need no independence). A study whose `most` seeds are already there at its first
    look declares it the only look, and spends all 5 % on it. All remaining studies, including those without `most`, spend
    2.5 % on the first look: so a later report on more seeds is a valid second look. The same seeds again are the same look.
    """
    looks = measurements.looks
    if looks and looks[-1].n_seeds == dict(n_seeds):
        return looks[-1]
    number = max((look.number for look in looks), default=0) + 1
    dropped = tuple(sorted({index for look in looks for index in look.dropped}))
    only = measurements.most_seeds is not None and max(n_seeds.values(), default=0) >= measurements.most_seeds
    alpha = ALPHA if number == 1 and only else find_share(number)
    left = max(0.0, ALPHA - sum(look.alpha for look in looks))
    return Look(number=number, n_seeds=dict(n_seeds), alpha=min(alpha, left) if left > 1e-9 else 0.0, dropped=dropped)


def choose_next(decision: "Decision", n_seeds: Mapping[int, int], most: int) -> dict[int, int] | None:
    """Return how many seeds each level has at the next look, by index; None if there is none.

    Levels that may be the best get twice as many as they have, up to `most`; the rest keep theirs. There is no next
    look once something is chosen, or where more seeds would not help.
    """
    candidates = decision.candidates
    if decision.chosen is not None or decision.reason in HOPELESS or not candidates:
        return None
    n = max(n_seeds[index] for index in candidates)
    wanted = min(2 * n, most)
    if wanted <= n:
        return None
    return {index: wanted if index in candidates else n_own for index, n_own in n_seeds.items()}
