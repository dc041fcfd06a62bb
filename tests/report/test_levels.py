"""Studies with a second axis: claims within its values and across them, and what is shown of them."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from lrreport import LrreportError
from lrreport.report import cards, conditions, explorer, figures, narrative, tables
from lrreport.report.claims.combinations import best_combination, compare_tuned
from lrreport.report.claims.differences import describe_power, say_power
from lrreport.report.claims.levels import best_rate_moves, find_candidates
from lrreport.report.figures import panels
from lrreport.report.formats import format_rate, name_level
from lrreport.report.freshness import CONTENTS, list_folders
from lrreport.report.render import collect_findings
from lrreport.report.results import Levels, Results, load_results
from lrreport.report.stats import estimate_mean, find_detectable
from lrreport.study import load_study, parse_study

Make = Callable[..., Results]
SPREAD = (0.001, -0.001, 0.002, 0.0, -0.0015)


@pytest.fixture
def make_levels(make_results: Make) -> Callable[..., Levels]:
    """Make levels from accuracies: value -> rate -> mean validation accuracy, or None where training diverged.

    Seeds differ by a little, otherwise at each rate, but for those that are `alike`.
    """

    def make(
        means: dict[Any, dict[float, float | None]], axis: str = "batch_size", n_seeds: int = 5, alike: Any = ()
    ) -> Levels:
        levels = {}
        for turn, (value, accuracies) in enumerate(means.items()):
            curves = {}
            for place, (rate, mean) in enumerate(accuracies.items()):
                shift, scale = (place + 3 * turn) % 5, 1 + 0.1 * turn + 0.03 * place
                if (value, rate) in alike:
                    shift, scale = 0, 1.0
                curves[rate] = [
                    [] if mean is None else [(0.5 - mean / 4, mean / 2), (0.4 - mean / 4, mean + scale * jitter)]
                    for jitter in (SPREAD[shift:] + SPREAD[:shift])[:n_seeds]
                ]
            levels[value] = make_results(curves)
        first = next(iter(levels.values())).study
        rates = list({rate: None for accuracies in means.values() for rate in accuracies})
        vary = {"learning_rate": rates, "seed": list(range(n_seeds)), axis: list(means)}
        settings = first.model_dump(mode="json", exclude_none=True, exclude={"vary"})
        settings["fixed"].pop(axis, None)
        study = parse_study(settings | {"vary": vary}, "made")
        found = {value: replace(one, study=study.levels()[value]) for value, one in levels.items()}
        return Levels(study, found)

    return make


MOVED = {16: {0.1: 0.6, 0.01: 0.7, 0.001: 0.8}, 256: {0.1: 0.8, 0.01: 0.7, 0.001: 0.6}}
STEADY = {16: {0.1: 0.6, 0.01: 0.8, 0.001: 0.7}, 256: {0.1: 0.5, 0.01: 0.7, 0.001: 0.4}}
TIED = {16: {0.1: 0.8, 0.01: 0.7999, 0.001: 0.6}, 256: {0.1: 0.7999, 0.01: 0.8, 0.001: 0.6}}


def test_the_best_rate_moves_stays_or_cannot_be_told(make_levels: Callable[..., Levels]) -> None:
    moved = best_rate_moves(make_levels(MOVED))
    assert moved.verdict == "supported"
    assert moved.sentence == (
        "The best rate moves with the batch size: 0.001 leads with batch size 16 and 0.1 with 256, and no rate is left that may be "
        "the best with both batch size 16 and 256 (n = 5). Allowing for 4 comparisons, what cannot be ruled out as the best is 0.001 with "
        "batch size 16; 0.1 with 256."
    )
    brief = best_rate_moves(make_levels(MOVED), brief=True)
    assert moved.sentence.startswith(brief.sentence)
    assert brief.sentence.endswith("(n = 5).")
    stays = best_rate_moves(make_levels(STEADY))
    assert stays.verdict == "contradicted"
    assert stays.sentence == (
        "The best rate does not move with the batch size: it is 0.01 with batch size 16 and 256, told apart from every other rate "
        "tried (n = 5)."
    )
    tied = best_rate_moves(make_levels(TIED))
    assert tied.verdict == "not distinguishable"
    assert tied.sentence == (
        "Whether the best rate moves with the batch size is undecided: 0.1 leads with batch size 16 and 0.01 with 256, but 0.1 or "
        "0.01 cannot be ruled out with any (n = 5). Allowing for 4 comparisons, what cannot be ruled out as the best is 0.1 or 0.01 "
        "with batch size 16; 0.1 or 0.01 with 256."
    )
    same = best_rate_moves(make_levels({16: TIED[16], 64: TIED[16]}), brief=True)
    assert same.sentence == (
        "Whether the best rate moves with the batch size is undecided: 0.1 leads with batch size 16 and 64, but others cannot "
        "be ruled out (n = 5)."
    )


def test_one_comparison_more_makes_the_rule_stricter(make_levels: Callable[..., Levels]) -> None:
    """The level of each test is 0.05 divided by how many there are, one-sided."""
    assert best_rate_moves(make_levels(MOVED)).evidence["n_tests"].value == 4
    three = MOVED | {64: {0.1: 0.6, 0.01: 0.8, 0.001: 0.7}}
    assert best_rate_moves(make_levels(three)).evidence["n_tests"].value == 6
    assert "divided by their number, 6 (Bonferroni)" in best_rate_moves(make_levels(three)).rule


def test_a_value_at_which_training_diverged_is_left_out(make_levels: Callable[..., Levels]) -> None:
    broken = best_rate_moves(make_levels({16: MOVED[16], 256: {0.1: None, 0.01: None, 0.001: 0.8}}))
    assert broken.verdict == "not testable"
    assert (
        broken.sentence
        == "Not testable: fewer than two values of the batch size have rates to compare that end better than guessing."
    )
    three = best_rate_moves(make_levels(MOVED | {64: {0.1: None, 0.01: None, 0.001: None}}))
    assert three.verdict == "supported"
    assert three.sentence.endswith("; 0.1 with 256. With batch size 64 there are no two rates to compare.")


def test_a_rate_stays_the_best_only_if_every_value_says_so(make_levels: Callable[..., Levels]) -> None:
    diverged = best_rate_moves(make_levels(STEADY | {1024: {0.1: None, 0.01: None, 0.001: 0.8}}))
    assert diverged.verdict == "not distinguishable"
    some = best_rate_moves(make_levels({16: STEADY[16], 256: STEADY[256] | {0.1: None}}))
    assert some.verdict == "contradicted"
    assert some.sentence.endswith("apart from every other rate that trained to the end (n = 5).")


def drop_run(levels: Levels, value: Any, rate: float) -> Levels:
    one = levels.levels[value]
    left = replace(one, records={other: record for other, record in one.records.items() if other != rate})
    return Levels(levels.study, levels.levels | {value: left})


def test_a_rate_whose_run_is_missing_may_be_the_best(make_levels: Callable[..., Levels]) -> None:
    same = {value: {0.1: 0.7, 0.01: 0.8, 0.001: 0.6} for value in (16, 256)}
    assert best_rate_moves(make_levels(same)).verdict == "contradicted"
    missing = drop_run(make_levels(same), 256, 0.01)
    moved = best_rate_moves(missing)
    assert moved.verdict == "not distinguishable"
    assert "0.01 with batch size 16; 0.1 or 0.01 with 256" in moved.sentence
    assert narrative.answer(missing).text.startswith("Without 0.01 with batch size 256, whose run is missing: ")
    assert best_rate_moves(drop_run(make_levels(same), 256, 0.001)).verdict == "not distinguishable"


def test_a_value_without_any_run_is_named(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels(MOVED | {64: {0.1: 0.8, 0.01: 0.7, 0.001: 0.6}})
    left = Levels(levels.study, {value: one for value, one in levels.levels.items() if value != 64})
    [*_, absent] = narrative.check_search(left).claims
    assert (absent.name, absent.verdict, absent.arguments) == ("all_finished", "contradicted", {"batch_size": 64})
    assert absent.sentence == "There is no run with batch size 64."
    assert "more combinations" not in repr(cards.show_cards(left))


def test_rates_that_learn_at_some_values_only_leave_gaps(written: Path) -> None:
    levels = load_results(written)
    assert isinstance(levels, Levels)
    rates = levels.study.vary.learning_rate
    table = tables.tabulate_classes(drop_run(levels, 64, rates[2]))
    assert list(table.frame.columns) == ["Batch size", "Class", *(format_rate(rate) for rate in rates[1:])]
    assert set(table.frame.loc[table.frame["Batch size"] == "64", format_rate(rates[2])]) == {""}
    assert "nan" not in table._repr_html_()


def test_captions_that_differ_name_their_values(make_levels: Callable[..., Levels]) -> None:
    few = {0.1**place: 0.8 - place / 100 if place < 3 else None for place in range(8)}
    many = {0.1**place: 0.8 - place / 100 for place in range(8)}
    caption = tables.tabulate_differences(make_levels({16: few, 256: many})).caption
    assert caption == (
        "Batch size 16: Paired differences of the validation accuracy; intervals are unadjusted, p-values allow for all pairs. "
        "Batch size 256: Paired differences of the validation accuracy between the leading rate and others that end better than guessing; "
        "intervals are unadjusted, p-values allow for all pairs."
    )


def test_the_search_of_a_study_in_the_repository_can_be_judged_where_epochs_vary(
    make_levels: Callable[..., Levels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrreport.report import command

    levels = make_levels(dict(zip((2, 20), MOVED.values(), strict=True)), axis="epochs")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/made.toml").write_text(
        "[vary]\nlearning_rate = [0.1, 0.01, 0.001]\nepochs = [2, 20]\n[fixed]\ndataset = 'sample'\nvalidation_size = 500\n"
    )
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    monkeypatch.setattr(command, "load_study", lambda path: load_study(tmp_path / path))
    edges = [one for one in narrative.check_search(levels).claims if one.name == "edge_of_range"]
    assert [one.verdict for one in edges] == ["supported", "supported"]
    assert edges[0].sentence.endswith("add 0.0003 and 0.0001 to the study.")


def test_crosses_stay_within_an_axis_that_is_cut_off(make_results: Make) -> None:
    curves = {
        10.0**-place: [[(0.5, 0.8), (0.4, 0.8 - place / 100 + jitter)] for jitter in SPREAD] for place in range(5)
    }
    low = [[(1.9, 0.3), (1.8, 0.3 + jitter)] for jitter in SPREAD]
    broken = [[], *low[1:]]
    results = make_results(curves | {10.0: low, 100.0: broken})
    picture = figures.draw_curves(results)
    for axis in picture.figure.axes:
        crosses = [line for line in axis.lines if line.get_marker() == "x"]
        assert len(crosses) == 1
        bottom, top = axis.get_ylim()
        assert bottom <= crosses[0].get_ydata()[0] <= top


def test_one_seed_decides_nothing_across_values(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels(MOVED, n_seeds=1)
    assert best_rate_moves(levels).verdict == "not testable"
    assert compare_tuned(levels) == []
    chosen = best_combination(levels)
    assert chosen.verdict == "not testable"
    assert "one seed cannot tell a difference from chance" in chosen.sentence
    assert narrative.answer(levels).text == chosen.sentence


def test_values_are_compared_each_at_its_leading_rate(make_levels: Callable[..., Levels]) -> None:
    [above] = compare_tuned(make_levels(STEADY))
    assert (above.verdict, above.arguments) == ("supported", {"value": 16, "than_value": 256})
    assert above.effect == pytest.approx(0.1, abs=1e-4)
    assert above.sentence.startswith(
        "Each with its leading rate, 0.01 with batch size 16 ends 10.00 points of validation accuracy above 0.01 with batch "
        "size 256 (95 % interval "
    )
    [even] = compare_tuned(make_levels(TIED))
    assert even.verdict == "not distinguishable"
    assert "cannot be told apart" in even.sentence


def test_a_lead_over_the_leading_rate_alone_is_not_enough(make_levels: Callable[..., Levels]) -> None:
    """It must beat every rate of the other value, and is counted once for each rate that might have led."""
    means = {16: {0.1: 0.8027, 0.01: 0.8025, 0.001: 0.6}, 256: {0.1: 0.8, 0.01: 0.7999, 0.001: 0.6}}
    [asked] = compare_tuned(make_levels(means))
    assert asked.low > 0
    assert asked.verdict == "not distinguishable"
    assert "it allows neither for the choice of the rates nor for the other rates" in asked.sentence


def test_one_combination_is_chosen_or_several_are_named(make_levels: Callable[..., Levels]) -> None:
    chosen = best_combination(make_levels(STEADY))
    assert chosen.verdict == "supported"
    assert chosen.sentence.startswith(
        "Choose 0.01 with batch size 16: of the 6 combinations that trained to the end it has the highest validation accuracy, "
        "80.01 %, and reaches 80.01 % on test (95 % interval "
    )
    tied = best_combination(make_levels(TIED))
    assert tied.verdict == "not distinguishable"
    assert tied.sentence.startswith(
        "No single combination is the best: 0.1 or 0.01 with batch size 16 and 0.1 or 0.01 with 256 may each be the best on "
    )
    only = best_combination(make_levels({16: {0.1: 0.8, 0.01: None}, 256: {0.1: None, 0.01: None}}))
    assert only.sentence.startswith("Only 0.1 with batch size 16 trained to the end: ")
    none = best_combination(make_levels({16: {0.1: None}, 256: {0.1: None}}))
    assert (none.verdict, none.sentence) == ("not testable", "Not testable: training diverged everywhere.")


def p_of_lead(levels: Levels, lead: tuple[Any, float], other: tuple[Any, float]) -> float:
    """The two-sided p of a paired t test, by scipy; 1 for what does not lead."""
    ours, theirs = (levels.levels[value].values(rate, "val_accuracy") for value, rate in (lead, other))
    return float(ttest_rel(ours, theirs).pvalue) if ours.mean() > theirs.mean() else 1.0


def test_p_values_allow_for_all_pairs_of_values(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels({16: {0.1: 0.803}, 64: {0.1: 0.801}, 256: {0.1: 0.8}})
    pairs = [(16, 64), (16, 256), (64, 256)]
    plain = [p_of_lead(levels, (a, 0.1), (b, 0.1)) for a, b in pairs]
    claims = compare_tuned(levels)
    assert [tuple(one.arguments.values()) for one in claims] == pairs
    assert [one.evidence["p"].value for one in claims] == pytest.approx(list(multipletests(plain, method="holm")[1]))
    assert "adjusted for all 3 pairs of values (Holm)" in claims[0].rule
    [alone] = compare_tuned(make_levels(STEADY))
    assert "Holm" not in alone.rule


@pytest.mark.parametrize("own", [0.803, 0.70])
def test_the_leading_rate_counts_for_those_that_might_have_led(make_levels: Callable[..., Levels], own: float) -> None:
    """Its largest p against the other value times the number of its rates, unless it beats those of its own as well."""
    levels = make_levels({16: {0.1: 0.804, 0.01: own, 0.001: 0.6}, 256: {0.1: 0.8, 0.01: 0.801, 0.001: 0.7}})
    [asked] = compare_tuned(levels)
    theirs = max(p_of_lead(levels, (16, 0.1), (256, rate)) for rate in (0.1, 0.01, 0.001))
    ours = max(p_of_lead(levels, (16, 0.1), (16, rate)) for rate in (0.01, 0.001))
    assert (3 * theirs < ours) == (own == 0.803)
    assert asked.evidence["p"].value == pytest.approx(min(3 * theirs, max(theirs, ours)))


def test_what_could_be_seen_is_told_of_the_rate_that_decides(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels({16: {0.1: 0.8027, 0.01: 0.8025, 0.001: 0.6}, 256: {0.1: 0.8, 0.01: 0.7999, 0.001: 0.6}})
    [asked] = compare_tuned(levels)
    assert asked.verdict == "not distinguishable"
    nearest = max((0.1, 0.01, 0.001), key=lambda rate: p_of_lead(levels, (16, 0.1), (256, rate)))
    assert nearest == 0.01
    assert "Against 0.01 with batch size 256, which decides, it lies 0.28 points ahead." in asked.sentence
    lead, other = levels.levels[16].values(0.1, "val_accuracy"), levels.levels[256].values(nearest, "val_accuracy")
    sd = float((lead - other).std(ddof=1))
    assert asked.evidence["detectable"].value == pytest.approx(find_detectable(sd, 5, 3))


def test_a_missing_run_may_have_been_the_best(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels({16: {0.1: 0.7, 0.01: 0.6}, 256: {0.1: 0.5, 0.01: 0.8}})
    [above] = compare_tuned(levels)
    assert (above.verdict, above.arguments["value"]) == ("supported", 256)
    [unknown] = compare_tuned(drop_run(levels, 256, 0.01))
    assert unknown.verdict == "not testable"
    assert unknown.sentence == (
        "Not testable for 0.1 with batch size 16 against 0.1 with batch size 256: the run of 0.01 is missing with batch size "
        "256, and might be the best there."
    )
    [still] = compare_tuned(drop_run(levels, 256, 0.1))
    assert (still.verdict, still.arguments["value"]) == ("supported", 256)


def test_values_that_lie_farthest_apart_are_named(make_levels: Callable[..., Levels]) -> None:
    three = make_levels({16: MOVED[16], 64: {0.1: 0.6, 0.01: 0.8, 0.001: 0.7}, 256: MOVED[256]})
    assert "no rate is left that may be the best with both batch size 16 and 256" not in best_rate_moves(three).sentence
    assert "no rate is left that may be the best with both batch size 64 and 256" in best_rate_moves(three).sentence


LOW = {0.1: 0.1, 0.01: 0.1, 0.001: 0.1}


def test_a_value_at_which_nothing_learns_is_left_out(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels(MOVED | {64: LOW})
    assert best_rate_moves(levels).sentence.endswith("With batch size 64 there are no two rates to compare.")
    assert [set(one.arguments.values()) for one in compare_tuned(levels)] == [{16, 256}]
    nothing = best_combination(make_levels({16: LOW, 64: LOW}))
    assert nothing.sentence == "Not testable: every combination tried ends no better than guessing."


def test_of_many_values_only_the_leading_one_is_compared(make_levels: Callable[..., Levels]) -> None:
    means = {2**place: {0.1: 0.5 + place / 20, 0.01: 0.4} for place in range(7)}
    claims = compare_tuned(make_levels(means))
    assert [tuple(one.arguments.values()) for one in claims] == [(64, 2**place) for place in (5, 4, 3, 2, 1, 0)]
    six = compare_tuned(make_levels(dict(list(means.items())[:6])))
    assert len(six) == 15


def test_of_many_combinations_some_are_named(make_levels: Callable[..., Levels]) -> None:
    means = {2**place: {0.1: 0.8 + place / 1e5, 0.01: 0.8 + place / 1e5} for place in range(4)}
    chosen = best_combination(make_levels(means))
    assert chosen.evidence["n_more"].value == 2
    assert "rate_6" in chosen.evidence
    assert "rate_7" not in chosen.evidence
    assert " and 2 more may each be the best on validation accuracy. " in chosen.sentence


def test_differences_without_a_spread_are_told(make_levels: Callable[..., Levels]) -> None:
    alike = [(16, 0.1), (256, 0.001)]
    levels = make_levels({16: STEADY[16] | {0.1: 0.83}, 256: {0.1: 0.5, 0.01: 0.5, 0.001: 0.75}}, alike=alike)
    chosen = best_combination(levels)
    assert chosen.verdict == "not distinguishable"
    assert chosen.sentence.startswith(
        "No single combination is the best: 0.1 with batch size 16 and 0.001 with 256 cannot be told apart on validation accuracy. "
    )
    assert chosen.sentence.endswith(
        " From 0.001 with batch size 256 it differs by the same amount in every seed, which leaves no spread to judge that by."
    )
    [asked] = compare_tuned(levels)
    assert asked.sentence == (
        "Not testable for 0.1 with batch size 16 against 0.001 with batch size 256: validation accuracy differs by the same "
        "amount in every seed."
    )
    levels = make_levels({16: STEADY[16] | {0.1: 0.83}, 256: {0.1: 0.76, 0.01: 0.5, 0.001: 0.75}}, alike=alike)
    [behind] = compare_tuned(levels)
    assert behind.verdict == "not distinguishable"
    assert behind.evidence["p"].value == 1
    assert "which decides" not in behind.sentence


NUMBER = re.compile(r"\d[\d,.]*\d(?:e-?\d+)?|\d(?:e-?\d+)?")
OF_METHOD = {"95", "80", "0.05"}
AXES: dict[str, list[Any]] = {
    "batch_size": [16, 1024],
    "optimizer": ["adam", "sgd"],
    "hidden_sizes": [(), (1000, 64)],
    "dropout": [0.0, 0.25],
    "epochs": [2, 20],
    "model": ["mlp", "nets:make"],
}


@pytest.mark.parametrize("means", [MOVED, STEADY, TIED])
@pytest.mark.parametrize("axis", AXES)
def test_every_number_across_values_is_in_the_findings(
    make_levels: Callable[..., Levels], axis: str, means: dict[Any, Any]
) -> None:
    levels = make_levels(dict(zip(AXES[axis], means.values(), strict=True)), axis=axis)
    written = json.loads(json.dumps(collect_findings(levels)))
    prose = [
        (one.sentence, found) for one, found in zip(narrative.ask_everything(levels), written["claims"], strict=True)
    ]
    prose += [(one.text, written["paragraphs"][name]) for name, one in narrative.write_paragraphs(levels).items()]
    for text, found in prose:
        known = set(NUMBER.findall(" ".join(one["text"] for one in found["evidence"].values())))
        assert set(NUMBER.findall(text)) - OF_METHOD <= known, f"{text!r} against {found['evidence']}"
        assert "nan" not in text
    within = [one for one in written["claims"] if axis in one["arguments"]]
    assert {str(one["arguments"][axis]) for one in within} == {
        str(list(v) if isinstance(v, tuple) else v) for v in AXES[axis]
    }


def test_tables_and_cards_name_the_value(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels(MOVED)
    table = tables.tabulate_results(levels).frame
    assert list(table.columns[:3]) == ["Batch size", "Learning rate", "Validation accuracy"]
    assert list(table["Batch size"]) == ["16"] * 3 + ["256"] * 3
    assert list(levels.runs.columns[:3]) == ["batch_size", "learning_rate", "seed"]
    assert len(levels.runs) == 30
    shown = repr(cards.show_cards(levels))
    assert shown.index("Batch size 16") < shown.index("Batch size 256") < shown.index("0.1: 5 seeds, the best")
    settings = tables.tabulate_settings(levels.study).frame.set_index("Setting")
    assert tuple(settings.loc["batch size"]) == ("16 and 256", "varied")


def test_an_option_of_some_values_is_listed_with_them() -> None:
    vary = {"learning_rate": [0.1], "optimizer": ["adam", "sgd"]}
    study = parse_study({"name": "x", "vary": vary, "fixed": {"momentum": 0.9}}, "made")
    settings = tables.tabulate_settings(study).frame.set_index("Setting")
    assert tuple(settings.loc["momentum"]) == ("0.9", "fixed, for sgd")
    assert tuple(settings.loc["optimizer"]) == ("adam and sgd", "varied")


@pytest.fixture(scope="module")
def written(write_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("levels") / "made", 7, 3, 4, batch_sizes=[16, 64, 256])


def test_a_study_of_two_axes_is_read_by_level(written: Path) -> None:
    levels = load_results(written)
    assert isinstance(levels, Levels)
    assert list(levels.levels) == [16, 64, 256]
    assert all(one.study.fixed.batch_size == value for value, one in levels.levels.items())
    assert levels.missing == []
    assert len(list_folders(json.loads((written / CONTENTS).read_text()))) == 21


def test_missing_runs_and_levels_are_said(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    contents = json.loads((written / CONTENTS).read_text())
    for level in contents["levels"]:
        for run in level["runs"]:
            run["folder"] = str((written / run["folder"]).resolve())
    contents["levels"][0]["runs"] = []
    del contents["levels"][1]["runs"][0]
    (folder / CONTENTS).write_text(json.dumps(contents))
    levels = load_results(folder)
    assert isinstance(levels, Levels)
    assert list(levels.levels) == [64, 256]
    assert len(levels.missing) == 8
    assert narrative.answer(levels).text.startswith("Without 8 runs that are missing: ")
    assert figures.draw_accuracy_by_rate(levels).alt
    assert explorer.collect_data(levels)["levels"] == ["64", "256"]
    for level in contents["levels"]:
        level["runs"] = []
    (folder / CONTENTS).write_text(json.dumps(contents))
    with pytest.raises(
        LrreportError, match=r"study\.json: no run of this study is there; run lrreport report to make them"
    ):
        load_results(folder)


def test_figures_have_a_row_for_each_value(written: Path) -> None:
    levels = load_results(written)
    for picture, metrics in (
        (figures.draw_accuracy_by_rate(levels), ("Validation accuracy", "Test accuracy")),
        (figures.draw_curves(levels), ("Validation loss (nats)", "Validation accuracy")),
    ):
        titles = [axis.get_title(loc="left") for axis in picture.figure.axes]
        assert titles == [f"{metric}, batch size {value}" for value in (16, 64, 256) for metric in metrics]
        assert picture.narrow is not None
        narrow = [axis.get_title(loc="left") for axis in picture.narrow.axes]
        assert narrow == [f"{metric}, batch size {value}" for metric in metrics for value in (16, 64, 256)]
        assert len({axis.get_ylim() for axis in picture.figure.axes[::2]}) == 1
        assert picture.table is not None
        assert set(picture.table.frame["Batch size"]) == {"16", "64", "256"}
        assert "with batch size 256" in picture.alt


def test_an_outlier_does_not_press_the_others_together(make_results: Make) -> None:
    def curves(mean: float) -> list[list[tuple[float, float]]]:
        return [[(0.5, mean + jitter)] for jitter in SPREAD]

    few = make_results({rate: curves(mean) for rate, mean in ((0.1, 0.8), (0.01, 0.79), (0.001, 0.1))})
    assert panels.find_outliers(few) == []
    means = {1.0: 0.2, 0.3: 0.78, 0.1: 0.8, 0.03: 0.79, 0.01: 0.8, 0.003: 0.77}
    results = make_results({rate: curves(mean) for rate, mean in means.items()})
    assert panels.find_outliers(results) == [(results, 1.0)]
    picture = figures.draw_accuracy_by_rate(results)
    assert picture.figure.axes[0].get_ylim()[0] == pytest.approx(0.77 - 0.0015 - 0.01)
    assert "A triangle stands for a mean below 75.85 %, where the axis is cut off." in picture.caption
    assert [text.get_text() for text in picture.figure.axes[0].texts] == ["20 %"]


def test_the_panel_knows_the_value_of_each_run(written: Path) -> None:
    levels = load_results(written)
    assert isinstance(levels, Levels)
    data = explorer.collect_data(levels)
    assert (data["axis"], data["levels"]) == ("batch size", ["16", "64", "256"])
    assert data["steps_per_epoch"] == [94, 24, 6]
    assert [run["record"] for run in data["runs"]] == [place for place in range(21) for _ in range(3)]
    assert [run["level"] for run in data["runs"]] == [level for level in range(3) for _ in range(21)]
    assert len(data["facts"]) == 21
    table = explorer.tabulate_runs(levels).frame
    assert list(table.columns[:4]) == ["Learning rate", "Batch size", "Seed", "Status"]
    assert set(table["Last epoch"]) == {"2", "4"}


def test_range_tests_of_all_values_are_shown(make_levels: Callable[..., Levels]) -> None:
    import numpy as np

    from lrreport.report.results import RangeCurves

    levels = make_levels(MOVED)
    assert figures.draw_range_test(levels) is None
    assert narrative.suggest_range(levels) is None
    rates = np.geomspace(1e-7, 10, 200)
    tests = {16: 1e-4, 256: 1e-2}
    found = {
        value: replace(one, range_test=RangeCurves(rates, np.array([2.3 - 2 / (1 + (tests[value] / rates) ** 2)] * 2)))
        for value, one in levels.levels.items()
    }
    levels = Levels(levels.study, found)
    picture = figures.draw_range_test(levels)
    assert picture is not None
    assert len(picture.figure.axes) == 2
    assert "With batch size 256 over all seeds the smoothed loss is lowest" in picture.alt
    said = narrative.write_paragraphs(levels)
    assert said["range_test with batch size 16"].text.startswith("Batch size 16: A range test from ")
    assert set(said) >= {"range_test with batch size 16", "range_test with batch size 256"}


def test_the_grid_shows_every_mean_and_which_rates_may_be_the_best(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels({16: MOVED[16] | {0.1: None}, 256: MOVED[256]})
    picture = figures.draw_grid(levels)
    assert picture is not None
    axis = picture.figure.axes[0]
    written = {tuple(np.floor(text.get_position()).astype(int)): text for text in axis.texts}  # (column, row)
    assert {place: text.get_text() for place, text in written.items()} == {
        (0, 0): "80.0", (1, 0): "70.0", (2, 0): "–", (0, 1): "60.0", (1, 1): "70.0", (2, 1): "80.0",
    }  # fmt: skip
    bold = {place for place, text in written.items() if text.get_fontweight() == "bold"}
    framed = {tuple(np.floor(patch.get_xy()).astype(int)) for patch in axis.patches}
    assert bold == framed == {(0, 0), (2, 1)}
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0.001", "0.01", "0.1"]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["16", "256"]
    assert picture.table is not None
    assert picture.table.frame.to_dict("list")["0.1"] == ["", "80.01 %"]


def test_a_grid_of_ties_frames_what_the_claim_names(make_levels: Callable[..., Levels]) -> None:
    levels = make_levels(TIED)
    picture = figures.draw_grid(levels)
    assert picture is not None
    assert len(picture.figure.axes[0].patches) == 4
    assert len(find_candidates(levels)[16]) == len(find_candidates(levels)[256]) == 2


def test_grids_that_say_little_are_drawn(make_levels: Callable[..., Levels], make_results: Make) -> None:
    one_seed = figures.draw_grid(make_levels(MOVED, n_seeds=1))
    assert one_seed is not None
    assert not one_seed.figure.axes[0].patches
    none = figures.draw_grid(make_levels({16: {0.1: None}, 256: {0.1: None}}))
    assert none is not None
    assert "nan" not in none.to_svg() + none.alt
    same = figures.draw_grid(make_levels({16: {0.1: 0.5}, 256: {0.1: 0.5}}))
    assert same is not None
    many = figures.draw_grid(make_levels({v: {0.9**p: 0.5 + p / 100 for p in range(30)} for v in (16, 256)}))
    assert many is not None
    assert len(many.figure.axes[0].texts) == 2 * 16
    assert "at 16 of the 30 learning rates, evenly spaced by rank" in many.caption
    assert figures.draw_grid(make_results({0.1: [[(0.5, 0.8)]]})) is None


def test_numbers_on_a_grid_can_be_read() -> None:
    """At least 4.5 to 1 whatever the shade, as WCAG 2.2 asks for (success criterion 1.4.3)."""
    from matplotlib.colors import to_rgb

    from lrreport.report.figures.grid import SHADES, _contrast

    def lightness(color: Any) -> float:
        linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in to_rgb(color)]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for place in np.linspace(0, 1, 50):
        low, high = sorted((lightness(SHADES(place)), lightness(_contrast(SHADES(place)))))
        assert (high + 0.05) / (low + 0.05) > 4.5


def test_conditions_name_every_setting_that_is_not_the_default(make_results: Make) -> None:
    plain = make_results({0.1: [[(0.5, 0.8)]]})
    assert ", with " not in conditions.state_conditions(plain).text
    changes = {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "label_smoothing": 0.1, "dropout": 0.25}
    fixed = plain.study.fixed.model_copy(update=changes)
    told = conditions.state_conditions(replace(plain, study=plain.study.model_copy(update={"fixed": fixed})))
    assert (
        "hidden units, SGD and batches of 64, with dropout 0.25, label smoothing 0.1, momentum 0.9 and schedule cosine, after"
        in told.text
    )
    assert {"dropout", "label_smoothing", "momentum"} <= set(told.evidence)


def test_a_folded_level_is_titled_once(make_levels: Callable[..., Levels]) -> None:
    page = narrative.compare_rates(make_levels(MOVED))._repr_html_()
    assert page.count("Batch size 256") == 1
    assert "<h3>From one batch size to another</h3>" in page
    assert (
        "<h3>From one network size to another</h3>"
        in narrative.compare_rates(
            make_levels(dict(zip(((), (64,)), MOVED.values(), strict=True)), axis="hidden_sizes")
        )._repr_html_()
    )


@pytest.mark.parametrize(
    ("axis", "value", "name"),
    [
        ("hidden_sizes", (), "no hidden layers"),
        ("hidden_sizes", (128, 64), "hidden sizes 128 × 64"),
        ("betas", (0.9, 0.999), "betas (0.9, 0.999)"),
        ("nesterov", False, "nesterov off"),
    ],
)
def test_levels_have_names_that_can_be_read(axis: str, value: Any, name: str) -> None:
    assert name_level(axis, value) == name


def test_a_value_at_which_all_diverged_has_cards_that_say_so(make_levels: Callable[..., Levels]) -> None:
    means = {16: {0.1**place: 0.8 for place in range(5)}, 256: {0.1**place: None for place in range(5)}}
    shown = repr(cards.show_cards(make_levels(means)))
    assert shown.count("diverged for 5 of 5 seeds") == 3
    assert "4 more combinations are in the table" in shown


def test_too_few_seeds_to_see_anything_are_called_so(make_levels: Callable[..., Levels]) -> None:
    means = {16: {0.1: 0.8, 0.01: 0.3, 0.001: 0.2}, 256: {0.1: 0.7999, 0.01: 0.8, 0.001: 0.2}}
    levels = make_levels(means, n_seeds=2)
    told = [one.sentence for one in compare_tuned(levels)]
    for results in levels.levels.values():
        assert results.values(0.1, "val_accuracy").std() > 0
    far = describe_power(estimate_mean(np.array([0.3, -0.25])), "val_accuracy", 9)
    assert say_power("val_accuracy", far).startswith("{n} seeds are too few to see any difference with 80 % power; ")
    assert not any("{" in one for one in told)


def test_the_tests_of_candidates_are_one_sided_and_share_the_level(make_levels: Callable[..., Levels]) -> None:
    """With two tests in all, a rate is left out if its two-sided p is below 2 · 0.05 / 2, in the direction of the leading one."""
    found = []
    for step in range(1, 60):
        levels = make_levels({16: {0.1: 0.8 + step / 1e4, 0.01: 0.8}, 256: {0.1: 0.9, 0.01: 0.5}})
        p = p_of_lead(levels, (16, 0.1), (16, 0.01))
        assert find_candidates(levels)[16] == ((0.1,) if p < 0.05 else (0.1, 0.01))
        found.append(p)
    assert any(0.025 < p < 0.05 for p in found)
    assert any(0.05 < p < 0.1 for p in found)


def test_a_best_rate_at_the_end_of_the_range_may_move_outside(make_levels: Callable[..., Levels]) -> None:
    means = {0.1: 0.8, 0.01: 0.7, 0.001: 0.6}
    levels = make_levels({16: means, 256: means})
    asked = best_rate_moves(levels)
    assert asked.verdict == "not distinguishable"
    assert asked.sentence == (
        "Whether the best rate moves with the batch size is undecided: it is 0.1 with batch size 16 and 256, told apart from "
        "every other rate tried, but it is the highest tried, and better ones may lie above (n = 5)."
    )
    assert narrative.answer(levels).text.endswith(" But 0.1 is the highest tried, and better ones may lie above.")
    low = make_levels({16: {0.1: 0.6, 0.01: 0.7, 0.001: 0.8}, 256: {0.1: 0.6, 0.01: 0.7, 0.001: 0.75}})
    assert narrative.answer(low).text.endswith(" But 0.001 is the lowest tried, and better ones may lie below.")
    assert "may lie" not in narrative.answer(make_levels(STEADY)).text


def test_an_option_of_some_values_is_told_with_them() -> None:
    vary = {"learning_rate": [0.1], "optimizer": ["adam", "sgd"]}
    study = parse_study({"name": "x", "vary": vary, "fixed": {"momentum": 0.9, "schedule": "cosine"}}, "made")
    assert conditions.say_where(study.levels(), "momentum") == " (for sgd)"
    assert conditions.say_where(study.levels(), "schedule") == ""
