"""Each claim in each verdict that it can have, and the sentences a reader gets."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lrreport.errors import LrreportError
from lrreport.inference.assessment import assess
from lrreport.inference.claims import VERDICTS, VOCABULARY, Finding, ask, ask_published, check_published_claim
from lrreport.inference.claims.pairs import decide_direction, is_beyond, is_within
from lrreport.inference.claims.phrases import GROUPS, SHARED, find_phrase
from lrreport.inference.claims.search import _say_state
from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import Estimate
from lrreport.inference.words import list_levels, quantify_difference, quantify_list
from lrreport.study.decide import Look, PublishedClaim
from lrreport.study.metrics import Metric
from lrreport.testing import make_measurements

Tell = Callable[..., Finding]
J = (0.0, 0.001, -0.002, 0.003, -0.001)
K = (0.002, -0.001, 0.001, 0.0, -0.003)
WIDE = (0.03, -0.04, 0.02, 0.035, -0.045)
NUMBER = re.compile(r"\d[\d,.]*\d(?:e-?\d+)?|\d(?:e-?\d+)?")
OF_METHOD = {"95", "5"}  # per cent of intervals, and the error of a study


def add(values: list[float], by: tuple[float, ...]) -> list[list[float]]:
    """Curves of seeds that differ at their end only."""
    return [[*values[:-1], values[-1] + offset] for offset in by]


def accuracy(
    end: float, by: tuple[float, ...] = J, start: tuple[float, ...] = (0.1, 0.5, 0.7, 0.75, 0.78)
) -> list[list[float]]:
    return add([*start, end], by)


def loss(*values: float, by: tuple[float, ...] = J) -> list[list[float]]:
    return add(list(values), by)


FALLING = (2.3, 1.0, 0.8, 0.7, 0.6)
FLAT = (2.3, 1.0, 0.5, 0.5, 0.5)


def study(**options: Any) -> Measurements:
    """Four rates: 1.0 best but rough, 0.1 a little below, 0.01 clearly below and slow, 0.001 with two failed seeds."""
    curves = {
        "val_accuracy": {
            1.0: accuracy(0.86, J),
            0.1: accuracy(0.8585, K),
            0.01: accuracy(0.80, J, (0.1, 0.3, 0.4, 0.5, 0.65)),
            0.001: [*accuracy(0.50, K)[:3], [0.1] * 6, [0.1] * 6],
        },
        "val_loss": {
            1.0: loss(2.3, 0.9, 1.2, 0.6, 0.9, 0.5),
            0.1: loss(*FLAT, 0.5, by=tuple(offset / 10 for offset in K)),
            0.01: loss(2.3, 1.5, 1.2, 1.0, 0.9, 0.8),
            0.001: [*loss(2.3, 2.0, 1.8, 1.7, 1.6, 1.5, by=K)[:3], [2.3] * 6, [2.3] * 6],
        },
    }
    finals = {
        "test_accuracy": {
            1.0: [0.855 + j for j in K],
            0.1: [0.86 + j for j in J],
            0.01: [0.79 + j for j in K],
            0.001: [0.5] * 5,
        },
        "final_train_accuracy": {1.0: [0.90 + j for j in K], 0.1: [0.88 + j for j in J], 0.01: [0.80] * 5},
    }
    return make_measurements(curves=curves, finals=finals, **options)


def one_rate(
    val_loss: list[list[float]], val_accuracy: list[list[float]] | None = None, **options: Any
) -> Measurements:
    scores = None if val_accuracy else {0.1: [0.8 + j for j in J[: len(val_loss)]]}
    curves = {"val_loss": {0.1: val_loss}} | ({"val_accuracy": {0.1: val_accuracy}} if val_accuracy else {})
    return make_measurements(scores, curves=curves, **options)


def pair(a: list[float], b: list[float], metric: str = "val_accuracy", **options: Any) -> Measurements:
    return make_measurements({0.1: a, 0.01: b}, metric=metric, **options)


def many(n_failed: int, than_failed: int, n: int = 30) -> Measurements:
    scores = [
        [None] * failed + [0.8 + 0.001 * (i % 5) for i in range(n - failed)] for failed in (n_failed, than_failed)
    ]
    return make_measurements(dict(zip((0.1, 0.01), scores, strict=True)))


def grid(
    means: dict[tuple[float, int], float], by: tuple[tuple[float, ...], ...] = (J, K), **options: Any
) -> Measurements:
    scores = {key: [mean + offset for offset in by[i % len(by)]] for i, (key, mean) in enumerate(means.items())}
    return make_measurements(scores, factors=("learning_rate", "batch_size"), **options)


def moving(best_at_32: float, best_at_256: float, gap: float = 0.05, shift: float = 0.0) -> Measurements:
    rates = (0.1, 0.01, 0.001)
    means = {(rate, size): 0.8 - gap * (rate != best) - (shift if size == 256 else 0)
             for size, best in ((32, best_at_32), (256, best_at_256)) for rate in rates}  # fmt: skip
    return grid(means, (J, K, J[::-1]))


ONE, TWO = {"level": 0}, {"level": 0, "than": 1}
ON = {"metric": "val_accuracy"}
S, C, U, N = VERDICTS
base = [0.80 + j for j in J]
near = [0.802 + j / 4 for j in K]
CASES: list[tuple[str, str, dict[str, Any], Callable[[], Measurements]]] = [
    ("higher", S, {"level": 0, "than": 2, **ON}, study),
    ("higher", C, {"level": 2, "than": 0, **ON}, study),
    ("higher", U, {**TWO, **ON}, lambda: pair([0.80 + w for w in WIDE], base)),
    ("higher", N, {**TWO, **ON}, lambda: pair([0.9], [0.8])),
    ("lower", S, {"level": 2, "than": 0, **ON}, study),
    ("lower", C, {"level": 0, "than": 2, **ON}, study),
    ("lower", U, {**TWO, **ON}, study),
    ("lower", N, {"level": 0, "than": 3, **ON}, lambda: make_measurements({0.1: base, 0.01: base, 0.001: base, 1.0: [None] * 5})),
    ("slightly_higher", S, {**TWO, **ON}, lambda: pair([0.802 + j for j in J], [0.80 + j * 1.1 for j in J])),
    ("slightly_higher", C, {"level": 0, "than": 2, **ON}, study),
    ("slightly_higher", U, {**TWO, **ON}, lambda: pair([0.805 + k / 2 for k in K], base)),
    ("slightly_higher", N, {**TWO, "metric": "val_rmse"}, lambda: pair(base, near, "val_rmse")),
    ("slightly_lower", S, {**TWO, **ON}, lambda: pair([0.798 + j for j in J], [0.80 + j * 1.1 for j in J])),
    ("slightly_lower", C, {"level": 2, "than": 0, **ON}, study),
    ("slightly_lower", U, {**TWO, **ON}, lambda: pair([0.795 + k / 2 for k in K], base)),
    ("slightly_lower", N, {**TWO, **ON}, lambda: pair(base[:1], near[:1])),
    ("practically_equal", S, {**TWO, **ON}, lambda: pair(near, base)),
    ("practically_equal", C, {"level": 0, "than": 2, **ON}, study),
    ("practically_equal", U, {**TWO, **ON}, lambda: pair([0.80 + w for w in WIDE], base)),
    ("practically_equal", N, {**TWO, "metric": "val_rmse"}, lambda: pair(base, near, "val_rmse")),
    ("sooner", S, {"level": 0, "than": 2}, study),
    ("sooner", C, {"level": 2, "than": 0}, study),
    ("sooner", U, TWO, lambda: make_measurements(curves={"val_accuracy": {
        0.1: [[0.1, 0.70 + w, 0.85] for w in WIDE], 0.01: [[0.1, 0.71 - w / 2, 0.85] for w in WIDE[::-1]]}})),
    ("sooner", N, TWO, lambda: pair(base, near)),
    ("slowest", S, {"level": 2}, lambda: make_measurements(curves={"val_accuracy": {
        1.0: accuracy(0.86), 0.1: accuracy(0.855, K), 0.01: accuracy(0.84, J, (0.1, 0.3, 0.4, 0.5, 0.65))}})),
    ("slowest", C, {"level": 0}, lambda: make_measurements(curves={"val_accuracy": {
        1.0: accuracy(0.86), 0.01: accuracy(0.84, J, (0.1, 0.3, 0.4, 0.5, 0.65))}})),
    ("slowest", U, {"level": 0}, lambda: make_measurements(curves={"val_accuracy": {
        0.1: [[0.1, 0.70 + w, 0.85] for w in WIDE], 0.01: [[0.1, 0.71 - w / 2, 0.85] for w in WIDE[::-1]]}})),
    ("slowest", N, {"level": 0}, lambda: one_rate(loss(*FALLING), accuracy(0.8))),
    ("more_stable", S, {"level": 1, "than": 0}, study),
    ("more_stable", C, {"level": 0, "than": 1}, study),
    ("more_stable", U, TWO, lambda: make_measurements({0.1: base, 0.01: near}, curves={"val_loss": {
        0.1: [[2.3, 1.0, 1.01 + w, 0.9] for w in WIDE], 0.01: [[2.3, 1.0, 1.012 - w, 0.9] for w in WIDE]}})),
    ("more_stable", N, TWO, lambda: pair(base, near)),
    ("most_stable", S, {"level": 1}, lambda: make_measurements({0.1: base, 0.01: near}, curves={"val_loss": {
        0.1: loss(2.3, 0.9, 1.2, 0.5), 0.01: loss(2.3, 1.0, 0.9, 0.8)}})),
    ("most_stable", C, {"level": 0}, study),
    ("most_stable", U, {"level": 0}, lambda: make_measurements({0.1: base, 0.01: near}, curves={"val_loss": {
        0.1: [[2.3, 1.0, 1.01 + w, 0.9] for w in WIDE], 0.01: [[2.3, 1.0, 1.012 - w, 0.9] for w in WIDE]}})),
    ("most_stable", N, {"level": 0}, lambda: pair(base, near)),
    ("fails_no_more_often", S, TWO, lambda: many(0, 12)),
    ("fails_no_more_often", C, TWO, lambda: many(12, 0)),
    ("fails_no_more_often", U, TWO, lambda: many(1, 3)),
    ("fails_no_more_often", N, TWO, lambda: make_measurements({0.1: base, 0.01: {}})),
    ("best", S, {"level": 0, **ON}, lambda: pair([0.85 + j for j in J], base)),
    ("best", C, {"level": 2, **ON}, study),
    ("best", U, {"level": 0, **ON}, lambda: pair([0.80 + w for w in WIDE], base)),
    ("best", N, {"level": 0, **ON}, lambda: make_measurements({0.1: base})),
    ("worst", S, {"level": 1, **ON}, lambda: pair([0.85 + j for j in J], base)),
    ("worst", C, {"level": 0, **ON}, study),
    ("worst", U, {"level": 1, **ON}, lambda: pair([0.80 + w for w in WIDE], base)),
    ("worst", N, {"level": 3, **ON}, lambda: make_measurements({0.1: base, 0.01: base, 0.001: base, 1.0: [None] * 5})),
    ("at_most_behind", S, {"level": 1, "by": 0.005, **ON}, lambda: pair(near, base)),
    ("at_most_behind", C, {"level": 2, "by": 0.02, **ON}, study),
    ("at_most_behind", U, {"level": 0, "by": 0.005, **ON}, lambda: pair([0.80 + w for w in WIDE], base)),
    ("at_most_behind", N, {"level": 0, "by": 0.005, **ON}, lambda: make_measurements({0.1: base})),
    ("beats_target", S, {"level": 0, "target": 0.79, **ON}, lambda: pair(base, near)),
    ("beats_target", C, {"level": 0, "target": 0.9, **ON}, lambda: pair(base, near)),
    ("beats_target", U, {"level": 0, "target": 0.8, **ON}, lambda: pair([0.80 + w for w in WIDE], base)),
    ("beats_target", N, {"level": 0, "target": 0.8, **ON}, lambda: make_measurements({0.1: [0.8]})),
    ("learns", S, ONE, study),
    ("learns", C, ONE, lambda: make_measurements({0.1: [0.1, 0.101, None], 0.01: base[:3]})),
    ("learns", U, {"level": 3}, study),
    ("learns", N, ONE, lambda: pair(base, near, "val_rmse")),
    ("trains_stably", S, {"level": 1}, study),
    ("trains_stably", C, {"level": 0}, study),
    ("trains_stably", U, ONE, lambda: one_rate([[2.3, 1.0, 1.02 + w, 0.9] for w in WIDE])),
    ("trains_stably", N, ONE, lambda: make_measurements({0.1: base})),
    ("still_improving", S, {"level": 2}, study),
    ("still_improving", C, {"level": 1}, study),
    ("still_improving", U, ONE, lambda: one_rate([[2.3, 1.0, 0.51, 0.5, 0.5 + w] for w in WIDE])),
    ("still_improving", N, ONE, lambda: one_rate([[2.3, 1.0, 0.9]] * 3)),
    ("levelled_off", S, {"level": 1}, study),
    ("levelled_off", C, {"level": 2}, study),
    ("levelled_off", U, ONE, lambda: one_rate([[2.3, 1.0, 0.51, 0.5, 0.5 + w] for w in WIDE])),
    ("levelled_off", N, ONE, lambda: make_measurements({0.1: base})),
    ("overfits", S, ONE, lambda: one_rate(loss(2.3, 0.5, 0.4, 0.5, 0.6), accuracy(0.70, J, (0.1, 0.6, 0.85, 0.8)))),
    ("overfits", C, {"level": 2}, study),
    ("overfits", U, ONE, lambda: one_rate([[2.3, 0.6, 0.5, 0.5 + w] for w in WIDE])),
    ("overfits", N, ONE, lambda: one_rate([[2.3, 0.6, 0.5, 0.4]] * 2)),
    ("does_not_overfit", S, {"level": 2}, study),
    ("does_not_overfit", C, ONE, lambda: one_rate(loss(2.3, 0.5, 0.4, 0.5, 0.6))),
    ("does_not_overfit", U, ONE, lambda: one_rate([[2.3, 0.6, 0.5, 0.5 + w] for w in WIDE])),
    ("does_not_overfit", N, ONE, lambda: make_measurements({0.1: base})),
    ("all_finished", S, {}, study),
    ("all_finished", C, {}, lambda: make_measurements({0.1: [*base[:4], None], 0.01: base}, planned=range(6))),
    ("all_finished", N, {}, lambda: make_measurements({0.1: {}, 0.01: {}}, planned=())),
    ("loss_ranks_as_accuracy", S, {}, lambda: make_measurements({0.1: [0.85 + j for j in J], 0.01: base}, finals={
        "val_loss": {0.1: [0.4 + k for k in K], 0.01: [0.5 + j for j in J]}})),
    ("loss_ranks_as_accuracy", C, {}, lambda: make_measurements({0.1: [0.85 + j for j in J], 0.01: base}, finals={
        "val_loss": {0.1: [0.6 + k for k in K], 0.01: [0.5 + j for j in J]}})),
    ("loss_ranks_as_accuracy", U, {}, lambda: make_measurements({0.1: near, 0.01: base}, finals={
        "val_loss": {0.1: [0.5 + w for w in WIDE], 0.01: [0.5 + j for j in J]}})),
    ("loss_ranks_as_accuracy", N, {}, lambda: pair(base, near, "val_loss")),
    ("edge_of_range", S, {}, study),
    ("edge_of_range", C, {}, lambda: make_measurements({1.0: base, 0.1: [0.9 + k for k in K], 0.01: base})),
    ("edge_of_range", U, {}, lambda: make_measurements({1.0: [0.89 + w for w in WIDE], 0.1: [0.9 + k for k in K], 0.01: base})),
    ("edge_of_range", N, {}, lambda: make_measurements({"SGD": base, "Adam": near}, factors=("optimizer",))),
    ("choice", S, {}, study),
    ("choice", U, {}, lambda: pair([0.80 + w for w in WIDE], base)),
    ("choice", N, {}, lambda: pair([0.9], [0.9])),
    ("best_combination", S, {}, lambda: moving(0.1, 0.01, shift=0.05)),
    ("best_combination", U, {}, lambda: grid({(0.1, 32): 0.8, (0.01, 32): 0.8, (0.1, 64): 0.8}, (WIDE, J, WIDE[::-1]))),
    ("best_combination", N, {}, study),
    ("best_rate_moves", S, {}, lambda: moving(0.1, 0.001)),
    ("best_rate_moves", C, {}, lambda: moving(0.01, 0.01)),
    ("best_rate_moves", U, {}, lambda: moving(0.01, 0.1, gap=0.0001)),
    ("best_rate_moves", N, {}, study),
    ("higher_when_tuned", S, {"value": 32, "than_value": 256}, lambda: moving(0.01, 0.01, shift=0.1)),
    ("higher_when_tuned", C, {"value": 256, "than_value": 32}, lambda: moving(0.01, 0.01, shift=0.1)),
    ("higher_when_tuned", U, {"value": 32, "than_value": 256}, lambda: moving(0.01, 0.1, gap=0.001)),
    ("higher_when_tuned", N, {"value": 32, "than_value": 256}, study),
]  # fmt: skip


def list_numbers(text: str) -> set[str]:
    return set(NUMBER.findall(text)) - OF_METHOD


@pytest.mark.parametrize(
    ("name", "verdict", "arguments", "make_study"), CASES, ids=[f"{name}-{v}" for name, v, _, _ in CASES]
)
def test_every_claim_in_every_verdict(
    name: str,
    verdict: str,
    arguments: dict[str, Any],
    make_study: Callable[[], Measurements],
    tell: Tell,
    sentences: Any,
) -> None:
    finding = tell(assess(make_study()), name, **arguments)
    assert finding.verdict == verdict, finding.sentence
    known = list_numbers(" ".join(quantity.text for quantity in finding.evidence.values()))
    assert list_numbers(finding.sentence) <= known | list_numbers(" ".join(NUMBER_WORDS)), finding.sentence
    sentences.check(f"{name}, {verdict}", f"[{finding.word} | {finding.size} | {finding.tone}] {finding.sentence}")


NUMBER_WORDS = ("(epoch 1)", "(epoch 2)", "(epoch 3)", "(epoch 4)", "epoch 5)")  # the point where runs are compared


def test_no_verdict_is_left_out() -> None:
    seen = {name: {verdict for claim, verdict, _, _ in CASES if claim == name} for name in VOCABULARY}
    assert seen == {name: set(VERDICTS) - set(claim.never) for name, claim in VOCABULARY.items()}


def test_the_vocabulary_keeps_its_names() -> None:
    assert set(VOCABULARY) >= {
        "higher", "lower", "slightly_higher", "slightly_lower", "best", "worst", "learns", "trains_stably", "still_improving",
        "levelled_off", "overfits", "does_not_overfit", "sooner", "slowest", "more_stable", "most_stable", "all_finished",
        "loss_ranks_as_accuracy", "edge_of_range", "choice", "best_rate_moves", "higher_when_tuned", "best_combination",
        "practically_equal", "at_most_behind", "fails_no_more_often", "beats_target",
    }  # fmt: skip


def test_every_claim_has_a_rule_and_every_phrase_a_claim() -> None:
    for claim in VOCABULARY.values():
        assert claim.rule.endswith("."), claim.name
        assert claim.measure.__doc__
    used = {group for name in VOCABULARY for group in SHARED.get(name, (name,))}
    assert set(GROUPS) == used
    assert find_phrase("practically_equal", "unclear") != find_phrase("higher", "unclear")


@pytest.mark.parametrize(
    "name", ["higher", "lower", "practically_equal", "sooner", "more_stable", "fails_no_more_often"]
)
def test_swapping_two_levels_swaps_the_finding(name: str, tell: Tell) -> None:
    assessment = assess(study())
    metric = {} if VOCABULARY[name].parameters == ("level", "than") else ON
    there, back = (tell(assessment, name, level=a, than=b, **metric) for a, b in ((0, 2), (2, 0)))
    assert (there.effect, there.low, there.high) == pytest.approx((-back.effect, -back.high, -back.low), nan_ok=True)
    swapped = {S: C, C: S}
    expected = there.verdict if name == "practically_equal" else swapped.get(there.verdict, there.verdict)
    assert back.verdict == expected


def test_a_level_that_never_arrives_is_later(tell: Tell) -> None:
    late = [[0.1, 0.3, 0.4, 0.5, 0.6] for _ in range(9)]
    early = [[0.1, 0.7, 0.8, 0.85, 0.9 + 0.001 * i] for i in range(9)]
    assessment = assess(make_measurements(curves={"val_accuracy": {0.1: early, 0.01: late}}))
    sooner = tell(assessment, "sooner", level=0, than=1)
    assert (sooner.verdict, sooner.evidence["than_missed"].value) == ("supported", 9)
    assert tell(assessment, "sooner", level=1, than=0).verdict == "contradicted"
    assert tell(assessment, "slowest", level=1).verdict == "supported"
    assert tell(assessment, "slowest", level=0).verdict == "contradicted"
    few = assess(make_measurements(curves={"val_accuracy": {0.1: early[:4], 0.01: late[:4]}}))
    assert tell(few, "sooner", level=0, than=1).verdict == "undecided"  # four signs cannot reach 5 %
    loose = assess(make_measurements(curves={"val_accuracy": {0.1: early, 0.01: late}}, paired=False))
    assert tell(loose, "sooner", level=0, than=1).verdict == "not testable"


def test_times_are_compared_only_within_a_machine(tell: Tell) -> None:
    curves = {"val_accuracy": {0.1: accuracy(0.86), 0.01: accuracy(0.85, K, (0.1, 0.3, 0.4, 0.5, 0.65))},
              "cpu_seconds": {rate: [[0.0, 2.0, 2.0, 2.0, 2.0, 2.0]] * 5 for rate in (0.1, 0.01)}}  # fmt: skip
    seconds = (
        study()
        .metrics["val_loss"]
        .model_copy(update={"name": "cpu_seconds", "label": "CPU seconds", "unit": "s", "split": "train"})
    )
    made = {"curves": curves, "metrics": {"cpu_seconds": seconds}}
    together = tell(assess(make_measurements(**made, facts={"host": ["a", "a"]})), "sooner", level=0, than=1)
    assert together.evidence["seconds"].value == pytest.approx(2 * together.evidence["when"].value, abs=1e-6)
    assert together.sentence.endswith(" CPU seconds of training.")
    for fact in ("host", "cpu"):
        apart = tell(assess(make_measurements(**made, facts={fact: ["a", "b"]})), "sooner", level=0, than=1)
        assert apart.verdict == together.verdict
        assert "seconds" not in apart.evidence
        assert apart.sentence.endswith("since the runs were made on different machines.")


def test_lower_is_better_mirrors_higher_is_better(tell: Tell) -> None:
    up = assess(pair([0.85 + j for j in J], base))
    down = assess(pair([0.15 - j for j in J], [0.2 - j for j in J], "val_rmse", margin=0.005))
    for name in ("best", "worst"):
        for level in (0, 1):
            rising = tell(up, name, level=level, metric="val_accuracy")
            falling = tell(down, name, level=level, metric="val_rmse")
            assert rising.verdict == falling.verdict
            assert rising.effect == pytest.approx(-falling.effect)
    assert up.decision.table.behind_at_most.tolist() == pytest.approx(
        down.decision.table.behind_at_most.tolist(), abs=1e-3
    )


def test_the_family_grows_with_the_levels(tell: Tell) -> None:
    two = assess(pair([0.803 + k / 2 for k in K], base))
    three = assess(make_measurements({0.1: [0.803 + k / 2 for k in K], 0.01: base, 0.001: [0.7 + w for w in WIDE]}))
    a, b = (tell(assessment, "higher", level=0, than=1, metric="val_accuracy") for assessment in (two, three))
    assert b.evidence["p"].value == pytest.approx(min(1, 3 * a.evidence["p"].value))
    assert b.high - b.low > a.high - a.low


PUBLISHED: list[tuple[str, dict[str, Any], str]] = [
    ("nicest", {}, "no claim 'nicest'; the claims are "),
    ("best", {"rate": 0.1}, "best has no argument rate; it takes learning_rate, metric"),
    ("best", {"learning_rate": 0.1}, "best needs metric"),
    ("at_most_behind", {"level": 0.1}, "at_most_behind needs by, metric"),
    ("sooner", {}, "sooner needs learning_rate, than"),
    ("sooner", {"rate": 0.1, "to": 0.01}, "sooner has no argument rate, to; it takes learning_rate, than"),
    ("edge_of_range", {"end": 1.0}, "edge_of_range has no argument end; it takes factor"),
    ("choice", {"learning_rate": 0.1}, "choice has no argument learning_rate; it takes none"),
    ("best", {"learning_rate": 0.1, "metric": "speed"}, "no metric 'speed'; the metrics are val_accuracy, test_accuracy, "),
    ("best", {"learning_rate": 0.1, "metric": ["val_loss"]}, "no metric ['val_loss']; the metrics are "),
    ("sooner", {"learning_rate": 0.1, "than": 0.1}, "it compares 0.1 with itself; name two values"),
    ("learns", {"learning_rate": 0.7}, "the study has no learning rate 0.7; it has 1.0, 0.1, 0.01, 0.001"),
    ("learns", {"learning_rate": True}, "the study has no learning rate True; it has "),
    ("learns", {"learning_rate": {"rate": 0.1}}, "a level has the keys learning_rate, not rate"),
    ("at_most_behind", {"learning_rate": 0.1, "metric": "val_loss", "by": -1}, "by is -1; give a positive number on "),
    ("beats_target", {"learning_rate": 0.1, "metric": "val_loss", "target": "low"}, "target is 'low'; give a number on "),
    ("higher_when_tuned", {"value": 0.1, "than_value": 0.01}, "higher_when_tuned compares values of a second factor, and "),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "arguments", "message"), PUBLISHED)
def test_a_published_claim_that_cannot_be_asked_is_refused(claim: str, arguments: dict[str, Any], message: str) -> None:
    made = study()
    with pytest.raises(LrreportError) as error:
        check_published_claim(PublishedClaim(says="so", claim=claim, arguments=arguments), made.factors, made.metrics)
    assert str(error.value).startswith(f"published claim 'so': {message}")
    assert "\n" not in str(error.value)


def test_published_claims_name_levels_by_value() -> None:
    assessment = assess(study())
    claim = PublishedClaim(
        says="so",
        claim="higher",
        arguments={"learning_rate": 1.0, "than": 0.01, "metric": "val_accuracy"},
        remark="Indeed.",
    )
    finding = ask_published(assessment, claim)
    assert (finding.verdict, finding.arguments["level"], finding.arguments["than"]) == ("supported", 0, 2)
    assert finding.sentence.endswith(" Indeed.")
    two = assess(moving(0.1, 0.001))
    level = {"learning_rate": 0.1, "batch_size": 256}
    claim = PublishedClaim(says="so", claim="best", arguments={"level": level, "metric": "val_accuracy"})
    assert ask_published(two, claim).arguments["level"] == 3
    with pytest.raises(LrreportError, match="the study varies two settings; name a level as a table such as"):
        ask_published(two, PublishedClaim(says="so", claim="learns", arguments={"learning_rate": 0.1}))
    tuned = PublishedClaim(says="so", claim="higher_when_tuned", arguments={"value": 32, "than_value": 256})
    assert ask_published(two, tuned).verdict == "undecided"
    named = assess(make_measurements({"SGD": base, "Adam": near}, factors=("optimizer",)))
    assert ask_published(
        named, PublishedClaim(says="so", claim="learns", arguments={"optimizer": "Adam"})
    ).arguments == {"level": 1}


def test_a_published_claim_about_a_missing_run_is_not_testable() -> None:
    assessment = assess(make_measurements({0.1: base, 0.01: {}}))
    finding = ask_published(
        assessment, PublishedClaim(says="so", claim="trains_stably", arguments={"learning_rate": 0.01})
    )
    assert finding.sentence == "Not testable for 0.01: it has no run."


def test_a_level_whose_runs_are_missing_may_be_the_best(tell: Tell) -> None:
    means = {(rate, size): 0.8 - 0.05 * (rate != 0.01) for size in (32, 256) for rate in (0.1, 0.01, 0.001)}
    assert tell(assess(grid(means)), "best_rate_moves").verdict == "contradicted"
    scores = {key: [mean + j for j in J] for key, mean in means.items()}
    missing = make_measurements(scores | {(0.1, 256): {}}, factors=("learning_rate", "batch_size"))
    assert tell(assess(missing), "best_rate_moves").verdict == "undecided"
    assert tell(assess(missing), "higher_when_tuned", value=32, than_value=256).verdict == "not testable"


def test_a_best_rate_at_an_end_of_the_range_may_move_outside(tell: Tell) -> None:
    finding = tell(assess(moving(0.1, 0.1)), "best_rate_moves")
    assert finding.verdict == "undecided"
    assert "lies at an end of the range tried" in finding.sentence


def test_edges_of_both_factors_can_be_asked(tell: Tell) -> None:
    assessment = assess(moving(0.01, 0.01, shift=0.05))
    assert tell(assessment, "edge_of_range").verdict == "contradicted"
    size = tell(assessment, "edge_of_range", factor="batch_size")
    assert size.verdict == "supported"
    assert [size.evidence[f"next_{i}"].value for i in (1, 2)] == [16, 8]


def test_runs_of_unequal_length_are_compared_at_the_last_common_point(tell: Tell) -> None:
    long = [[0.1, 0.5, 0.8, 0.9, 0.95 + j] for j in J]
    short = [[0.1, 0.6, 0.85 + k] for k in K]
    assessment = assess(make_measurements(curves={"val_accuracy": {0.1: long, 0.01: short}}))
    assert assessment.decision.leader == 1
    assert "epoch 2, the last that all runs have" in tell(assessment, "choice").sentence


def test_many_levels_are_listed_in_part(tell: Tell) -> None:
    rng = np.random.default_rng(0)
    assessment = assess(make_measurements({10.0**-i: list(0.8 + rng.normal(0, 0.01, 4)) for i in range(12)}))
    finding = tell(assessment, "choice")
    assert re.search(r"or \d+ more may be the best", finding.sentence)
    assert len(finding.evidence) < 30


def test_looks_are_taken_into_account(tell: Tell) -> None:
    scores = {0.1: [0.85 + j for j in (*J, *K)], 0.01: [0.8495 + k for k in (*K, *J)], 0.001: base}
    look = Look(number=1, n_seeds={0: 5, 1: 5, 2: 5}, alpha=0.025, dropped=(2,))
    assessment = assess(make_measurements(scores, looks=(look,)))
    assert assessment.decision.look.number == 2
    assert assessment.decision.alpha == pytest.approx(0.05 / 6)
    assert assessment.decision.table.dropped.tolist() == [0, 0, 1]
    assert tell(assessment, "best", level=2, metric="val_accuracy").verdict == "contradicted"
    assert ask("choice", assessment).verdict == "supported"


def test_rises_of_few_seeds_have_no_interval(make: Any, tell: Tell) -> None:
    """Zeros crowd the mean rise: with one or two seeds that rise, t intervals miss it in a third of real studies."""
    smooth, rising = [2.3, 1.0, 0.9, 0.8], [2.3, 1.0, 1.004, 0.8]
    losses = {0.1: [rising, *[smooth] * 4], 0.01: [smooth] * 5, 0.001: [rising] * 3 + [smooth] * 2}
    losses[0.001][0] = [2.3, 1.0, 1.01, 0.8]
    assessment = make({rate: [0.80, 0.81, 0.80, 0.82, 0.81] for rate in losses}, curves={"val_loss": losses})
    few, never, some = (tell(assessment, "trains_stably", level=i) for i in range(3))
    assert [finding.verdict for finding in (few, never, some)] == ["supported"] * 3
    assert [math.isnan(finding.low) for finding in (few, never, some)] == [True, True, False]
    assert few.evidence["n_rising"].value == 1
    assert "in 1 of them" in few.sentence
    assert "95 %" not in few.sentence
    pair = tell(assessment, "more_stable", level=0, than=1)
    assert (pair.verdict, math.isnan(pair.low)) == ("undecided", True)
    assert "at all in only 1 of 5 seeds" in pair.sentence
    assert not math.isnan(tell(assessment, "more_stable", level=2, than=0).low)
    most = [tell(assessment, "most_stable", level=i) for i in range(3)]
    assert [finding.verdict for finding in most] == ["undecided"] * 3
    assert [math.isnan(finding.low) for finding in most] == [True, True, False]
    assert "one of the two rises at all in only 1 of 5 seeds" in most[0].sentence
    assert "95 %" not in most[0].sentence
    for finding in (few, never, pair, *most[:2]):
        assert not {"low", "high", "p"} & set(finding.evidence)
    rough = [2.3, 1.0, 1.9, 0.8]
    unclear = make({0.1: [0.80, 0.81, 0.80]}, curves={"val_loss": {0.1: [rough, [*rough[:2], 0.9, 0.8], smooth]}})
    finding = tell(unclear, "trains_stably", level=0)
    assert (finding.verdict, math.isnan(finding.low)) == ("undecided", True)


def test_a_target_counts_from_the_untrained_network_where_guessing_is_unknown() -> None:
    curves = {"val_accuracy": {0.1: [[0.2, 0.6, 0.8]] * 3, 0.01: [[0.4, 0.5, 0.7]] * 3}}
    assert assess(make_measurements(curves=curves, chance=None)).target == pytest.approx(0.3 + 0.9 * (0.8 - 0.3))
    later = assess(
        make_measurements(curves=curves, chance=None, first=1)
    )  # what an untrained network gives is not known
    assert math.isnan(later.target)
    assert later.arrivals is None


def test_times_do_not_round_onto_zero(tell: Tell) -> None:
    def curve(middle: float) -> list[float]:
        return [0.1, middle, 0.9]

    shifts = (0.001, 0.0012, 0.0008, 0.0011, 0.0009)
    assessment = assess(make_measurements(curves={"val_accuracy": {
        0.1: [curve(0.6 + j) for j in J], 0.01: [curve(0.6 + j - shift) for j, shift in zip(J, shifts, strict=True)]}}))  # fmt: skip
    for finding in (tell(assessment, "sooner", level=0, than=1), tell(assessment, "slowest", level=1)):
        assert finding.verdict == "supported"
        assert 0 < finding.evidence["low"].value < 0.005
        assert [float(finding.evidence[key].text) > 0 for key in ("low", "high")] == [True, True]
    quick = tell(assessment, "slowest", level=0)
    assert -0.005 < quick.evidence["high"].value < 0
    assert quick.evidence["high"].text.startswith("−0.00")
    assert float(quick.evidence["high"].text.replace("−", "-")) < 0


def test_seeds_that_never_arrive_are_ties(tell: Tell) -> None:
    early, late, never = [0.1, 0.8, 0.9], [0.1, 0.3, 0.9], [0.1, 0.2, 0.3]
    columns = {0.1: [early, early, never, never, late], 0.01: [late, never, never, never, late]}
    assessment = assess(make_measurements(curves={"val_accuracy": columns}, chance=0.05))
    finding = tell(assessment, "sooner", level=0, than=1)
    assert (finding.evidence["first"].value, finding.evidence["second"].value) == (2, 0)
    assert finding.evidence["p"].value == pytest.approx(0.5)


def test_the_slowest_is_later_than_the_rest_by_one_sided_signs(tell: Tell) -> None:
    early, never = [0.1, 0.8, 0.9], [0.1, 0.2, 0.3]

    def made(**columns: list[list[float]]) -> Any:
        by_rate = dict(zip((0.1, 0.01, 0.001), columns.values(), strict=False))
        return assess(make_measurements(curves={"val_accuracy": by_rate}, chance=0.05))

    two = made(a=[early] * 5, b=[never] * 5)
    assert tell(two, "slowest", level=1).verdict == "supported"  # p is 1/32
    assert tell(two, "slowest", level=0).verdict == "contradicted"
    assert tell(made(a=[early] * 4, b=[never] * 4), "slowest", level=1).verdict == "undecided"
    three = made(a=[early] * 5, b=[never] * 5, c=[never] * 5)
    assert tell(three, "slowest", level=1).verdict == "undecided"  # as slow as another
    assert tell(three, "slowest", level=0).verdict == "undecided"  # 1/32 is too much in a family of two
    six = made(a=[early] * 6, b=[never] * 6, c=[never] * 6)
    assert tell(six, "slowest", level=0).verdict == "contradicted"


@pytest.mark.parametrize("lacking", [0.1, 0.01])
def test_smoothness_takes_curves_of_both(lacking: float, tell: Tell) -> None:
    there = {rate: [[2.3, 1.0, 1.1 + w / 10, 0.9] for w in WIDE] for rate in (0.1, 0.01) if rate != lacking}
    assessment = assess(make_measurements({0.1: base, 0.01: near}, curves={"val_loss": there}))
    for level, than in ((0, 1), (1, 0)):
        assert tell(assessment, "more_stable", level=level, than=than).verdict == "not testable"


def test_the_rival_in_smoothness_is_the_next_smoothest(tell: Tell) -> None:
    losses = {rate: loss(2.3, 1.0, 1.0 + rise, 0.5) for rate, rise in ((0.1, 0.1), (0.01, 0.2), (0.001, 0.4))}
    assessment = assess(make_measurements(dict.fromkeys(losses, base), curves={"val_loss": losses}))
    assert tell(assessment, "most_stable", level=0).evidence["rival_1"].value == 0.01
    worst = tell(assessment, "most_stable", level=2)
    assert (worst.verdict, worst.evidence["rival_1"].value) == ("contradicted", 0.1)


def test_the_remaining_seeds_select_the_best_evaluation(tell: Tell) -> None:
    """If a seed selected its own peak, a fall after it would be significant by construction."""
    peaks = [[2.3, 0.1, 0.5, 0.6], [2.3, 0.6, 0.4, 0.6], [2.3, 0.6, 0.4, 0.6], [2.3, 0.6, 0.4, 0.6]]
    finding = tell(assess(one_rate(peaks)), "overfits", level=0)
    assert (finding.verdict, finding.evidence["at"].value) == ("undecided", 1)
    peaks = [[2.3, 0.2, 0.5, 0.8], [2.3, 0.55, 0.4, 0.8], [2.3, 0.55, 0.4, 0.8], [2.3, 0.55, 0.4, 0.81]]
    finding = tell(assess(one_rate(peaks)), "overfits", level=0)
    assert finding.verdict == "supported"
    assert finding.evidence["rise"].value == pytest.approx((0.3 + 0.25 + 0.25 + 0.26) / 4)


@pytest.mark.parametrize(("low", "high", "verdict"), [
    (0.1, 0.3, S), (0.0, 0.4, U), (-0.1, 0.5, U), (-0.4, 0.0, U), (-0.3, -0.1, C), (math.nan, math.nan, U),
])  # fmt: skip
def test_an_interval_that_touches_zero_shows_no_direction(low: float, high: float, verdict: str) -> None:
    estimate = Estimate((low + high) / 2, low, high, 0.1, 4, 5, 0.05)
    assert decide_direction(estimate) == verdict
    assert decide_direction(estimate, -1) == {S: C, C: S}.get(verdict, verdict)


def test_a_margin_is_not_inside_itself() -> None:
    def spans(low: float, high: float) -> tuple[bool, bool]:
        estimate = Estimate((low + high) / 2, low, high, 0.1, 4, 5, 0.05)
        return is_within(estimate, 0.5), is_beyond(estimate, 0.5)

    assert spans(-0.4, 0.4) == (True, False)
    assert spans(-0.5, 0.4) == spans(-0.4, 0.5) == spans(0.5, 0.9) == spans(-0.9, -0.5) == (False, False)
    assert spans(0.6, 0.9) == spans(-0.9, -0.6) == (False, True)
    assert not is_within(Estimate(0, 0, 0, 0, 4, 5, 1), None)


@pytest.mark.parametrize("k", [2, 3])
def test_standings_on_the_test_metric_equal_those_of_the_decision(k: int) -> None:
    scores = {0.1: [0.85 + w / 4 for w in WIDE], 0.01: [0.845 + k for k in K], 0.001: [0.82 + j for j in J]}
    scores = dict(list(scores.items())[:k])
    assessment = assess(make_measurements(scores, finals={"test_accuracy": scores}))
    decided, on_test = (assessment.stand_on(f"{split}_accuracy", 1) for split in ("val", "test"))
    for column in ("may_lead", "at_most", "at_least"):
        assert list(getattr(on_test, column)) == pytest.approx(list(getattr(decided, column)))
    assert decided.at_least.max() > 0 or k == 2
    assert decided.candidates == on_test.candidates


def test_rises_relative_to_the_loss_take_a_loss_above_zero() -> None:
    losses = {0.1: [[0.5, 0.3, 0.4], [0.5, 0.3, 0.31]], 0.01: [[0.5, 0.2, 0.3], [0.5, 0.2, 0.3]]}
    positive = assess(make_measurements({0.1: base[:2], 0.01: near[:2]}, curves={"val_loss": losses}))
    assert positive.rises is not None
    assert positive.relative_rises is not None
    assert positive.rises[0].tolist() == pytest.approx([0.05, 0.005])
    assert positive.relative_rises[0].tolist() == pytest.approx([0.05 / 0.35, 0.005 / 0.305])
    losses[0.01][1][1] = -0.1
    negative = assess(make_measurements({0.1: base[:2], 0.01: near[:2]}, curves={"val_loss": losses}))
    assert negative.relative_rises is None


def test_ends_of_a_difference_do_not_round_onto_the_margin() -> None:
    metric = assess(pair(base, near)).measurements.metric
    written = quantify_difference(metric, Estimate(0.003, 0.001, 0.005004), "5", 0.005)
    assert [written[key].text for key in ("low", "difference", "high")] == ["0.1000", "0.3000 points", "0.5004 points"]
    written = quantify_difference(metric, Estimate(-0.003, -0.005, -0.00001), "5", 0.005)
    assert [written[key].text for key in ("low", "difference", "high")] == ["0.001", "0.300 points", "0.500 points"]


def test_a_level_without_a_run_is_named_where_two_are_compared(tell: Tell) -> None:
    assessment = assess(make_measurements({0.1: base, 0.01: {}, 0.001: near}))
    assert tell(assessment, "slowest", level=1).sentence == "Not testable for 0.01: it has no run."
    assert tell(assessment, "sooner", level=0, than=1).sentence == "Not testable for 0.1 against 0.01: 0.01 has no run."


def test_seconds_of_a_single_level_are_omitted(tell: Tell) -> None:
    curves = {"val_accuracy": {0.1: accuracy(0.86), 0.01: accuracy(0.85, K)},
              "cpu_seconds": {0.1: [[0.0, 2.0, 2.0, 2.0, 2.0, 2.0]] * 5}}  # fmt: skip
    seconds = study().metrics["val_loss"].model_copy(update={"name": "cpu_seconds", "unit": "s", "split": "train"})
    finding = tell(
        assess(make_measurements(curves=curves, metrics={"cpu_seconds": seconds})), "sooner", level=0, than=1
    )
    assert "CPU" not in finding.sentence
    assert not {"seconds", "than_seconds"} & set(finding.evidence)


def test_without_a_margin_only_a_clear_slope_is_stated(tell: Tell) -> None:
    def made(by: tuple[float, ...], end: float) -> Any:
        return assess(make_measurements(curves={"val_rmse": {0.1: [[2.0, 1.0, 0.8, 0.7, end + offset] for offset in by]}}, metric="val_rmse"))  # fmt: skip

    assert tell(made(J, 0.6), "still_improving", level=0).word == "Still improving"
    assert tell(made(J, 1.0), "still_improving", level=0).word == "Getting worse"
    wide = tell(made(tuple(9 * w for w in WIDE), 0.7), "still_improving", level=0)
    assert wide.sentence == "Not testable for 0.1: the study names no margin for validation RMSE."


def test_a_mean_that_may_lie_at_guessing_shows_no_learning(tell: Tell) -> None:
    assessment = assess(make_measurements({0.1: base, 0.01: [0.18, 0.35, 0.2, 0.3, 0.19]}))
    finding = tell(assessment, "learns", level=1)
    assert (finding.verdict, finding.word) == ("undecided", "Unclear")
    assert finding.evidence["low"].value < assessment.guessing_limit < finding.evidence["high"].value
    alone = tell(assess(make_measurements({0.1: [0.8, None, None], 0.01: base[:3]})), "learns", level=0)
    assert alone.word == "Fails at times"
    assert not {"low", "high"} & set(alone.evidence)


@pytest.mark.parametrize("metric", ["val_accuracy", "val_rmse"])
@pytest.mark.parametrize("shift", [-0.02, 0.0, 0.001, 0.004, 0.02])
def test_the_interval_of_two_bests_excludes_zero_if_either_is_better(metric: str, shift: float, tell: Tell) -> None:
    scores = {(rate, size): [0.5 + shift * (size == 32) - gap + offset for offset in by]
              for (rate, gap), by in zip(((0.1, 0.0), (0.01, 0.002)), (J, K), strict=True) for size in (32, 64)}  # fmt: skip
    assessment = assess(make_measurements(scores, factors=("learning_rate", "batch_size"), metric=metric))
    finding = tell(assessment, "higher_when_tuned", value=32, than_value=64)
    assert (finding.verdict == "undecided") == (finding.low <= 0 <= finding.high)
    better = finding.effect * assessment.measurements.metric.sign > 0
    assert finding.verdict in ("undecided", "supported" if better else "contradicted")
    back = tell(assessment, "higher_when_tuned", value=64, than_value=32)
    assert (back.effect, back.low, back.high) == pytest.approx((-finding.effect, -finding.high, -finding.low))
    assert "p" not in finding.evidence
    assert finding.evidence["n"].value == 5


def test_no_level_lies_farther_behind_a_dropped_level_than_it_may(tell: Tell) -> None:
    lucky = {0.1: [0.85 + j for j in J[:3]], 0.01: [0.90, 0.9001, 0.9002], 0.001: [0.849 + k for k in K[:3]]}
    look = Look(number=1, n_seeds={0: 2, 1: 2, 2: 2}, alpha=0.025, dropped=(1,))
    assessment = assess(make_measurements(lucky, looks=(look,)))
    finding = tell(assessment, "at_most_behind", level=0, by=0.01, metric="val_accuracy")
    assert finding.effect == finding.high == pytest.approx(assessment.decision.table.behind_at_most[0])
    assert finding.evidence["behind"].value == finding.effect


def test_a_comparison_counts_the_seeds_of_the_level_with_fewer(tell: Tell) -> None:
    assessment = assess(make_measurements({0.1: base, 0.01: near[:3]}))
    for level, than in ((0, 1), (1, 0)):
        assert assessment.compare_scores(level, than, "val_accuracy").n == 3
        assert assessment.compare_alone(level, than, "val_accuracy").n == 3
    assert tell(assessment, "higher", level=0, than=1, metric="val_accuracy").evidence["n"].text == "5 and 3"


def test_a_rise_just_above_zero_is_not_written_as_zero(tell: Tell) -> None:
    losses = [[2.3, 1.0, 1.0 + 2 * by, 0.9] for by in (0.00002, 0.00003, 0.00001, 0.00002, 0.00002)]
    finding = tell(assess(one_rate(losses)), "trains_stably", level=0)
    assert 0 < finding.evidence["low"].value < 0.00005
    assert float(finding.evidence["low"].text) > 0


def test_two_bests_are_compared_in_the_family_of_their_numbers_of_levels(tell: Tell) -> None:
    means = {(0.1, 32): 0.80, (0.01, 32): 0.802, (0.001, 32): 0.804, (0.1, 64): 0.798, (0.01, 64): 0.795}
    rng = np.random.default_rng(0)
    scores = {key: list(mean + rng.normal(0, 0.003, 5)) for key, mean in means.items()}
    assessment = assess(make_measurements(scores, factors=("learning_rate", "batch_size")))
    finding = tell(assessment, "higher_when_tuned", value=32, than_value=64)

    def limit(a: tuple[float, int], b: tuple[float, int], alpha: float) -> float:
        interval = stats.ttest_rel(scores[a], scores[b]).confidence_interval(1 - 2 * alpha)
        return float(interval.low)

    sizes = {size: [key for key in means if key[1] == size] for size in (32, 64)}
    low, back = (
        max(
            min(limit(a, b, assessment.decision.alpha / (len(sizes[size]) * 2)) for b in sizes[than_size])
            for a in sizes[size]
        )
        for size, than_size in ((32, 64), (64, 32))
    )
    effect = np.subtract(*(max(np.mean(scores[key]) for key in sizes[size]) for size in (32, 64)))
    assert (finding.low, finding.effect, finding.high) == pytest.approx((low, effect, -back))


def test_a_rise_up_to_the_margin_is_not_below_it(tell: Tell) -> None:
    losses = [[2.3, 1.0, 1.01 + w / 10, 0.9] for w in WIDE]
    high = tell(assess(one_rate(losses)), "trains_stably", level=0).high
    for margin, verdict in ((high, U), (high * (1 + 1e-9), S)):
        metric = study().metrics["val_loss"].model_copy(update={"margin": margin})
        made = one_rate(losses, metrics={"val_loss": metric})
        assert tell(assess(made), "trains_stably", level=0).verdict == verdict


def test_six_levels_are_listed_and_of_seven_five() -> None:
    made = make_measurements({10.0**-i: base for i in range(7)})
    assert list_levels(made, range(6)) == "1.0, 0.1, 0.01, 0.001, 0.0001 and 0.00001"
    assert list(quantify_list(made, "rival", range(6))) == [f"rival_{i}" for i in range(1, 7)]
    assert list_levels(made, range(7)).endswith("and 2 more")
    assert quantify_list(made, "rival", range(7))["rival_more"].value == 2


def test_what_is_as_good_as_the_choice_is_said(tell: Tell) -> None:
    small = [offset / 10 for offset in J]
    ends = {1.0: 0.7, 0.1: 0.85, 0.01: 0.8501}
    choice = tell(assess(make_measurements({key: [end + by for by in small] for key, end in ends.items()})), "choice")
    assert " 0.1 is practically as good." in choice.sentence
    ends |= {0.001: 0.8499, 0.0001: 0.7}
    two = tell(assess(make_measurements({key: [end + by for by in small] for key, end in ends.items()})), "choice")
    assert " 0.1 and 0.001 are practically as good." in two.sentence


def test_why_an_end_leaves_the_range_undecided(tell: Tell) -> None:
    near = {1.0: [0.8500 + j / 50 for j in J], 0.1: [0.8502 + k / 50 for k in K], 0.01: [0.8 + j for j in J]}
    assert (
        "1.0, at the highest end of it, is practically as good as the best."
        in tell(assess(make_measurements(near)), "edge_of_range").sentence
    )
    far = {1.0: [0.89 + w for w in WIDE], 0.1: [0.9 + k for k in K], 0.01: [0.89 - w for w in WIDE]}
    assert (
        "at both ends of it, may be the best, though their means are behind those of their neighbours by the"
        in tell(assess(make_measurements(far)), "edge_of_range").sentence
    )
    assert _say_state(2, 1) == "may be the best or practically as good"


def test_no_level_lies_farther_behind_than_the_metric_allows() -> None:
    correlation = Metric(name="val_mcc", label="correlation", split="validation", better="higher", low=-1, high=1)
    scores = {0.1: [0.9, -0.9, 0.5], 0.01: [0.1, 0.2, 0.1]}
    assessment = assess(make_measurements(scores, metric="val_mcc", metrics={"val_mcc": correlation}))
    assert assessment.decision.table.behind_at_most.max() == 2
    assert "but another may be any amount better" in ask("choice", assessment).sentence


def test_evaluations_that_skip_epochs_are_called_so(tell: Tell) -> None:
    made = make_measurements({0.1: base}, curves={"val_loss": {0.1: [[2.3, 1.0, 1.1 + w / 9, 0.9] for w in WIDE]}})
    assert " from one epoch to the next" in tell(assess(made), "trains_stably", level=0).sentence
    skipping = replace(made, values=made.values.assign(at=made.values["at"].replace(3, 5)))
    assert " from one evaluation to the next" in tell(assess(skipping), "trains_stably", level=0).sentence


@pytest.mark.parametrize("margin", [None, 0.01])
def test_a_small_rise_at_the_end_is_not_written_as_zero(tell: Tell, margin: float | None) -> None:
    ends = [[2.3, 0.5, 0.4, 0.40003 + by / 1e5] for by in (0.0, 0.1, -0.1, 0.2, 0.0)]
    loss = make_measurements({1: [1.0]}, metric="val_loss").metrics["val_loss"].model_copy(update={"margin": margin})
    made = one_rate(ends, resolution={"val_loss": 1e-7}, metrics={"val_loss": loss})
    finding = tell(assess(made), "overfits", level=0)
    assert finding.verdict == "supported"
    assert float(finding.evidence["low"].text) > 0


def test_a_rise_near_its_margin_is_not_written_as_the_margin(tell: Tell) -> None:
    ends = [[2.3, 0.5, 0.4, 0.41006 + by / 1e5] for by in (0.0, 0.1, -0.1, 0.2, 0.0)]
    loss = make_measurements({1: [1.0]}, metric="val_loss").metrics["val_loss"].model_copy(update={"margin": 0.01})
    finding = tell(
        assess(one_rate(ends, resolution={"val_loss": 1e-7}, metrics={"val_loss": loss})), "overfits", level=0
    )
    assert float(finding.evidence["low"].text) > 0.01


def test_a_rise_of_a_loss_without_a_zero_is_not_written_as_zero(tell: Tell) -> None:
    falls = {0.1: [0.0, -1.0, -1.00002], 0.01: [0.0, -1.0, -0.99997]}
    curves = {rate: [[value + by / 1e6 for value in values] for by in range(5)] for rate, values in falls.items()}
    made = make_measurements({0.1: base, 0.01: near}, curves={"val_loss": curves}, resolution={"val_loss": 1e-9})
    finding = tell(assess(made), "more_stable", level=1, than=0)
    assert 0 < finding.evidence["signed"].value < 0.00005
    assert float(finding.evidence["signed"].text.split()[0]) > 0


def test_a_metric_with_one_bound_has_no_largest_difference() -> None:
    assessment = assess(make_measurements({0.1: [0.9, -0.9, 0.5], 0.01: [0.1]}, metric="val_r2", chance=None))
    assert assessment.decision.table.behind_at_most.max() == math.inf


def test_two_bests_count_the_smaller_number_of_seeds(tell: Tell) -> None:
    made = grid({(rate, size): 0.8 for rate in (0.1, 0.01) for size in (32, 64)}, (J, K, J, K))
    fewer = replace(made, values=made.values[~((made.values.level % 2 == 1) & (made.values.seed > 2))])
    fewer = replace(fewer, runs=fewer.runs[~((fewer.runs.level % 2 == 1) & (fewer.runs.seed > 2))])
    assert tell(assess(fewer), "higher_when_tuned", value=32, than_value=64).n == 3
