"""From an assessment to the frames that figures draw, and the figures with their captions and the numbers behind them."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from lrreport.inference.assessment import CPU_SECONDS, Assessment
from lrreport.inference.measurements import Measurements
from lrreport.inference.sections import rank_levels
from lrreport.inference.statistics import estimate_mean
from lrreport.inference.story import find_thin
from lrreport.report.colors import color_levels
from lrreport.report.errors_by_class import ClassErrors
from lrreport.report.figures.curves import DASHES, Line, Panel, draw_curves
from lrreport.report.figures.decision import Decision, Row, draw_decision
from lrreport.report.figures.figure import Figure
from lrreport.report.figures.heat_map import draw_differences, draw_grid
from lrreport.report.figures.range_test import draw_range_test
from lrreport.report.figures.score import ScorePanel, draw_scores
from lrreport.report.load import RangeCurve
from lrreport.report.svg import NARROW, WIDE
from lrreport.report.table import Table
from lrreport.report.tables import name_column, order_rows
from lrreport.study.factors import Factor
from lrreport.study.formats import MINUS, capitalize, count_nouns, format_count, list_words
from lrreport.study.metrics import Metric, split_name

MOST_ROWS, MOST_LINES, MOST_COLORED, MOST_NAMED = 12, 60, 6, 8  # levels of the decision figure; lines, in colour, named
MOST_ACROSS = 4  # columns of a grid for which a phone has room
MOST_BEFORE = 6  # rows of the decision figure above the next step; a longer figure stands below it
Notes = Mapping[str, Mapping[int, str]]  # heading -> level -> a few words


def _draw_both(draw: Callable[[float], str]) -> tuple[str, str]:
    return draw(WIDE), draw(NARROW)


def show_decision(assessment: Assessment, notes: Notes, most: int = MOST_ROWS) -> Figure | None:
    """Return the decision figure: of two factors the grid, else a row for each level, of many those that matter."""
    if len(assessment.measurements.factors) > 1:
        return show_grid(assessment)
    shown, label = arrange_decision(assessment, notes, most), _describe_decision(assessment)
    if not shown.rows:
        return None
    wide, narrow = _draw_both(lambda width: draw_decision(shown, width, label))
    tall = len(shown.rows) > MOST_BEFORE
    return Figure("decision", label, _explain_decision(assessment, shown.rows), wide, narrow, tall=tall)


def arrange_decision(assessment: Assessment, notes: Notes, most: int = MOST_ROWS) -> Decision:
    """Return what the decision figure shows: a row for each level in the study's order, of many for those that matter."""
    measurements, table, leader = assessment.measurements, assessment.decision.table, assessment.decision.leader
    metric, rows = measurements.metric, []
    for index in order_rows(assessment, most):
        difference, low, high = (math.nan,) * 3
        if index == leader:
            difference = 0.0
        elif leader is not None and table.n[index] and table.n[leader]:
            estimate = assessment.compare_scores(index, leader, metric.name)
            difference, low, high = estimate.mean, estimate.low, estimate.high
        row = table.loc[index]
        rows.append(
            Row(
                name=measurements.levels[index].name,
                values=tuple(map(float, assessment.scores[metric.name][index].dropna())),
                mean=float(row["mean"]), low=float(row.low), high=float(row.high),
                difference=difference, difference_low=low, difference_high=high,
                may_be_best=bool(row.may_be_best), notes=tuple(column.get(index, "") for column in notes.values()),
            )
        )  # fmt: skip
    name = measurements.levels[leader].name if leader is not None else ""
    return Decision(rows, metric, measurements.margin, name, list(notes))


def _describe_decision(assessment: Assessment) -> str:
    measurements, table = assessment.measurements, assessment.decision.table
    parts = [
        f"{measurements.levels[i].name} {measurements.metric.format(float(table['mean'][i]))}"
        + ("" if table.may_be_best[i] else " (ruled out)")
        for i in order_rows(assessment, MOST_ROWS)
        if math.isfinite(table["mean"][i])
    ]
    return f"{capitalize(measurements.metric.label)} by level: {', '.join(parts) or 'no run trained'}."


def explain_bars(assessment: Assessment) -> str:
    """Return what the bars of a mean score are, with the number of seeds: "bars 95 % intervals over seeds (n = 5)"."""
    counts = sorted({int(n) for n in assessment.decision.table.n if n > 0})
    if not counts or counts[-1] < 2:
        return ""
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"bars 95 % intervals over seeds (n = {n})"


