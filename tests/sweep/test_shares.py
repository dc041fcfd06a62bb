"""How seeds are shared out over executions."""

import pytest

from lrreport.sweep.shares import MOST_SEEDS, share_out


@pytest.mark.parametrize(
    ("n_seeds", "n_slots", "expected"),
    [
        ([5, 5, 5], 2, [[5], [5], [5]]),  # no slot would be idle: a single execution per level
        ([5, 5, 5], 3, [[5], [5], [5]]),
        ([5, 5, 5], 16, [[1] * 5] * 3),
        ([6, 6], 4, [[3, 3], [3, 3]]),
        ([6, 6], 8, [[2, 2, 2], [2, 2, 2]]),
        ([1], 4, [[1]]),
        ([6, 6], 0, [[6], [6]]),  # a cluster that waits for its workers
    ],
)
def test_levels_are_split_only_where_slots_would_be_idle(
    n_seeds: list[int], n_slots: int, expected: list[list[int]]
) -> None:
    assert share_out(n_seeds, n_slots, [None] * len(n_seeds), [1.0] * len(n_seeds)) == expected


def test_no_execution_has_more_seeds_than_its_producer_takes() -> None:
    assert share_out([5, 5], 1, [1, None], [0.0, 1.0]) == [[1] * 5, [5]]
    (shares,) = share_out([1000], 1, [None], [1.0])
    assert sum(shares) == 1000
    assert max(shares) <= MOST_SEEDS


@pytest.mark.parametrize("n_slots", range(1, 25))
def test_every_seed_has_a_share(n_slots: int) -> None:
    assert [sum(shares) for shares in share_out([7, 4, 9], n_slots, [None] * 3, [1.0] * 3)] == [7, 4, 9]
