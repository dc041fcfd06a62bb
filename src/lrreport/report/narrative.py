"""Which claims a report asks, and in which order."""

import math
from dataclasses import replace
from typing import Any

from lrreport.report.claims import VOCABULARY, Claim, ask
from lrreport.report.claims.claim import find_learning, list_rates, quantify_rates
from lrreport.report.claims.combinations import best_combination, compare_tuned
from lrreport.report.claims.differences import SHOWN_RATES, choose_pairs, rank_rates
from lrreport.report.claims.levels import best_rate_moves, quantify_level, say_absent, say_beyond
from lrreport.report.conditions import describe_data, state_conditions
from lrreport.report.formats import Quantity, capitalize, count_nouns, format_rate, list_words
from lrreport.report.prose import Chapter, Narrative, Paragraph, Told, fold_levels, head_levels
from lrreport.report.results import Found, Levels, Results, by_level
from lrreport.report.stats import find_steepest_rate
from lrreport.study import Study

LISTED_RUNS = 6  # missing ones, that a sentence names
RANGE_AGREEMENT = 10  # seeds whose steepest rates lie further apart suggest nothing


def answer(found: Found) -> Paragraph:
    """Return the conclusion, and first of all which runs are missing."""
    if isinstance(found, Levels):
        return _answer_across(found)
    missing = f"Without {list_rates(found.missing)}, whose run is missing: " if found.missing else ""
    chosen = VOCABULARY["choice"](found)
    evidence = chosen.evidence | quantify_rates("missing", found.missing)
    return Paragraph(f"{missing}{chosen.sentence}{_warn_of_edge(found.study, chosen)}", evidence, style="answer")


def _warn_of_edge(study: Study, chosen: Claim) -> str:
    """Return a sentence on a choice that lies at an end of the range tried; nothing if it does not, or none was made."""
    rates = study.vary.learning_rate
    if (
        chosen.verdict == "not testable"
        or len(rates) < 2
        or chosen.evidence["rate"].value not in (min(rates), max(rates))
    ):
        return ""
    rate = chosen.evidence["rate"].value
    return f" But {format_rate(rate)} is {say_beyond(study, rate)}."


def _answer_across(found: Levels) -> Paragraph:
    chosen, moves = best_combination(found), best_rate_moves(found, brief=True)
    text, evidence = f"{chosen.sentence}{_warn_of_edge(found.study, chosen)}", chosen.evidence
    if moves.verdict != "not testable":
        text = f"{moves.sentence} {text}"
        evidence = evidence | {f"moves_{name}": quantity for name, quantity in moves.evidence.items()}
    if found.missing:
        names, quoted = _name_missing(found)
        text, evidence = f"Without {names}: {text}", evidence | quoted
    return Paragraph(text, evidence, style="answer")


def _name_missing(found: Levels) -> tuple[str, dict[str, Quantity]]:
    """Return which runs are missing, and the numbers in that."""
    if len(found.missing) > LISTED_RUNS:
        return f"{len(found.missing)} runs that are missing", {"n_missing": Quantity(len(found.missing), "count")}
    names = [f"{format_rate(rate)} with {found.name(value)}" for value, rate in found.missing]
    evidence: dict[str, Quantity] = {}
    for place, (value, rate) in enumerate(found.missing, start=1):
        evidence |= quantify_level(f"missing_value_{place}", value) | {f"missing_{place}": Quantity(rate, "rate")}
    return f"{list_words(names)}, whose {'run is' if len(names) == 1 else 'runs are'} missing", evidence


@by_level(fold_levels)
def observe_rates(results: Results) -> Told:
    """Return what the results say of each rate by itself; of very many, of those that are best on validation."""
    if len(results.rates) <= SHOWN_RATES:
        return Chapter(tuple(observe_rate(results, rate) for rate in results.rates))
    best = rank_rates(results, "val_accuracy", sign=1)[:SHOWN_RATES]
    rest = f"The other {count_nouns(len(results.rates) - len(best), 'learning rate')} are in the tables."
    return Chapter(
        (*(observe_rate(results, rate) for rate in best), Narrative((), title="Other learning rates", empty=rest))
    )


def observe_rate(results: Results, rate: float) -> Narrative:
    """Return what the results say of one rate by itself."""
    questions: tuple[str, ...] = ("learns", "trains_stably", "still_improving", "overfits")
    if results.study.fixed.epochs == 1:
        questions = ("learns", "trains_stably")
    if rate not in find_learning(results):
        questions = ("learns", "trains_stably")
    if rate not in results.complete_rates:
        questions = ("trains_stably",)
    claims = tuple(VOCABULARY[name](results, rate) for name in questions)
    return Narrative(claims, title=f"Learning rate {format_rate(rate)}")


def suggest_range(found: Found) -> Chapter | None:
    """Return the rate that the study's range test suggests, and how far its seeds agree; None for a study without one."""
    return Chapter(tuple(suggest_by_level(found).values())) if found.range_tests else None


def suggest_by_level(found: Found) -> dict[str, Paragraph]:
    """Return what each range test suggests, by the name of its level."""
    suggestions = {}
    for name, curves in found.range_tests.items():
        one = suggest_rate(curves.rates, curves.losses)
        text = f"{capitalize(name)}: {one.text}" if name else one.text
        suggestions[name] = Paragraph(text, one.evidence)
    return suggestions


