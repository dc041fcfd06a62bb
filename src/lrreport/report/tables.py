"""The tables of results, settings and provenance, as text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from lrreport.inference.assessment import CPU_SECONDS, Assessment
from lrreport.record.record import RunRecord
from lrreport.report.load import LoadedReport
from lrreport.report.table import Table
from lrreport.study.factors import OPTION_LABELS, Factor, FrozenTable, label_setting
from lrreport.study.formats import capitalize, count_nouns, format_count, format_percent, format_setting, list_words
from lrreport.study.metrics import Metric, split_name
from lrreport.study.settings import MLP, Training
from lrreport.study.study import Study

MOST_ROWS = 24  # of a table in the page; results.csv has all
LISTED = 12  # values that a table lists singly
DATASET_NAMES = {
    "fashion_mnist": "Fashion-MNIST", "sample": "a sample of Fashion-MNIST", "mnist": "MNIST", "kmnist": "KMNIST",
    "qmnist": "QMNIST", "cifar10": "CIFAR-10",
}  # fmt: skip
FACTS = ("commit", "python", "cpu", "cpu_count", "platform", "device", "threads")


def choose_metrics(assessment: Assessment) -> list[Metric]:
    """Return the metrics of the table of results: the deciding metric, its counterparts on further splits, and the losses."""
    measurements = assessment.measurements
    names = [measurements.decide.metric]
    parts = split_name(measurements.decide.metric)
    quantity = parts[1] if parts else None
    names += [f"{prefix}_{quantity}" for prefix in ("test", "train") if quantity]
    names += [f"{prefix}_loss" for prefix in ("val", "train")]
    if len(names) == 1 or parts is None:
        names += list(measurements.metrics)
    known = [measurements.metrics[name] for name in dict.fromkeys(names) if name in measurements.metrics]
    return [
        metric for metric in known if metric.name != CPU_SECONDS and assessment.scores[metric.name].notna().any().any()
    ][:6]


def describe_spread(values: "pd.Series[float]", metric: Metric) -> str:
    """Return "mean ± standard deviation" of a metric, the mean alone for one value, a dash for none."""
    known = values.dropna()
    if known.empty:
        return "–"
    mean = metric.format(float(known.mean()), unit=False)
    return mean if len(known) < 2 else f"{mean} ± {metric.format_difference(float(known.std()), unit=False)}"


def name_column(metric: Metric) -> str:
    """Return the heading of a metric's column: its label with its unit."""
    unit = "%" if metric.scale == "fraction" else metric.unit
    return capitalize(metric.label) + (f", {unit}" if unit else "")


def order_rows(assessment: Assessment, most: int) -> list[int]:
    """Return the levels to show: all, or of many those that may be the best and the next best, in the study's order."""
    table, metric = assessment.decision.table, assessment.measurements.metric
    tried = [int(index) for index in table.index[table.n_runs > 0]]
    if len(tried) <= most:
        return tried

    def rank(index: int) -> tuple[bool, float]:
        mean = float(table["mean"][index])
        return not table.may_be_best[index], -metric.sign * mean if math.isfinite(mean) else math.inf

    return sorted(sorted(tried, key=rank)[:most])


