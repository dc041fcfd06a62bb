"""Error rates of the choice and of the claims, by simulation: `pytest -m slow -s tests/inference/test_simulation.py`.

LRREPORT_STUDIES sets how many studies are drawn for each figure; the limits allow for three standard errors. With 2000 the
whole takes a few minutes.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from lrreport.inference.assessment import Assessment, assess
from lrreport.inference.candidates import find_candidates
from lrreport.inference.claims import ask
from lrreport.inference.looks import find_share
from lrreport.inference.published import check_numbers
from lrreport.inference.statistics import ALPHA, compare_levels, estimate_crossed, estimate_mean
from lrreport.study.decide import Published
from lrreport.testing import make_measurements

pytestmark = pytest.mark.slow
N_STUDIES = int(os.environ.get("LRREPORT_STUDIES", "50"))
MARGIN, SD = 0.5, 0.4  # points
SHARED = 0.6  # of the variance between seeds, which levels have in common since they share starts and batches
Draw = Callable[[np.random.Generator, int], np.ndarray]  # (n_seeds, k) scores


@dataclass(frozen=True)
class Situation:
    """True means of the levels, in points, and the standard deviation of their seeds; noise may have heavy tails."""

    means: Sequence[float]
    sds: Sequence[float] | float = SD
    noise: str = "normal"

    def draw(self, rng: np.random.Generator, n_seeds: int) -> np.ndarray:
        shape = (n_seeds, len(self.means))
        noise = rng.normal(size=shape)
        if self.noise == "t3":
            noise = rng.standard_t(3, size=shape) / math.sqrt(3)
        if self.noise == "bad seeds":  # 10 % end far lower
            noise = np.where(rng.random(shape) < 0.1, noise - 5, noise)
        separate, shared = math.sqrt(1 - SHARED) * noise, math.sqrt(SHARED) * rng.normal(size=(n_seeds, 1))
        return np.asarray(self.means) + np.asarray(self.sds) * (separate + shared)

    @property
    def truth(self) -> np.ndarray:
        shift = -0.5 * math.sqrt(1 - SHARED) * np.asarray(self.sds) if self.noise == "bad seeds" else 0.0
        return np.asarray(self.means) + shift * np.ones(len(self.means))


@dataclass
class Outcome:
    wrong: bool
    decided: bool
    n_runs: int


def run_study(situation: Situation, rng: np.random.Generator, n: int, looks: int) -> Outcome:
    """Simulate a study with one look, or with looks at n, 2n, 4n … that drop what is out and stop once decided."""
    most = n * 2 ** (looks - 1)
    drawn, truth = situation.draw(rng, most), situation.truth
    k, eligible = len(truth), np.ones(len(truth), dtype=bool)
    made = np.full((most, k), np.nan)
    for look in range(1, looks + 1):
        size = n * 2 ** (look - 1)
        made[:size, eligible] = drawn[:size, eligible]
        alpha = find_share(look)
        may, at_most, _ = find_candidates(compare_levels(made[:size], paired=True), alpha / (k - 1), eligible)
        chosen = int(np.where(may, np.nanmean(made[:size], axis=0), -np.inf).argmax())
        decided = may.sum() == 1 or at_most[chosen] <= MARGIN
        eligible = may
        if decided:
            break
    behind = truth.max() - truth
    wrong = not may[int(behind.argmin())] or bool((behind > at_most + 1e-12).any())
    return Outcome(wrong, bool(decided), int(np.isfinite(made).sum()))


SITUATIONS = {
    "3 equal rates": Situation([0.0] * 3),
    "11 equal rates": Situation([0.0] * 11),
    "like the default study": Situation([0.0, -0.01, -1.92], 0.36),
    "11 rates, wide": Situation([-0.15 * abs(i - 6) ** 2 for i in range(11)]),
    "a noisy leader, 5 rates": Situation([0.0, -0.4, -0.7, -1.0, -1.3], [1.9, SD, SD, SD, SD]),
}
# situation, n: wrong and decided at once; wrong, decided and runs with looks at n, 2n, 4n (per cent and runs). Where levels are
# equal the figures are those of the rules' first simulation; the remaining situations are similar, with figures of this simulation.
FIGURES = [
    ("3 equal rates", 3, (2.3, 9), (2.8, 98, 27)),
    ("3 equal rates", 5, (2.5, 54), (2.6, 100, 23)),
    ("3 equal rates", 10, (2.6, 100), (2.6, 100, 30)),
    ("11 equal rates", 3, (2.5, 0), (3.6, 55, 129)),
    ("11 equal rates", 5, (2.1, 0), (2.9, 100, 177)),
    ("11 equal rates", 10, (2.1, 78), (2.2, 100, 134)),
    ("like the default study", 5, (1.2, 80), (1.2, 100, 17)),
    ("11 rates, wide", 5, (0.6, 12), (0.8, 100, 75)),
    ("11 rates, wide", 10, (1.9, 96), (1.9, 100, 111)),
    ("a noisy leader, 5 rates", 5, (1.1, 3), (1.3, 20, 65)),
]


def error(share: float) -> float:
    """Three standard errors of a share that so many studies give."""
    return 3 * math.sqrt(max(share * (1 - share), 0.01) / N_STUDIES)


def report(name: str, hits: Sequence[bool]) -> float:
    share = float(np.mean(hits))
    print(f"{name:70s} {share:6.1%} of {len(hits)}")
    return share


def summarize(name: str, n: int, outcomes: Sequence[Outcome], looks: int) -> tuple[float, float, float]:
    wrong, decided = (float(np.mean([getattr(outcome, key) for outcome in outcomes])) for key in ("wrong", "decided"))
    runs = float(np.mean([outcome.n_runs for outcome in outcomes]))
    print(f"{name:28s} n={n:2d} looks={looks}: wrong {wrong:6.2%} decided {decided:6.1%} runs {runs:6.1f}")
    return wrong, decided, runs


@pytest.mark.parametrize(("name", "n", "at_once", "with_looks"), FIGURES)
def test_the_choice_is_rarely_wrong(
    name: str, n: int, at_once: tuple[float, float], with_looks: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(n)
    for looks, figures in ((1, at_once), (3, with_looks)):
        outcomes = [run_study(SITUATIONS[name], rng, n, looks) for _ in range(N_STUDIES)]
        wrong, decided, runs = summarize(name, n, outcomes, looks)
        assert wrong <= 0.05 + error(0.05)
        if "equal" in name:
            assert decided == pytest.approx(figures[1] / 100, abs=0.02 + error(figures[1] / 100))
            assert looks == 1 or runs == pytest.approx(figures[2], rel=0.08)


@pytest.mark.parametrize("noise", ["t3", "bad seeds"])
@pytest.mark.parametrize("k", [3, 11])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_heavy_tails_and_bad_seeds_do_not_mislead(noise: str, k: int, n: int) -> None:
    rng = np.random.default_rng(k + n)
    for means in ([0.0] * k, [0.0] + [-0.5] * (k - 1)):
        outcomes = [run_study(Situation(means, noise=noise), rng, n, 3) for _ in range(N_STUDIES)]
        wrong, _, _ = summarize(f"{noise}, {k} levels", n, outcomes, 3)
        assert wrong <= 0.05 + error(0.05)


@pytest.mark.parametrize("k", [3, 11])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_unpaired_and_unequal_seeds_do_not_mislead(k: int, n: int) -> None:
    """Welch's t with n to 2n seeds and standard deviations that differ threefold."""
    rng = np.random.default_rng(k * n)
    wrong = []
    for _ in range(max(N_STUDIES, 1000)):
        values = rng.normal(0, np.linspace(0.2, 0.6, k), (2 * n, k))
        for level in range(k):
            values[rng.integers(n, 2 * n + 1) :, level] = np.nan
        may, _, _ = find_candidates(compare_levels(values, paired=False), ALPHA / (k - 1), np.ones(k, dtype=bool))
        wrong.append(not may[0])
    assert report(f"Welch, {k} levels, {n} to {2 * n} seeds: the best is out", wrong) <= 0.05 + error(0.05)


