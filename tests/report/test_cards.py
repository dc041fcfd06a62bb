"""Cards: how each rate ends, and what became of its runs."""

from collections.abc import Callable

import pytest

from lrreport.report.cards import show_cards
from lrreport.report.claims.differences import SHOWN_RATES
from lrreport.report.results import Results, load_results
from lrreport.report.stats import estimate_mean

Make = Callable[..., Results]
LEVEL = [[(0.5, 0.80)], [(0.5, 0.81)], [(0.5, 0.82)]]
LOWER = [[(0.7, 0.70)], [(0.7, 0.712)], [(0.7, 0.719)]]
GUESSING = [[(2.3, 0.10)], [(2.3, 0.101)], [(2.3, 0.099)]]


def test_cards_of_the_reference_name_the_rates_that_may_be_the_best() -> None:
    results = load_results()
    text = repr(show_cards(results)).splitlines()
    val, test = (estimate_mean(results.values(0.001, metric)) for metric in ("val_accuracy", "test_accuracy"))
    low, high = f"{100 * val.low:.2f}", f"{100 * val.high:.2f}"
    assert text[0].startswith(
        f"0.001: 5 seeds, may be the best, {100 * val.mean:.2f} % validation ({low} to {high}), {100 * test.mean:.2f} % test ("
    )
    assert text[1].startswith("0.0005: 5 seeds, may be the best")
    assert text[2].startswith("0.0001: 5 seeds, 85.")


def test_each_state_has_its_words(make_results: Make) -> None:
    results = make_results({1.0: [[], *LEVEL[1:]], 0.1: LEVEL, 0.01: LOWER, 0.001: GUESSING})
    assert [card.status for card in show_cards(results).cards] == [
        "diverged for 1 of 3 seeds", "3 seeds, the best", "3 seeds", "3 seeds, no better than guessing",
    ]  # fmt: skip
    assert [card.leads for card in show_cards(results).cards] == [False, True, False, False]
    del results.records[0.01]
    assert [card.status for card in show_cards(results).cards][2] == "no run"


def test_one_seed_or_one_rate_leads_nobody(make_results: Make) -> None:
    one_seed = show_cards(make_results({0.1: LEVEL[:1], 0.01: LOWER[:1]})).cards
    assert [card.status for card in one_seed] == ["1 seed", "1 seed"]
    assert one_seed[0].scores == (("validation", "80.00 %", ""), ("test", "80.00 %", ""))
    assert not show_cards(make_results({0.1: LEVEL})).cards[0].leads


def test_of_many_rates_the_best_are_shown(make_results: Make) -> None:
    rates = {2.0**-place: [[(0.5, 0.5 + 0.01 * place + 0.001 * seed)] for seed in range(3)] for place in range(20)}
    cards = show_cards(make_results(rates))
    assert len(cards.cards) == SHOWN_RATES
    assert float(cards.cards[0].rate) == pytest.approx(2.0**-19)
    assert cards.rest == "These are the best on validation; 8 more learning rates are in the table of results."


def test_words_are_escaped_and_colours_are_those_of_the_rate(make_results: Make) -> None:
    text = show_cards(make_results({0.1: LEVEL}))._repr_html_()
    assert 'style="--light:#005c9c;--dark:#4ba6e0"' in text
    assert "81.00&nbsp;%" in text
