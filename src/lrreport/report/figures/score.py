"""The final score against a factor: each seed joined across the levels, the means above them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lrreport.report.scales import label_levels, list_ticks, make_scale, place_value, scale_factor
from lrreport.report.svg import Drawing
from lrreport.study.factors import Factor
from lrreport.study.metrics import Metric

HEIGHT = 250.0
MOST_DETAILED = 40  # levels whose seeds are drawn; of more, means and intervals alone


@dataclass(frozen=True)
class ScorePanel:
    """The scores of a metric: seeds × values of the factor, with the mean and interval of each value (rows low, high).

    `may_be_best` marks values that are drawn in blue.
    """

    title: str
    metric: Metric
    scores: pd.DataFrame
    means: "pd.Series[float]"
    limits: pd.DataFrame
    may_be_best: "pd.Series[bool]"


def draw_scores(panels: Sequence[ScorePanel], factor: Factor, width: float, label: str) -> str:
    """Return the panels as SVG, side by side or, where the figure is narrow, stacked."""
    wide = width > 600
    n_columns = min(len(panels), 2) if wide else 1
    drawing = Drawing(width, math.ceil(len(panels) / n_columns) * (HEIGHT + 20))
    cell = width / n_columns
    for index, panel in enumerate(panels):
        x, y = cell * (index % n_columns), (HEIGHT + 20) * (index // n_columns)
        _draw_panel(drawing, panel, factor, (x + 44, y + 30, x + cell - 16, y + HEIGHT - 26))
    return drawing.to_svg(label, "wide" if wide else "narrow")


def _draw_panel(drawing: Drawing, panel: ScorePanel, factor: Factor, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    across = scale_factor(factor, left, right)
    positions = [across(place_value(factor, value)) for value in panel.scores.columns]
    values = [*panel.scores.to_numpy(dtype=float).ravel(), *panel.limits.to_numpy(dtype=float).ravel()]
    down = make_scale([v for v in values if panel.metric.clip(v) == v], bottom, top)
    drawing.text(left - 40, top - 14, panel.title, "title", width=right - left + 40)
    for value, text in list_ticks(down, 100.0 if panel.metric.scale == "fraction" else 1.0, most=5, vertical=True):
        drawing.line(left, down(value), right, down(value), "grid")
        drawing.text(left - 6, down(value) + 4, text, "small", "end")
    for value, text in label_levels(factor, across, 12.0):
        drawing.line(across(value), bottom, across(value), bottom + 4, "rule")
        drawing.text(across(value), bottom + 17, text, "small", "middle")
    log = ", logarithmic" if across.log else ""
    drawing.text(right, bottom + 33, f"{factor.label}{log}", "small faint", "end")
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    detailed = len(positions) <= MOST_DETAILED
    for _, seed in panel.scores.iterrows() if detailed else ():
        drawing.path([(positions[i], down(float(seed.iloc[i]))) for i in order], "curve context")
    for i in order:
        value = panel.scores.columns[i]
        kind = "best" if panel.may_be_best[value] else "out"
        low, high = (float(limit) for limit in panel.limits[value])
        mean = float(panel.means[value])
        if not math.isfinite(mean):
            continue
        if math.isfinite(low):
            drawing.line(
                positions[i],
                down(min(max(low, down.low), down.high)),
                positions[i],
                down(min(high, down.high)),
                f"bar {kind}",
            )
        drawing.circle(
            positions[i], down(mean), 4.5, f"disc {kind}", title=f"{factor.format(value)}: {panel.metric.format(mean)}"
        )
        for score in panel.scores[value].dropna() if detailed else ():
            drawing.circle(positions[i] + 7, down(float(score)), 2.2, f"ring {kind}")
