"""Each claim: frames that bring out its verdicts, and the sentences a reader gets."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lrreport import LrreportError
from lrreport.record import Score
from lrreport.report import conditions, figures, narrative, tables
from lrreport.report.claims import VOCABULARY, Claim, ask, check_claim
from lrreport.report.claims.claim import find_learning
from lrreport.report.claims.differences import choose_pairs
from lrreport.report.claims.pace import measure_arrival
from lrreport.report.render import collect_findings
from lrreport.report.results import RangeCurves, Results, load_results
from lrreport.study import PublishedClaim, load_study

Make = Callable[..., Results]
# Seeds whose last epochs differ a little, so that there is a spread: (loss, accuracy) of each epoch.
JITTER = (0.0, 0.001, -0.002, 0.003, -0.001)


def falling(
    loss: float, accuracy: float, fall: float = 0.1, seeds: int = 5, epochs: int = 4
) -> list[list[tuple[float, float]]]:
    """Curves that end at a loss and an accuracy, falling by the same amount in each epoch."""
    return [
        [(loss + jitter + fall * (epochs - epoch), accuracy - jitter - 0.02 * (epochs - epoch)) for epoch in range(1, epochs + 1)]
        for jitter in JITTER[:seeds]
    ]  # fmt: skip


def shifted(curves: list[list[tuple[float, float]]], by: tuple[float, ...]) -> list[list[tuple[float, float]]]:
    """The same curves, each seed's accuracy moved by its own amount."""
    return [[(loss, accuracy + one) for loss, accuracy in curve] for curve, one in zip(curves, by, strict=True)]


def ask_one(results: Results, name: str, *arguments: Any) -> Claim:
    return VOCABULARY[name](results, *arguments)


SPREAD = (0.001, -0.001, 0.002, 0.0, -0.002)


@pytest.fixture
def apart(make_results: Make) -> Results:
    """0.1 ends 5 points above 0.01, and 0.001 another 5 below."""
    base = falling(0.5, 0.80)
    return make_results(
        {
            0.1: shifted(base, tuple(0.05 + one for one in SPREAD)),
            0.01: base,
            0.001: shifted(falling(0.7, 0.80), tuple(one - 0.05 for one in SPREAD[::-1])),
        }
    )


@pytest.fixture
def together(make_results: Make) -> Results:
    """Two rates whose difference is smaller than its spread."""
    base = falling(0.5, 0.80)
    return make_results({0.1: shifted(base, (0.01, -0.01, 0.02, -0.02, 0.005)), 0.01: base})


def test_differences_are_supported_contradicted_or_neither(apart: Results, together: Results) -> None:
    assert ask_one(apart, "higher", 0.1, 0.01, "val_accuracy").verdict == "supported"
    assert ask_one(apart, "higher", 0.01, 0.1, "val_accuracy").verdict == "contradicted"
    assert ask_one(apart, "lower", 0.01, 0.1, "val_accuracy").verdict == "supported"
    assert ask_one(together, "higher", 0.1, 0.01, "val_accuracy").verdict == "not distinguishable"


def test_swapping_two_rates_swaps_the_effect(apart: Results) -> None:
    one, other = (
        ask_one(apart, "higher", 0.1, 0.01, "val_accuracy"),
        ask_one(apart, "higher", 0.01, 0.1, "val_accuracy"),
    )
    assert one.effect == pytest.approx(-other.effect)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_sentences_of_a_difference(apart: Results, together: Results) -> None:
    sentence = ask_one(apart, "higher", 0.1, 0.01, "val_accuracy").sentence
    assert sentence == (
        "The validation accuracy of 0.1 ends 5.00 points above that of 0.01 "
        "(95 % interval 4.80 to 5.20 points, n = 5, p < 0.001)."
    )
    undecided = ask_one(together, "higher", 0.1, 0.01, "val_accuracy").sentence
    assert undecided.startswith(
        "On validation accuracy, 0.1 and 0.01 cannot be told apart: their means lie 0.10 points apart (95 % interval "
    )
    assert "With 5 seeds the smallest difference seen with 80 % power is " in undecided
    assert not re.search(r"\b(same|equal|no effect)\b", undecided)


