"""The tables of the report."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from lrreport.report.claims import VOCABULARY
from lrreport.report.claims.claim import (
    METRICS,
    find_learning,
    name_unit,
    quantify,
    quantify_difference,
    quantify_limit,
)
from lrreport.report.claims.differences import DETAILED_RATES, SHOWN_RATES, choose_pairs, rank_rates
from lrreport.report.formats import (
    MINUS,
    format_count,
    format_p,
    format_percent,
    format_rate,
    format_seconds,
    format_setting,
    list_words,
)
from lrreport.report.results import Found, Levels, Results, by_level, describe_losses
from lrreport.report.stats import estimate_mean, predict_next
from lrreport.report.table import Table, stack_tables
from lrreport.settings import Fixed
from lrreport.study import Study

MANY_RATES = 50  # more are not listed one by one among the settings
RESULT_METRICS = ("val_accuracy", "test_accuracy", "train_accuracy", "train_loss")


def describe_spread(values: Sequence[float] | pd.Series, metric: str) -> str:
    """Return "mean ± sd" of a metric, the mean alone for one value, and a dash where a seed diverged."""
    estimate = estimate_mean(values)
    if estimate.mean != estimate.mean:
        return "diverged"
    mean = str(quantify(estimate.mean, metric)).removesuffix(" %")
    unit = " %" if metric.endswith("accuracy") else ""
    return f"{mean}{unit}" if estimate.n < 2 else f"{mean} ± {quantify_difference(estimate.sd, metric)}{unit}"


def tabulate_results(found: Found) -> Table:
    """Return a row for each learning rate, of each level: mean ± sd over seeds of its losses and accuracies."""
    return _tabulate_results(found, mixed=len(found.find_machines()) > 1)


@by_level(stack_tables)
def _tabulate_results(results: Results, mixed: bool) -> Table:
    rows = []
    for rate in results.rates:
        cells = {METRICS[one].capitalize(): describe_spread(results.values(rate, one), one) for one in RESULT_METRICS}
        n = format_count(len(results.records[rate].seeds))
        rows.append({"Learning rate": format_rate(rate), **cells, **_show_time(results, rate, mixed), "Seeds": n})
    rows += [
        {"Learning rate": format_rate(rate)} | {METRICS[one].capitalize(): "missing" for one in RESULT_METRICS}
        for rate in results.missing
    ]
    caption = (
        "Mean ± standard deviation over seeds after the last epoch. Training figures are means over that epoch while the "
        "weights still change; validation and test are evaluated after it. "
        f"{describe_losses(results.study)} CPU seconds are "
    )
    if mixed:
        caption += "left out, since they cannot be compared from one machine to another."
    else:
        caption += "those of training one seed, the mean over those that train side by side."
    return Table(pd.DataFrame(rows).fillna(""), caption)


def _show_time(results: Results, rate: float, mixed: bool) -> dict[str, str]:
    """Return the cell with the CPU seconds of a rate; with its host instead where not all have the same."""
    if mixed:
        return {"Host": str(results.records[rate].facts.get("host", "unknown"))}
    return {"CPU seconds": format_seconds(results.values(rate, "cpu_seconds").mean())}


@by_level(stack_tables)
def tabulate_differences(results: Results, metric: str = "val_accuracy") -> Table:
    """Return a row for each pair of rates: their paired difference, its 95 % interval and the adjusted p."""
    unit = name_unit(metric)
    rows = []
    for a, b in choose_pairs(results):
        asked = VOCABULARY["higher"](results, a, b, metric)
        testable = asked.verdict != "not testable"
        rows.append(
            {
                "Pair": f"{format_rate(a)} {MINUS} {format_rate(b)}",
                f"Difference ({unit})": str(quantify_difference(asked.effect, metric)) if testable else "",
                "95 % interval": f"{_pair(asked.low, asked.high, metric)}" if testable else "not testable",
                "p (Holm)": format_p(asked.evidence["p"].value).removeprefix("= ") if testable else "",
                "Seeds": format_count(asked.n) if testable else "",
            }
        )
    which = (
        ""
        if len(find_learning(results)) <= DETAILED_RATES
        else " between the leading rate and others that end better than guessing"
    )
    caption = (
        f"Paired differences of the {METRICS[metric]}{which}; intervals are unadjusted, p-values allow for all pairs."
    )
    return Table(
        pd.DataFrame(rows, columns=["Pair", f"Difference ({unit})", "95 % interval", "p (Holm)", "Seeds"]), caption
    )


def _pair(low: float, high: float, metric: str) -> str:
    return f"{quantify_difference(low, metric)} to {quantify_difference(high, metric)}"


def tabulate_settings(study: Study) -> Table:
    """Return what the study varies and what it keeps fixed."""
    rows = [
        ("learning rate", _list_varied(study.vary.learning_rate), "varied"),
        ("seed", list_words([str(seed) for seed in study.vary.seed]), "repeats each rate"),
    ]
    axis, levels = study.vary.axis, study.levels()
    if axis is not None:
        rows.insert(1, (axis.replace("_", " "), list_words([format_setting(value) for value in levels]), "varied"))
    for name in Fixed.model_fields:
        values = [level.fixed.applying()[name] for level in levels.values() if name in level.fixed.applying()]
        if name != axis and values:
            where = "fixed" if len(values) == len(levels) else f"fixed, for {_list_owners(name, levels)}"
            rows.append((name.replace("_", " "), format_setting(values[0]), where))
    frame = pd.DataFrame(rows, columns=["Setting", "Value", "Role"])
    return Table(frame, "What was varied and what was fixed; every conclusion depends on the latter.", n_labels=3)


def _list_owners(name: str, levels: dict[Any, Study]) -> str:
    """Return the values of the second axis to which a setting belongs."""
    return list_words([format_setting(value) for value, level in levels.items() if name in level.fixed.applying()])


def _list_varied(rates: Sequence[float]) -> str:
    if len(rates) <= MANY_RATES:
        return list_words([format_rate(rate) for rate in rates])
    return f"{format_count(len(rates))} from {format_rate(min(rates))} to {format_rate(max(rates))}"


@by_level(stack_tables)
def tabulate_classes(results: Results) -> Table:
    """Return the test accuracy of each class at each rate, the mean over seeds."""
    columns = {}
    for rate in _choose_rates(results):
        counts = results.confusions(rate)  # (n_seeds, n_classes, n_classes)
        accuracies = counts.diagonal(axis1=1, axis2=2) / counts.sum(axis=2)
        columns[format_rate(rate)] = [format_percent(one) for one in accuracies.mean(axis=0)]
    names = next(iter(results.records.values())).class_names
    frame = pd.DataFrame({"Class": names, **columns})
    return Table(frame, f"Test accuracy of each class at {_name_chosen(results)}, mean over seeds.")


def _choose_rates(results: Results) -> list[float]:
    """Return the rates that learn, in the study's order; of very many, those that are best on validation."""
    learning = find_learning(results)
    if len(learning) <= SHOWN_RATES:
        return learning
    return [rate for rate in rank_rates(results, "val_accuracy", sign=1) if rate in set(learning)][:SHOWN_RATES]


