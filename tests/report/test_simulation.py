"""Error rates, power and coverage of the claims, by simulation: `pytest -m slow -s tests/report/test_simulation.py`.

LRREPORT_STUDIES sets how many studies are simulated for each figure; the limits allow for three standard errors.
"""

import math
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from lrreport.report.claims import VOCABULARY, Claim
from lrreport.report.claims.combinations import best_combination, compare_tuned
from lrreport.report.claims.differences import adjust_metric, rank_rates
from lrreport.report.claims.levels import best_rate_moves
from lrreport.report.claims.pace import adjust_arrivals, adjust_rises, measure_arrival, measure_rises
from lrreport.report.results import Levels, Results
from lrreport.report.stats import estimate_mean, find_detectable
from lrreport.study import parse_study

pytestmark = pytest.mark.slow
N_STUDIES = int(os.environ.get("LRREPORT_STUDIES", "100"))
N_EPOCHS = 5
SEEDS = [3, 5, 10]
RATES = [3, 11]


class Simulated(Results):
    """Results drawn at random: curves (n_rates, n_seeds, epochs 0 … E) of validation loss, and of accuracy = 1 − loss."""

    def __init__(self, losses: np.ndarray[Any, Any]):
        n_rates, n_seeds, n_rows = losses.shape
        rates = [10.0**-place for place in range(n_rates)]
        settings = {
            "name": "simulated",
            "vary": {"learning_rate": rates, "seed": list(range(n_seeds))},
            "fixed": {"epochs": n_rows - 1},
        }
        record: Any = SimpleNamespace(seeds=range(n_seeds), class_names=tuple("abcdefghij"), chance=0.1, facts={})
        super().__init__(parse_study(settings, "simulation"), dict.fromkeys(rates, record), {})
        object.__setattr__(self, "losses", dict(zip(rates, losses, strict=True)))

    complete_rates = property(lambda self: self.rates)  # type: ignore[assignment]

    def values(self, rate: float, metric: str) -> "pd.Series[float]":
        last = self.losses[rate][:, -1]  # type: ignore[attr-defined]
        return pd.Series(1 - last if metric.endswith("accuracy") else last)

    def curves(self, rate: float, metric: str) -> pd.DataFrame:
        rows = self.losses[rate].T  # type: ignore[attr-defined]
        if metric == "cpu_seconds":
            return pd.DataFrame(np.ones_like(rows))
        return pd.DataFrame(1 - rows if metric.endswith("accuracy") else rows)


def draw(rng: np.random.Generator, n_rates: int, n_seeds: int, shape: Any = 0.0, sd: float = 0.01) -> Simulated:
    """A study whose rates all have the mean curve `shape`; seeds share a part of their noise, as paired runs do."""
    noise = rng.normal(0, sd, (n_rates, n_seeds, N_EPOCHS + 1)) + rng.normal(0, sd, (1, n_seeds, 1))
    return Simulated(0.5 + shape + noise)


FALLING = 0.1 * np.arange(N_EPOCHS, -1, -1)


def share(name: str, hits: list[bool], n_rates: int, n_seeds: int) -> float:
    print(f"{name:55s} {n_rates:2d} rates {n_seeds:2d} seeds: {np.mean(hits):6.1%} of {len(hits)}")
    return float(np.mean(hits))


def limit(level: float) -> float:
    return level + 3 * math.sqrt(level * (1 - level) / N_STUDIES)


def directional(one: Claim) -> bool:
    return one.verdict in ("supported", "contradicted")


@pytest.mark.parametrize("n_seeds", SEEDS)
@pytest.mark.parametrize("n_rates", RATES)
def test_a_family_of_comparisons_is_rarely_wrong_where_nothing_differs(n_rates: int, n_seeds: int) -> None:
    """In at most 5 % of studies without any difference is any pair told apart, and each pair in fewer."""
    rng = np.random.default_rng(1)
    asked: dict[str, tuple[Any, dict[str, str], Callable[[Results], pd.DataFrame]]] = {
        "higher": (0.0, {"metric": "val_accuracy"}, lambda results: adjust_metric(results, "val_accuracy")),
        "slightly_lower": (0.0, {"metric": "val_loss"}, lambda results: adjust_metric(results, "val_loss")),
        "sooner": (FALLING, {}, adjust_arrivals),
        "more_stable": (0.0, {}, adjust_rises),
    }
    for name, (shape, arguments, adjust) in asked.items():
        any_wrong, first_wrong = [], []
        for _ in range(N_STUDIES):
            results = draw(rng, n_rates, n_seeds, shape)
            likeliest = adjust(results).stack().idxmin()  # if this pair is not told apart, none is
            any_wrong.append(directional(VOCABULARY[name](results, *likeliest, **arguments)))
            first_wrong.append(directional(VOCABULARY[name](results, *results.rates[:2], **arguments)))
        assert share(f"{name}: any pair told apart", any_wrong, n_rates, n_seeds) <= limit(0.05)
        assert share(f"{name}: one pair told apart", first_wrong, n_rates, n_seeds) <= limit(0.05)