def tabulate_results(assessment: Assessment) -> Table:
    """Return a row for each level: mean ± standard deviation over its seeds of the main metrics, seconds, seeds."""
    measurements, decision = assessment.measurements, assessment.decision
    metrics, shown = choose_metrics(assessment), order_rows(assessment, MOST_ROWS)
    seconds = total_seconds(assessment)
    headings = [*(capitalize(factor.label) for factor in measurements.factors), *map(name_column, metrics)]
    headings += ["CPU seconds"] if seconds else []
    largest, rows = max(seconds.values(), default=0.0), []
    for index in shown:
        cells = [describe_spread(assessment.scores[metric.name][index], metric) for metric in metrics]
        cells += [format_seconds(seconds.get(index, math.nan), largest)] if seconds else []
        n, n_runs = int(decision.table.n[index]), int(decision.table.n_runs[index])
        level = measurements.levels[index]
        names = [level.name]
        if len(measurements.factors) > 1:
            names = [factor.format(level.values[factor.name]) for factor in measurements.factors]
        rows.append((*names, *cells, str(n) if n == n_runs else f"{n} of {n_runs}"))
    point = assessment.point.text
    several = int(decision.table.n.max()) > 1
    caption = f"{'Mean ± standard deviation over seeds' if several else 'One seed each'}, {point}."
    if any(metric.name.startswith("train_") for metric in metrics) and measurements.paired:
        caption += (
            " Training values average over an epoch in which the network keeps improving, so they lag behind validation "
            "values, taken at its end."
        )
    left_out = int((decision.table.n_runs > 0).sum()) - len(shown)
    if left_out:
        caption += f" {format_count(left_out)} more levels are in results.csv."
    return Table("results", (*headings, "Seeds"), tuple(rows), caption, n_labels=len(measurements.factors))


def total_seconds(assessment: Assessment) -> dict[int, float]:
    """Return the mean CPU seconds of a run of each level, where they are recorded and comparable; else {}."""
    spent = assessment.curves.get(CPU_SECONDS)
    runs = assessment.measurements.runs
    machines = [runs[fact].nunique(dropna=False) for fact in ("host", "cpu") if fact in runs]
    if max(machines, default=1) > 1:
        return {}
    if spent is not None:
        totals = spent.sum()
        return {int(level): float(values.mean()) for level, values in totals.groupby(level="level")}
    if "cpu_seconds" in runs and runs.cpu_seconds.notna().all():
        return {int(level): float(values.mean()) for level, values in runs.groupby("level").cpu_seconds}
    return {}


def format_seconds(seconds: float, largest: float) -> str:
    """Return a time with the decimals that give the largest of its column three digits, at most two; a dash for none.

    >>> format_seconds(4.068, 4.2), format_seconds(15.2, 115.0), format_seconds(0.0751, 0.22)
    ('4.07', '15', '0.08')
    """
    if not math.isfinite(seconds):
        return "–"
    return f"{seconds:,.{min(2, max(0, 2 - int(math.log10(max(largest, 1)))))}f}"


def list_settings(study: Study) -> dict[str, Any]:
    """Return the settings that are fixed and not at their defaults, by path; of a producer of the user's, all of them."""
    varied = {factor.name for factor in study.factors}
    if not study.has_own_loop:
        return {
            name: value for name, value in flatten(study.settings_of(study.levels[0])).items() if name not in varied
        }
    defaults = flatten(Training().model_dump(mode="json", exclude_none=True))
    every = [flatten(study.settings_of(level)) for level in study.levels]
    common = {}
    for name in dict.fromkeys(name for row in every for name in row):
        values = {str(row.get(name)): row.get(name) for row in every if name in row}
        if name not in varied and len(values) == 1 and not any(name.startswith(f"{setting}.") for setting in varied):
            value = next(iter(values.values()))
            if defaults.get(name) != value or name in ("dataset", "epochs", "batch_size"):
                common[name] = value
    return common


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by path; the name in a table stands under the path of the table."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        path = prefix if name == "name" and prefix else f"{prefix}.{name}" if prefix else name
        flat |= flatten(value, path) if isinstance(value, Mapping) else {path: value}
    return flat


