"""Claims about the whole search: did it finish, was it wide enough, do its metrics agree, and which rate to choose?"""

import numpy as np

from lrreport.report.claims.claim import (
    Claim,
    Verdict,
    claim,
    count_pairs,
    find_learning,
    has_spread,
    list_rates,
    not_testable,
    quantify,
    quantify_limit,
    quantify_rates,
    why_untestable,
)
from lrreport.report.claims.differences import adjust_metric, find_unbeaten, say_unbeaten, say_without_spread
from lrreport.report.command import describe_command
from lrreport.report.formats import Quantity, count_nouns, format_rate
from lrreport.report.results import Results
from lrreport.report.stats import ALPHA, estimate_mean

METRIC = "val_accuracy"  # rates are compared and chosen on validation; test decides nothing
EDGE_RULE = (
    "Supported if the lowest or highest rate tried is among those that the leading rate does not beat on validation "
    "accuracy in a paired t test over seeds at 0.05."
)
RANKS_RULE = (
    "Of the pairs of rates that a paired t test over seeds at 0.05, adjusted for all pairs (Holm), tells apart on validation "
    "loss and on validation accuracy: supported if the better by accuracy has the lower loss in each, contradicted if not."
)
CHOICE_RULE = (
    "The rate with the highest mean validation accuracy; supported if it beats every other rate, each in a paired "
    "t test over seeds at 0.05. They are beaten all at once, so their "
    "number needs no correction (intersection–union). "
    "Test accuracy is read once, after the choice."
)


@claim
def all_finished(results: Results) -> Claim:
    """Every run of the study trained to its last epoch."""
    rule = "Supported if the run of every learning rate is there and none of its seeds diverged."
    statuses = results.runs.groupby("learning_rate", sort=False).status
    diverged = statuses.apply(lambda status: int((status == "diverged").sum()))
    broken = [rate for rate in results.rates if diverged[rate]]
    evidence = {
        "n": Quantity(len(results.runs), "count"),
        "n_rates": Quantity(len(results.rates), "count"),
        "n_diverged": Quantity(int(diverged.sum()), "count"),
        **quantify_rates("diverged", broken),
        **quantify_rates("missing", results.missing),
    }
    n_runs, n_rates = count_nouns(len(results.runs), "training run"), count_nouns(len(results.rates), "learning rate")
    text = f"{'All ' if len(results.runs) > 1 else 'The '}{n_runs} finished, at {n_rates}."
    if broken:
        text = (
            f"{evidence['n_diverged']} of {n_runs} diverged: at {list_rates(broken)}. "
            "A rate with a seed that diverged is left out of all comparisons."
        )
    if results.missing:
        text += f" There is no run at {list_rates(results.missing)}."
    verdict: Verdict = "contradicted" if broken or results.missing else "supported"
    return Claim("all_finished", {}, verdict, text, rule, len(results.runs), evidence=evidence)


