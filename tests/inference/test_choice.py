"""The choice: candidates and bounds by a plainer route, looks, failures, ties, preferences, edges, two factors."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lrreport.inference.assessment import assess
from lrreport.inference.choice import Decision
from lrreport.inference.claims import ask
from lrreport.inference.edges import list_next
from lrreport.inference.failures import find_guessing_limit
from lrreport.inference.looks import choose_next, find_share
from lrreport.study.decide import Look
from lrreport.study.factors import Factor
from lrreport.testing import make_measurements

J = (0.0, 0.001, -0.002, 0.003, -0.001)
K = (0.002, -0.001, 0.001, 0.0, -0.003)


def decide(scores: Any, **options: Any) -> Decision:
    return assess(make_measurements(scores, **options)).decision


def around(mean: float, by: tuple[float, ...] = J) -> list[float]:
    return [mean + offset for offset in by]


def judge_plainly(scores: dict[float, list[float]], alpha: float, paired: bool) -> tuple[list[bool], list[float]]:
    """Which levels may be the best and how far behind each is at most, by scipy's tests and their limits, pair by pair."""
    levels, error = list(scores), alpha / (len(scores) - 1)
    low, high = {}, {}
    for i in levels:
        for j in levels:
            if i != j:
                x, y = np.array(scores[j]), np.array(scores[i])
                if paired and len(x) == len(y):
                    interval = stats.ttest_rel(x, y).confidence_interval(1 - 2 * error)
                else:
                    interval = stats.ttest_ind(x, y, equal_var=False).confidence_interval(1 - 2 * error)
                low[j, i], high[j, i] = interval
    may = [not any(low[j, i] > 0 for j in levels if j != i) for i in levels]
    best = [i for i, may_be in zip(levels, may, strict=True) if may_be]
    return may, [max([0.0, *(high[j, i] for j in best if j != i)]) for i in levels]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_candidates_and_bounds_by_a_plainer_route(seed: int, paired: bool) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 8))
    shared = rng.normal(0, 0.01, 9)
    sizes = [int(rng.integers(3, 9)) for _ in range(k)] if seed % 2 else [6] * k
    scores = {10.0**-i: list(0.8 + 0.004 * i + shared[:n] + rng.normal(0, 0.008, n)) for i, n in enumerate(sizes)}
    decision = decide(scores, paired=paired)
    may, at_most = judge_plainly(scores, 0.025, paired)
    assert decision.table.may_be_best.tolist() == may
    assert decision.table.behind_at_most.tolist() == pytest.approx(at_most)


def test_the_first_look_spends_its_share_unless_declared_the_only_look() -> None:
    scores = {0.1: around(0.85), 0.01: around(0.80, K)}
    assert decide(scores).alpha == pytest.approx(0.025)
    assert decide(scores, most_seeds=20).alpha == pytest.approx(0.025)
    assert decide(scores, most_seeds=5).alpha == pytest.approx(0.05)
    assert sum(find_share(m) for m in range(1, 10_000)) == pytest.approx(0.05, abs=1e-5)


def test_looks_share_the_error_and_the_same_seeds_are_the_same_look() -> None:
    scores = {0.1: around(0.85), 0.01: around(0.80, K)}
    first = Look(number=1, n_seeds={0: 3, 1: 3}, alpha=0.025)
    second = decide(scores, looks=(first,))
    assert (second.look.number, second.alpha) == (2, pytest.approx(0.05 / 6))
    again = decide(scores, looks=(first, second.look))
    assert (again.look.number, again.alpha) == (2, pytest.approx(0.05 / 6))
    assert again.look.dropped == (1,)
    assert again.table.dropped.tolist() == [0, 2]
    spent = decide(scores, looks=(Look(number=1, n_seeds={0: 3, 1: 3}, alpha=0.05),))
    assert (spent.verdict, spent.reason) == ("not testable", "error spent")
    assert spent.table.may_be_best.all()


def test_a_dropped_level_neither_returns_nor_leads() -> None:
    lucky = [0.90, 0.90, 0.901]
    scores = {0.1: dict(enumerate(around(0.85))), 0.01: dict(enumerate(lucky)), 0.001: dict(enumerate(around(0.80, K)))}
    look = Look(number=1, n_seeds={0: 3, 1: 3, 2: 3}, alpha=0.025, dropped=(1,))
    decision = decide(scores, looks=(look,))
    assert decision.leader == 0
    assert decision.candidates == (0,)
    assert decision.table.dropped.tolist() == [0, 1, 2]