@pytest.mark.parametrize("k", [3, 11])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_pairs_that_do_not_differ_are_rarely_significant(k: int, n: int) -> None:
    """Any false "ends above" in a study: all levels equal, and one best with the rest equal."""
    rng, n_pairs = np.random.default_rng(k + 10 * n), math.comb(k, 2)
    for name, means in (("all equal", [0.0] * k), ("one best", [3.0] + [0.0] * (k - 1))):
        false = []
        for _ in range(N_STUDIES):
            values = Situation(means).draw(rng, n)
            low, _ = compare_levels(values, paired=True).find_limits(ALPHA / n_pairs / 2)
            equal = np.subtract.outer(means, means) <= 0
            false.append(bool(((low > 0) & equal).any()))
        assert report(f"any false 'ends above', {name}, {k} levels, {n} seeds", false) <= 0.05 + error(0.05)


def test_the_score_of_the_choice_allows_for_the_choice() -> None:
    """11 equal levels, 5 seeds; validation and test score the same networks, so the luck of the winner is in both."""
    rng, k, n = np.random.default_rng(4), 11, 5
    plain, allowed, fresh = [], [], []
    for _ in range(max(N_STUDIES, 400)):
        networks = rng.normal(0, 0.4, (n, k))
        validation, test = (networks + rng.normal(0, 0.1, (n, k)) for _ in range(2))
        chosen = int(validation.mean(axis=0).argmax())
        new = rng.normal(0, math.hypot(0.4, 0.1), n)
        estimates = (estimate_mean(test[:, chosen]), estimate_mean(test[:, chosen], n_tests=k), estimate_mean(new))
        for misses, estimate in zip((plain, allowed, fresh), estimates, strict=True):
            misses.append(not estimate.low <= 0 <= estimate.high)
    assert report("score of the choice, plain interval: misses", plain) > 0.10
    assert report("score of the choice, allowing for the choice: misses", allowed) <= 0.05 + error(0.05)
    assert report("score of the choice, fresh seeds: misses", fresh) <= 0.05 + error(0.05)


