"""Curves of the metrics, of the gap to training and of the pace: which levels are drawn, how, and from which means."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from lrreport.inference.assessment import CPU_SECONDS, Assessment
from lrreport.inference.measurements import Measurements
from lrreport.report.colors import color_levels
from lrreport.report.figures.curves import DASHES, Line, Panel, draw_curves
from lrreport.report.figures.figure import Figure, draw_both
from lrreport.report.table import Table
from lrreport.report.tables.results import name_column, order_rows
from lrreport.study.factors import Factor
from lrreport.study.formats import capitalize, format_count
from lrreport.study.metrics import Metric, split_name

MOST_LINES, MOST_COLORED, MOST_NAMED = 60, 6, 8  # lines, in colour, named


def choose_lines(assessment: Assessment) -> dict[int, Line]:
    """Return how each level's line is drawn: the leading levels in colour in the order of their values, the rest grey."""
    measurements, decision = assessment.measurements, assessment.decision
    table, metric = decision.table, measurements.metric
    tried = order_rows(assessment, MOST_LINES)
    leading = [i for i in tried if table.may_be_best[i] or table.good_enough[i]] or tried
    leading = sorted(leading, key=lambda i: (i != decision.leader, -metric.sign * _number(table["mean"][i])))[
        :MOST_COLORED
    ]
    colors = _choose_colors(measurements, leading)
    named = set(tried) if len(tried) <= MOST_NAMED else set(leading)
    dashes = {
        i: DASHES[index % len(DASHES)] for index, i in enumerate(sorted(leading, key=lambda i: i != decision.leader))
    }
    return {
        i: Line(name_briefly(measurements, i) if i in named else "", colors.get(i), dashes.get(i, "")) for i in tried
    }