@pytest.mark.parametrize("n_seeds", SEEDS)
@pytest.mark.parametrize("n_rates", RATES)
def test_a_leader_is_rarely_named_where_nothing_differs(n_rates: int, n_seeds: int) -> None:
    """In at most 5 % of studies without any difference is any rate called best, slowest or smoothest, or one to choose."""
    rng = np.random.default_rng(2)
    asked: dict[str, tuple[Any, dict[str, str], Callable[[Results], float]]] = {
        "best": (0.0, {"metric": "val_accuracy"}, lambda results: rank_rates(results, "val_accuracy", 1)[0]),
        "worst": (0.0, {"metric": "val_loss"}, lambda results: rank_rates(results, "val_loss", 1)[0]),
        "slowest": (FALLING, {}, lambda results: measure_arrival(results).mean().idxmax()),
        "most_stable": (0.0, {}, lambda results: measure_rises(results).mean().idxmin()),
    }
    for name, (shape, arguments, find_leader) in asked.items():
        named, judged = [], []
        for _ in range(N_STUDIES):
            results = draw(rng, n_rates, n_seeds, shape)
            named.append(VOCABULARY[name](results, find_leader(results), **arguments).verdict == "supported")
            judged.append(directional(VOCABULARY[name](results, results.rates[0], **arguments)))
        assert share(f"{name}: any rate named", named, n_rates, n_seeds) <= limit(0.05)
        assert share(f"{name}: one rate judged", judged, n_rates, n_seeds) <= limit(0.05)
    chosen, ranked, inside = [], [], []
    for _ in range(N_STUDIES):
        results = draw(rng, n_rates, n_seeds)
        chosen.append(VOCABULARY["choice"](results).verdict == "supported")
        ranked.append(directional(VOCABULARY["loss_ranks_as_accuracy"](results)))
        inside.append(VOCABULARY["edge_of_range"](results).verdict == "contradicted")
    assert share("choice: one rate chosen", chosen, n_rates, n_seeds) <= limit(0.05)
    assert share("loss_ranks_as_accuracy: judged", ranked, n_rates, n_seeds) <= limit(0.05)
    assert share("edge_of_range: called inside", inside, n_rates, n_seeds) <= limit(0.05)


@pytest.mark.parametrize("n_seeds", SEEDS)
def test_curves_are_rarely_misread(n_seeds: int) -> None:
    """Each claim about one rate at the edge of what it asserts: 5 % at most are wrong."""
    rng = np.random.default_rng(3)
    margin = 0.01
    last_up = np.array([0.3, 0.2, 0.1, 0, 0, margin])
    steps = np.array([0.3, 0.2, 0.1, 0, 0, 0])
    cases: list[tuple[str, Any, str]] = [
        ("still_improving", steps, "supported"),  # flat at the end
        ("still_improving", steps + np.array([0, 0, 0, 0, 0, -margin]), "contradicted"),  # falls by the margin
        ("levelled_off", steps + np.array([0, 0, 0, 0, 0, -margin]), "supported"),
        ("levelled_off", steps, "contradicted"),
        ("overfits", steps, "supported"),
        ("overfits", last_up, "contradicted"),
        ("does_not_overfit", last_up, "supported"),
        ("does_not_overfit", steps, "contradicted"),
        ("learns", 0.4, "supported"),  # accuracy 0.1, which is guessing
    ]
    for name, shape, verdict in cases:
        hits = []
        for _ in range(N_STUDIES):
            results = draw(rng, 1, n_seeds, shape, sd=0.02)
            hits.append(VOCABULARY[name](results, results.rates[0]).verdict == verdict)
        assert share(f"{name}: wrongly {verdict}", hits, 1, n_seeds) <= limit(0.05)


