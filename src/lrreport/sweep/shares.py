"""Divide the seeds of each level over executions."""

import heapq
from collections.abc import Sequence

MOST_SEEDS = 100  # of an execution, whose networks are all in memory and whose locks are all open files


def share_out(
    n_seeds: Sequence[int], n_slots: int, most_seeds: Sequence[int | None], start_costs: Sequence[float]
) -> list[list[int]]:
    """Return for each level the numbers of seeds of its executions, which add up to its `n_seeds`.

    A level has a single execution unless slots would be idle; then the longest execution is shortened so that all of
    them, on `n_slots` slots, end as early as possible. An execution costs its level's start cost plus 1 per seed; of
    plans that end at the same time, the plan with the fewest executions is taken.
    """
    limits = [min(most or MOST_SEEDS, MOST_SEEDS) for most in most_seeds]
    whole = _divide(n_seeds, limits)
    if sum(map(len, whole)) >= n_slots:
        return whole
    plans = {size: _divide(n_seeds, [min(size, limit) for limit in limits]) for size in range(1, max(n_seeds) + 1)}
    return min(plans.values(), key=lambda plan: (_estimate_end(plan, n_slots, start_costs), sum(map(len, plan))))


def _divide(n_seeds: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    """Return shares of at most these sizes, as equal as possible."""
    shares = []
    for n, size in zip(n_seeds, sizes, strict=True):
        n_shares = -(-n // size)
        shares.append([n // n_shares + (index < n % n_shares) for index in range(n_shares)])
    return shares


def _estimate_end(plan: Sequence[Sequence[int]], n_slots: int, start_costs: Sequence[float]) -> float:
    """Return when the last execution ends if each goes to the slot that is free first, the longest first."""
    costs = [cost + size for sizes, cost in zip(plan, start_costs, strict=True) for size in sizes]
    slots = [0.0] * n_slots
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(slots, slots[0] + cost)
    return max(slots)