def test_crossed_intervals_cover_at_each_size() -> None:
    rng = np.random.default_rng(5)
    for n, n_examples in ((3, 500), (5, 1000), (10, 500)):
        misses = []
        for _ in range(max(N_STUDIES, 600)):
            parts = (
                rng.normal(0, 0.3, (1, n_examples)) + rng.normal(0, 0.01, (n, 1)) + rng.normal(0, 0.3, (n, n_examples))
            )
            estimate = estimate_crossed(parts)
            misses.append(not estimate.low <= 0 <= estimate.high)
        assert report(f"crossed interval, {n} seeds × {n_examples} examples: misses", misses) <= 0.05 + error(0.05)


def draw_curves(rng: np.random.Generator, k: int, n: int, shape: Sequence[float], sd: float = 0.01) -> Assessment:
    """A study with curves of loss and accuracy (1 − loss / 4): a mean shape with independent noise at every point."""
    losses = np.asarray(shape) + rng.normal(0, sd, (k, n, len(shape))) + rng.normal(0, sd, (1, n, 1))
    loss = {10.0**-i: losses[i].tolist() for i in range(k)}
    accuracy = {10.0**-i: (1 - losses[i] / 4).tolist() for i in range(k)}
    return assess(make_measurements(curves={"val_loss": loss, "val_accuracy": accuracy}))