def _explain_decision(assessment: Assessment, rows: Sequence[Row]) -> str:
    table = assessment.decision.table
    bars = explain_bars(assessment)
    text = f"Rings are seeds{f', discs means, {bars}' if bars else ''}"
    ruled_out = (~table.may_be_best[table.n > 0]).any()
    chooses = assessment.decision.reason != "no choice"
    text += ("; blue may be the best, grey is ruled out" if ruled_out else "; blue may be the best") if chooses else ""
    text += "."
    if table.n_failed.any():
        text += " Failed: diverged, or no better than guessing."
    if any("Unclear" in row.notes for row in rows):
        text += " Unclear: the seeds do not agree enough to tell."
    left_out = int((table.n_runs > 0).sum()) - len(rows)
    if left_out > 0:
        text += f" {format_count(left_out)} more levels are in the table of results."
    return text


def show_grid(assessment: Assessment) -> Figure | None:
    """Return the grid of two factors with the mean of each combination; a factor of many values goes down, at any width."""
    measurements, table = assessment.measurements, assessment.decision.table
    first, second = measurements.factors
    across = sorted(first.values) if first.numeric else list(first.values)
    down = list(second.values)
    metric, thin = measurements.metric, find_thin(assessment)
    kinds = pd.DataFrame("", index=list(map(second.format, down)), columns=list(map(first.format, across)))
    levels = kinds.astype(object)  # the index of each combination, nothing where there is none
    for level in measurements.levels:
        row, column = down.index(level.values[second.name]), across.index(level.values[first.name])
        entry = table.loc[level.index]
        if not entry.n_runs:
            continue
        levels.iat[row, column] = level.index
        kind = "leader" if level.index == assessment.decision.leader else "best" if entry.may_be_best else "out"
        kinds.iat[row, column] = "few" if level.index in thin else kind
    titles = (capitalize(second.label), capitalize(first.label))
    if len(across) > MOST_ACROSS and len(across) >= len(down):
        kinds, levels, titles = kinds.T, levels.T, titles[::-1]
    means = [float(mean) for mean in table["mean"] if math.isfinite(mean)]
    most = count_decimals(metric, means)
    forms = [
        levels.map(partial(_write_cell, assessment, digits, with_counts))
        for with_counts in (True, False)
        for digits in range(most, -1, -1)
    ]
    label = _describe_decision(assessment)
    extreme = "highest" if metric.better == "higher" else "lowest"
    unit = "%" if metric.scale == "fraction" else metric.unit
    caption = f"Mean {metric.label}{f', {unit},' if unit else ''} over the seeds that trained. Star: {extreme} mean"
    caption += "." if assessment.decision.reason == "no choice" else "; framed: may be the best; grey: ruled out."
    if (kinds == "few").any(axis=None):
        caption += " Dashed: too few seeds to judge."
    if ((table.n > 0) & (table.n_failed > 0)).any():
        example = table[(table.n > 0) & (table.n_failed > 0)].iloc[0]
        caption += f" ({example.n:.0f}/{example.n_runs:.0f}): {example.n:.0f} of {example.n_runs:.0f} runs trained."
    rows = zip(kinds.index, forms[0].to_numpy(), strict=True)
    data = Table("", (titles[0], *kinds.columns), tuple((name, *map(str, row)) for name, row in rows))
    wide, narrow = _draw_both(lambda width: draw_grid(forms, kinds, *titles, width, label))
    return Figure("grid", label, caption, wide, narrow, data, tall=len(kinds) > MOST_BEFORE)


def _write_cell(assessment: Assessment, digits: int, with_counts: bool, level: "int | str") -> str:
    """Return what the cell of a combination says: its mean with so many decimals, and how many of its runs trained."""
    if level == "":
        return ""
    row, metric = assessment.decision.table.loc[level], assessment.measurements.metric
    if not row.n:
        return "failed"
    counts = f" ({row.n}/{row.n_runs})" if row.n_failed and with_counts else ""
    return f"{write_decimals(metric, float(row['mean']), digits)}{counts}"


def count_decimals(metric: Metric, values: Sequence[float]) -> int:
    """Return the decimals that a column of values takes so that all have as many: those of the largest value alone."""
    texts = [metric.format(value, unit=False) for value in values]
    return min((len(text.partition(".")[2]) for text in texts), default=metric.digits)


def write_decimals(metric: Metric, value: float, digits: int) -> str:
    """Return a value of a metric with exactly so many decimals, without its unit."""
    text = f"{value * (100 if metric.scale == 'fraction' else 1):,.{digits}f}"
    return text.replace("-", MINUS)


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
    wide, narrow = _draw_both(lambda width: draw_curves("curves", panels, lines, axis, width, label))
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
    wide, narrow = _draw_both(lambda width: draw_curves("gap", [panel], lines, axis, width, label))
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
    wide, narrow = _draw_both(lambda width: draw_curves("pace", panels, lines, "CPU seconds of one run", width, label))
    means_of = "Means over seeds, at" if (assessment.decision.table.n > 1).any() else "At"
    return Figure("pace", label, f"{means_of} the end of each {spent.index.name}.", wide, narrow)