def test_best_good_enough_undecided_and_not_testable() -> None:
    clear = decide({0.1: around(0.85), 0.01: around(0.80, K)})
    assert (clear.verdict, clear.chosen, clear.equal) == ("best", 0, ())
    close = decide({0.1: around(0.801, J), 0.01: around(0.80, tuple(offset * 1.1 for offset in J))})
    assert (close.verdict, close.chosen, close.equal) == ("best", 0, (1,))
    even = decide({0.1: around(0.8001, J), 0.01: around(0.80, K)})
    assert (even.verdict, even.chosen, even.equal) == ("good enough", 1 if even.leader else 0, even.equal)
    wide = decide({0.1: around(0.80, tuple(20 * offset for offset in J)), 0.01: around(0.80, K)})
    assert (wide.verdict, wide.chosen, wide.reason) == ("undecided", None, "too close")
    assert wide.more_seeds is not None
    assert wide.more_seeds.n > 5
    free = decide({0.1: around(0.80, tuple(20 * offset for offset in J)), 0.01: around(0.80, K)}, metric="val_rmse")
    assert (free.verdict, free.reason, free.more_seeds) == ("undecided", "no margin", None)
    for scores, reason in (
        ({0.1: [0.8, 0.81, 0.8]}, "one level"),
        ({0.1: [0.8], 0.01: [0.7]}, "one seed"),
        ({0.1: [0.1, None, 0.1], 0.01: [None, 0.09, 0.1]}, "none learns"),
        ({0.1: {}, 0.01: {}}, "no runs"),
    ):
        assert (decide(scores).verdict, decide(scores).reason) == ("not testable", reason)
    assert decide({0.1: [0.9, 0.91], 0.01: [0.5, 0.51]}).reason == "two seeds"


def test_a_study_that_only_reproduces_chooses_nothing() -> None:
    decision = decide({0.1: around(0.85), 0.01: around(0.80, K)}, metric="test_accuracy", prefer="none")
    assert (decision.verdict, decision.chosen, decision.reason) == ("not testable", None, "no choice")
    assert decision.leader == 0
    assert decision.ruled_out == ()
    assert choose_next(decision, {0: 5, 1: 5}, most=20) is None


def test_a_level_that_failed_whole_is_out_and_not_compared() -> None:
    decision = decide({1.0: [None] * 5, 0.1: around(0.85), 0.01: around(0.80, K)})
    assert decision.compared == (1, 2)
    assert decision.n_comparisons == 1
    assert not decision.table.may_be_best[0]
    assert (decision.table.failed_low[0], decision.table.failed_high[0]) == pytest.approx((0.05**0.2, 1.0))
    alone = decide({1.0: [None] * 5, 0.1: around(0.85)})
    assert (alone.verdict, alone.chosen) == ("best", 1)


def test_a_single_seed_neither_rules_out_nor_is_ruled_out() -> None:
    decision = decide({0.1: around(0.85), 0.01: [0.9], 0.001: around(0.80, K)})
    assert decision.candidates == (0, 1)
    assert decision.table.behind_at_most.tolist() == [1.0, 1.0, 1.0]  # as far as an accuracy can be behind


@pytest.mark.parametrize(("prefer", "chosen"), [("mean", 1), ("lowest", 2), ("highest", 0)])
def test_the_study_may_prefer_among_the_practically_equal(prefer: str, chosen: int) -> None:
    by = tuple(offset / 10 for offset in J)
    scores = {0.1: around(0.8002, by), 0.01: around(0.8004, by), 0.001: around(0.80, by), 0.0001: around(0.70, by)}
    decision = decide(scores, prefer=prefer)
    assert (decision.leader, decision.chosen, decision.preferred) == (1, chosen, prefer != "mean")
    assert set(decision.equal) == {0, 1, 2} - {chosen}


def test_the_fastest_may_be_preferred() -> None:
    by = tuple(offset / 10 for offset in J)
    slow = [[0.1, 0.3, 0.6, 0.8004 + offset] for offset in by]
    fast = [[0.1, 0.7, 0.79, 0.80 + offset] for offset in by]
    decision = assess(make_measurements(curves={"val_accuracy": {0.1: slow, 0.01: fast}}, prefer="fastest")).decision
    assert (decision.leader, decision.chosen) == (0, 1)


def test_ties_are_listed_and_broken_without_regard_to_order() -> None:
    scores = {0.03: [0.99] * 3, 0.01: [0.99] * 3, 0.003: [0.99] * 3, 0.001: [0.9] * 3}
    decision, turned = decide(scores), decide(dict(reversed(scores.items())))
    assert sorted(decision.tied) == [0, 1, 2]
    assert decision.leader == 2  # the lowest value
    assert turned.leader == 1
    failing = decide({0.03: [0.99] * 3, 0.003: [0.99, 0.99, None]})
    assert failing.leader == 0


