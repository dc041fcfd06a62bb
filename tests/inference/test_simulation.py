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

from lrreport.inference.choice import find_candidates, find_share
from lrreport.inference.statistics import compare_levels

pytestmark = pytest.mark.slow
N_STUDIES = int(os.environ.get("LRREPORT_STUDIES", "200"))
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
        if self.noise == "bad seeds":  # one in ten ends far lower
            noise = np.where(rng.random(shape) < 0.1, noise - 5, noise)
        own, shared = math.sqrt(1 - SHARED) * noise, math.sqrt(SHARED) * rng.normal(size=(n_seeds, 1))
        return np.asarray(self.means) + np.asarray(self.sds) * (own + shared)

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
    "like the default study": Situation([0.0, -0.01, -1.92]),
    "11 rates, wide": Situation([-0.15 * abs(i - 6) ** 2 for i in range(11)]),
    "a noisy leader, 5 rates": Situation([0.0, -0.4, -0.9, -1.5, -3.0], [4.0, 0.05, 0.05, 0.05, 0.05]),
}
# situation, n: wrong, decided at once; wrong, decided, runs with looks (per cent, per cent, runs), to be reached again
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


def limit(share: float) -> float:
    return share + 3 * math.sqrt(share * (1 - share) / N_STUDIES)


def summarize(name: str, n: int, outcomes: Sequence[Outcome], looks: int) -> tuple[float, float, float]:
    wrong, decided = np.mean([o.wrong for o in outcomes]), np.mean([o.decided for o in outcomes])
    runs = float(np.mean([o.n_runs for o in outcomes]))
    print(f"{name:28s} n={n:2d} looks={looks}: wrong {wrong:6.2%} decided {decided:6.1%} runs {runs:6.1f}")
    return float(wrong), float(decided), runs


@pytest.mark.parametrize(("name", "n", "at_once", "with_looks"), FIGURES)
def test_the_choice_is_rarely_wrong(
    name: str, n: int, at_once: tuple[float, float], with_looks: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(n)
    for looks in (1, 3):
        outcomes = [run_study(SITUATIONS[name], rng, n, looks) for _ in range(N_STUDIES)]
        wrong, _, _ = summarize(name, n, outcomes, looks)
        assert wrong <= limit(0.05)