@pytest.mark.parametrize("n_seeds", SEEDS)
@pytest.mark.parametrize("n_rates", RATES)
def test_large_differences_are_seen(n_rates: int, n_seeds: int) -> None:
    """A lead of twice the smallest detectable difference is seen in at least 80 % of studies."""
    rng = np.random.default_rng(4)
    sd = 0.01
    n_pairs = n_rates * (n_rates - 1) // 2
    lead = 2 * find_detectable(sd * math.sqrt(2), n_seeds, n_pairs)
    plain = 2 * find_detectable(sd * math.sqrt(2), n_seeds)
    seen: dict[str, list[bool]] = {"higher": [], "best": [], "choice": [], "still_improving": []}
    for _ in range(N_STUDIES):
        results = draw(rng, n_rates, n_seeds, sd=sd)
        a, b, *_ = results.rates
        results.losses[a][:, -1] -= lead  # type: ignore[attr-defined]
        seen["higher"].append(VOCABULARY["higher"](results, a, b, "val_accuracy").verdict == "supported")
        results.losses[a][:, -1] += lead - plain  # type: ignore[attr-defined]
        for name, arguments in (("best", (a, "val_accuracy")), ("choice", ()), ("still_improving", (a,))):
            seen[name].append(VOCABULARY[name](results, *arguments).verdict == "supported")
    for name, hits in seen.items():
        assert share(f"{name}: seen", hits, n_rates, n_seeds) >= 0.8


def find_bump(noise: np.ndarray[Any, Any], lead: float) -> float:
    """Return what to add at every other epoch, so that the loss rises by `lead` more in an epoch, on average.

    The last epoch is not among them, lest the network end no better than guessing.
    """

    def miss(bump: float) -> float:
        bumped = noise + bump * (1 - np.arange(N_EPOCHS + 1) % 2)
        return float(np.diff(bumped).clip(0).mean() - np.diff(noise).clip(0).mean()) - lead

    return float(optimize.brentq(miss, 0, 100))


@pytest.mark.parametrize("n_seeds", SEEDS)
@pytest.mark.parametrize("n_rates", RATES)
def test_large_leads_on_the_way_are_seen(n_rates: int, n_seeds: int) -> None:
    """A lead in epochs, or in how much a loss rises, of twice the smallest detectable is seen in at least 80 % of studies."""
    rng = np.random.default_rng(6)
    n_pairs = n_rates * (n_rates - 1) // 2
    quiet = 0.001  # so that the lead is shorter than the curves
    bumped = draw(rng, 2, 1000)
    bumped.losses[bumped.rates[1]][:, ::2] += 0.1  # type: ignore[attr-defined]  # such a curve's rises vary more
    many = {"epochs": measure_arrival(draw(rng, 2, 1000, FALLING, quiet)), "rises": measure_rises(bumped)}
    noise = {name: float((frame.iloc[:, 0] - frame.iloc[:, 1]).std()) for name, frame in many.items()}
    seen: dict[str, list[bool]] = {"sooner": [], "slowest": [], "more_stable": [], "most_stable": []}
    for name, n_tests in (("sooner", n_pairs), ("slowest", 1)):
        lead = 2 * find_detectable(noise["epochs"], n_seeds, n_tests)
        for _ in range(N_STUDIES):
            results = draw(rng, n_rates, n_seeds, FALLING, quiet)
            first, other, *_ = results.rates
            results.losses[first if name == "slowest" else other][:] += 0.1 * lead  # type: ignore[attr-defined]
            arguments = (first, other) if name == "sooner" else (first,)
            seen[name].append(VOCABULARY[name](results, *arguments).verdict == "supported")
    for name, n_tests in (("more_stable", n_pairs), ("most_stable", 1)):
        bump = find_bump(
            rng.normal(0, 0.01, (1000, N_EPOCHS + 1)), 2 * find_detectable(noise["rises"], n_seeds, n_tests)
        )
        for _ in range(N_STUDIES):
            results = draw(rng, n_rates, n_seeds)
            first, *others = results.rates
            for rate in others:
                results.losses[rate][:, ::2] += bump  # type: ignore[attr-defined]
            arguments = (first, others[0]) if name == "more_stable" else (first,)
            seen[name].append(VOCABULARY[name](results, *arguments).verdict == "supported")
    for name, hits in seen.items():
        assert share(f"{name}: seen", hits, n_rates, n_seeds) >= 0.8


@pytest.mark.parametrize("n_seeds", SEEDS)
def test_clear_curves_are_read(n_seeds: int) -> None:
    """What one rate's curve asserts, by twice the smallest detectable difference, is seen in at least 80 % of studies."""
    rng = np.random.default_rng(7)
    sd = 0.01
    steps, last = np.array([0.3, 0.2, 0.1, 0, 0, 0]), np.array([0, 0, 0, 0, 0, 1.0])
    lead = 2 * find_detectable(sd * math.sqrt(2), n_seeds)
    cases = [
        ("still_improving", steps - lead * last, sd, "supported"),
        ("overfits", steps + lead * last, sd, "supported"),
        ("does_not_overfit", steps - lead * last, sd, "supported"),
        ("learns", 0.4 - lead, sd, "supported"),  # accuracy 0.1 + lead
        # An equivalence is seen where the margin is twice the smallest difference: 0.01 = 2 · detectable.
        ("levelled_off", steps, 0.005 / find_detectable(math.sqrt(2), n_seeds), "supported"),
    ]
    for name, shape, noise, verdict in cases:
        hits = []
        for _ in range(N_STUDIES):
            results = draw(rng, 1, n_seeds, shape, sd=noise)
            hits.append(VOCABULARY[name](results, results.rates[0]).verdict == verdict)
        assert share(f"{name}: seen", hits, 1, n_seeds) >= 0.8