def test_guessing_is_measured_from_chance() -> None:
    def limit(scores: Any, **options: Any) -> float:
        made = make_measurements(scores, **options)
        return find_guessing_limit(made, made.values.pivot(index="seed", columns="level", values="value"))

    assert limit({0.1: [0.9, 0.9]}) == pytest.approx(0.18)
    assert limit({0.1: [0.101, 0.1]}) == pytest.approx(0.105)  # the margin, where nothing learns
    assert limit({0.1: [0.9, 0.1]}) == pytest.approx(0.18)  # the failed seed does not lower it
    assert limit({0.1: [0.999, 0.999]}, chance=0.99) == pytest.approx(0.991)
    assert math.isnan(limit({0.1: [0.9, 0.9]}, chance=None))


@pytest.mark.parametrize(
    ("scores", "verdict", "n_ends"),
    [
        ({0.1: around(0.85), 0.01: around(0.80, K), 0.001: around(0.7)}, "supported", 1),
        ({0.1: around(0.80), 0.01: around(0.85, K), 0.001: around(0.7)}, "contradicted", 0),
        (
            {0.1: around(0.84, tuple(20 * offset for offset in J)), 0.01: around(0.85, K), 0.001: around(0.7)},
            "undecided",
            1,
        ),
        ({0.1: around(0.8496), 0.01: around(0.85, J), 0.001: around(0.7)}, "undecided", 1),  # out, but as good
        ({0.1: around(0.85), 0.01: around(0.85, K)}, "supported", 2),
        ({1.0: [None] * 5, 0.1: around(0.85), 0.01: around(0.80, K)}, "contradicted", 0),
        ({0.1: around(0.85), 0.01: around(0.80), 0.001: {}}, "not testable", 0),
        ({0.1: around(0.85)}, "not testable", 0),
    ],
)
def test_the_edge(scores: Any, verdict: str, n_ends: int) -> None:
    [edge] = decide(scores).edges
    assert (edge.verdict, len(edge.ends)) == (verdict, n_ends)
    assert bool(edge.next_values) == bool(n_ends)
    assert edge.failed == ((0,) if 1.0 in scores else ())


@pytest.mark.parametrize(
    ("values", "side", "following"),
    [
        ((0.1, 0.01), "highest", [0.3, 1.0]),
        ((0.1, 0.01), "lowest", [0.003, 0.001]),
        ((0.0003, 0.00003), "highest", [0.001, 0.003]),
        ((0.0003, 0.00003), "lowest", [1e-5, 3e-6]),
        ((0.001, 0.0005), "highest", [0.003, 0.009 / 0.9]),  # small rates, although they span a factor of 2 only
        ((32, 64, 128), "highest", [256, 512]),
        ((32, 64, 128), "lowest", [16, 8]),
        ((0, 32), "highest", [64, 96]),
        ((2, 1), "lowest", []),
        ((0.5, 0.9), "highest", [1.3, 1.7]),
        ((0.5, 0.7, 0.9, 0.95), "highest", [1.0, 1.05]),
        ((0.5, 0.9), "lowest", [0.1]),
        ((0.1, 0.15), "highest", [0.2, 0.25]),
        ((0.05, 0.09, 0.15), "highest", [0.21, 0.27]),
        ((0.05, 0.09), "highest", [0.3, 0.8]),
        ((0.3, 0.1), "lowest", [0.03, 0.01]),  # 0.2 less is no rate
        ((0.0, 0.1), "lowest", []),
        ((-0.5, -1.0), "lowest", [-1.5, -2.0]),
        ((10, 20), "highest", [30, 40]),
        ((10, 20), "lowest", []),
    ],
)
def test_the_next_values_are_about_three_times_as_far(values: tuple[Any, ...], side: Any, following: list[Any]) -> None:
    assert list_next(Factor("x", "x", values, True), side) == pytest.approx(following)


def test_two_factors_are_a_family_as_is_each_value() -> None:
    means = {(0.1, 32): 0.80, (0.01, 32): 0.85, (0.1, 64): 0.86, (0.01, 64): 0.80, (0.001, 64): 0.70}
    scores = {key: around(mean, (J, K)[i % 2]) for i, (key, mean) in enumerate(means.items())}
    decision = decide(scores, factors=("learning_rate", "batch_size"))
    assert decision.n_comparisons == 4
    assert decision.chosen == 2
    assert {value: part.n_comparisons for value, part in decision.within.items()} == {32: 3, 64: 3}  # 1 + 2 together
    assert {value: part.candidates for value, part in decision.within.items()} == {32: (1,), 64: (2,)}
    assert [edge.factor for edge in decision.edges] == ["learning_rate", "batch_size"]
    assert decision.edges[1].verdict == "supported"