def tabulate_settings(study: Study, seeds: Sequence[int | str]) -> Table:
    """Return what the study varies, the seeds that every level should have, and what is fixed and not at its default."""
    rows = []
    for factor in study.factors:
        values = [_explain_value(factor, value) for value in factor.values]
        if len(values) > LISTED:
            values = [f"{format_count(len(values))} values, {values[0]} to {values[-1]}"]
        rows.append((capitalize(factor.label), list_words(values), "varied" if len(factor.values) > 1 else "fixed"))
    shown = [str(seed) for seed in seeds] or ["different in each level"]
    listed = list_words(shown) if len(shown) <= LISTED else f"{format_count(len(shown))}, {shown[0]} to {shown[-1]}"
    rows.append(("Seeds", listed, "repeats"))
    for name, value in list_settings(study).items():
        rows.append((capitalize(label_setting(name)), format_option(name, value), "fixed"))
    caption = "What varies and what is fixed; settings at their defaults are left out." if study.has_own_loop else ""
    return Table("settings", ("Setting", "Value", "Role"), tuple(rows), caption, n_labels=3)


def _explain_value(factor: Factor, value: Any) -> str:
    """Return a value of a factor as reports name it, and behind a label what that stands for."""
    text = factor.format(value)
    plain = value.spell_out() if isinstance(value, FrozenTable) else text
    return text if text == plain else f"{text} ({plain})"


def format_option(name: str, value: Any) -> str:
    """Return the value of a setting as a reader sees it: "Adam", "Fashion-MNIST", "128 × 64"."""
    if name == "dataset":
        return DATASET_NAMES.get(str(value), str(value))
    if isinstance(value, str):
        return OPTION_LABELS.get(value, value.replace("_", " ") if ":" not in value else value)
    return format_setting(value)


def describe_network(study: Study) -> str:
    """Return the network of our loop in a few words: "MLP 128 × 64"; an empty text for another producer's."""
    if not study.has_own_loop or any(factor.name.startswith("model") for factor in study.factors):
        return ""
    model = study.training_of(study.levels[0]).model
    if isinstance(model, MLP):
        return f"MLP {format_setting(model.hidden_sizes)}" if model.hidden_sizes else "one linear layer"
    return str(model.name)


def describe_data(records: Iterable[RunRecord], study: Study) -> list[str]:
    """Return sentences on what the examples are used for and whether any occurs twice, as far as the records say."""
    record = next(iter(records), None)
    if record is None:
        return []
    sizes, sentences = record.description.get("split_sizes", {}), []
    noun = (
        "images"
        if study.has_own_loop and study.settings_of(study.levels[0]).get("dataset") in DATASET_NAMES
        else "examples"
    )
    train, validation, test = (sizes.get(name) for name in ("train", "validation", "test"))
    if train:
        text = f"Training uses {format_count(train)} {noun}."
        if validation and test:
            text += f" {format_count(validation)} others (validation) choose;"
            text += f" {format_count(test)} more (test) are scored once, at the end."
        elif validation:
            text += f" {format_count(validation)} others (validation) choose."
        elif test:
            text += f" {format_count(test)} others (test) are scored once, at the end."
        sentences.append(text)
    equal = record.description.get("equal_images", {})
    if equal:
        sentences.append(_describe_equal(equal, noun))
    if record.description.get("n_parameters"):
        sentences.append(f"The network has {format_count(record.description['n_parameters'])} parameters.")
    return sentences


def _describe_equal(counts: Mapping[str, int], noun: str) -> str:
    overlaps = {name: count for name, count in counts.items() if count}
    singular = noun.removesuffix("s")
    if not overlaps:
        return f"No {singular} occurs twice, within a split or across splits (compared byte by byte)."
    parts = []
    for name, count in overlaps.items():
        first, _, second = name.partition(" and ")
        verb = "repeats" if count == 1 else "repeat"
        parts.append(
            f"{count_nouns(count, singular)} of {second} {verb} one of {first}"
            if second
            else f"{count_nouns(count, singular)} of {first} {verb} another of it"
        )
    return f"{capitalize(list_words(parts))} (compared byte by byte)."