@pytest.mark.parametrize("n_seeds", SEEDS)
def test_intervals_cover(n_seeds: int) -> None:
    """95 % intervals hold the true mean in 93.5 to 96.5 % of 10,000 samples."""
    rng = np.random.default_rng(5)
    estimates = [estimate_mean(rng.normal(0.3, 0.02, n_seeds)) for _ in range(10_000)]
    covered = share("95 % interval covers", [one.low <= 0.3 <= one.high for one in estimates], 1, n_seeds)
    assert 0.935 <= covered <= 0.965


def join_levels(parts: list[Simulated]) -> Levels:
    vary = {
        **parts[0].study.vary.model_dump(exclude_none=True),
        "batch_size": [2**place for place in range(len(parts))],
    }
    study = parse_study({"name": "simulated", "vary": vary}, "simulation")
    return Levels(study, dict(zip(study.levels(), parts, strict=True)))


@pytest.mark.parametrize("n_levels", [2, 5])
@pytest.mark.parametrize("n_seeds", SEEDS)
@pytest.mark.parametrize("n_rates", RATES)
def test_the_best_rate_rarely_moves_where_it_does_not(n_rates: int, n_seeds: int, n_levels: int) -> None:
    """Where errors are likeliest: all rates are equal at one value, and one of them is far above the others elsewhere.

    And where it moves: whatever the rate that is best at one value, it is rarely said to be the best at all.
    """
    rng = np.random.default_rng(7)
    moves, stays, tuned, tuned_by_chance, chosen = [], [], [], [], []
    for _ in range(N_STUDIES):
        parts = [draw(rng, n_rates, n_seeds) for _ in range(n_levels)]
        tuned.append(any(directional(one) for one in compare_tuned(join_levels(parts))))
        chosen.append(best_combination(join_levels(parts)).verdict == "supported")
        for part in parts[1:]:
            part.losses[part.rates[0]][:, -1] -= 0.3  # type: ignore[attr-defined]
        moves.append(best_rate_moves(join_levels(parts)).verdict == "supported")
        stays.append(best_rate_moves(join_levels(parts)).verdict == "contradicted")
        parts = [draw(rng, n_rates, n_seeds) for _ in range(n_levels)]
        for part in parts[1:]:
            for rate in part.rates[1:]:
                part.losses[rate][:, -1] += 0.3  # type: ignore[attr-defined]
        tuned_by_chance.append(any(directional(one) for one in compare_tuned(join_levels(parts))))
    name = f"{n_levels} values"
    assert share(f"best_rate_moves, {name}: wrongly", moves, n_rates, n_seeds) <= limit(0.05)
    assert share(f"best_rate_moves, {name}: said to stay", stays, n_rates, n_seeds) <= limit(0.05)
    assert share(f"higher_when_tuned, {name}: all equal", tuned, n_rates, n_seeds) <= limit(0.05)
    assert share(f"higher_when_tuned, {name}: one rate left", tuned_by_chance, n_rates, n_seeds) <= limit(0.05)
    assert share(f"best_combination, {name}: chosen", chosen, n_rates, n_seeds) <= limit(0.05)


@pytest.mark.parametrize("n_seeds", SEEDS)
@pytest.mark.parametrize("n_rates", RATES)
def test_a_best_rate_that_moves_is_seen(n_rates: int, n_seeds: int) -> None:
    """Where each of two values has its own best rate, ahead by twice what its tests can detect, 80 % of studies see it."""
    rng = np.random.default_rng(8)
    lead = 2 * find_detectable(0.01 * math.sqrt(2), n_seeds, 2 * (n_rates - 1))
    moves = []
    for _ in range(N_STUDIES):
        parts = [draw(rng, n_rates, n_seeds) for _ in range(2)]
        for place, part in enumerate(parts):
            part.losses[part.rates[place]][:, -1] -= lead  # type: ignore[attr-defined]
        moves.append(best_rate_moves(join_levels(parts)).verdict == "supported")
    assert share("best_rate_moves: seen", moves, n_rates, n_seeds) >= 0.8
