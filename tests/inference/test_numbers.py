"""Every number of the reports on drawn studies, as last reviewed: any change to them must be intended."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from lrreport.inference.assessment import Assessment, assess
from lrreport.inference.claims import VOCABULARY, Finding, ask
from lrreport.inference.measurements import Measurements
from lrreport.inference.sections import ask_everything
from lrreport.inference.story import write_story
from lrreport.study.decide import Look, Published
from lrreport.study.formats import Quantity
from lrreport.study.metrics import Metric
from lrreport.testing import check_finding, make_measurements

SECONDS = Metric(name="cpu_seconds", label="CPU seconds", split="train", better="lower", unit="s")


def draw_curves(
    ends: dict[Any, float], n_seeds: int, n: int = 6, noise: float = 0.004, seed: int = 0, rough: float = 0.02
) -> dict[str, dict[Any, list[list[float]]]]:
    """Return curves of accuracy and loss from guessing to about these ends, later levels slower; losses rise at times."""
    rng = np.random.default_rng(seed)
    curves: dict[str, dict[Any, list[list[float]]]] = {"val_accuracy": {}, "val_loss": {}, "final_train_accuracy": {}}
    for i, (key, end) in enumerate(ends.items()):
        shapes = [1 - np.exp(-np.arange(n + 1) / (0.8 + 0.3 * i)) for _ in range(n_seeds)]
        shifts = rng.normal(0, noise, n_seeds)
        accuracy = [0.1 + (end - 0.1) * s + x * (s > 0) + rng.normal(0, noise / 4, n + 1) for s, x in zip(shapes, shifts, strict=True)]  # fmt: skip
        curves["val_accuracy"][key] = [list(values) for values in accuracy]
        curves["val_loss"][key] = [list(2.3 - 2 * end * s + np.abs(rng.normal(0, rough, n + 1))) for s in shapes]
        curves["final_train_accuracy"][key] = [list(values + 0.01 * (1 + i)) for values in accuracy]
    return curves


def draw_scores(means: dict[Any, float], n_seeds: int, sd: float = 0.004, seed: int = 0) -> dict[Any, list[Any]]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, sd, n_seeds)
    return {key: list(mean + shared / 2 + rng.normal(0, sd, n_seeds)) for key, mean in means.items()}


def make_curves() -> Measurements:
    ends = {1.0: 0.80, 0.1: 0.853, 0.01: 0.85, 0.001: 0.79}
    curves = draw_curves(ends, 5)
    curves["cpu_seconds"] = {key: [[0.0, *np.linspace(1, 2 + seed / 9, 6)] for seed in range(5)] for key in ends}
    finals = {"test_accuracy": draw_scores({key: end - 0.01 for key, end in ends.items()}, 5, seed=5)}
    rng = np.random.default_rng(8)
    examples = {"test_accuracy": {1: {seed: (rng.random(200) < 0.84).astype(float) for seed in range(5)}}}
    finals["test_accuracy"][0.1] = [float(rows.mean()) for rows in examples["test_accuracy"][1].values()]
    return make_measurements(curves=curves, finals=finals, metrics={"cpu_seconds": SECONDS}, examples=examples)


def make_unpaired() -> Measurements:
    curves = draw_curves({1.0: 0.80, 0.1: 0.81, 0.01: 0.70}, 6, n=12, noise=0.02, seed=1, rough=0.1)
    for name, n in (("val_accuracy", 4), ("val_loss", 4)):
        curves[name][0.1] = curves[name][0.1][:n]
    return make_measurements(curves=curves, paired=False, first=1, axis="step", margin=0.02)


def make_low() -> Measurements:
    curves = draw_curves({0.3: 0.55, 0.1: 0.6, 0.03: 0.5}, 7, n=9, seed=2)
    return make_measurements(curves=curves, metric="val_loss", at=7.0, prefer="lowest", margin=0.05)


def make_best_of() -> Measurements:
    return make_measurements(
        curves=draw_curves({0.3: 0.75, 0.1: 0.76}, 4, seed=3), at="best of val_loss", prefer="fastest"
    )


def make_failing() -> Measurements:
    scores = draw_scores({1.0: 0.5, 0.3: 0.83, 0.1: 0.85, 0.03: 0.84, 0.01: 0.8}, 6, seed=4)
    scores[1.0][:5], scores[0.3][1], scores[0.1][2] = [None, 0.1, 0.11, None, 0.1], None, 0.12
    scores[0.01] = scores[0.01][:3]
    curves = {
        "val_accuracy": {key: [[0.1, 0.4, 0.6, v] for v in column if v is not None] for key, column in scores.items()}
    }
    never = make_measurements(scores, curves=curves, planned=range(7), statuses={(4, 5): "failed"})
    assert never.list_missing()
    return never


def make_grid() -> Measurements:
    means = {(rate, size): 0.8 - 0.03 * abs(i - j) - 0.01 * j
             for i, rate in enumerate((1.0, 0.1, 0.01)) for j, size in enumerate((32, 64, 128))}  # fmt: skip
    scores: dict[Any, Any] = draw_scores(means, 4, seed=6)
    scores[0.01, 32][1] = None
    scores[1.0, 128] = scores[1.0, 128][:1]
    return make_measurements(scores, factors=("learning_rate", "batch_size"))


def make_many() -> Measurements:
    return make_measurements(
        draw_scores({10.0 ** -(i / 3): 0.8 + 0.004 * min(i, 20 - i) for i in range(14)}, 3, seed=7)
    )


def make_looks() -> Measurements:
    scores = draw_scores({1.0: 0.8, 0.1: 0.85, 0.01: 0.849, 0.001: 0.846, 0.0001: 0.7}, 8, sd=0.006, seed=9)
    scores[1.0], scores[0.001], scores[0.0001] = scores[1.0][:4], scores[0.001][:6], scores[0.0001][:2]
    looks = (
        Look(number=1, n_seeds=dict.fromkeys(range(5), 2), alpha=0.025, dropped=(4,)),
        Look(number=2, n_seeds={0: 4, 1: 4, 2: 4, 3: 4, 4: 2}, alpha=0.05 / 6, dropped=(0, 4)),
    )
    return make_measurements(scores, looks=looks, margin=0.004, most_seeds=16)


def make_published() -> Measurements:
    results = [
        {"level": {"learning_rate": 0.1}, "values": {"val_accuracy": 0.855, "test_accuracy": 0.9}},
        {"level": {"learning_rate": 0.01}, "values": {"val_accuracy": 0.8}, "digits": {"val_accuracy": 4}},
    ]
    claims = [{"says": "0.1 is best", "claim": "best", "arguments": {"learning_rate": 0.1, "metric": "val_accuracy"}}]
    published = Published.model_validate({"title": "Earlier", "result": results, "claim": claims})
    scores = draw_scores({0.1: 0.851, 0.01: 0.849}, 5, seed=10)
    return make_measurements(scores, finals={"test_accuracy": {0.1: [0.84, 0.85], 0.01: [0.83]}}, published=published)


def make_short(n_seeds: int) -> Measurements:
    return make_measurements(curves=draw_curves({0.1: 0.85, 0.01: 0.84, 0.001: 0.6}, n_seeds, n=2, seed=11))


STUDIES: dict[str, Callable[[], Measurements]] = {
    "curves": make_curves, "unpaired": make_unpaired, "low": make_low, "best of": make_best_of, "failing": make_failing,
    "grid": make_grid, "many": make_many, "looks": make_looks, "published": make_published,
    "one seed": lambda: make_short(1), "two seeds": lambda: make_short(2),
}  # fmt: skip


def ask_everywhere(assessment: Assessment) -> Iterator[Finding]:
    """Yield the findings of the report, and the remaining claims on each level, or on each level and the next."""
    yield from (finding for section in ask_everything(assessment) for finding in section.findings)
    metric = assessment.measurements.decide.metric
    levels = [level.index for level in assessment.measurements.levels][:4]
    rest = assessment.measurements.factors[1:]
    for claim in VOCABULARY.values():
        values = {"metric": metric, "by": 0.01, "target": 0.8}
        fixed = {key: values[key] for key in claim.parameters if key in values}
        if "value" in claim.parameters:
            yield from (ask(claim.name, assessment, value=a, than_value=b) for f in rest for a, b in pairwise(f.values))
        elif "than" in claim.parameters:
            yield from (ask(claim.name, assessment, level=a, than=b, **fixed) for a, b in pairwise(levels))
        elif "level" in claim.parameters:
            yield from (ask(claim.name, assessment, level=level, **fixed) for level in levels)
        else:
            yield ask(claim.name, assessment, **fixed)


def write_number(value: Any) -> str:
    """Four digits, and none of what is left of nothing."""
    value = float(value)
    return f"{0.0 if abs(value) <= 1e-12 else value:.4g}"


def write_evidence(evidence: dict[str, Quantity]) -> str:
    return " ".join(f"{key}={write_number(quantity.value)}" for key, quantity in evidence.items())


def write_finding(finding: Finding) -> str:
    numbers = " ".join(map(write_number, (finding.effect, finding.low, finding.high)))
    return f"{finding.verdict} | {finding.word} | n={finding.n} | {numbers} | {write_evidence(finding.evidence)}"


def describe_decision(assessment: Assessment) -> Iterator[tuple[str, str]]:
    decision = assessment.decision
    parts = {"": decision, **{f" within {value}": part for value, part in decision.within.items()}}
    for name, part in parts.items():
        plan = part.more_seeds
        yield (
            f"decision{name}",
            (
                f"{part.verdict} {part.reason} leader={part.leader} chosen={part.chosen} equal={part.equal} tied={part.tied} "
                f"alpha={part.alpha:.4g} comparisons={part.n_comparisons} look={part.look.number} "
                f"plan={plan and (plan.n, plan.low, plan.high)} edges={[(e.verdict, e.ends, e.next_values) for e in part.edges]}"
            ),
        )
        for index, row in part.table.iterrows():
            yield (
                f"decision{name}, level {index}",
                " ".join(f"{key}={write_number(value)}" for key, value in row.items()),
            )


@pytest.mark.parametrize("name", STUDIES)
def test_the_numbers_of_drawn_studies(name: str, numbers: Any) -> None:
    assessment = assess(STUDIES[name]())
    texts = dict(describe_decision(assessment))
    texts["guessing and target"] = f"{write_number(assessment.guessing_limit)} {write_number(assessment.target)}"
    seen = set()
    for finding in ask_everywhere(assessment):
        check_finding(finding)
        sentence = "" if (finding.claim, finding.word) in seen else f" | {finding.sentence}"
        texts.setdefault(f"{finding.claim} {finding.arguments}", write_finding(finding) + sentence)
        seen.add((finding.claim, finding.word))
    story = write_story(assessment, ask_everything(assessment))
    for part in ("answer", "tradeoffs", "next_step"):
        texts[part] = f"{getattr(story, part).text} | {write_evidence(getattr(story, part).evidence)}"
    for key, text in texts.items():
        numbers.check(f"{name}: {key}", text)


def test_numbers_are_written_alike_everywhere() -> None:
    assert [write_number(value) for value in (1e-17, -1e-17, 0.123456, True, math.nan)] == [
        "0",
        "0",
        "0.1235",
        "1",
        "nan",
    ]
