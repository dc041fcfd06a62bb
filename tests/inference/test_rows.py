"""Twenty studies that were once misread: what is said of each now, in verdict, effect and evidence."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lrreport.inference.assessment import Assessment, assess
from lrreport.inference.claims import Finding
from lrreport.inference.sections import ask_everything
from lrreport.inference.story import write_story
from lrreport.inference.story.answer import write_answer
from lrreport.testing import make_measurements

Make = Callable[..., Assessment]
Tell = Callable[..., Finding]
TIGHT = (0.0002, -0.0002, 0.0001, 0.0, -0.0001)
SPREAD = (0.001, -0.001, 0.002, 0.0, -0.002)


def around(mean: float, by: tuple[float, ...] = TIGHT, scale: float = 1.0) -> list[float]:
    return [mean + scale * offset for offset in by]


def tell_study(assessment: Assessment) -> str:
    """All that the first screen says."""
    story = write_story(assessment, ask_everything(assessment))
    return f"{story.answer.text}. {story.tradeoffs.text} {story.next_step.title}: {story.next_step.text}"


def test_row_1_a_noisy_leader_shields_no_level(make: Make, tell: Tell, sentences: Any) -> None:
    assessment = make({0.03: [0.93, 0.84, 0.92, 0.85, 0.91], 0.01: around(0.885), 0.001: around(0.870, TIGHT[::-1])})
    assert assessment.decision.leader == 0
    assert assessment.decision.candidates == (0, 1)
    assert assessment.decision.ruled_out == (2,)
    assert assessment.decision.verdict == "undecided"
    assert tell(assessment, "higher", level=1, than=2, metric="val_accuracy").verdict == "supported"
    assert tell(assessment, "best", level=2, metric="val_accuracy").verdict == "contradicted"
    sentences.check("row 1", tell_study(assessment))


def test_row_2_failed_seeds_are_not_averaged(make: Make, tell: Tell, sentences: Any) -> None:
    assessment = make({0.03: [0.90, 0.10, 0.10, 0.91, 0.10], 0.01: around(0.885), 0.001: around(0.870, TIGHT[::-1])})
    row = assessment.decision.table.loc[0]
    assert (row.n, row.n_failed, row.n_runs) == (2, 3, 5)
    assert row["mean"] == pytest.approx(0.905)
    assert (row.failed_low, row.failed_high) == pytest.approx((0.1466, 0.9473), abs=1e-4)
    assert assessment.decision.chosen is None
    assert assessment.decision.reason == "few trained"
    learns = tell(assessment, "learns", level=0)
    assert learns.verdict == "undecided"
    assert learns.evidence["n_failed"].value == 3
    assert "42.20" not in tell_study(assessment)
    sentences.check("row 2", f"{tell_study(assessment)} | {learns.sentence}")


def test_row_3_a_target_is_not_set_by_a_failed_seed(make: Make, tell: Tell, sentences: Any) -> None:
    def curve(end: float) -> list[float]:
        return [0.1, 0.6, 0.8, end] if end > 0.2 else [0.1] * 4

    good = [0.90, 0.902, 0.899, 0.901, 0.10]
    assessment = make(curves={"val_accuracy": {0.03: [curve(end) for end in good],
                                          0.01: [[0.1, 0.4, 0.7, 0.85 + offset] for offset in SPREAD]}})  # fmt: skip
    assert assessment.target == pytest.approx(0.1 + 0.9 * (0.9005 - 0.1))
    sooner = tell(assessment, "sooner", level=0, than=1)
    assert sooner.evidence["target"].value == pytest.approx(assessment.target)
    sentences.check("row 3", sooner.sentence)


def test_row_4_a_diverged_seed_removes_no_level(make: Make, tell: Tell, sentences: Any) -> None:
    scores = {0.03: [0.90, 0.902, 0.899, 0.901, None], 0.01: around(0.87), 0.001: around(0.80, TIGHT[::-1])}
    assessment = make(scores)
    assert assessment.decision.chosen == 0
    assert assessment.decision.table.n_failed[0] == 1
    assert assessment.decision.edges[0].verdict == "supported"
    collapsed = make(scores | {0.03: [0.90, 0.902, 0.899, 0.901, 0.10]})
    for column in ("n", "n_failed", "mean", "may_be_best", "behind_at_most"):
        assert list(collapsed.decision.table[column]) == list(assessment.decision.table[column])
    assert "failed" in write_answer(assessment).text
    sentences.check("row 4", tell_study(assessment))


def test_row_5_a_close_race_is_undecided_and_nothing_more(make: Make, tell: Tell, sentences: Any) -> None:
    assessment = make({0.1: [0.80, 0.82, 0.81, 0.83, 0.79], 0.01: [0.81, 0.80, 0.82, 0.80, 0.81]})
    assert assessment.decision.verdict == "undecided"
    finding = tell(assessment, "choice")
    assert finding.verdict == "undecided"
    assert not any(word in finding.sentence for word in ("No single", "none is", "no best"))
    sentences.check("row 5", f"{finding.sentence} | {tell_study(assessment)}")


def test_row_6_no_spread_is_a_single_policy(make: Make, tell: Tell, sentences: Any) -> None:
    assessment = make(
        {0.01: [0.88] * 5, 0.001: [0.87] * 5, 0.0001: [0.60] * 5},
        curves={"val_loss": {rate: [[2.0, 1.5, 1.0, 0.5]] * 5 for rate in (0.01, 0.001, 0.0001)}},
        resolution={"val_accuracy": 0.002},
    )
    assert assessment.decision.candidates == (0,)
    assert assessment.decision.verdict == "best"
    assert tell(assessment, "best", level=2, metric="val_accuracy").verdict == "contradicted"
    assert tell(assessment, "higher", level=1, than=2, metric="val_accuracy").verdict == "supported"
    assert tell(assessment, "still_improving", level=0).verdict == "supported"
    coarse = make({0.01: [0.88] * 2, 0.001: [0.87] * 2}, resolution={"val_accuracy": 0.05})
    assert coarse.decision.candidates == (0, 1)  # a step of the score is larger than the difference
    sentences.check("row 6", tell_study(assessment))


def test_row_7_learning_and_failing_share_a_threshold(make: Make, tell: Tell, sentences: Any) -> None:
    assessment = make({0.1: around(0.9945), 0.01: around(0.9944, TIGHT[::-1])}, chance=0.99)
    assert assessment.guessing_limit == pytest.approx(0.991)
    assert [tell(assessment, "learns", level=i).verdict for i in (0, 1)] == ["supported", "supported"]
    assert assessment.decision.reason != "none learns"
    idle = make({0.1: around(0.9901), 0.01: around(0.9900)}, chance=0.99)
    assert [tell(idle, "learns", level=i).verdict for i in (0, 1)] == ["contradicted", "contradicted"]
    assert idle.decision.reason == "none learns"
    sentences.check("row 7", f"{tell_study(assessment)} | {tell_study(idle)}")


def test_row_8_the_leader_sets_the_target(make: Make, tell: Tell, sentences: Any) -> None:
    early, late = [0.1, 0.79, 0.795, 0.798, 0.80], [0.1, 0.60, 0.70, 0.805, 0.85]
    assessment = make(curves={"val_accuracy": {0.1: [[*early[:-1], early[-1] + offset] for offset in SPREAD],
                                          0.01: [[*late[:-1], late[-1] + offset] for offset in SPREAD[::-1]]}})  # fmt: skip
    assert assessment.target == pytest.approx(0.1 + 0.9 * 0.75)
    assert tell(assessment, "sooner", level=0, than=1).verdict == "supported"
    assert tell(assessment, "slowest", level=0).verdict == "contradicted"
    assert tell(assessment, "slowest", level=1).verdict == "supported"
    sentences.check("row 8", tell(assessment, "slowest", level=1).sentence)


def test_row_9_the_level_asked_about_is_among_those_listed(make: Make, tell: Tell, sentences: Any) -> None:
    scores = [[0.80, 0.82, 0.81, 0.83, 0.79], [0.81, 0.80, 0.82, 0.80, 0.81], [0.80, 0.81, 0.79, 0.82, 0.80]]
    assessment = make(dict(zip((0.01, 0.003, 0.001), scores, strict=True)))
    finding = tell(assessment, "best", level=2, metric="val_accuracy")
    assert finding.verdict == "undecided"
    assert finding.sentence.startswith("0.001 may have the highest")
    assert {finding.evidence[f"candidate_{i}"].value for i in (1, 2)} == {0.01, 0.003}
    sentences.check("row 9", finding.sentence)


def test_row_10_the_point_is_said(make: Make, tell: Tell, sentences: Any) -> None:
    peak = [[0.1, 0.85, 0.90, 0.86, 0.82 + offset] for offset in SPREAD]
    rival = [[0.1, 0.70, 0.75, 0.80, 0.83 + offset] for offset in SPREAD[::-1]]
    curves = {"val_accuracy": {0.1: peak, 0.01: rival}}
    last = make(curves=curves)
    assert last.decision.leader == 1
    finding = tell(last, "best", level=1, metric="val_accuracy")
    assert "(epoch 4)" in finding.sentence
    at_best = make(curves=curves, at="best of val_accuracy")
    assert at_best.decision.leader == 0
    assert at_best.decision.table["mean"][0] == pytest.approx(0.90)
    sentences.check("row 10", f"{finding.sentence} | {tell(at_best, 'choice').sentence}")


def test_row_11_improving_and_levelled_off_exclude_each_other(make: Make, tell: Tell, sentences: Any) -> None:
    slow = [[0.6 - 0.008 * at + offset / 10 for at in range(6)] for offset in SPREAD]
    assessment = make({0.1: around(0.8)}, curves={"val_loss": {0.1: slow}})
    improving, level = (tell(assessment, name, level=0) for name in ("still_improving", "levelled_off"))
    assert (improving.verdict, level.verdict) == ("supported", "contradicted")
    assert improving.effect == pytest.approx(0.04)  # what another five epochs would make
    flat = make(
        {0.1: around(0.8)}, curves={"val_loss": {0.1: [[0.6, 0.5] + [0.5 + offset / 20] * 4 for offset in SPREAD]}}
    )
    assert [tell(flat, name, level=0).verdict for name in ("still_improving", "levelled_off")] == [
        "contradicted",
        "supported",
    ]
    sentences.check("row 11", improving.sentence)


def test_row_12_loss_and_metric_may_disagree_on_overfitting(make: Make, tell: Tell, sentences: Any) -> None:
    assessment = make(curves={
        "val_accuracy": {0.1: [[0.1, 0.8, 0.87, 0.89, 0.90 + offset / 2] for offset in SPREAD]},
        "val_loss": {0.1: [[2.3, 0.6, 0.42, 0.46, 0.50 + offset] for offset in SPREAD]},
    })  # fmt: skip
    finding = tell(assessment, "overfits", level=0)
    assert finding.verdict == "undecided"
    assert finding.word == "Loss only"
    assert finding.evidence["loss_rise"].value == pytest.approx(0.08)
    assert "disagree" in finding.sentence
    sentences.check("row 12", finding.sentence)


def test_row_13_stability_does_not_get_worse_with_n(tell: Tell, sentences: Any) -> None:
    """With noise alone, as many studies of 3, 5 and 10 seeds are called stable, or more."""
    rng = np.random.default_rng(0)
    shares = []
    for n in (3, 5, 10):
        stable = 0
        for _ in range(30):
            losses = [list(0.5 + 0.1 * np.arange(5, -1, -1) / 5 + rng.normal(0, 0.007, 6)) for _ in range(n)]
            made = make_measurements({0.1: [0.8 + 0.001 * i for i in range(n)]}, curves={"val_loss": {0.1: losses}})
            finding = tell(assess(made), "trains_stably", level=0)
            stable += finding.verdict == "supported"
        shares.append(stable / 30)
    assert shares[0] <= shares[1] + 0.05 <= shares[2] + 0.1
    sentences.check("row 13", finding.sentence)


def test_row_14_two_seeds_choose_nothing(make: Make, sentences: Any) -> None:
    assessment = make(curves={"val_accuracy": {0.1: [[0.1, 0.9], [0.1, 0.91]], 0.01: [[0.1, 0.5], [0.1, 0.51]]}})
    assert assessment.decision.candidates == (0,)
    assert assessment.decision.chosen is None
    assert "Choose" not in tell_study(assessment)
    sentences.check("row 14", tell_study(assessment))


def test_row_15_what_is_as_good_is_said(make: Make, sentences: Any) -> None:
    by = np.sin(np.arange(30))
    assessment = make({0.1: list(0.8504 + 0.002 * by), 0.01: list(0.85 + 0.002 * by + 0.0001 * np.cos(np.arange(30)))})
    assert assessment.decision.verdict == "best"
    assert assessment.decision.equal == (1,)
    assert assessment.decision.table.behind_at_most[1] == pytest.approx(0.0004, abs=1e-4)
    assert "practically as good" in write_answer(assessment).text
    sentences.check("row 15", tell_study(assessment))


def close_study(**options: Any) -> Any:
    """0.001, the highest rate, and 0.0005 practically equal; 0.0001 far below."""
    leader = [0.8735, 0.8741, 0.8728, 0.8739, 0.8732]
    return make_measurements(
        {0.001: [score + by for score, by in zip(leader, (0.0018, -0.0022, 0.002, -0.001, -0.0011), strict=True)],
         0.0005: leader, 0.0001: [0.8543, 0.8551, 0.8530, 0.8560, 0.8535]},
        **options,
    )  # fmt: skip


def test_row_16_the_edge_is_asked_of_all_that_are_as_good(tell: Tell, sentences: Any) -> None:
    assessment = assess(close_study())
    assert assessment.decision.verdict == "good enough"
    assert assessment.decision.chosen == 1
    assert assessment.decision.equal == (0,)
    edge = tell(assessment, "edge_of_range")
    assert edge.verdict == "supported"
    assert edge.evidence["end_1"].value == 0.001
    story = write_story(assessment, ask_everything(assessment))
    assert story.next_step.kind == "range"
    assert story.next_step.values == (0.003, 0.01)
    sentences.check("row 16", tell_study(assessment))


def test_row_17_equality_that_was_shown_is_said(tell: Tell, sentences: Any) -> None:
    assessment = assess(close_study())
    equal = tell(assessment, "practically_equal", level=1, than=0, metric="val_accuracy")
    assert equal.verdict == "supported"
    higher = tell(assessment, "higher", level=1, than=0, metric="val_accuracy")
    assert (higher.verdict, higher.word) == ("undecided", "Practically equal")
    assert "seeds" not in higher.sentence
    sentences.check("row 17", higher.sentence)


def test_row_18_p_and_interval_come_from_the_same_procedure(make: Make, tell: Tell, sentences: Any) -> None:
    rng = np.random.default_rng(3)
    assessment = make({10.0**-i: list(0.8 + 0.002 * i + rng.normal(0, 0.006, 5)) for i in range(8)})
    for level in range(8):
        for than in range(level):
            finding = tell(assessment, "higher", level=level, than=than, metric="val_accuracy")
            assert (finding.evidence["p"].value > 0.05) == (finding.low <= 0 <= finding.high)
            assert (finding.verdict == "undecided") == (finding.evidence["p"].value > 0.05)
    sentences.check("row 18", tell(assessment, "higher", level=7, than=0, metric="val_accuracy").sentence)


def test_row_19_nothing_is_rounded_onto_a_threshold(make: Make, tell: Tell, sentences: Any) -> None:
    values = [0.1772, 0.1774, 0.1773, 0.1773, 0.1773]
    assessment = make({0.1: around(0.87), 0.01: values})
    limit = assessment.guessing_limit
    assert limit == pytest.approx(0.177, abs=1e-6)
    finding = tell(assessment, "learns", level=1)
    assert finding.verdict == "supported"
    assert finding.evidence["low"].value > limit
    shown = float(finding.evidence["low"].text.removesuffix(" %"))
    assert shown / 100 != pytest.approx(round(limit, 4), abs=1e-9)
    near = make({0.1: [0.50002, 0.50001, 0.50003], 0.01: [0.5, 0.5, 0.5]}, resolution={"val_accuracy": 1e-6})
    tiny = tell(near, "higher", level=0, than=1, metric="val_accuracy")
    for key in ("low", "high"):
        assert float(tiny.evidence[key].text.split()[0].replace("−", "-")) != 0.0
    sentences.check("row 19", f"{finding.sentence} | {tiny.sentence}")


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_row_20_every_estimate_lies_inside_its_interval(make: Make, tell: Tell, better: str, sentences: Any) -> None:
    metric = "val_accuracy" if better == "higher" else "val_loss"
    assessment = make({0.1: around(0.85, SPREAD), 0.01: around(0.80, SPREAD[::-1])}, metric=metric)
    for level, than in ((0, 1), (1, 0)):
        for name in ("higher", "lower", "slightly_lower", "practically_equal"):
            finding = tell(assessment, name, level=level, than=than, metric=metric)
            low, middle, high = (finding.evidence[key].value for key in ("low", "difference", "high"))
            assert low <= middle <= high
            assert finding.low <= finding.effect <= finding.high
            assert math.copysign(1, finding.effect) == (1 if level == 0 else -1)
            sentences.check(f"row 20, {name} {level} {than}, {better} is better", finding.sentence)