def _name_chosen(results: Results) -> str:
    if len(find_learning(results)) <= SHOWN_RATES:
        return "each learning rate that ends better than guessing"
    return f"the {SHOWN_RATES} learning rates that are best on validation"


@by_level(stack_tables)
def tabulate_confusions(results: Results) -> Table:
    """Return for each rate the two classes that it takes for each other most often, mean ± sd over seeds."""
    rows = []
    for rate in _choose_rates(results):
        counts = results.confusions(rate)
        both = counts + counts.transpose(0, 2, 1)  # one for the other, and the other way round
        a, b = max(combinations(range(both.shape[1]), 2), key=lambda pair: both[:, *pair].mean())
        names, seen = results.records[rate].class_names, counts[0, [a, b]].sum()
        share = describe_spread(pd.Series(both[:, a, b] / seen), "test_accuracy")
        rows.append((format_rate(rate), f"{names[a]} and {names[b]}", share))
    caption = (
        f"The two classes confused most at {_name_chosen(results)}: which share of their test images is taken for the "
        "other, mean ± standard deviation over seeds."
    )
    return Table(pd.DataFrame(rows, columns=["Learning rate", "Classes", "Confused"]), caption, n_labels=2)


def tabulate_published(results: Found) -> Table:
    """Return the earlier report's numbers beside ours, and whether one more run of ours could have given them."""
    if results.study.published is None or isinstance(results, Levels):
        return Table(pd.DataFrame(), "This study names no earlier report to be checked.", n_labels=0)
    rows = []
    for said in results.study.published.result:
        for metric in ("train_loss", "train_accuracy", "test_accuracy"):
            number = getattr(said, metric)
            if number is not None:
                rows.append(_compare_published(results, said.learning_rate, metric, number))
    columns = ["Learning rate", "Metric", "Published", "Ours", "Ours − published", "One more run of ours", "Reproduced"]
    caption = (
        "The published numbers came from one run each, so they are compared with the 95 % prediction interval for one more "
        "run of ours. Outside it, our settings do not reproduce the number; that does not make it wrong."
    )
    return Table(pd.DataFrame(rows, columns=columns), caption, n_labels=2)