@pytest.mark.parametrize(("k", "n"), [(3, 3), (3, 5), (11, 5), (3, 10)])
def test_flat_curves_are_rarely_misread(k: int, n: int) -> None:
    """Any wrong still-improving or overfits claim in a study whose curves are flat at the end."""
    rng, flat = np.random.default_rng(k * n), [2.3, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    improving, overfitting = [], []
    for _ in range(min(N_STUDIES, 100 if k > 3 else 300)):
        assessment = draw_curves(rng, k, n, flat, 0.02)
        improving.append(any(ask("still_improving", assessment, level=i).verdict == "supported" for i in range(k)))
        overfitting.append(any(ask("overfits", assessment, level=i).verdict == "supported" for i in range(k)))
    assert report(f"any wrong 'still improving', {k} levels, {n} seeds", improving) <= 0.05 + 2 * error(0.05)
    assert report(f"any wrong 'overfits', {k} levels, {n} seeds", overfitting) <= 0.05 + 2 * error(0.05)


@pytest.mark.parametrize(("name", "shape"), [
    ("still_improving", [2.3, 1.0, 0.8, 0.6, 0.4, 0.2]),
    ("levelled_off", [2.3, 1.0, 0.5, 0.5, 0.5, 0.5]),
    ("overfits", [2.3, 0.6, 0.4, 0.5, 0.6, 0.7]),
    ("does_not_overfit", [2.3, 1.0, 0.8, 0.6, 0.4, 0.2]),
    ("trains_stably", [2.3, 1.0, 0.8, 0.6, 0.4, 0.2]),
    ("learns", [2.3, 1.0, 0.8, 0.6, 0.4, 0.2]),
])  # fmt: skip
def test_clear_curves_are_read(name: str, shape: list[float]) -> None:
    rng = np.random.default_rng(6)
    hits = [ask(name, draw_curves(rng, 3, 5, shape, 0.0005), level=0).verdict == "supported" for _ in range(40)]
    assert report(f"{name}: seen", hits) >= 0.8


def has_significant_pair(assessment: Assessment, name: str) -> bool:
    """Whether the pair with the smallest p is significant; if it is not, no pair is."""
    table = assessment.arrivals if name == "sooner" else assessment.relative_rises
    assert table is not None
    comparisons = compare_levels(table.to_numpy(), paired=True)
    ratio = np.abs(comparisons.difference) / np.where(comparisons.error > 0, comparisons.error, np.inf)
    level, than = np.unravel_index(int(ratio.argmax()), ratio.shape)
    return ask(name, assessment, level=int(level), than=int(than)).verdict in ("supported", "contradicted")


@pytest.mark.parametrize(("k", "n"), [(3, 5), (11, 5)])
def test_pace_and_smoothness_are_rarely_misjudged(k: int, n: int) -> None:
    """Any significant pair, any level called slowest or smoothest, where curves are alike."""
    rng, falling = np.random.default_rng(7), [2.3, 1.8, 1.4, 1.0, 0.7, 0.5]
    assessments = [draw_curves(rng, k, n, falling, 0.05) for _ in range(min(N_STUDIES, 100))]
    for name in ("sooner", "more_stable"):
        wrong = [has_significant_pair(assessment, name) for assessment in assessments]
        assert report(f"{name}: any significant pair, {k} levels", wrong) <= 0.05 + 2 * error(0.05)
    for name in ("slowest", "most_stable"):
        wrong = [
            any(ask(name, assessment, level=i).verdict == "supported" for i in range(k)) for assessment in assessments
        ]
        assert report(f"{name}: any level named, {k} levels", wrong) <= 0.05 + 2 * error(0.05)


@pytest.mark.parametrize("k", [3, 11])
def test_the_range_is_rarely_called_wide_enough_where_an_end_is_tied_best(k: int) -> None:
    rng, inside = np.random.default_rng(8), []
    for _ in range(min(N_STUDIES, 200)):
        values = 0.8 + 0.01 * Situation([0.0] * k).draw(rng, 5)
        made = make_measurements({10.0**-i: values[:, i].tolist() for i in range(k)})
        inside.append(ask("edge_of_range", assess(made)).verdict == "contradicted")
    assert report(f"'wide enough' although all are equal, {k} levels", inside) <= 0.05 + 2 * error(0.05)


def test_exact_reproductions_are_rarely_denied() -> None:
    rng, denied = np.random.default_rng(9), []
    for _ in range(min(N_STUDIES, 300)):
        values = 0.8 + 0.004 * rng.normal(size=(6, 5))
        result = [
            {"level": {"learning_rate": 10.0**-i}, "values": {"val_accuracy": float(values[5, i])}} for i in range(5)
        ]
        published = Published.model_validate({"title": "E", "result": result})
        made = make_measurements({10.0**-i: values[:5, i].tolist() for i in range(5)}, published=published)
        denied.append(any(finding.verdict == "contradicted" for finding in check_numbers(assess(made))))
    assert report("any number 'not reproduced' under exact reproduction", denied) <= 0.05 + 2 * error(0.05)


@pytest.mark.parametrize("n_values", [2, 4])
def test_two_factors_are_rarely_misjudged(n_values: int) -> None:
    """All rates equal at the first value, a single rate far above elsewhere; then everything equal."""
    rng, moves, better, chosen = np.random.default_rng(10), [], [], []
    rates, sizes = (0.1, 0.01, 0.001), tuple(2**i for i in range(n_values))
    for _ in range(min(N_STUDIES, 200)):
        noise = 0.004 * rng.normal(size=(len(rates) * n_values, 5)) + 0.004 * rng.normal(size=(1, 5))
        keys = [(rate, size) for rate in rates for size in sizes]
        tied = {
            key: (0.8 + 0.1 * (key[0] == 0.01 and key[1] > 1) + row).tolist()
            for key, row in zip(keys, noise, strict=True)
        }
        equal = {key: (0.8 + row).tolist() for key, row in zip(keys, noise, strict=True)}
        options = {"factors": ("learning_rate", "batch_size")}
        moves.append(ask("best_rate_moves", assess(make_measurements(tied, **options))).verdict == "supported")
        assessment = assess(make_measurements(equal, **options))
        pairs = [(a, b) for i, a in enumerate(sizes) for b in sizes[:i]]
        better.append(
            any(
                ask("higher_when_tuned", assessment, value=a, than_value=b).verdict in ("supported", "contradicted")
                for a, b in pairs
            )
        )
        chosen.append(assessment.decision.verdict == "best")
    assert report(f"best_rate_moves: wrongly, {n_values} values", moves) <= 0.05 + 2 * error(0.05)
    assert report(f"higher_when_tuned: wrongly, {n_values} values", better) <= 0.05 + 2 * error(0.05)
    assert report(f"best of equal combinations, {n_values} values", chosen) <= 0.05 + 2 * error(0.05)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_large_differences_are_seen(n: int) -> None:
    rng, seen = np.random.default_rng(11), []
    for _ in range(min(N_STUDIES, 200)):
        values = Situation([8.0, 0.0, -8.0]).draw(rng, n)
        low, _ = compare_levels(values, paired=True).find_limits(ALPHA / 6)
        seen.append(bool(low[0, 1] > 0))
    assert report(f"a large difference is seen, {n} seeds", seen) >= 0.8