def test_an_end_of_two_factors_failed_only_where_all_of_it_did() -> None:
    scores: dict[Any, Any] = {(rate, size): around(0.8 + 0.05 * (rate == 0.1), (J, K)[size == 64])
                              for rate in (1.0, 0.1, 0.01) for size in (32, 64)}  # fmt: skip
    scores |= {(1.0, 32): [None] * 5, (1.0, 64): [None] * 5}
    assessment = assess(make_measurements(scores, factors=("learning_rate", "batch_size")))
    assert [edge.failed for edge in assessment.decision.edges] == [(0, 1), ()]
    rates, sizes = (ask("edge_of_range", assessment, factor=name).sentence for name in ("learning_rate", "batch_size"))
    assert rates.startswith("The range of learning rates is wide enough: ")
    assert rates.endswith(" Every seed failed at 1.0 with batch size 32 and 1.0 with batch size 64.")
    assert sizes.startswith("The range of batch sizes tried may be too narrow: ")
    assert "failed" not in sizes


def test_what_lies_at_the_margin_is_good_enough() -> None:
    scores = {0.1: around(0.80, tuple(2 * offset for offset in J)), 0.01: around(0.80, K)}
    first = decide(scores, margin=0.5)
    bounds = first.table.behind_at_most
    assert first.verdict == "good enough"
    leader = first.leader
    assert leader is not None
    at = decide(scores, margin=float(bounds[leader]))
    assert (at.verdict, at.table.good_enough[leader]) == ("good enough", True)
    below = decide(scores, margin=float(np.nextafter(bounds[leader], 0)))
    assert (below.verdict, below.table.good_enough[leader]) == ("undecided", False)


def test_an_edge_counts_the_seeds_of_the_level_with_fewest() -> None:
    assessment = assess(make_measurements({0.1: around(0.80), 0.01: around(0.85, K), 0.001: around(0.7)[:3]}))
    assert ask("edge_of_range", assessment).n == 3


def test_a_dropped_level_puts_no_level_behind() -> None:
    lucky = {0.1: around(0.85)[:3], 0.01: [0.90, 0.9001, 0.9002], 0.001: around(0.849, K)[:3]}
    look = Look(number=1, n_seeds={0: 2, 1: 2, 2: 2}, alpha=0.025, dropped=(1,))
    table = decide(lucky, looks=(look,)).table
    assert table.behind_at_least[0] == table.behind_at_least[2] == 0
    assert table.behind_at_most[0] < 0.04
    assert decide(lucky).table.behind_at_least[0] > 0.04


def test_levels_without_any_error_share_the_lead() -> None:
    decision = decide({0.1: [0.0] * 3, 0.01: [0.0] * 3}, metric="val_rmse", margin=0.1, resolution={"val_rmse": 1e-6})
    assert (decision.verdict, decision.tied) == ("good enough", (1, 0))


def test_of_tied_levels_the_lowest_failure_rate_leads() -> None:
    tied = decide({0.1: [0.8, 0.8, 0.8, None], 0.01: [0.8] * 8 + [None, None], 0.001: [0.7] * 4})
    assert tied.tied == (1, 0)
    assert tied.leader == 1


def test_a_study_with_nothing_left_to_spend_plans_no_seeds() -> None:
    wide = {0.1: around(0.80, tuple(20 * offset for offset in J)), 0.01: around(0.80, K)}
    assert decide(wide, most_seeds=5).more_seeds is None
    assert decide(wide, most_seeds=20).more_seeds is not None


def test_what_earlier_looks_spent_is_not_planned_with() -> None:
    wide = {0.1: around(0.80, tuple(20 * offset for offset in J)), 0.01: around(0.80, K)}
    looks = (Look(number=1, n_seeds={0: 3, 1: 3}, alpha=0.045),)
    decision = decide(wide, looks=looks)
    assert decision.alpha == pytest.approx(0.005)
    assert decision.more_seeds is None


def test_a_look_that_is_taken_again_spends_nothing_more() -> None:
    wide = {0.1: around(0.80, tuple(20 * offset for offset in J)), 0.01: around(0.80, K)}
    first = decide(wide)
    assert first.more_seeds is not None
    assert decide(wide, looks=(first.look,)).more_seeds == first.more_seeds