def tabulate_provenance(loaded: LoadedReport) -> Table:
    """Return where and with what the runs were made, as far as their records say."""
    records = [run.record for run in loaded.kept.values()]
    facts = [record.facts for record in records]
    rows = []
    for name in FACTS:
        values = sorted({str(fact[name]) for fact in facts if fact.get(name) is not None})
        if values:
            dirty = name == "commit" and any(fact.get("dirty") for fact in facts)
            rows.append(
                (
                    capitalize(name.replace("_", " ")),
                    list_words(values) + (", with changes not committed" if dirty else ""),
                )
            )
    hosts: dict[str, int] = {}
    for fact in facts:
        if fact.get("host"):
            hosts[str(fact["host"])] = hosts.get(str(fact["host"]), 0) + 1
    if len(hosts) > 1:
        rows += [(f"Host {host}", count_nouns(count, "run")) for host, count in hosts.items()]
    packages = sorted({name for fact in facts for name in fact.get("packages", {})})
    for name in packages:
        versions = sorted({str(fact["packages"][name]) for fact in facts if name in fact.get("packages", {})})
        rows.append((name, list_words(versions)))
    data = {name: digest for record in records for name, digest in record.identity.data.items()}
    for name, digest in data.items():
        rows.append((f"SHA-256 of {name}", f"{digest[:16]}…"))
    mixed = sorted({str(fact["mixed"]) for fact in facts if "mixed" in fact})
    rows += [("Other versions", text) for text in mixed]
    return Table("provenance", ("Fact", "Value"), tuple(rows), "", n_labels=2)


def tabulate_notes(loaded: LoadedReport) -> Table:
    """Return what an import left out, merged, missed or guessed, and why runs are missing."""
    notes = [(capitalize(note.kind), note.text, format_count(note.count)) for note in loaded.contents.notes]
    notes += [("Missing", f"{name}: {reason}", "1") for name, reason in loaded.contents.failures.items()]
    return Table("notes", ("Kind", "What and why", "Times"), tuple(notes), "", n_labels=2)


def write_colophon(loaded: LoadedReport, command: str) -> str:
    """Return how the runs were made in a line or two: commit, versions, data, and the command that makes them again."""
    records = [run.record for run in loaded.kept.values()]
    facts = [record.facts for record in records]
    commits = {
        f"{str(fact['commit'])[:7]}{' with changes' if fact.get('dirty') else ''}"
        for fact in facts
        if fact.get("commit")
    }
    pythons = {f"Python {fact['python']}" for fact in facts if fact.get("python")}
    torch = {f"torch {fact['packages']['torch']}" for fact in facts if "torch" in fact.get("packages", {})}
    parts = [f"at commit {list_words(sorted(commits))}"] if commits else []
    parts += [f"with {list_words([*sorted(pythons), *sorted(torch)])}"] if pythons or torch else []
    data = {name: digest for record in records for name, digest in record.identity.data.items()}
    if data:
        first, digest = next(iter(data.items()))
        parts.append(f"from data whose {first} has the SHA-256 {digest[:12]}…")
    made = f"{count_nouns(len(records), 'run')}{' ' if parts else ''}{', '.join(parts)}."
    return f"{made} Reproduce with: {command}" if command else made


def frame_runs(assessment: Assessment) -> pd.DataFrame:
    """Return a row per run for results.csv: factors, seed, status, final values of every metric, as plain numbers."""
    measurements = assessment.measurements
    frame = measurements.runs.copy()
    for position, factor in enumerate(measurements.factors):
        values = {level.index: level.values[factor.name] for level in measurements.levels}
        column = [values[index] if factor.numeric else factor.format(values[index]) for index in frame.level]
        frame.insert(position, factor.name, column)
    ends = measurements.values[measurements.values.axis == "end"]
    wide = ends.pivot_table(index=["level", "seed"], columns="metric", values="value", aggfunc="last", sort=False)
    wide = wide[[name for name in measurements.metrics if name in wide]]
    return frame.merge(wide, how="left", left_on=["level", "seed"], right_index=True).drop(columns="level")


def format_percentage(share: float) -> str:
    """Return a share as percent with one decimal: "12.3 %"."""
    return format_percent(share, 1)
