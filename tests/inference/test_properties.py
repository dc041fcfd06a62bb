"""What holds of every study, whatever its numbers: tried on studies drawn by hypothesis."""

import json
import math
import os
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrreport.inference.assessment import Assessment, assess
from lrreport.inference.claims import Finding, ask
from lrreport.inference.sections import ask_everything
from lrreport.inference.story import write_story
from lrreport.testing import check_finding, make_measurements

FEW = settings(
    max_examples=int(os.environ.get("LRREPORT_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
NUMBER = re.compile(r"\d[\d,.]*\d(?:e-?\d+)?|\d(?:e-?\d+)?")
score = st.one_of(
    st.integers(790, 810).map(lambda thousandths: thousandths / 1000),
    st.integers(0, 1000).map(lambda thousandths: thousandths / 1000),
)
outcome = st.one_of(score, score, score, score, st.none())


@st.composite
def studies(draw: Any, failing: bool = True, two: bool | None = None) -> dict[str, Any]:
    """Arguments of `make_measurements`: 1 to 12 levels, 1 to 30 seeds, ties, failures, missing runs, one or two factors."""
    two_factors = draw(st.booleans()) if two is None else two
    n_seeds = draw(st.one_of(st.integers(1, 6), st.integers(2, 30)))
    rates = [0.1, 0.03, 0.01, 0.003, 0.001, 0.0003][: draw(st.integers(1, 6))]
    keys: list[Any] = (
        [(rate, size) for rate in rates for size in (32, 64)]
        if two_factors
        else [*rates, *(10.0 * r for r in rates)][:12]
    )
    pool = draw(st.lists(outcome if failing else score, min_size=3, max_size=30))
    shifts = draw(st.lists(st.integers(0, 29), min_size=len(keys), max_size=len(keys)))
    scores = {
        key: {seed: pool[(seed * (1 + shift % 3) + shift) % len(pool)] for seed in range(n_seeds)}
        for key, shift in zip(dict.fromkeys(keys), shifts, strict=False)
    }
    if draw(st.booleans()):
        scores[next(iter(scores))].pop(0)
    options: dict[str, Any] = {"scores": scores, "paired": draw(st.booleans())}
    if two_factors:
        options["factors"] = ("learning_rate", "batch_size")
    if draw(st.booleans()) and not failing:
        options["curves"] = {
            "val_loss": {
                key: [[2.3, 1.0, 0.5 + (seed + i) % 4 / 50, 0.5 + (seed * i) % 5 / 100] for seed in range(n_seeds)]
                for i, key in enumerate(scores)
            }
        }
    return options


def ask_all(assessment: Assessment) -> list[Finding]:
    return [finding for section in ask_everything(assessment) for finding in section.findings]


@FEW
@given(studies())
def test_every_finding_can_be_asked_and_written(options: dict[str, Any]) -> None:
    assessment = assess(make_measurements(**options))
    for finding in ask_all(assessment):
        check_finding(finding)
    story = write_story(assessment, ask_everything(assessment))
    for text in (story.answer.text, story.tradeoffs.text, story.next_step.text, *story.kicker):
        assert not any(word in text for word in ("nan", "inf ", "None", "{", "  ", ".."))
    assert len(story.tradeoffs.text.split()) <= 260


@FEW
@given(studies())
def test_the_story_quotes_only_its_evidence(options: dict[str, Any]) -> None:
    assessment = assess(make_measurements(**options))
    story = write_story(assessment, ask_everything(assessment))
    names = " ".join([*(level.name for level in assessment.measurements.levels), assessment.point.text])
    for part in (story.answer, story.tradeoffs, story.next_step):
        known = (
            set(NUMBER.findall(" ".join(quantity.text for quantity in part.evidence.values())))
            | set(NUMBER.findall(names))
            | {"95", "80", "5"}
        )
        assert set(NUMBER.findall(part.text)) <= known, (part.text, part.evidence)


@FEW
@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_levels_and_seeds_changes_nothing(options: dict[str, Any], random: Any) -> None:
    scores = options["scores"]
    keys, seeds = list(scores), sorted({seed for column in scores.values() for seed in column})
    random.shuffle(keys)
    renamed = dict(zip(seeds, random.sample(seeds, len(seeds)), strict=True))
    turned = {key: {renamed[seed]: value for seed, value in scores[key].items()} for key in keys}
    rest = {name: value for name, value in options.items() if name not in ("scores", "curves")}
    there, back = assess(make_measurements(scores, **rest)), assess(make_measurements(turned, **rest))
    position = {key: i for i, key in enumerate(keys)}
    for i, key in enumerate(scores):
        for column in ("mean", "n", "n_failed", "may_be_best", "behind_at_most", "good_enough"):
            expected, actual = there.decision.table[column][i], back.decision.table[column][position[key]]
            assert (
                expected == actual
                or math.isclose(expected, actual, rel_tol=1e-6, abs_tol=1e-9)
                or (math.isnan(expected) and math.isnan(actual))
            )
    assert (there.decision.verdict, there.decision.reason) == (back.decision.verdict, back.decision.reason)
    chosen = [
        assessment.measurements.levels[assessment.decision.chosen].values
        if assessment.decision.chosen is not None
        else None
        for assessment in (there, back)
    ]
    assert chosen[0] == chosen[1]


@FEW
@given(studies(failing=False))
def test_a_metric_that_should_be_low_is_the_mirror_image(options: dict[str, Any]) -> None:
    scores = options["scores"]
    rest = {name: value for name, value in options.items() if name not in ("scores", "curves")}
    mirrored = {key: {seed: 1 - value for seed, value in column.items()} for key, column in scores.items()}
    up = assess(make_measurements(scores, chance=None, **rest)).decision
    down = assess(make_measurements(mirrored, metric="val_rmse", margin=0.005, **rest)).decision
    assert up.table.may_be_best.tolist() == down.table.may_be_best.tolist()
    for behind, turned in zip(up.table.behind_at_most, down.table.behind_at_most, strict=True):
        assert math.isclose(min(behind, 1.0), min(turned, 1.0), rel_tol=1e-6, abs_tol=1e-9)
    assert (up.verdict, up.leader) == (down.verdict, down.leader)


@FEW
@given(studies())
def test_all_parts_agree_on_what_may_be_the_best(options: dict[str, Any]) -> None:
    assessment = assess(make_measurements(**options))
    decision, metric = assessment.decision, assessment.measurements.decide.metric
    for level in decision.compared:
        finding = ask("best", assessment, level=level, metric=metric)
        if finding.verdict == "not testable":
            continue
        assert (finding.verdict == "contradicted") == (not decision.table.may_be_best[level])
        assert (finding.verdict == "supported") == (decision.candidates == (level,))
        bound = float(decision.table.behind_at_most[level])
        if decision.margin is not None:
            close = ask("at_most_behind", assessment, level=level, by=decision.margin, metric=metric)
            assert (close.verdict == "supported") == (bound <= decision.margin)
    choice = ask("choice", assessment)
    assert (choice.verdict == "supported") == (decision.chosen is not None)
    answer = write_story(assessment, ask_everything(assessment)).answer.text
    assert answer.startswith("Choose ") == (decision.chosen is not None)
    for edge in decision.edges:
        for level, _ in edge.ends if edge.verdict == "supported" else ():
            assert decision.table.may_be_best[level]
    if decision.leader is not None:
        assert decision.table.may_be_best[decision.leader]
        assert (
            decision.chosen is None or decision.chosen == decision.leader or decision.table.good_enough[decision.chosen]
        )


@FEW
@given(studies())
def test_findings_survive_json(options: dict[str, Any]) -> None:
    for finding in ask_all(assess(make_measurements(**options))):
        assert json.loads(json.dumps(finding.to_json(), allow_nan=False))["claim"] == finding.claim
