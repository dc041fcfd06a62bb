"""A card for each learning rate: how it ends on validation and on test, and what became of its runs."""

from dataclasses import dataclass, replace
from html import escape

from lrreport.report.claims.claim import find_learning, quantify, quantify_limit
from lrreport.report.claims.differences import SHOWN_RATES, find_unbeaten, rank_rates
from lrreport.report.colors import Hue, color_rates
from lrreport.report.formats import capitalize, count_nouns, format_rate
from lrreport.report.prose import Chapter, typeset
from lrreport.report.results import Found, Results
from lrreport.report.stats import estimate_mean

METRIC = "val_accuracy"
CARDS_A_LEVEL = 3
SHOWN = {METRIC: "validation", "test_accuracy": "test"}


@dataclass(frozen=True)
class Card:
    """One learning rate in a few words; `scores` are metric, mean and 95 % interval, empty where there is none."""

    rate: str
    hue: Hue
    status: str
    scores: tuple[tuple[str, str, str], ...] = ()
    leads: bool = False

    def __repr__(self) -> str:
        scores = "".join(f", {mean} {metric}{f' ({span})' if span else ''}" for metric, mean, span in self.scores)
        return f"{self.rate}: {self.status}{scores}"

    def _repr_html_(self) -> str:
        scores = "".join(
            f'<p class="score"><b>{typeset(mean)}</b> {escape(metric)}{f"<span>{typeset(span)}</span>" if span else ""}</p>'
            for metric, mean, span in self.scores
        )
        return (
            f'<li class="card{" leads" if self.leads else ""}" style="--light:{self.hue.light};--dark:{self.hue.dark}">'
            f'<p class="head"><b class="rate">{escape(self.rate)}</b> <span class="status">{escape(self.status)}</span></p>'
            f"{scores}</li>\n"
        )


@dataclass(frozen=True)
class Cards:
    """Cards side by side under a title, if they have one; `rest` says what is left out, if anything."""

    cards: tuple[Card, ...]
    rest: str = ""
    title: str = ""

    def __repr__(self) -> str:
        return "\n".join([*filter(None, [self.title]), *map(repr, self.cards), *filter(None, [self.rest])])

    def _repr_html_(self) -> str:
        title = f'<p class="group">{escape(self.title)}</p>\n' if self.title else ""
        rest = f'<p class="rest">{escape(self.rest)}</p>' if self.rest else ""
        return f'{title}<ul class="cards">\n{"".join(card._repr_html_() for card in self.cards)}</ul>{rest}'


def show_cards(found: Found) -> Cards | Chapter:
    """Return the cards in the study's order; of very many rates, those that are best on validation.

    Of several levels, the cards of each with its best rates.
    """
    if isinstance(found, Results):
        return _choose_cards(found, SHOWN_RATES)
    groups = [
        replace(_choose_cards(one, CARDS_A_LEVEL), title=capitalize(found.name(value)), rest="")
        for value, one in found.levels.items()
    ]
    n_left = len(groups) * len(found.study.vary.learning_rate) - sum(len(one.cards) for one in groups)
    rest = f"These are the best on validation; {n_left} more combinations are in the table of results."
    return Chapter((*groups[:-1], replace(groups[-1], rest=rest if n_left else "")))


def _choose_cards(results: Results, n: int) -> Cards:
    rates = list(results.study.vary.learning_rate)
    if len(rates) <= n:
        return Cards(tuple(make_card(results, rate) for rate in rates))
    best = rank_rates(results, METRIC, sign=1)
    best = [*best, *(rate for rate in rates if rate not in best)][:n]  # then those without scores, and why
    rest = (
        f"These are the best on validation; {len(rates) - len(best)} more learning rates are in the table of results."
    )
    return Cards(tuple(make_card(results, rate) for rate in best), rest)


def make_card(results: Results, rate: float) -> Card:
    """Return the card of one rate of the study."""
    hue = color_rates(results.study.vary.learning_rate)[rate]
    if rate not in results.records:
        return Card(format_rate(rate), hue, "no run")
    seeds = results.records[rate].seeds
    n_diverged = sum(seed.status == "diverged" for seed in seeds)
    if n_diverged:
        return Card(format_rate(rate), hue, f"diverged for {n_diverged} of {count_nouns(len(seeds), 'seed')}")
    scores = tuple(_score(results, rate, metric) for metric in SHOWN)
    leads = leading_rates(results)
    status = count_nouns(len(seeds), "seed")
    if rate not in find_learning(results):
        status += ", no better than guessing"
    elif rate in leads:
        status += ", the best" if len(leads) == 1 else ", may be the best"
    return Card(format_rate(rate), hue, status, scores, rate in leads)


def leading_rates(results: Results) -> tuple[float, ...]:
    """Return the rates that may be the best on validation: none where one seed or one rate leaves nothing to compare."""
    if len(results.study.vary.seed) < 2 or len(results.complete_rates) < 2 or not find_learning(results):
        return ()
    return find_unbeaten(results, METRIC, sign=1)


def _score(results: Results, rate: float, metric: str) -> tuple[str, str, str]:
    estimate = estimate_mean(results.values(rate, metric))
    mean = str(quantify(estimate.mean, metric))
    if estimate.n < 2:
        return SHOWN[metric], mean, ""
    low, high = (str(quantify_limit(end, metric)).removesuffix(" %") for end in (estimate.low, estimate.high))
    return SHOWN[metric], mean, f"{low} to {high}"