def _compare_published(results: Results, rate: float, metric: str, number: float) -> list[str]:
    values = results.values(rate, metric) if rate in results.complete_rates else pd.Series(dtype=float)
    first = [format_rate(rate), METRICS[metric], str(quantify(number, metric))]
    if values.empty:
        return [*first, "missing", "", "", "not testable"]
    unit = " points" if metric.endswith("accuracy") else ""
    difference = f"{quantify_difference(float(values.mean()) - number, metric)}{unit}"
    if len(values) < 2:
        return [*first, describe_spread(values, metric), difference, "", "not testable"]
    low, high = predict_next(values)
    span = f"{quantify_limit(low, metric)} to {quantify_limit(high, metric)}"
    return [*first, describe_spread(values, metric), difference, span, "yes" if low <= number <= high else "no"]


def tabulate_provenance(found: Found) -> Table:
    """Return where and with what the runs were made, as their records say."""
    records = found.named_records
    every = [record.facts for record in records.values()]
    names = ("commit", "python", "cpu", "cpu_count", "platform", "device", "threads")
    rows = [(name.replace("_", " "), _list_facts(every, name)) for name in names] + _list_exceptions(found)
    packages = sorted({name for facts in every for name in facts.get("packages", {})})
    rows += [
        (name, list_words(sorted({facts["packages"][name] for facts in every if name in facts.get("packages", {})})))
        for name in packages
    ]
    record = next(iter(records.values()))
    rows += [(f"SHA-256 of {name}", f"{digest[:16]}…") for name, digest in record.identity.data.items()]
    return Table(
        pd.DataFrame(rows, columns=["Fact", "Value"]), "How the runs were made, from their records.", n_labels=2
    )


def _list_exceptions(found: Found) -> list[tuple[str, str]]:
    """Return which runs each host made, where there are several, and which were made with other versions."""
    machines = found.find_machines()
    hosts = [(f"host {host} ({cpu})", list_words(names)) for (host, cpu), names in machines.items()]
    mixed = [
        (f"other versions at {name}", str(record.facts["mixed"]))
        for name, record in found.named_records.items()
        if "mixed" in record.facts
    ]
    return [*(hosts if len(machines) > 1 else []), *mixed]


def _list_facts(every: Sequence[dict[str, Any]], name: str) -> str:
    values = [facts.get(name) for facts in every]
    dirty = any(facts.get("dirty") for facts in every)
    shown = list_words(sorted({"unknown" if value is None else str(value) for value in values}))
    return f"{shown}, with changes not committed" if name == "commit" and dirty else shown