def _choose_colors(measurements: Measurements, leading: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return a colour for each leading level: the explorer's colours for few levels of a single factor."""
    first = measurements.factors[0]
    if len(measurements.factors) == 1 and len(first.values) <= MOST_NAMED:
        palette = color_levels(len(first.values))
        return {i: palette[first.values.index(measurements.levels[i].values[first.name])] for i in leading}
    ordered = sorted(leading, key=lambda i: _order_level(measurements.factors, measurements.levels[i].values))
    return dict(zip(ordered, color_levels(len(ordered)), strict=True))


def name_briefly(measurements: Measurements, level: int) -> str:
    """Return what a level is called in a figure, of two factors the values alone: "0.01 · 32"."""
    if len(measurements.factors) == 1:
        return measurements.levels[level].name
    return " · ".join(factor.format(measurements.levels[level].values[factor.name]) for factor in measurements.factors)


def _number(value: float) -> float:
    return float(value) if math.isfinite(value) else -math.inf


def _order_level(factors: Sequence[Factor], values: Mapping[str, object]) -> tuple[float, ...]:
    return tuple(float(values[f.name]) if f.numeric else float(f.values.index(values[f.name])) for f in factors)  # type: ignore[arg-type]


def average_curves(frame: pd.DataFrame, runs: "pd.MultiIndex | None" = None) -> "dict[int, pd.Series[float]]":
    """Return by level the mean curve over its seeds, where all that are there have a value; the untrained start left out."""
    later = frame[frame.index > 0] if (frame.index > 0).sum() > 1 else frame
    means = {}
    for level in dict.fromkeys(frame.columns.get_level_values("level")):
        seeds = later.xs(level, axis=1, level="level").dropna(axis=1, how="all")
        full = seeds.dropna()
        if len(full):
            means[int(level)] = full.mean(axis=1)
    return means


def span_curves(frame: pd.DataFrame, levels: Sequence[int]) -> dict[int, pd.DataFrame]:
    """Return by level the lowest and the highest seed at each point (points × 2), for levels with several seeds."""
    later, spans = frame[frame.index > 0] if (frame.index > 0).sum() > 1 else frame, {}
    for level in levels:
        if level in frame.columns.get_level_values("level"):
            seeds = later.xs(level, axis=1, level="level").dropna(axis=1, how="all").dropna()
            if seeds.shape[1] > 1 and len(seeds) > 1:
                spans[level] = pd.DataFrame({"low": seeds.min(axis=1), "high": seeds.max(axis=1)})
    return spans


def list_curve_metrics(assessment: Assessment) -> list[Metric]:
    """Return the metrics whose curves are drawn: the deciding metric and the loss."""
    names = [assessment.measurements.decide.metric]
    names += [assessment.loss.name] if assessment.loss is not None else []
    return [assessment.measurements.metrics[n] for n in dict.fromkeys(names) if _has_curve(assessment.curves.get(n))]


def _has_curve(frame: pd.DataFrame | None) -> bool:
    return frame is not None and (frame.notna().sum() > 1).any()


def show_curves(assessment: Assessment) -> Figure | None:
    """Return the curves of the metric that decides and of the loss; None without any."""
    metrics, lines = list_curve_metrics(assessment), choose_lines(assessment)
    if not metrics:
        return None
    colored = [level for level, line in lines.items() if line.colors]
    panels, rows, axis = [], [], "epoch"
    for metric in metrics:
        frame = assessment.curves[metric.name]
        axis = str(frame.index.name)
        means = {level: curve for level, curve in average_curves(frame).items() if level in lines}
        panels.append(Panel(name_column(metric), metric, means, span_curves(frame, colored)))
        rows += [
            (
                assessment.measurements.levels[level].name,
                metric.label,
                f"{curve.index[-1]:g}",
                metric.format(float(curve.iloc[-1])),
            )
            for level, curve in means.items()
            if level in colored
        ]
    label = f"{capitalize(' and '.join(metric.label for metric in metrics))} by {axis}; numbers below."
    wide, narrow = draw_both(lambda width: draw_curves("curves", panels, lines, axis, width, label))
    table = Table("", ("Level", "Metric", capitalize(f"last {axis}"), "Mean"), tuple(rows), n_labels=2)
    several = any(panel.ranges for panel in panels)
    caption = "Means over seeds; bands reach from the lowest seed to the highest." if several else ""
    if not several and (assessment.decision.table.n > 1).any():
        caption = "Means over seeds."
    left_out = len(
        {level for metric in metrics for level in assessment.curves[metric.name].columns.unique("level")}
    ) - len(lines)
    if len(colored) < len(lines):
        caption += " Grey: ruled out."
    if left_out > 0:
        caption += f" {format_count(left_out)} more are in the explorer."
    return Figure("curves", label, caption.strip(), wide, narrow, table)


def show_gap(assessment: Assessment) -> Figure | None:
    """Return by how much validation is worse than training at each point, on the metric that decides or else the loss."""
    measurements, lines = assessment.measurements, choose_lines(assessment)
    colored = [level for level, line in lines.items() if line.colors]
    for metric in list_curve_metrics(assessment):
        parts = split_name(metric.name)
        train = measurements.metrics.get(f"train_{parts[1]}") if parts else None
        if train is None or not _has_curve(assessment.curves.get(train.name)) or metric.split == "train":
            continue
        axis = str(assessment.curves[metric.name].index.name)
        gap = metric.sign * (assessment.curves[train.name] - assessment.curves[metric.name])
        gap = gap.dropna(how="all").rename_axis(index=axis)
        means = {level: curve for level, curve in average_curves(gap).items() if level in lines}
        if means:
            return _draw_gap(metric, means, span_curves(gap, colored), lines, axis)
    return None


def _draw_gap(
    metric: Metric,
    means: "dict[int, pd.Series[float]]",
    spans: dict[int, pd.DataFrame],
    lines: Mapping[int, Line],
    axis: str,
) -> Figure:
    unit = f", {metric.difference_unit}" if metric.difference_unit else ""
    panel = Panel(f"{capitalize(metric.label)} worse than in training{unit}", metric, means, spans, differences=True)
    label = f"By how much the {metric.label} is worse than in training, by {axis}."
    wide, narrow = draw_both(lambda width: draw_curves("gap", [panel], lines, axis, width, label))
    caption = "Training averages over an epoch in which the network improves, so early gaps are below 0."
    return Figure("gap", label, caption if axis == "epoch" else "", wide, narrow)


def show_pace(assessment: Assessment) -> Figure | None:
    """Return the deciding metric against the mean seconds spent, if recorded on a single machine."""
    metric, runs = assessment.measurements.metric, assessment.measurements.runs
    spent, frame = assessment.curves.get(CPU_SECONDS), assessment.curves.get(metric.name)
    if spent is None or frame is None or spent.index.name != frame.index.name:
        return None
    if max((runs[fact].nunique(dropna=False) for fact in ("host", "cpu") if fact in runs), default=1) > 1:
        return None
    lines = choose_lines(assessment)
    seconds, means = average_curves(spent.fillna(0).cumsum()), average_curves(frame)
    curves = {}
    for level, curve in means.items():
        if level in seconds and level in lines:
            at = seconds[level].reindex(curve.index)
            curves[level] = pd.Series(curve.to_numpy(), index=at.to_numpy()).loc[at.notna().to_numpy()]
    curves = {level: curve for level, curve in curves.items() if len(curve) > 1 and curve.index.is_monotonic_increasing}
    if not curves:
        return None
    panels = [Panel(f"{name_column(metric)}, against CPU seconds", metric, curves, {})]
    label = f"{capitalize(metric.label)} by CPU seconds spent on training."
    wide, narrow = draw_both(lambda width: draw_curves("pace", panels, lines, "CPU seconds of one run", width, label))
    means_of = "Means over seeds, at" if (assessment.decision.table.n > 1).any() else "At"
    return Figure("pace", label, f"{means_of} the end of each {spent.index.name}.", wide, narrow)
