"""The decision figure, and the grid of two factors: their rows, captions and the numbers behind them."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from lrreport.inference.assessment import Assessment
from lrreport.inference.story import find_thin
from lrreport.report.figures.decision import Decision, Row, draw_decision
from lrreport.report.figures.figure import Figure, draw_both
from lrreport.report.figures.heat_map import draw_grid
from lrreport.report.table import Table
from lrreport.report.tables.results import order_rows
from lrreport.study.formats import MINUS, capitalize, format_count
from lrreport.study.metrics import Metric

MOST_ROWS = 12  # levels of the decision figure
MOST_ACROSS = 4  # columns of a grid for which a phone has room
MOST_BEFORE = 6  # rows of the decision figure above the next step; a longer figure stands below it
Notes = Mapping[str, Mapping[int, str]]  # heading -> level -> a few words


def show_decision(assessment: Assessment, notes: Notes, most: int = MOST_ROWS) -> Figure | None:
    """Return the decision figure: of two factors the grid, else a row for each level, of many those that matter."""
    if len(assessment.measurements.factors) > 1:
        return show_grid(assessment)
    shown, label = arrange_decision(assessment, notes, most), _describe_decision(assessment)
    if not shown.rows:
        return None
    wide, narrow = draw_both(lambda width: draw_decision(shown, width, label))
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
    rows = zip(kinds.index, forms[0].to_numpy(), strict=True)
    data = Table("", (titles[0], *kinds.columns), tuple((name, *map(str, row)) for name, row in rows))
    wide, narrow = draw_both(lambda width: draw_grid(forms, kinds, *titles, width, label))
    return Figure(
        "grid",
        label,
        _explain_grid(assessment, bool((kinds == "few").any(axis=None))),
        wide,
        narrow,
        data,
        tall=len(kinds) > MOST_BEFORE,
    )


def _explain_grid(assessment: Assessment, has_few: bool) -> str:
    """Return the caption of a grid; `has_few` adds what marks combinations with too few seeds."""
    table, metric = assessment.decision.table, assessment.measurements.metric
    extreme = "highest" if metric.better == "higher" else "lowest"
    unit = "%" if metric.scale == "fraction" else metric.unit
    caption = f"Mean {metric.label}{f', {unit},' if unit else ''} over the seeds that trained. Star: {extreme} mean"
    caption += "." if assessment.decision.reason == "no choice" else "; framed: may be the best; grey: ruled out."
    if has_few:
        caption += " Dashed: too few seeds to judge."
    if ((table.n > 0) & (table.n_failed > 0)).any():
        example = table[(table.n > 0) & (table.n_failed > 0)].iloc[0]
        caption += f" ({example.n:.0f}/{example.n_runs:.0f}): {example.n:.0f} of {example.n_runs:.0f} runs trained."
    return caption


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