def suggest_rate(rates: Any, losses: Any) -> Paragraph:
    """Return the rate that a range test suggests, given the rate of each step and the losses (n_seeds, n_steps)."""
    found = [find_steepest_rate(rates, one) for one in losses]
    fell = sorted(rate for rate in found if not math.isnan(rate))
    evidence = {
        "first": Quantity(float(rates[0]), "rate"),
        "last": Quantity(float(rates[-1]), "rate"),
        "n": Quantity(len(found), "count"),
        "n_still": Quantity(len(found) - len(fell), "count"),
        "agreement": Quantity(RANGE_AGREEMENT, "count"),
    }
    if fell:
        evidence |= {"lowest": _quantify_roughly(fell[0]), "highest": _quantify_roughly(fell[-1])}
    text = "A range test from {first} to {last}, one step at each rate, "
    if len(fell) < len(found):
        seeds = count_nouns(len(found) - len(fell), "seed")
        text += f"makes no suggestion: for {seeds} the loss never fell clearly (n = {{n}})."
    elif fell[-1] > RANGE_AGREEMENT * fell[0]:
        text += (
            "makes no suggestion: the loss falls fastest between {lowest} and {highest}, and its seeds disagree by more than "
            "a factor of {agreement} (n = {n})."
        )
    else:
        evidence["suggestion"] = _quantify_roughly(math.exp(sum(map(math.log, fell)) / len(fell)))
        text += (
            "suggests about {suggestion}: there the loss falls fastest, from seed to seed between {lowest} and {highest} "
            "(n = {n})."
        )
    return Paragraph(text.format_map(evidence), evidence)


def _quantify_roughly(rate: float) -> Quantity:
    return Quantity(float(f"{rate:.1g}"), "rate")


def check_search(found: Found) -> Told:
    """Return whether every run finished, and whether the best rate lies inside the range tried."""
    if isinstance(found, Results):
        return _check_search(found)
    absent = [Narrative((say_absent(found, value),), capitalize(found.name(value))) for value in found.absent]
    return Chapter((_check_search(found), *absent))


@by_level(head_levels)
def _check_search(results: Results) -> Told:
    return Narrative((VOCABULARY["all_finished"](results), VOCABULARY["edge_of_range"](results)))


def compare_rates(found: Found) -> Told:
    """Return how the rates differ on validation: pace, smoothness, accuracy, loss, and whether these two agree.

    Of several levels, first how they compare with one another.
    """
    if isinstance(found, Results):
        return _compare_rates(found)
    across = Narrative((best_rate_moves(found), *compare_tuned(found)), title=f"From one {found.noun} to another")
    return Chapter((across, _compare_rates(found)))


@by_level(fold_levels)
def _compare_rates(results: Results) -> Told:
    pairs = choose_pairs(results)
    if not pairs:
        return Narrative(
            (),
            empty="There are no two rates that trained to the end and ended better than guessing, so nothing can be compared.",
        )
    if len(results.study.vary.seed) == 1:
        pairs = pairs[:1]  # one seed cannot compare any two: once said is enough
    several = results.study.fixed.epochs > 1
    claims = [_ask_either_way(results, "sooner", pair) for pair in pairs if several]
    claims += [_ask_either_way(results, "more_stable", pair) for pair in pairs if several]
    claims += [_ask_either_way(results, "higher", pair, metric="val_accuracy") for pair in pairs]
    claims += [_ask_either_way(results, "lower", pair, metric="val_loss") for pair in pairs]
    return Narrative((*claims, VOCABULARY["loss_ranks_as_accuracy"](results)))


def _ask_either_way(results: Results, name: str, pair: tuple[float, float], **arguments: str) -> Claim:
    """Ask whether one of two rates exceeds the other; the report asserts it of the one for which it may hold."""
    a, b = pair
    asked = VOCABULARY[name](results, a, b, **arguments)
    return VOCABULARY[name](results, b, a, **arguments) if asked.verdict == "contradicted" else asked


def conclude(found: Found) -> Told:
    """Return the choice; of several levels, that of a combination first."""
    if isinstance(found, Results):
        return _choose(found)
    return Chapter((Narrative((best_combination(found),)), _choose(found)))


@by_level(head_levels)
def _choose(results: Results) -> Told:
    return Narrative((VOCABULARY["choice"](results),))


def check_published(results: Found) -> Narrative:
    """Return what our results say of each claim of the earlier report that the study names."""
    if results.study.published is None or isinstance(results, Levels):
        return Narrative(())
    published = results.study.published.claim
    claims = [ask(results, one) for one in published]
    claims = [
        replace(one, sentence=f"{one.sentence} {said.remark}".strip())
        for one, said in zip(claims, published, strict=True)
    ]
    asserted = tuple(f"({place}) {one.says}" for place, one in enumerate(published, start=1))
    return Narrative(tuple(claims), title=results.study.published.title, asserted=asserted)


def ask_everything(found: Found) -> list[Claim]:
    """Return every claim of the report, in its order."""
    parts = (check_search(found), observe_rates(found), compare_rates(found), conclude(found), check_published(found))
    return [one for part in parts for one in part.claims]


def write_paragraphs(found: Found) -> dict[str, Paragraph]:
    """Return every paragraph of the report that is no claim, by what it is about."""
    paragraphs = {"answer": answer(found), "data": describe_data(found)}
    for name, one in suggest_by_level(found).items():
        paragraphs[f"range_test with {name}" if name else "range_test"] = one
    return paragraphs | {"conditions": state_conditions(found)}
