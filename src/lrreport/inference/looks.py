"""The next look at a study: which levels get more seeds, and how many."""

from collections.abc import Mapping

from lrreport.inference.choice import Decision

# What more seeds would not change.
HOPELESS = ("none learns", "one level", "no runs", "no scores", "error spent", "no choice")


def choose_next(decision: Decision, n_seeds: Mapping[int, int], most: int) -> dict[int, int] | None:
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
