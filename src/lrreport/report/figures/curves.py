"""Curves: the mean over seeds of each level by epoch, step or second; the leading levels in colour, the rest grey."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lrreport.report.figures.figure import clip_name
from lrreport.report.scales import Scale, list_ticks, make_scale, spread_labels
from lrreport.report.svg import Drawing, measure_text, number, shorten
from lrreport.study.metrics import Metric

MOST_POINTS = 200  # of a line; more are thinned out evenly
HEIGHT = 250.0
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 4", "12 4")  # so that lines differ without colour too


@dataclass(frozen=True)
class Line:
    """How the line of a level is drawn: its name beside its end and its colours, or grey without a name."""

    name: str = ""
    colors: tuple[str, str] | None = None
    dashes: str = ""

    @property
    def style(self) -> str:
        """The colours as variables of CSS, and the dashes."""
        if self.colors is None:
            return ""
        dashes = f";stroke-dasharray:{self.dashes}" if self.dashes else ""
        return f"--light:{self.colors[0]};--dark:{self.colors[1]}{dashes}"


@dataclass(frozen=True)
class Panel:
    """A panel: its title, a metric's curves by level, and for coloured levels the lowest and highest seed (points × 2)."""

    title: str
    metric: Metric
    curves: "Mapping[int, pd.Series[float]]"
    ranges: Mapping[int, pd.DataFrame]
    differences: bool = False


