"""What the parts of the first screen share: text with its numbers, and how they name levels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lrreport.inference.assessment import Assessment
from lrreport.inference.choice import FEWEST_SEEDS
from lrreport.inference.measurements import Measurements
from lrreport.inference.words import count, list_levels, name_nouns, quantify_list
from lrreport.study.formats import Quantity, format_count

BRIEFEST = 4  # the shortest form of the paragraph of trade-offs
NAMED = 2  # levels that a sentence of the first screen names; of more it says how many


@dataclass(frozen=True)
class Paragraph:
    """Text with the numbers that it quotes."""

    text: str
    evidence: dict[str, Quantity] = field(default_factory=dict)


def count_words(*texts: str) -> int:
    """Return how many words texts have; signs between spaces are none."""
    return sum(any(char.isalnum() for char in word) for text in texts for word in text.split())


def name_few(assessment: Assessment, levels: Sequence[int], noun: str = "others", named: int = NAMED) -> str:
    """Return one or two levels by name, and more as a number: "0.001 and 0.003", "4 others"; the figure names them."""
    if len(levels) <= named:
        return list_levels(assessment.measurements, levels)
    return f"{format_count(len(levels))} {noun.removesuffix('s') if len(levels) == 1 else noun}"


def refer_to(assessment: Assessment, level: int) -> str:
    """Return what the level that a paragraph is about is called after its first sentence: of two factors no long name."""
    if len(assessment.measurements.factors) == 1:
        return assessment.measurements.levels[level].name
    return (
        "the leader" if assessment.decision.chosen is None else f"the chosen {name_nouns(assessment.measurements)[0]}"
    )


def quantify_few(measurements: Measurements, key: str, levels: Sequence[int]) -> dict[str, Quantity]:
    """Return what `name_few` may quote of these levels as evidence: their values and how many there are."""
    return quantify_list(measurements, key, levels) | {f"n_{key}": count(len(levels))}


def find_shown(assessment: Assessment) -> int:
    """Return the level that the paragraph is about: the chosen level, else the leader."""
    decision = assessment.decision
    shown = decision.chosen if decision.chosen is not None else decision.leader
    assert shown is not None
    return shown


def find_clear_gap(assessment: Assessment, level: int, than: int) -> float | None:
    """Return how far a level is ahead on the deciding metric; None unless the simultaneous interval leaves out 0."""
    metric = assessment.measurements.metric
    estimate = assessment.compare_scores(level, than, metric.name)
    clear = estimate.low > 0 or estimate.high < 0
    return metric.sign * estimate.mean if clear and metric.sign * estimate.mean > 0 else None


def find_open_sides(assessment: Assessment, level: int) -> list[tuple[int, str]]:
    """Return at which ends of the range tried, as (index of the factor, "lower" or "higher"), better levels may lie."""
    edges = assessment.decision.edges
    return [
        (index, "higher" if side == "highest" else "lower")
        for index, edge in enumerate(edges)
        if edge.verdict == "supported"
        for end, side in edge.ends
        if end == level
    ]


def find_thin(assessment: Assessment) -> list[int]:
    """Return the levels that are not ruled out, but with far fewer seeds than the leader: too few to judge them by."""
    decision = assessment.decision
    if decision.leader is None:
        return []
    n = decision.table.n
    return [i for i in decision.candidates if n[i] <= FEWEST_SEEDS and n[i] < n[decision.leader]]


def is_finite(*values: float) -> bool:
    """Return whether all values are finite."""
    return all(math.isfinite(value) for value in values)