def show_scores(assessment: Assessment) -> Figure | None:
    """Return the final score and the final loss against the factor, a thin line a seed; None for fewer than three levels."""
    measurements, decision = assessment.measurements, assessment.decision
    if len(measurements.factors) > 1 or len(assessment.compared) < 3:
        return None
    factor = measurements.factors[0]
    metrics = [measurements.metric]
    if assessment.loss is not None and assessment.loss.name != measurements.metric.name:
        metrics.append(assessment.loss)
    panels = []
    for metric in metrics:
        scores = assessment.scores[metric.name][list(assessment.compared)].dropna(axis=1, how="all")
        if scores.shape[1] < 3:
            continue
        values = [measurements.levels[int(i)].values[factor.name] for i in scores.columns]
        estimates = [estimate_mean(scores[i].dropna(), 1, assessment.resolutions[metric.name]) for i in scores.columns]
        limits = pd.DataFrame([[metric.clip(e.low), metric.clip(e.high)] for e in estimates], index=values).T
        best = [bool(decision.table.may_be_best[i]) for i in scores.columns]
        scores = scores.set_axis(values, axis=1)
        panels.append(
            ScorePanel(name_column(metric), metric, scores, scores.mean(), limits, pd.Series(best, index=values))
        )
    if not panels:
        return None
    label = f"{capitalize(list_words([panel.metric.label for panel in panels]))} at the end, by {factor.label}."
    wide, narrow = _draw_both(lambda width: draw_scores(panels, factor, width, label))
    return Figure("scores", label, "Thin lines join the runs of one seed.", wide, narrow)


def show_classes(assessment: Assessment, errors: ClassErrors) -> Figure | None:
    """Return how far each class is above or below the leader's accuracy at the remaining levels, as a heat map."""
    names, leader = [assessment.measurements.levels[i].name for i in errors.levels], errors.base
    shown = [i for i in errors.levels if i != leader]
    if not shown:
        return None
    frame = pd.DataFrame({i: 100 * (errors.accuracy[i] - errors.accuracy[leader]) for i in shown})
    texts = frame.map(lambda value: f"{value:+.1f}".replace("-", MINUS))
    frame.columns = texts.columns = pd.Index([name_briefly(assessment.measurements, i) for i in shown])
    scores = [f"{100 * value:.1f}" for value in errors.accuracy[leader]]
    base, brief = assessment.measurements.levels[leader].name, name_briefly(assessment.measurements, leader)
    best_first = rank_levels(assessment)
    ranks = [best_first.index(i) if i in best_first else len(best_first) for i in shown]
    label = f"Test accuracy of each class: difference from {base}, for {list_words(names)}."
    wide, narrow = _draw_both(lambda width: draw_differences(frame, texts, scores, ranks, f"{brief}, %", width, label))
    rows = tuple((str(name), scores[i], *texts.iloc[i]) for i, name in enumerate(frame.index))
    table = Table("", ("Class", f"{brief}, %", *map(str, frame.columns)), rows)
    caption = (
        f"Test accuracy of each class at {base} and differences from it in points, means over seeds; blue is better, "
        "orange worse."
    )
    if errors.left_out:
        caption += f" {count_nouns(errors.left_out, 'class', 'classes')} with smaller differences left out."
    return Figure("classes", label, caption, wide, narrow, table)


def show_range_test(name: str, curve: RangeCurve, tried: Sequence[float], suggested: float | None, unit: str) -> Figure:
    """Return a range test: the loss, averaged over seeds and over steps as its reading is, by the growing learning rate."""
    mean = pd.Series(curve.losses.mean(axis=0))
    smooth = mean.ewm(alpha=0.05).mean().where(np.isfinite(mean)).to_numpy()
    at = math.nan if suggested is None else suggested
    label = f"Training loss while the learning rate grows{f', {name}' if name else ''}."
    wide, narrow = _draw_both(lambda width: draw_range_test(curve.rates, smooth, list(tried), at, unit, width, label))
    caption = f"{f'{capitalize(name)}: the' if name else 'The'} loss at each step, averaged over seeds and neighbouring steps."
    return Figure(f"range-test{f'-{hash_text(name)}' if name else ''}", label, caption, wide, narrow)


def hash_text(text: str) -> int:
    """Return a small number that is the same for the same text in every process."""
    return sum((i + 1) * ord(char) for i, char in enumerate(text)) % 100_000