@claim
def loss_ranks_as_accuracy(results: Results) -> Claim:
    """Validation loss puts the rates into the same order as validation accuracy does."""
    name = "loss_ranks_as_accuracy"
    reason = _why_no_comparison(results)
    if reason:
        return not_testable(name, {}, reason, RANKS_RULE)
    accuracy, loss = (adjust_metric(results, metric) for metric in (METRIC, "val_loss"))
    told_apart = np.argwhere(np.triu((accuracy < ALPHA) & (loss < ALPHA)))  # (n_apart, 2)
    high, lossy = (
        {rate: float(results.values(rate, one).mean()) for rate in results.rates} for one in (METRIC, "val_loss")
    )
    pairs_apart = ((accuracy.index[i], accuracy.columns[j]) for i, j in told_apart)
    apart = [(a, b) if high[a] > high[b] else (b, a) for a, b in pairs_apart]
    against = [(a, b) for a, b in apart if lossy[a] > lossy[b]]
    n_pairs = count_pairs(results)
    evidence = {
        "n": Quantity(len(results.study.vary.seed), "count"),
        "n_pairs": Quantity(n_pairs, "count"),
        "n_apart": Quantity(len(apart), "count"),
        "n_against": Quantity(len(against), "count"),
    }
    pairs = count_nouns(n_pairs, "pair")
    verdict: Verdict = "supported"
    if against:
        verdict, (a, b) = "contradicted", against[0]
        evidence |= {"rate": Quantity(a, "rate"), "than": Quantity(b, "rate")}
        text = (
            "Loss and accuracy disagree: {rate} ends with the higher validation accuracy than {than}, but also with the "
            "higher validation loss" + ("." if len(against) == 1 else f", as in {{n_against}} of {pairs} of rates.")
        )
    elif not apart:
        verdict = "not distinguishable"
        text = f"Whether loss ranks the rates as accuracy does is undecided: of {pairs} none is told apart on both."
    elif len(apart) == n_pairs:
        which = "the only pair" if n_pairs == 1 else f"all {pairs}"
        text = f"Validation loss ranks the rates as validation accuracy does: {which} of rates told apart on both, in one order."
    else:
        text = (
            "Validation loss ranks the rates as validation accuracy does, as far as can be told: of {n_pairs} pairs of "
            "rates {n_apart} "
            f"{'is' if len(apart) == 1 else 'are'} told apart on both, in one order."
        )
    return Claim(
        name, {}, verdict, text.format_map(evidence), RANKS_RULE, len(results.study.vary.seed), evidence=evidence
    )


@claim
def edge_of_range(results: Results) -> Claim:
    """A rate that may be the best lies at an end of the range tried, so better ones may lie outside."""
    reason = _why_no_comparison(results)
    if reason:
        return not_testable("edge_of_range", {}, reason, EDGE_RULE)
    unbeaten = find_unbeaten(results, METRIC, sign=1)
    lowest, highest = min(results.study.vary.learning_rate), max(results.study.vary.learning_rate)
    absent = [rate for rate in (lowest, highest) if rate in results.missing]
    if absent:
        reason = f"there is no run at {list_rates(absent)}, an end of the range"
        return not_testable("edge_of_range", {}, reason, EDGE_RULE, absent)
    added = [rate for rate in (_round(lowest / 3), _round(lowest / 10)) if lowest in unbeaten]
    added += [rate for rate in (_round(highest * 3), _round(highest * 10)) if highest in unbeaten]
    ends = [rate for rate in (highest, lowest) if rate in unbeaten]
    n = len(results.study.vary.seed)
    evidence = {"n": Quantity(n, "count"), **quantify_rates("rate", results.study.vary.learning_rate)}
    evidence |= quantify_rates("added", added)
    if not ends:
        text = (
            f"The best rate lies inside the range tried: neither {format_rate(lowest)} nor {format_rate(highest)} "
            "is among the rates that may be the best."
        )
        diverged = [rate for rate in (lowest, highest) if rate not in results.complete_rates]
        text += f" Training diverged at {list_rates(diverged)}." if diverged else ""
        return Claim("edge_of_range", {}, "contradicted", text, EDGE_RULE, n, evidence=evidence)
    which = "both ends" if len(ends) == 2 else f"the {'highest' if ends[0] == highest else 'lowest'} end"
    wider = tuple(sorted({*results.study.vary.learning_rate, *added}, reverse=True))
    command = describe_command(results.study.changed(learning_rate=wider))
    text = (
        f"The range tried may be too narrow: {list_rates(ends)}, at {which} of it, may be the best. "
        f"To look further, {f'run: {command}' if command else f'add {list_rates(added)} to the study.'}"
    )
    return Claim("edge_of_range", {}, "supported", text, EDGE_RULE, n, evidence=evidence)


def _round(rate: float) -> float:
    return float(f"{rate:.1g}")


def _why_no_comparison(results: Results) -> str:
    if len(results.study.vary.learning_rate) < 2:
        return "one rate only was tried"
    if len(results.complete_rates) < 2:
        return "only one rate trained to the end" if results.complete_rates else "no rate trained to the end"
    if not find_learning(results):
        return "every rate tried ends no better than guessing"
    return why_untestable(results, results.complete_rates)