def draw_curves(
    name: str, panels: Sequence[Panel], lines: Mapping[int, Line], axis: str, width: float, label: str
) -> str:
    """Return the panels as SVG, side by side or, where the figure is narrow, stacked."""
    wide = width > 600
    n_columns = min(len(panels), 2) if wide else 1
    n_rows = math.ceil(len(panels) / n_columns)
    drawing = Drawing(width, n_rows * (HEIGHT + 26) + 2)
    cell = width / n_columns
    names = max([measure_text(line.name, 12) for line in lines.values() if line.name] or [0.0])
    names = min(names, 0.3 * cell) + 14
    for index, panel in enumerate(panels):
        x, y = cell * (index % n_columns), (HEIGHT + 26) * (index // n_columns)
        box = (x + 44, y + 30, x + cell - names, y + HEIGHT - 14)
        _draw_panel(drawing, f"{name}-{index}", panel, lines, axis, box, names)
    return drawing.to_svg(label, "wide" if wide else "narrow")


def _draw_panel(
    drawing: Drawing,
    name: str,
    panel: Panel,
    lines: Mapping[int, Line],
    axis: str,
    box: tuple[float, float, float, float],
    names: float,
) -> None:
    left, top, right, bottom = box
    curves = {level: thin_out(curve) for level, curve in panel.curves.items()}
    points = [float(at) for curve in curves.values() for at in curve.index]
    across = make_scale(points, left, right, pad=0.0)
    down = scale_curves(curves, panel.ranges, lines, bottom, top)
    drawing.text(left - 40, top - 14, panel.title, "title", width=right - left + names + 36)
    _draw_ticks(drawing, panel, across, down, box, whole=all(at.is_integer() for at in points))
    drawing.text(right, bottom + 32, axis, "small faint", "end")
    clip = clip_name(name, drawing.width)
    drawing.clip(clip, left - 3, top - 3, right - left + 6, bottom - top + 6)
    order = sorted(curves, key=lambda level: lines.get(level, Line()).colors is not None)
    ends = {}
    for level in order:
        line, curve = lines.get(level, Line()), curves[level]
        if line.colors and level in panel.ranges:
            _draw_band(drawing, thin_out(panel.ranges[level]), across, down, line, clip)
        drawn = [(across(float(at)), down(float(value))) for at, value in curve.items()]
        drawing.path(drawn, "curve level" if line.colors else "curve context", line.style, clip)
        known = curve.dropna()
        if line.name and len(known):
            ends[level] = min(max(down(float(known.iloc[-1])), top), bottom)
    _draw_names(drawing, lines, ends, box, names)


def _draw_ticks(
    drawing: Drawing, panel: Panel, across: Scale, down: Scale, box: tuple[float, float, float, float], whole: bool
) -> None:
    """Draw horizontal grid lines and the numbers of both axes; `whole` leaves out fractions of epochs or steps."""
    left, _, right, bottom = box
    factor = 100.0 if panel.metric.scale == "fraction" else 1.0
    for value, text in list_ticks(down, factor, most=5, vertical=True):
        drawing.line(left, down(value), right, down(value), "zero" if panel.differences and value == 0 else "grid")
        drawing.text(left - 6, down(value) + 4, text, "small", "end")
    for value, text in list_ticks(across, 1.0, most=max(2, min(6, int((right - left) // 50)))):
        if float(value).is_integer() or not whole:
            drawing.line(across(value), bottom, across(value), bottom + 4, "rule")
            drawing.text(across(value), bottom + 17, text, "small", "middle")


def _draw_names(
    drawing: Drawing,
    lines: Mapping[int, Line],
    ends: dict[int, float],
    box: tuple[float, float, float, float],
    width: float,
) -> None:
    """Write the names of lines beside their ends, spread so that none overlap."""
    _, top, right, bottom = box
    heights = spread_labels(list(ends.values()), top, bottom, 14.0)
    for (level, end), y in zip(ends.items(), heights, strict=True):
        line = lines[level]
        drawing.line(right + 1, end, right + 8, y, "level leader" if line.colors else "grid", line.style)
        kind = "small level" if line.colors else "small faint"
        drawing.text(right + 10, y + 4, shorten(line.name, width - 12, 12), kind, style=line.style)


def _draw_band(drawing: Drawing, spread: pd.DataFrame, across: Scale, down: Scale, line: Line, clip: str) -> None:
    known = spread.dropna()
    if len(known) < 2:
        return
    low = [(across(float(at)), down(float(value))) for at, value in known.iloc[:, 0].items()]
    high = [(across(float(at)), down(float(value))) for at, value in known.iloc[:, 1].items()]
    path = "L".join(f"{number(x)} {number(y)}" for x, y in [*low, *reversed(high)])
    drawing.elements.append(f'<path d="M{path}Z" class="band level" style="{line.style}" clip-path="url(#{clip})"/>')


def thin_out(curve: Any, most: int = MOST_POINTS) -> Any:
    """Return at most so many points of a curve, evenly spread, the first and the last among them."""
    if len(curve) <= most:
        return curve
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, most).round().astype(int))]


def scale_curves(
    curves: "Mapping[int, pd.Series[float]]",
    ranges: Mapping[int, pd.DataFrame],
    lines: Mapping[int, Line],
    bottom: float,
    top: float,
) -> Scale:
    """Return a vertical scale that holds the coloured curves with their seeds, and of the grey what does not squeeze them."""
    colored = [level for level in curves if lines.get(level, Line()).colors]
    shown = _collect([curves[level] for level in colored or curves])
    spread = _collect([ranges[level][column] for level in colored if level in ranges for column in ranges[level]])
    shown = np.concatenate([shown, spread])
    if not len(shown):
        return Scale(0.0, 1.0, bottom, top)
    low, high = float(shown.min()), float(shown.max())
    every = _collect(list(curves.values()))
    room = high - low
    within = every[(every >= low - 1.5 * room) & (every <= high + 1.5 * room)]
    return make_scale([*within, low, high], bottom, top)


def _collect(curves: "Sequence[pd.Series[float]]") -> "np.ndarray[Any, np.dtype[np.float64]]":
    values = np.concatenate([curve.to_numpy(dtype=float) for curve in curves]) if curves else np.array([])
    finite: np.ndarray[Any, np.dtype[np.float64]] = values[np.isfinite(values)]
    return finite