def test_one_pair_more_makes_the_p_larger_but_not_the_interval(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    near = shifted(base, (0.004, 0.001, 0.007, 0.002, 0.005))
    two = make_results({0.1: near, 0.01: base})
    three = make_results({0.1: near, 0.01: base, 0.001: shifted(base, (0.01, -0.01, 0.02, -0.02, 0.005))})
    a, b = (ask_one(results, "higher", 0.1, 0.01, "val_accuracy") for results in (two, three))
    assert (a.low, a.high) == pytest.approx((b.low, b.high))
    assert b.evidence["p"].value == pytest.approx(3 * a.evidence["p"].value)
    assert (a.verdict, b.verdict) == ("supported", "not distinguishable")
    assert "The interval by itself would tell them apart, but it does not allow for the 3 pairs compared." in b.sentence


@pytest.mark.parametrize(
    ("by", "verdict"),
    [(0.002, "supported"), (0.02, "contradicted"), (0.005, "not distinguishable"), (-0.002, "contradicted")],
)
def test_slightly_is_a_margin(make_results: Make, by: float, verdict: str) -> None:
    base = falling(0.5, 0.80)
    spread = tuple(by + one / 4 for one in SPREAD)
    results = make_results({0.1: shifted(base, spread), 0.01: base})
    assert ask_one(results, "slightly_higher", 0.1, 0.01, "val_accuracy").verdict == verdict
    mirrored = {"contradicted": "contradicted" if by > 0 else "supported", "supported": "contradicted"}
    assert ask_one(results, "slightly_lower", 0.1, 0.01, "val_accuracy").verdict == mirrored.get(
        verdict, "contradicted"
    )


def test_best_beats_every_other_and_worst_loses_to_each(apart: Results, together: Results) -> None:
    verdicts = {rate: ask_one(apart, "best", rate, "val_accuracy").verdict for rate in apart.rates}
    assert verdicts == {0.1: "supported", 0.01: "contradicted", 0.001: "contradicted"}
    verdicts = {rate: ask_one(apart, "worst", rate, "val_accuracy").verdict for rate in apart.rates}
    assert verdicts == {0.1: "contradicted", 0.01: "contradicted", 0.001: "supported"}
    assert ask_one(together, "best", 0.1, "val_accuracy").verdict == "not distinguishable"
    assert ask_one(apart, "worst", 0.001, "val_loss").verdict == "not testable"  # differs by the same in every seed


def test_best_on_a_loss_is_the_lowest(make_results: Make) -> None:
    low = [
        [(loss + one, accuracy) for loss, accuracy in curve]
        for curve, one in zip(falling(0.3, 0.8), SPREAD, strict=True)
    ]
    results = make_results({0.1: low, 0.01: falling(0.5, 0.8)})
    assert ask_one(results, "best", 0.1, "val_loss").verdict == "supported"
    assert ask_one(results, "worst", 0.01, "val_loss").verdict == "supported"
    assert ask_one(results, "best", 0.01, "val_loss").verdict == "contradicted"


def with_last_step(change: float, spread: float) -> list[list[tuple[float, float]]]:
    """Curves whose loss changes by about `change` in the last epoch."""
    return [
        [(0.6, 0.7), (0.5, 0.8), (0.5 + change + spread * place, 0.8 + place / 1000)] for place in (-2, -1, 0, 1, 2)
    ]


@pytest.mark.parametrize(
    ("change", "spread", "improving", "level", "opening"),
    [
        (-0.1, 0.001, "supported", "contradicted", "0.1 is still improving at the end:"),
        (
            -0.005,
            0.0005,
            "supported",
            "supported",
            "0.1 is still improving, but by less than the margin of 0.0100 nats:",
        ),
        (0.0, 0.001, "contradicted", "supported", "0.1 has levelled off at the end:"),
        (0.1, 0.001, "contradicted", "contradicted", "0.1 is getting worse at the end:"),
        (
            0.0,
            0.05,
            "not distinguishable",
            "not distinguishable",
            "Whether 0.1 still improves at the end is undecided:",
        ),
    ],
)
def test_the_last_epoch(
    make_results: Make, change: float, spread: float, improving: str, level: str, opening: str
) -> None:
    results = make_results({0.1: with_last_step(change, spread)})
    assert ask_one(results, "still_improving", 0.1).verdict == improving
    assert ask_one(results, "levelled_off", 0.1).verdict == level
    assert ask_one(results, "levelled_off", 0.1).sentence.startswith(opening)


@pytest.mark.parametrize(
    ("change", "spread", "verdict", "opening"),
    [
        (0.1, 0.001, "supported", "0.1 overfits: "),
        (
            0.005,
            0.0002,
            "supported",
            "0.1 overfits: its validation loss ends 0.0050 nats above that of the best epoch ",
        ),
        (-0.1, 0.001, "contradicted", "0.1 does not overfit: "),
        (0.01, 0.01, "not distinguishable", "Whether 0.1 overfits is undecided: "),
    ],
)
def test_overfitting(make_results: Make, change: float, spread: float, verdict: str, opening: str) -> None:
    results = make_results({0.1: with_last_step(change, spread)})
    asked, opposite = ask_one(results, "overfits", 0.1), ask_one(results, "does_not_overfit", 0.1)
    assert asked.verdict == verdict
    assert asked.sentence.startswith(opening)
    assert opposite.verdict == {"supported": "contradicted", "contradicted": "supported"}.get(verdict, verdict)


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.8, "supported"), (0.1, "contradicted"), (0.05, "contradicted"), (0.103, "not distinguishable")],
)
def test_learning_is_better_than_guessing(make_results: Make, accuracy: float, verdict: str) -> None:
    curves = [[(2.0, accuracy + one * (0.1 if accuracy < 0.101 else 2.5))] for one in SPREAD]
    assert ask_one(make_results({0.1: curves}), "learns", 0.1).verdict == verdict


def test_training_is_stable_unless_a_loss_rises_or_a_seed_diverges(make_results: Make) -> None:
    stable = ask_one(make_results({0.1: with_last_step(0.001, 0.0)}), "trains_stably", 0.1)
    assert stable.verdict == "supported"
    assert "never rose by more than 0.0010 nats" in stable.sentence
    rising = ask_one(make_results({0.1: with_last_step(0.02, 0.0)}), "trains_stably", 0.1)
    assert rising.verdict == "contradicted"
    assert "for all 5 seeds the validation loss rose" in rising.sentence
    diverged = ask_one(make_results({0.1: [*with_last_step(-0.1, 0.0), []]}), "trains_stably", 0.1)
    assert diverged.sentence == "Training at 0.1 diverged for 1 of 6 seeds."


def test_sooner_and_slowest(make_results: Make) -> None:
    fast = [[(0.5, 0.8 + one), (0.5, 0.85)] for one in SPREAD]
    slow = [[(0.6, 0.5 + one), (0.5, 0.8)] for one in SPREAD]
    results = make_results({0.1: fast, 0.01: slow})
    assert ask_one(results, "sooner", 0.1, 0.01).verdict == "supported"
    assert ask_one(results, "sooner", 0.01, 0.1).verdict == "contradicted"
    assert ask_one(results, "slowest", 0.01).verdict == "supported"
    assert ask_one(results, "slowest", 0.1).verdict == "contradicted"
    # 0.1 reaches 0.80 at about epoch 1, by a line from the untrained 0.1; 0.01 at its last.
    assert "after 1.01 against 2.00 epochs" in ask_one(results, "sooner", 0.1, 0.01).sentence
    assert "1.01 against 2.00 CPU seconds" in ask_one(results, "sooner", 0.1, 0.01).sentence


