"""The table of results, and results.csv: means and spreads of the main metrics by level, and every run."""

import math

import pandas as pd

from lrreport.inference.assessment import CPU_SECONDS, Assessment
from lrreport.report.table import Table
from lrreport.study.formats import capitalize, format_count
from lrreport.study.metrics import Metric, split_name

MOST_ROWS = 24  # of a table in the page; results.csv has all


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