@claim
def choice(results: Results) -> Claim:
    """One rate is the one to choose: it has the highest validation accuracy, apart from every other."""
    if not results.complete_rates:
        return not_testable("choice", {}, "training diverged at every rate", CHOICE_RULE)
    if not find_learning(results):
        return not_testable("choice", {}, "every rate tried ends no better than guessing", CHOICE_RULE)
    if len(results.rates) == 1:
        return _describe_only(results, results.rates[0])
    chosen, *rivals = sorted(results.complete_rates, key=lambda rate: -float(results.values(rate, METRIC).mean()))
    validation, test = (estimate_mean(results.values(chosen, metric)) for metric in (METRIC, "test_accuracy"))
    evidence = {
        "rate": Quantity(chosen, "rate"),
        "validation": quantify(validation.mean, METRIC),
        "test": quantify(test.mean, METRIC),
        "n": Quantity(validation.n, "count"),
        "n_rates": Quantity(len(results.complete_rates), "count"),
    }
    if validation.n < 2:
        equal = [rate for rate in rivals if float(results.values(rate, METRIC).mean()) == validation.mean]
        evidence |= quantify_rates("equal", equal)
        text = (
            f"{list_rates([chosen, *equal])} {'share' if equal else 'has'} the highest validation accuracy, {{validation}} "
            f"({{test}} on test{' for {rate}' if equal else ''}), but one seed cannot tell a difference from chance: run more "
            "seeds before choosing."
        )
        return Claim("choice", {}, "not testable", text.format_map(evidence), CHOICE_RULE, 1, evidence=evidence)
    evidence |= {"low": quantify_limit(test.low, METRIC), "high": quantify_limit(test.high, METRIC)}
    unbeaten = find_unbeaten(results, METRIC, sign=1)
    evidence |= quantify_rates("unbeaten", unbeaten)
    scores = "{validation}, and reaches {test} on test (95 % interval {low} to {high}, n = {n})"
    if not rivals:
        text = f"Only {{rate}} trained to the end: it has a validation accuracy of {scores}."
        return Claim(
            "choice", {}, "not testable", text.format_map(evidence), CHOICE_RULE, validation.n, evidence=evidence
        )
    if len(unbeaten) == 1:
        which = (
            "tried"
            if len(results.complete_rates) == len(results.study.vary.learning_rate)
            else "that trained to the end"
        )
        text = f"Choose {{rate}}: of the {{n_rates}} rates {which} it has the highest validation accuracy, {scores}."
        verdict: Verdict = "supported"
    else:
        leader = results.values(unbeaten[0], METRIC)
        alike = [one for one in unbeaten[1:] if not has_spread(estimate_mean(leader - results.values(one, METRIC)))]
        evidence |= quantify_rates("alike", alike)
        text = (
            f"No single rate is the best: {say_unbeaten(list(map(format_rate, unbeaten)), len(unbeaten))}. "
            f"{{rate}} has the highest mean, {scores}.{say_without_spread(list(map(format_rate, alike)))}"
        )
        verdict = "not distinguishable"
    return Claim(
        "choice", {}, verdict, text.format_map(evidence), CHOICE_RULE, validation.n,
        validation.mean, validation.low, validation.high, "fraction", evidence,
    )  # fmt: skip


def _describe_only(results: Results, rate: float) -> Claim:
    """Return the conclusion of a study of one rate: how it does, and nothing about a choice."""
    validation, test = (estimate_mean(results.values(rate, metric)) for metric in (METRIC, "test_accuracy"))
    evidence = {
        "rate": Quantity(rate, "rate"),
        "validation": quantify(validation.mean, METRIC),
        "test": quantify(test.mean, METRIC),
        "n": Quantity(validation.n, "count"),
    }
    text = (
        "{rate} reaches {validation} validation accuracy and {test} on test "
        f"({count_nouns(validation.n, 'seed')}); with one rate there is nothing to choose from."
    )
    return Claim("choice", {}, "not testable", text.format_map(evidence), CHOICE_RULE, validation.n, evidence=evidence)