def test_curves_that_rise_less_are_more_stable(make_results: Make) -> None:
    def bumping(by: float) -> list[list[tuple[float, float]]]:
        return [[(0.5, 0.7), (0.5 + by * (1 + one * 50), 0.75), (0.4, 0.8 + one)] for one in SPREAD]

    curved = [[(1.0, 0.7), (0.5 + one, 0.75), (0.4, 0.8 + one)] for one in SPREAD]  # bends, but never rises
    results = make_results({0.1: bumping(0.09), 0.01: bumping(0.006), 0.001: curved})
    assert ask_one(results, "more_stable", 0.01, 0.1).verdict == "supported"
    assert ask_one(results, "more_stable", 0.1, 0.001).verdict == "contradicted"
    assert ask_one(results, "most_stable", 0.001).verdict == "supported"
    assert ask_one(results, "most_stable", 0.1).verdict == "contradicted"
    assert ask_one(results, "most_stable", 0.1).sentence.startswith(
        "The validation loss of 0.1 does not rise least on its way: by 0.0300 nats an epoch on average, and that of 0.001 by 0.0000 "
    )
    smooth = make_results({0.1: curved, 0.01: curved})
    assert ask_one(smooth, "more_stable", 0.1, 0.01).sentence == (
        "Not testable for 0.1 against 0.01: their validation losses never rise."
    )
    short = make_results({0.1: falling(0.5, 0.8, epochs=1), 0.01: falling(0.6, 0.8, epochs=1)})
    for name in ("more_stable", "sooner"):
        assert (
            ask_one(short, name, 0.1, 0.01).sentence
            == "Not testable for 0.1 against 0.01: the way there takes at least two epochs."
        )


def test_one_seed_that_rose_keeps_overfitting_open(make_results: Make) -> None:
    """All mean curves are best at the last epoch, yet one seed ends well above its fourth."""
    fine = [[(0.5 - 0.05 * epoch + jitter, 0.8) for epoch in range(4)] for jitter in JITTER]
    fine[2][3] = (fine[2][2][0] + 0.04, 0.8)
    asked = ask_one(make_results({0.1: fine}), "overfits", 0.1)
    assert asked.verdict == "not distinguishable"
    assert asked.sentence.startswith(
        "Whether 0.1 overfits is undecided: its validation loss may end more than 0.0100 nats above that of epoch 3 "
    )


def test_a_rise_in_the_first_epoch_is_a_rise(make_results: Make) -> None:
    asked = ask_one(make_results({0.1: [[(60.0, 0.2), (40.0, 0.3), (30.0, 0.4)]] * 5}), "trains_stably", 0.1)
    assert asked.verdict == "contradicted"
    assert "for all 5 seeds the validation loss rose by more than 0.0100 nats" in asked.sentence


def test_who_beats_a_rate_is_named_with_a_positive_difference(make_results: Make) -> None:
    """0.1 leads on average but with a spread too wide to tell; 0.001 beats 0.01 for certain."""
    base = falling(0.5, 0.80)
    wide = shifted(base, (0.3, -0.2, 0.25, -0.1, 0.15))
    results = make_results({0.1: wide, 0.01: base, 0.001: shifted(base, tuple(0.02 + one for one in SPREAD))})
    asked = ask_one(results, "best", 0.01, "val_accuracy")
    assert asked.verdict == "contradicted"
    assert asked.sentence == (
        "0.01 does not have the highest validation accuracy: 0.001 ends above it, 0.001 by 2.00 points "
        "(95 % interval 1.80 to 2.20 points, n = 5)."
    )


