"""The first screen: each slot in each of its states, short where it must be short."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from lrreport.inference.assessment import assess
from lrreport.inference.measurements import Measurements
from lrreport.inference.sections import ask_everything, choose_pairs, list_levels_to_ask
from lrreport.inference.story import Story, write_story
from lrreport.inference.story.paragraph import count_words
from lrreport.inference.story.tradeoffs import write_tradeoffs
from lrreport.study.decide import Look, Published
from lrreport.testing import check_finding, make_measurements

J = (0.0, 0.001, -0.002, 0.003, -0.001)
K = (0.002, -0.001, 0.001, 0.0, -0.003)
WIDE = (0.03, -0.04, 0.02, 0.035, -0.045)
SMALL = tuple(offset / 10 for offset in J)


def around(mean: float, by: tuple[float, ...] = J) -> list[float]:
    return [mean + offset for offset in by]


def end(mean: float, by: tuple[float, ...] = J, start: tuple[float, ...] = (0.1, 0.5, 0.7)) -> list[list[float]]:
    return [[*start, mean + offset] for offset in by]


def tell(measurements: Measurements) -> Story:
    assessment = assess(measurements)
    return write_story(assessment, ask_everything(assessment))


def inside(**options: Any) -> Measurements:
    """The best rate lies inside the range; its losses have levelled off."""
    scores = {1.0: around(0.80), 0.1: around(0.85, K), 0.01: around(0.79)}
    flat = {rate: [[2.3, 0.5, 0.5, 0.5, 0.5 + offset] for offset in SMALL] for rate in scores}
    return make_measurements(scores, curves={"val_loss": flat}, **options)


STATES: dict[str, tuple[Callable[[], Measurements], str, str]] = {  # name -> study, how its answer begins, the next step
    "best": (inside, "Choose 0.1: ", "none"),
    "equal": (lambda: make_measurements({1.0: around(0.7), 0.1: around(0.85), 0.01: around(0.8501, J), 0.001: around(0.7, K)}), "Choose 0.01; 0.1 is practically as good", "none"),
    "many equal": (lambda: make_measurements({10.0**-i: around(0.85 + i / 1e5, SMALL) for i in range(5)}), "Choose 0.0001 for now; 4 others are practically as good", "range"),
    "preferred": (lambda: make_measurements({1.0: around(0.7, SMALL), 0.1: around(0.85, SMALL), 0.01: around(0.8501, SMALL), 0.001: around(0.7, SMALL)}, prefer="highest"), "Choose 0.1; 0.01 is practically as good", "none"),
    "good enough": (lambda: make_measurements({0.1: around(0.85), 0.01: around(0.8499, K)}), "Choose 0.1 for now; 0.01 is practically as good; higher rates may be better", "range"),
    "good enough with a rival": (lambda: make_measurements({1.0: around(0.7), 0.1: around(0.85), 0.01: around(0.8475, K), 0.001: around(0.7)}), "Choose 0.1: 0.01 may be better, by less than 0.50 points", "none"),
    "failed seed": (lambda: make_measurements({1.0: around(0.7), 0.1: [0.9, 0.901, 0.899, 0.9, None], 0.01: around(0.8)}), "Choose 0.1: 0.01, the next, is 9.98 points worse; 1 of 5 runs failed", "none"),
    "failed level": (lambda: make_measurements({1.0: [None] * 5, 0.1: around(0.9), 0.01: around(0.8)}), "Choose 0.1: 0.01 is 10.00 points worse", "none"),
    "only one left": (lambda: make_measurements({1.0: [None] * 5, 0.1: around(0.9)}), "Choose 0.1 for now: every other rate failed; lower rates may be better", "range"),
    "undecided": (lambda: make_measurements({1.0: around(0.7), 0.1: around(0.80, WIDE), 0.01: around(0.8, K), 0.001: around(0.7)}), "Undecided between 0.1 and 0.01; use 0.1 for now", "seeds"),
    "undecided among many": (lambda: make_measurements({10.0**-i: around(0.8, WIDE[i:] + WIDE[:i]) for i in range(5)}), "Undecided between all 5 rates; use any for now", "range"),
    "no margin": (lambda: make_measurements({"SGD": around(0.8, WIDE), "Adam": around(0.8, K)}, metric="val_rmse", factors=("optimizer",)), "Undecided between SGD and Adam; use Adam for now", "seeds"),
    "two seeds": (lambda: make_measurements({0.1: [0.9, 0.91], 0.01: [0.5, 0.51]}), "0.1 has the highest validation accuracy, but two seeds are too few to choose", "seeds"),
    "one seed": (lambda: make_measurements({0.1: [0.9], 0.01: [0.9], 0.001: [0.8]}), "0.1 and 0.01 share the highest validation accuracy; one seed is too few to choose", "seeds"),
    "lower is better": (lambda: make_measurements({0.1: [0.4], 0.01: [0.5]}, metric="val_loss"), "0.1 has the lowest validation loss, but one seed is too few to choose", "seeds"),
    "few trained": (lambda: make_measurements({0.1: [0.9, 0.91, None, None], 0.01: around(0.8)[:4]}), "0.1 has the highest validation accuracy, but only 2 of its 4 runs trained", "seeds"),
    "one level": (lambda: make_measurements({0.1: around(0.85)}), "0.1 reaches 85.02 % validation accuracy; no other was tried", "range"),
    "nothing learns": (lambda: make_measurements({0.1: [0.1, None], 0.01: [0.1, 0.1]}), "No rate learns: every run diverged or ends no better than guessing", "range"),
    "no runs": (lambda: make_measurements({0.1: {}, 0.01: {}}), "No run has finished yet", "seeds"),
    "error spent": (lambda: make_measurements({0.1: around(0.9), 0.01: around(0.8)}, looks=(Look(number=1, n_seeds={0: 3, 1: 3}, alpha=0.05),)), "Undecided: earlier looks used up the 5 % error; use 0.1 for now", "seeds"),
    "too noisy": (lambda: make_measurements({1.0: around(0.2), 0.1: around(0.7, tuple(9 * offset for offset in WIDE)), 0.01: around(0.7, K), 0.001: around(0.2)}, margin=0.0001), "Undecided between 0.1 and 0.01; use 0.1 for now", "seeds"),
    "improving": (lambda: make_measurements({1.0: around(0.7), 0.1: around(0.9), 0.01: around(0.7)}, curves={"val_loss": {rate: [[2.3, 1.0, 0.8, 0.6, 0.4 + offset] for offset in SMALL] for rate in (1.0, 0.1, 0.01)}}), "Choose 0.1: ", "epochs"),
    "two factors": (lambda: make_measurements({(rate, size): around(0.8 + 0.05 * (rate == 0.1) + 0.02 * (size == 64), K) for rate in (1.0, 0.1, 0.01) for size in (32, 64, 128)}, factors=("learning_rate", "batch_size")), "Choose 0.1 with batch size 64: ", "none"),
    "few seeds of most": (lambda: make_measurements({1.0: around(0.85), 0.1: [0.84], 0.01: [0.5], 0.001: [0.83]}, chance=None), "Too few seeds to judge 3 of 4 rates; use 1.0 for now", "seeds"),
    "few seeds of one": (lambda: make_measurements({1.0: around(0.7), 0.1: around(0.80, WIDE), 0.01: around(0.8, K), 0.001: [0.7, 0.75, None, None, None]}), "Undecided between 0.1, 0.01 and 0.001; use 0.1 for now", "seeds"),
    "only reproduces": (lambda: make_measurements({0.1: around(0.85), 0.01: around(0.8, K)}, metric="test_accuracy", prefer="none"), "The study only reproduces: nothing is chosen", "none"),
    "test decides": (lambda: make_measurements({1.0: around(0.7), 0.1: around(0.85), 0.01: around(0.8, K)}, metric="test_accuracy"), "Choose 0.1: ", "none"),
    "second look": (lambda: inside(looks=(Look(number=1, n_seeds={0: 3, 1: 3, 2: 3}, alpha=0.025, dropped=(2,)),)), "Choose 0.1: ", "none"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_each_state_of_the_first_screen(name: str, sentences: Any) -> None:
    make_study, answer, next_step = STATES[name]
    story = tell(make_study())
    assert story.answer.text.startswith(answer)
    assert story.next_step.kind == next_step
    assert len(story.answer.text.split()) <= (17 if "batch size" in answer else 15)
    assert len(story.tradeoffs.text.split()) <= 110
    sentences.check(f"story, {name}", f"{' · '.join(story.kicker)} | {story.answer.text} | {story.tradeoffs.text} | "
                    f"{story.next_step.title}: {story.next_step.text}")  # fmt: skip


def test_a_study_that_only_reproduces_compares_nothing_by_test() -> None:
    text = "The comparison uses test values"
    assert text in tell(STATES["test decides"][0]()).tradeoffs.text
    assert text not in tell(STATES["only reproduces"][0]()).tradeoffs.text


def test_next_steps_carry_their_values() -> None:
    assert tell(make_measurements({0.1: around(0.85), 0.01: around(0.8)})).next_step.values == (0.3, 1.0)
    few = tell(make_measurements({0.1: [0.9], 0.01: [0.8]})).next_step
    assert few.n_seeds == 5
    more = tell(STATES["undecided"][0]()).next_step
    assert more.n_seeds is not None
    assert more.n_seeds > 5
    longer = tell(STATES["improving"][0]()).next_step
    assert longer.values == (8.0,)


def test_missing_runs_are_counted_in_the_kicker() -> None:
    story = tell(make_measurements({0.1: around(0.9), 0.01: {0: 0.8, 1: 0.81, 2: 0.79}}, planned=range(5)))
    assert story.kicker[1:] == ("2 rates × 3 to 5 seeds", "8 of 10 runs finished")
    diverged = tell(make_measurements({0.1: around(0.9), 0.01: [0.8, 0.8, 0.8, 0.8, None]}))
    assert diverged.kicker[-1] == "1 of 10 runs failed"


def test_unstable_levels_and_test_have_their_sentences() -> None:
    rough = [[2.3, 0.5, 0.9, 0.5, 0.9 + offset] for offset in J]
    smooth = [[2.3, 0.8, 0.7, 0.6, 0.5 + offset] for offset in J]
    story = tell(make_measurements(
        {1.0: around(0.8), 0.1: around(0.85), 0.01: around(0.7)},
        curves={"val_loss": {1.0: rough, 0.1: smooth, 0.01: smooth}},
        finals={"test_accuracy": {1.0: around(0.9, K), 0.1: around(0.85), 0.01: around(0.7)}},
    ))  # fmt: skip
    assert "1.0 is unstable: the validation loss rises by" in story.tradeoffs.text
    assert "; 1.0 is clearly better." in story.tradeoffs.text


def test_sections_leave_out_what_was_not_measured() -> None:
    bare = {finding.claim for section in ask_everything(assess(make_measurements({0.1: around(0.9), 0.01: around(0.8)}, chance=None)))
            for finding in section.findings}  # fmt: skip
    assert bare == {"choice", "all_finished", "edge_of_range", "higher"}
    one_seed = ask_everything(assess(make_measurements({0.1: [0.9], 0.01: [0.8]})))
    assert "pairs" not in [section.key for section in one_seed]


def test_everything_is_asked_of_a_full_study() -> None:
    by = {1.0: J, 0.1: K, 0.01: SMALL}
    keys = [(rate, size) for rate in by for size in (32, 64)]
    curves = {"val_accuracy": {key: end(0.8 + i / 100, by[key[0]]) for i, key in enumerate(keys)},
              "val_loss": {key: [[2.3, 1.0, 0.9, 0.5 + offset] for offset in by[key[0]]] for key in keys}}  # fmt: skip
    finals = {"test_accuracy": {key: [*around(0.8, by[key[0]])[:4], 0.8] for key in keys}}
    findings = [finding for section in ask_everything(assess(make_measurements(curves=curves, finals=finals, factors=("learning_rate", "batch_size"))))
             for finding in section.findings]  # fmt: skip
    for finding in findings:
        check_finding(finding)
    assert {finding.claim for finding in findings} == {
        "choice", "all_finished", "edge_of_range", "higher", "lower", "learns", "trains_stably", "still_improving", "overfits",
        "sooner", "more_stable", "loss_ranks_as_accuracy", "best_rate_moves", "higher_when_tuned",
    }  # fmt: skip


def test_many_levels_are_asked_in_part() -> None:
    seven = assess(make_measurements({2.0**-i: around(0.5 + 0.02 * i) for i in range(7)}))
    assert choose_pairs(seven) == [(6, i) for i in (5, 4, 3, 2, 1, 0)]
    six = assess(make_measurements({2.0**-i: around(0.5 + 0.02 * i) for i in range(6)}))
    assert len(choose_pairs(six)) == 15
    many = assess(make_measurements({2.0**-i: around(0.5 + 0.02 * i) for i in range(15)}))
    assert list_levels_to_ask(many) == list(range(14, 2, -1))


def test_claims_of_an_earlier_report_are_a_section_of_their_own() -> None:
    published = Published.model_validate({
        "title": "An earlier report",
        "result": [{"level": {"learning_rate": 0.1}, "values": {"val_accuracy": 0.9}}],
        "claim": [{"says": "0.1 is best", "claim": "best", "arguments": {"learning_rate": 0.1, "metric": "val_accuracy"}}],
    })  # fmt: skip
    sections = ask_everything(assess(make_measurements({0.1: around(0.9), 0.01: around(0.8)}, published=published)))
    assert [(section.key, section.title) for section in sections[-2:]] == [
        ("numbers", "An earlier report"),
        ("claims", "An earlier report"),
    ]
    assert [len(section.findings) for section in sections[-2:]] == [1, 1]


@pytest.mark.parametrize(
    ("n_points", "expected"), [(1, set()), (2, {"overfits"}), (3, {"overfits", "still_improving"})]
)
def test_the_start_is_no_evaluation(n_points: int, expected: set[str]) -> None:
    curves = {"val_accuracy": {0.1: [[0.1, 0.5, 0.7, 0.75][: n_points + 1]] * 5}}
    sections = ask_everything(assess(make_measurements(curves=curves)))
    claims = {finding.claim for section in sections if section.key == "levels" for finding in section.findings}
    assert claims & {"overfits", "still_improving"} == expected


def test_pairs_take_two_seeds_of_each() -> None:
    assessment = assess(make_measurements({0.1: [0.8, 0.81], 0.01: [0.7, 0.71], 0.001: [0.6]}))
    assert choose_pairs(assessment) == [(0, 1)]


def test_a_level_with_a_single_run_has_findings() -> None:
    assessment = assess(make_measurements({0.1: [0.8], 0.01: [0.7], 0.001: {}}))
    assert list_levels_to_ask(assessment) == [0, 1]


# Words: the paragraph takes the words that the rest leaves


def make_wide_grid(rises: bool = False) -> Measurements:
    """Eight rates × three batch sizes × five seeds, noisy: several may be the best; a level fails in all runs, two fail in some."""
    scores: dict[Any, Any] = {}
    for i, rate in enumerate(10.0**-power for power in range(8)):
        for j, size in enumerate((16, 64, 256)):
            noise = tuple(offset / 3 for offset in WIDE[(i + j) % 5 :] + WIDE[: (i + j) % 5])
            scores[rate, size] = around(0.8 - 0.02 * abs(i - 3) + 0.02 * j * rises, noise)
    scores[1.0, 16] = [None] * 5
    scores[1.0, 64] = [0.5, 0.5, 0.5, None, None]
    scores[0.1, 256] = [0.7, 0.7, 0.7, 0.7, None]
    finals = {"test_accuracy": {key: [value and value - 0.01 for value in values] for key, values in scores.items()}}
    return make_measurements(scores, finals=finals, factors=("learning_rate", "batch_size"))


FIXED = ("5 epochs, Adam, MLP 128 × 64",)


@pytest.mark.parametrize("rises", [False, True])
def test_the_first_screen_of_eight_levels_times_three_values_is_short(rises: bool, sentences: Any) -> None:
    assessment = assess(make_wide_grid(rises))
    story = write_story(assessment, ask_everything(assessment), FIXED)
    parts = (*story.kicker, story.answer.text, story.tradeoffs.text, story.next_step.title, story.next_step.text)
    assert count_words(*parts) <= 130
    assert len(story.answer.text.split()) <= 14
    assert story.kicker[-2:] == (*FIXED, "8 of 120 runs failed")
    assert story.test.text.startswith("Test accuracy, not used to choose, is ")
    assert "n = 5" in story.test.text  # the interval that the paragraph has no room for
    assert story.test.text not in story.tradeoffs.text
    sentences.check(f"story, eight × three{', rising' if rises else ''}", " | ".join(parts))


def test_a_paragraph_leaves_out_what_matters_least() -> None:
    assessment = assess(make_wide_grid())
    findings = [finding for section in ask_everything(assessment) for finding in section.findings]
    texts = [write_tradeoffs(assessment, findings, room).text for room in (math.inf, *range(120, 0, -1))]
    lengths = [count_words(text) for text in texts]
    assert lengths == sorted(lengths, reverse=True)
    assert all(length <= room for length, room in zip(lengths[1:], range(120, lengths[-1], -1), strict=False))
    assert "Every run at 1.0 with batch size 16 failed: all diverged." in texts[0]
    assert "Every run failed at 1 other combination, some at 2 others, none at the leader." in texts[-1]
    assert write_story(assessment, ask_everything(assessment)).test.text in texts[0]


def test_two_seeds_do_not_plan_many() -> None:
    step = tell(make_measurements({0.1: [0.9, 0.91], 0.01: [0.905, 0.9]})).next_step
    assert step.n_seeds == 5


def test_a_wider_range_waits_where_noise_hides_which_level_leads() -> None:
    inner = {
        1.0: around(0.798, WIDE),
        0.1: around(0.8, K),
        0.01: around(0.7),
    }  # the end may be the best, the middle leads
    step = tell(make_measurements(inner)).next_step
    assert step.kind == "seeds"
    assert step.text.endswith("Also try higher rates: 3.0 and 10.0.")
    assert {str(step.evidence[key]) for key in ("value_1", "value_2")} == {"3.0", "10.0"}
    outer = {1.0: around(0.8, K), 0.1: around(0.798, WIDE), 0.01: around(0.7)}
    step = tell(make_measurements(outer)).next_step
    assert step.values == (3.0, 10.0)
    assert re.search(r"Try 3\.0 and 10\.0\. About \d+ seeds each would decide between those tried\.$", step.text)
    hopeless = tell(make_measurements(outer, margin=0.0001)).next_step
    assert hopeless.text.endswith("More than 500 seeds each would be needed to decide between those tried.")


def test_two_factors_are_widened_where_the_leader_lies() -> None:
    step = tell(make_measurements({(rate, size): around(0.8 + 0.05 * (rate == 0.1) + 0.0004 * size, SMALL)
                                   for rate in (1.0, 0.1, 0.01) for size in (32, 64, 128)}, factors=("learning_rate", "batch_size"))).next_step  # fmt: skip
    assert (
        step.text == "Batch size 128, the highest tried, may be the best. Try 256 and 512 as batch_size in the study."
    )