def test_the_best_of_all_contradicts_that_another_is(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    results = make_results(
        {
            0.1: shifted(base, (0.004, 0.001, 0.007, 0.002, 0.005)),
            0.01: base,
            0.001: shifted(base, (-0.01, -0.03, 0.0, -0.05, -0.02)),
        }
    )
    assert ask_one(results, "choice").verdict == "supported"
    assert ask_one(results, "best", 0.01, "val_accuracy").verdict == "contradicted"
    assert (
        "cannot be told apart when all 3 pairs are allowed for"
        in ask_one(results, "higher", 0.1, 0.01, "val_accuracy").sentence
    )


def test_a_choice_says_among_which_rates(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    results = make_results({1.0: [[], *base[1:]], 0.1: shifted(base, tuple(0.05 + one for one in SPREAD)), 0.01: base})
    assert narrative.answer(results).text.startswith("Choose 0.1: of the 2 rates that trained to the end it has")
    ties = make_results({0.1: falling(0.5, 0.8, seeds=1), 0.01: falling(0.6, 0.8, seeds=1)})
    assert narrative.answer(ties).text.startswith(
        "0.1 and 0.01 share the highest validation accuracy, 80.00 % (80.00 % on test for 0.1)"
    )


def test_the_edge_of_the_range_names_the_rates_to_add(apart: Results, make_results: Make) -> None:
    edge = ask_one(apart, "edge_of_range")
    assert edge.verdict == "supported"
    assert edge.sentence == (
        "The range tried may be too narrow: 0.1, at the highest end of it, may be the best. "
        "To look further, add 0.3 and 1.0 to the study."
    )
    for name, command in (("fashion_mnist", "make report"), ("quick", "make report STUDY=studies/quick.toml")):
        study = load_study(f"studies/{name}.toml").changed(learning_rate=(0.1, 0.01, 0.001))
        sentence = ask_one(Results(study, apart.records, {}), "edge_of_range").sentence
        assert sentence.endswith(f'To look further, run: {command} LRS="1.0 0.3 0.1 0.01 0.001"')
    records = {rate: record for rate, record in apart.records.items() if rate != 0.001}
    assert ask_one(Results(apart.study, records, {}), "edge_of_range").sentence == (
        "Not testable: there is no run at 0.001, an end of the range."
    )
    base = falling(0.5, 0.80)
    down = tuple(one - 0.05 for one in SPREAD)
    inside = make_results({0.1: shifted(base, down), 0.01: base, 0.001: shifted(base, down)})
    assert ask_one(inside, "edge_of_range").verdict == "contradicted"


def test_the_choice(apart: Results, together: Results) -> None:
    assert ask_one(apart, "choice").sentence.startswith(
        "Choose 0.1: of the 3 rates tried it has the highest validation accuracy, 84.98 %, and reaches 84.98 % on test"
    )
    undecided = ask_one(together, "choice")
    assert undecided.verdict == "not distinguishable"
    assert undecided.sentence.startswith("No single rate is the best: 0.1 and 0.01 cannot be told apart")


def test_degenerate_studies_say_why_nothing_can_be_told(make_results: Make) -> None:
    one_seed = make_results({0.1: falling(0.5, 0.8, seeds=1), 0.01: falling(0.6, 0.7, seeds=1)})
    assert ask_one(one_seed, "higher", 0.1, 0.01, "val_accuracy").sentence == (
        "Not testable for 0.1 against 0.01: there is one seed only, and telling a difference from chance takes two or more."
    )
    assert "one seed cannot tell a difference from chance" in ask_one(one_seed, "choice").sentence
    one_rate = make_results({0.1: falling(0.5, 0.8)})
    assert "with one rate there is nothing to choose from" in ask_one(one_rate, "choice").sentence
    assert ask_one(one_rate, "edge_of_range").verdict == "not testable"
    assert ask_one(one_rate, "best", 0.1, "val_accuracy").sentence == (
        "Not testable for 0.1: there is no other rate to compare it with."
    )
    diverged = make_results({0.1: [[], []], 0.01: [[], []]})
    assert ask_one(diverged, "choice").sentence == "Not testable: training diverged at every rate."
    assert ask_one(diverged, "higher", 0.1, 0.01, "val_loss").sentence == (
        "Not testable for 0.1 against 0.01: training diverged at 0.1 and 0.01."
    )
    ties = make_results({0.1: falling(0.5, 0.8), 0.01: falling(0.5, 0.8)})
    assert ask_one(ties, "higher", 0.1, 0.01, "val_accuracy").verdict == "not testable"


@pytest.mark.parametrize(
    "curves",
    [
        {0.1: falling(0.5, 0.8, seeds=1)},
        {0.1: falling(0.5, 0.8, seeds=2, epochs=1), 0.01: falling(0.6, 0.7, seeds=2, epochs=1)},
        {0.1: [[], []], 0.01: [[], []]},
        {0.1: [[], falling(0.5, 0.8)[0]], 0.01: falling(0.6, 0.7, seeds=2)},
        {0.1: falling(0.5, 0.8), 0.01: falling(0.5, 0.8)},
        {1 / 10**place: shifted(falling(0.5, 0.8), SPREAD[place % 5 :] + SPREAD[: place % 5]) for place in range(12)},
    ],
)
def test_every_study_can_be_told(make_results: Make, curves: Any) -> None:
    results = make_results(curves)
    for one in narrative.ask_everything(results):
        assert "nan" not in one.sentence
        assert "{" not in one.sentence
        assert one.sentence.endswith((".", '"'))
        json.dumps(one.to_json(), allow_nan=False)
    shown = [narrative.answer(results), narrative.compare_rates(results), tables.tabulate_results(results)]
    shown += [
        tables.tabulate_differences(results),
        conditions.state_conditions(results),
        narrative.observe_rates(results),
    ]
    assert all("nan" not in repr(one) and "nan" not in one._repr_html_() for one in shown)


def test_a_study_whose_runs_all_finished_says_so(apart: Results, make_results: Make) -> None:
    asked = ask_one(apart, "all_finished")
    assert (asked.verdict, asked.sentence) == (
        "supported",
        "All 15 training runs finished, at 3 learning rates.",
    )
    broken = make_results({10.0: [[], *falling(0.5, 0.8, seeds=2)], 0.1: falling(0.5, 0.8, seeds=3)})
    del broken.records[0.1]
    asked = ask_one(broken, "all_finished")
    assert (asked.verdict, asked.sentence) == (
        "contradicted",
        "1 of 3 training runs diverged: at 10.0. A rate with a seed that diverged is left out of all comparisons. "
        "There is no run at 0.1.",
    )


def test_loss_and_accuracy_agree_or_not(apart: Results, together: Results, make_results: Make) -> None:
    name = "loss_ranks_as_accuracy"
    agree = make_results(
        {
            0.1: shifted(falling(0.3, 0.80), tuple(0.05 + one for one in SPREAD)),
            0.01: [[(loss + 0.01 * one, accuracy) for loss, accuracy in curve] for one, curve in enumerate(falling(0.5, 0.80))],
        }
    )  # fmt: skip
    assert ask_one(agree, name).sentence == (
        "Validation loss ranks the rates as validation accuracy does: the only pair of rates told apart on both, in one order."
    )
    assert ask_one(agree, name).verdict == "supported"
    disagree = make_results(
        {
            0.1: shifted(falling(0.7, 0.80), tuple(0.05 + one for one in SPREAD)),
            0.01: [[(loss + 0.01 * one, accuracy) for loss, accuracy in curve] for one, curve in enumerate(falling(0.5, 0.80))],
        }
    )  # fmt: skip
    asked = ask_one(disagree, name)
    assert (asked.verdict, asked.sentence) == (
        "contradicted",
        "Loss and accuracy disagree: 0.1 ends with the higher validation accuracy than 0.01, but also with the higher "
        "validation loss.",
    )
    assert ask_one(together, name).verdict == "not distinguishable"
    assert (
        ask_one(make_results({0.1: falling(0.5, 0.8, seeds=1), 0.01: falling(0.5, 0.7, seeds=1)}), name).verdict
        == "not testable"
    )


def guessing(seeds: int = 5, epochs: int = 4) -> list[list[tuple[float, float]]]:
    return [[(2.31 + jitter * epoch, 0.1 + jitter / 100) for epoch in range(epochs)] for jitter in JITTER[:seeds]]


def test_a_rate_that_does_not_learn_is_said_to_and_compared_with_none(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    results = make_results({1.0: guessing(), 0.1: shifted(base, SPREAD), 0.01: base})
    compared = narrative.compare_rates(results).claims
    assert {one.name for one in compared} >= {"higher", "lower", "sooner"}
    assert not any(1.0 in one.arguments.values() for one in compared)
    assert [one.name for one in narrative.observe_rate(results, 1.0).claims] == ["learns", "trains_stably"]
    assert ask_one(results, "sooner", 0.1, 1.0).sentence == (
        "Not testable for 0.1 against 1.0: training at 1.0 ends no better than guessing."
    )
    none = make_results({1.0: guessing(), 10.0: guessing()})
    assert narrative.answer(none).text == ("Not testable: every rate tried ends no better than guessing.")
    assert ask_one(none, "edge_of_range").verdict == "not testable"
    assert not narrative.compare_rates(none).claims


def fall_at(rates: "np.ndarray[Any, Any]", where: float) -> "np.ndarray[Any, Any]":
    return 2.3 - 1.8 / (1 + np.exp(-6 * (np.log10(rates) - np.log10(where))))


def test_a_range_test_suggests_if_its_seeds_agree() -> None:
    rates = np.geomspace(1e-6, 10, 400)
    agree = narrative.suggest_rate(rates, [fall_at(rates, 1e-3), fall_at(rates, 2e-3)]).text
    assert re.fullmatch(
        r"A range test from 0\.000001 to 10\.0, one step at each rate, suggests about 0\.00\d: there the loss falls fastest, from "
        r"seed to seed between 0\.00\d and 0\.00\d \(n = 2\)\.",
        agree,
    )
    apart = narrative.suggest_rate(rates, [fall_at(rates, 1e-4), fall_at(rates, 1e-1)]).text
    assert "makes no suggestion: the loss falls fastest between" in apart
    assert apart.endswith("and its seeds disagree by more than a factor of 10 (n = 2).")
    flat = narrative.suggest_rate(rates, [fall_at(rates, 1e-3), np.full(400, 2.3)]).text
    assert flat.endswith("makes no suggestion: for 1 seed the loss never fell clearly (n = 2).")


def test_equal_images_in_words(apart: Results) -> None:
    def say(counts: dict[str, int]) -> str:
        record = apart.records[0.1].model_copy(update={"equal_images": counts})
        return conditions.describe_data(Results(apart.study, {0.1: record}, {})).text

    start = "The network learns from 1,500 images, 500 compare the rates and 1,000 test it at the end."
    none = {"train": 0, "train and test": 0}
    assert say({}) == start
    assert say(none) == (
        f"{start} Compared byte by byte, no two of them are equal, neither within a split nor between splits."
    )
    assert say(none | {"train": 1, "train and test": 2}) == (
        f"{start} Compared byte by byte, 1 image of train repeats another of it and 2 images of test repeat one of train."
    )


def test_confusions_by_hand(make_results: Make, tmp_path: Path) -> None:
    """Of two classes with two images each, one seed takes one of class 0 for class 1, the other takes none."""
    made = make_results({0.1: falling(0.5, 0.8, seeds=2)})
    labels = np.array([0, 0, 1, 1, *range(2, 10)], dtype=np.uint8)
    wrong = labels.copy()
    wrong[0] = 1
    np.savez_compressed(
        tmp_path / "arrays.npz", test_labels=labels, test_predictions_0=wrong, test_predictions_1=labels
    )
    results = Results(made.study, made.records, {0.1: tmp_path})
    assert results.confusions(0.1)[:, 0, :2].tolist() == [[1, 1], [2, 0]]
    assert tables.tabulate_confusions(results).frame.to_numpy().tolist() == [["0.1", "a and b", "12.50 ± 17.68 %"]]
    assert tables.tabulate_classes(results).frame["0.1"].tolist()[:2] == ["75.00 %", "100.00 %"]


def test_names_of_seeds_and_order_of_rates_change_no_verdict(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    near = shifted(base, (0.004, 0.001, 0.007, 0.002, 0.005))
    one = make_results({0.1: near, 0.01: base})
    other = make_results({0.01: base[::-1], 0.1: near[::-1]})
    for name, arguments in (("higher", (0.1, 0.01, "val_accuracy")), ("best", (0.1, "val_accuracy")), ("choice", ())):
        assert ask_one(one, name, *arguments).sentence == ask_one(other, name, *arguments).sentence


@pytest.mark.parametrize(
    ("published", "message"),
    [
        (("nicest", {}), "no claim 'nicest'; the claims are higher, lower, "),
        (("best", {"rate": 0.1}), "best takes learning_rate, metric, not rate"),
        (("best", {"learning_rate": 0.1, "metric": "speed"}), "no metric 'speed'; the metrics are train_loss, "),
        (
            ("best", {"learning_rate": 0.1, "metric": ["test_loss"]}),
            "no metric ['test_loss']; the metrics are train_loss, ",
        ),
        (("sooner", {"learning_rate": 0.1, "than": 0.1}), "it compares 0.1 with itself; name two learning rates"),
        (("learns", {"learning_rate": 0.7}), "the study has no learning rate 0.7; it has 0.1, 0.01"),
    ],
)
def test_a_published_claim_that_cannot_be_asked_is_refused(published: tuple[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(LrreportError) as error:
        check_claim(PublishedClaim(says="so", claim=published[0], arguments=published[1]), [0.1, 0.01])
    assert str(error.value).startswith(f"published claim 'so': {message}")


def test_a_published_claim_about_a_missing_run_is_not_testable(together: Results) -> None:
    del together.records[0.01]
    asked = ask(together, PublishedClaim(says="so", claim="learns", arguments={"learning_rate": 0.01}))
    assert asked.sentence == "Not testable for 0.01: there is no run at 0.01."
    assert narrative.answer(together).text.startswith("Without 0.01, whose run is missing: ")
    left_out = PublishedClaim(
        says="so", claim="higher", arguments={"learning_rate": 0.1, "than": 0.7, "metric": "test_loss"}
    )
    assert ask(together, left_out).sentence == "Not testable for 0.1 against 0.7: there is no run at 0.7."


def test_learning_is_measured_from_guessing(make_results: Make) -> None:
    asked = ask_one(make_results({0.1: [[(1.0, 0.5 + one)] for one in SPREAD]}), "learns", 0.1)
    assert asked.effect == pytest.approx(0.4)
    assert (asked.low + asked.high) / 2 == pytest.approx(0.4)
    one_class = ask_one(make_results({0.1: [[(2.3, 0.1)]] * 3}), "learns", 0.1)  # no spread but for rounding
    assert one_class.verdict == "contradicted"


def test_sentences_of_the_last_epoch_and_of_overfitting(make_results: Make) -> None:
    falls = ask_one(make_results({0.1: with_last_step(-0.1, 0.001)}), "still_improving", 0.1)
    assert "in epoch 3 its validation loss falls by 0.1000 nats" in falls.sentence
    rises = ask_one(make_results({0.1: with_last_step(0.1, 0.001)}), "still_improving", 0.1)
    assert "in epoch 3 its validation loss rises by 0.1000 nats" in rises.sentence
    little = ask_one(make_results({0.1: with_last_step(-0.005, 0.0005)}), "levelled_off", 0.1)
    assert (little.low + little.high) / 2 == pytest.approx(0.005)
    slight = ask_one(make_results({0.1: with_last_step(0.005, 0.0002)}), "overfits", 0.1)
    assert (
        "(95 % interval of the rise 0.0046 to 0.0054, n = 5). The whole interval is less than the margin"
        in slight.sentence
    )
    large = ask_one(make_results({0.1: with_last_step(0.1, 0.001)}), "overfits", 0.1)
    assert "The whole interval" not in large.sentence
    none = ask_one(make_results({0.1: with_last_step(-0.1, 0.001)}), "overfits", 0.1)
    assert "The whole interval" not in none.sentence
    assert none.effect == pytest.approx(-0.1)
    assert "even of epoch 2 " in none.sentence


def test_what_fell_by_more_than_the_margin_has_not_levelled_off(make_results: Make) -> None:
    for change in (-0.1, 0.1):
        assert (
            ask_one(make_results({0.1: with_last_step(change, 0.001)}), "levelled_off", 0.1).verdict == "contradicted"
        )
    for change in (-0.008, 0.008):
        assert (
            ask_one(make_results({0.1: with_last_step(change, 0.003)}), "levelled_off", 0.1).verdict
            == "not distinguishable"
        )
        assert ask_one(make_results({0.1: with_last_step(change, 0.0003)}), "levelled_off", 0.1).verdict == "supported"


@pytest.mark.parametrize(("final", "gap"), [(0.9, "10.00 points above"), (0.75, "5.00 points below")])
def test_the_gap_between_training_and_validation_has_its_side(make_results: Make, final: float, gap: str) -> None:
    results = make_results({0.1: [[(0.6, 0.7), (0.5, 0.8)]] * 3})
    seeds = tuple(
        seed.model_copy(update={"train": Score(loss=0.4, accuracy=final)}) for seed in results.records[0.1].seeds
    )
    results.records[0.1] = results.records[0.1].model_copy(update={"seeds": seeds})
    sentence = ask_one(Results(results.study, results.records, {}), "overfits", 0.1).sentence
    assert sentence.endswith(f"With fixed weights its training accuracy is {gap} its validation accuracy.")


def test_a_stable_only_seed_is_said_to_be_one(make_results: Make) -> None:
    one = make_results({0.1: [[(0.6, 0.7), (0.5, 0.8)]]})
    assert "its only seed has not diverged" in ask_one(one, "trains_stably", 0.1).sentence
    two = make_results({0.1: [[(0.6, 0.7), (0.5, 0.8)]] * 2})
    assert "none of its 2 seeds has diverged" in ask_one(two, "trains_stably", 0.1).sentence


def test_differences_that_no_sensible_number_of_seeds_would_see(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    tiny = make_results({0.1: shifted(base, (0.01, -0.01, 0.02, -0.02, 0.0001)), 0.01: base})
    assert "would take more than a thousand seeds" in ask_one(tiny, "higher", 0.1, 0.01, "val_accuracy").sentence
    some = make_results({0.1: shifted(base, (0.01, -0.01, 0.02, -0.02, 0.01)), 0.01: base})
    assert re.search(r"would take about \d+ seeds", ask_one(some, "higher", 0.1, 0.01, "val_accuracy").sentence)


def test_few_rates_are_compared_in_pairs_and_many_with_the_leading_one(make_results: Make) -> None:
    six = {2.0**-place: falling(0.5, 0.5 + 0.02 * place) for place in range(6)}
    assert len(choose_pairs(make_results(six))) == 15
    seven = six | {2.0**-6: falling(0.5, 0.7)}
    assert choose_pairs(make_results(seven)) == [(2.0**-6, 2.0**-place) for place in (5, 4, 3, 2, 1, 0)]


def test_of_very_many_rates_the_best_are_told_of(make_results: Make) -> None:
    results = make_results({2.0**-place: falling(0.5, 0.5 + 0.02 * place) for place in range(15)})
    order = [2.0**-place for place in range(14, -1, -1)]
    assert choose_pairs(results) == [(order[0], rate) for rate in order[1:12]]
    told = narrative.observe_rates(results).parts
    assert [part.claims[0].arguments["learning_rate"] for part in told[:-1]] == order[:12]
    assert repr(told[-1]) == "Other learning rates\nThe other 3 learning rates are in the tables."


def test_the_best_is_apart_from_the_other_or_from_every_other(apart: Results, make_results: Make) -> None:
    assert "apart from every other rate; the nearest" in ask_one(apart, "best", 0.1, "val_accuracy").sentence
    base = falling(0.5, 0.80)
    two = make_results({0.1: shifted(base, tuple(0.05 + one for one in SPREAD)), 0.01: base})
    assert "apart from the other rate; the nearest" in ask_one(two, "best", 0.1, "val_accuracy").sentence


def test_pace_needs_another_rate_and_two_epochs(make_results: Make) -> None:
    alone = make_results({0.1: falling(0.5, 0.8)})
    short = make_results({0.1: falling(0.5, 0.8, epochs=1), 0.01: falling(0.6, 0.7, epochs=1)})
    for name in ("slowest", "most_stable"):
        assert ask_one(alone, name, 0.1).sentence == "Not testable for 0.1: there is no other rate to compare it with."
        assert ask_one(short, name, 0.1).sentence == "Not testable for 0.1: the way there takes at least two epochs."


def test_arrivals_without_a_spread_say_whether_they_differ(make_results: Make) -> None:
    curves = falling(0.5, 0.8)
    same = make_results({0.1: curves, 0.01: curves})
    assert ask_one(same, "sooner", 0.1, 0.01).sentence.endswith("both take the same time in every seed.")
    ahead = make_results({0.1: [[(0.5, 0.8), (0.5, 0.9)]] * 3, 0.01: [[(0.5, 0.5), (0.5, 0.8)]] * 3})
    assert ask_one(ahead, "sooner", 0.1, 0.01).sentence.endswith("the lead is the same in every seed.")


def test_undecided_ways_are_worded_as_questions(make_results: Make) -> None:
    ups = ((0.8, 0.85), (0.5, 0.8), (0.6, 0.84), (0.7, 0.82), (0.75, 0.8))
    results = make_results({
        0.1: [[(0.5, a), (0.5 + place / 100, b)] for place, (a, b) in enumerate(ups)],
        0.01: [[(0.5, a), (0.52 - place / 100, b)] for place, (a, b) in enumerate(ups[::-1])],
    })  # fmt: skip
    asked = ask_one(results, "sooner", 0.1, 0.01)
    assert asked.sentence.startswith(
        "Which of 0.1 and 0.01 first reaches 80.80 % validation accuracy is undecided: after "
    )
    steady = ask_one(results, "more_stable", 0.1, 0.01)
    assert "is undecided: by 0.0100 against 0.0030 nats an epoch on average" in steady.sentence
    calm = make_results({0.1: [[(0.5, 0.7), (0.5 + place / 1000, 0.8)] for place in range(5)],
                         0.01: [[(0.5, 0.7), (0.7 + place / 100, 0.8)] for place in range(5)]})  # fmt: skip
    assert "than that of 0.01: by " in ask_one(calm, "more_stable", 0.1, 0.01).sentence


def test_seconds_to_a_level_are_not_its_epochs(make_results: Make) -> None:
    results = make_results({0.1: falling(0.5, 0.8), 0.01: falling(0.6, 0.7)})
    for rate, record in results.records.items():
        seeds = [
            seed.model_copy(
                update={
                    "epochs": tuple(row.model_copy(update={"cpu_seconds": 3 * row.cpu_seconds}) for row in seed.epochs)
                }
            )
            for seed in record.seeds
        ]
        results.records[rate] = record.model_copy(update={"seeds": tuple(seeds)})
    pd.testing.assert_frame_equal(measure_arrival(results, "seconds"), 3 * measure_arrival(results))


def test_loss_and_accuracy_count_pairs_told_apart_on_both(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    by_accuracy = make_results({0.1: shifted(base, tuple(0.05 + one for one in SPREAD)), 0.01: base})
    assert ask_one(by_accuracy, "loss_ranks_as_accuracy").verdict == "not distinguishable"  # their losses are the same


def test_a_run_that_is_missing_or_broken_is_enough_not_to_be_finished(apart: Results, make_results: Make) -> None:
    broken = make_results({0.1: [[], *falling(0.5, 0.8)[1:]], 0.01: falling(0.5, 0.8)})
    assert ask_one(broken, "all_finished").verdict == "contradicted"
    del apart.records[0.001]
    assert ask_one(apart, "all_finished").verdict == "contradicted"


def test_an_end_of_the_range_that_diverged_is_named(make_results: Make) -> None:
    base = falling(0.5, 0.80)
    down = tuple(one - 0.05 for one in SPREAD)
    rates = {1.0: [[], *base[1:]], 0.1: shifted(base, down), 0.01: base, 0.001: shifted(base, down)}
    assert ask_one(make_results(rates), "edge_of_range").sentence == (
        "The best rate lies inside the range tried: neither 0.001 nor 1.0 is among the rates that may be the best. "
        "Training diverged at 1.0."
    )
    del rates[1.0]
    assert "diverged" not in ask_one(make_results(rates), "edge_of_range").sentence


def test_of_several_pairs_one_is_told_apart_and_several_are(apart: Results, make_results: Make) -> None:
    low, high = falling(0.3, 0.80), falling(0.7, 0.80)
    spread = [[(loss + one, accuracy) for loss, accuracy in curve] for curve, one in zip(low, SPREAD, strict=True)]
    up = shifted(spread, tuple(0.05 + one for one in SPREAD))
    middle = shifted(falling(0.5, 0.80), (0.05, -0.05, 0.1, 0.0, -0.02))
    results = make_results({0.1: up, 0.01: high, 0.001: middle})
    text = ask_one(results, "loss_ranks_as_accuracy").sentence
    assert text.endswith("of 3 pairs of rates 1 is told apart on both, in one order.")
    broad = [
        [(loss + one, acc) for loss, acc in curve] for curve, one in zip(falling(0.9, 0.75), SPREAD[::-1], strict=True)
    ]
    both = make_results(
        {0.1: up, 0.01: high, 0.001: shifted(broad, (0.001, -0.002, 0.0, 0.002, -0.001)), 0.0001: middle}
    )
    text = ask_one(both, "loss_ranks_as_accuracy").sentence
    assert re.search(r"of 6 pairs of rates [2-5] are told apart on both, in one order\.$", text), text


NUMBER = re.compile(r"\d[\d,.]*\d(?:e-?\d+)?|\d(?:e-?\d+)?")
OF_METHOD = {"95", "80", "0.05"}  # per cent of intervals and of power, and the level of tests


def list_numbers(text: str) -> set[str]:
    return set(NUMBER.findall(text)) - OF_METHOD


@pytest.mark.parametrize("study", ["reference", "range test", "apart", "together"])
def test_prose_written_again_quotes_only_numbers_of_its_findings(study: str, apart: Results, together: Results) -> None:
    results = {"apart": apart, "together": together}.get(study) or load_results()
    if study == "range test":
        rates = np.geomspace(1e-7, 10, 200)
        losses = [2.3 - 2 / (1 + (middle / rates) ** 2) for middle in (1e-3, 2e-3, 4e-3)]
        results = replace(results, range_test=RangeCurves(rates, np.array(losses)))
    written = json.loads(json.dumps(collect_findings(results)))
    claims = [
        (one.sentence, found) for one, found in zip(narrative.ask_everything(results), written["claims"], strict=True)
    ]
    prose = [(one.text, written["paragraphs"][name]) for name, one in narrative.write_paragraphs(results).items()]
    assert len(claims) > 5
    assert len(prose) == (4 if study == "range test" else 3)
    for text, found in claims + prose:
        known = list_numbers(" ".join(one["text"] for one in found["evidence"].values()))
        assert list_numbers(text) <= known, f"{text!r} quotes {list_numbers(text) - known}, not in {found['evidence']}"


def test_findings_of_the_reference_about_the_earlier_report() -> None:
    """What five seeds decide on any processor: the last digits of (1) and (4) tip them either way."""
    results = load_results()
    asked = {int(said[1:].partition(")")[0]): one.verdict for one, said in zip(
        narrative.check_published(results).claims, narrative.check_published(results).asserted, strict=True)}  # fmt: skip
    assert len(asked) == 15
    assert {asked[1], asked[4]} <= {"not distinguishable", "supported"}
    assert asked[15] == "not distinguishable"
    assert asked[7] == "contradicted"
    assert asked[9] == asked[10] == asked[11] == asked[12] == "supported"
    means = results.runs.groupby("learning_rate")[["train_loss", "train_accuracy", "test_accuracy"]].mean()
    assert results.study.published is not None
    for said in results.study.published.result:
        ours = means.loc[said.learning_rate]
        assert abs(ours.train_loss - said.train_loss) < 0.03
        assert abs(ours.train_accuracy - said.train_accuracy) < 0.01
        assert abs(ours.test_accuracy - said.test_accuracy) < 0.01


def test_losses_of_ones_own_are_told_in_their_own_units(make_results: Make) -> None:
    def fall(by: float) -> list[list[tuple[float, float]]]:
        return [[(-by * epoch - seed / 100, 0.5 + epoch / 50) for epoch in (1, 2, 3)] for seed in range(3)]

    curves = {0.1: fall(30.0), 0.01: fall(20.0)}
    own = make_results(curves)
    study = own.study.model_copy(update={"fixed": own.study.fixed.model_copy(update={"loss": "mine:loss"})})
    own = replace(own, study=study)
    told = [*narrative.ask_everything(own), *(narrative.write_paragraphs(own).values())]
    texts = [
        text for one in told for text in ([one.sentence, one.rule, one.unit] if isinstance(one, Claim) else [one.text])
    ]
    texts += [tables.tabulate_results(own).caption, figures.draw_curves(own).caption, figures.draw_curves(own).alt]
    assert not [text for text in texts if "nats" in text]
    assert "its validation loss falls by" in " ".join(texts)
    assert " units (" in " ".join(texts)
    assert "Losses are in units of mine:loss." in tables.tabulate_results(own).caption
    axis = figures.draw_curves(own).figure.axes[0]
    bottom, top = axis.get_ylim()
    assert bottom < -60
    assert bottom < top
    assert "cut off" not in figures.draw_curves(own).caption


def test_smoothed_labels_are_told(make_results: Make) -> None:
    plain = make_results({0.1: [[(0.5, 0.8)]]})
    assert "label smoothing" not in tables.tabulate_results(plain).caption
    study = plain.study.model_copy(update={"fixed": plain.study.fixed.model_copy(update={"label_smoothing": 0.1})})
    smooth = tables.tabulate_results(replace(plain, study=study)).caption
    assert "Losses are in nats. Training losses are with label smoothing, the others without." in smooth


def test_guessing_is_naming_the_most_frequent_class(make_results: Make) -> None:
    curves = {0.1: [[(0.5, 0.9 + one)] for one in SPREAD], 0.01: [[(0.4, 0.97 + one)] for one in SPREAD]}
    plain = make_results(curves)
    assert ask_one(plain, "learns", 0.1).sentence.endswith("and guessing gives 10.00 %.")
    uneven = {rate: one.model_copy(update={"majority_accuracy": 0.9}) for rate, one in plain.records.items()}
    uneven_results = replace(plain, records=uneven)
    asked = ask_one(uneven_results, "learns", 0.1)
    assert asked.verdict != "supported"
    assert asked.sentence.endswith("and always naming the most frequent class gives 90.00 %.")
    assert find_learning(uneven_results) == [0.01]
    assert find_learning(plain) == [0.1, 0.01]
