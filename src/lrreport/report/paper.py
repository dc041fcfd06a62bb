"""Figures for papers and slides by seaborn and matplotlib: SVG with real text, PDF with embedded fonts, and the card as PNG."""

import io
import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullFormatter

from lrreport.report.illustrate import average_curves, choose_lines, explain_bars, list_curve_metrics
from lrreport.report.tables.results import name_column, order_rows

if TYPE_CHECKING:
    from lrreport.report.document import Document

BLUE, GRAY, INK = "#0b5cad", "#767f8c", "#1b212c"
MOST_ROWS = 20
DEFAULTS = {  # of matplotlib, independent of the user's matplotlibrc
    key: value
    for key, value in mpl.rcParamsDefault.items()
    if not key.startswith(("backend", "interactive", "keymap", "toolbar", "tk.", "webagg"))
}
METADATA: Mapping[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def make_style(font: str = "sans-serif", size: float = 9.0) -> dict[Any, Any]:
    """Return matplotlib's settings for figures: text stays text, fonts are embedded as type 42, nothing is mathtext."""
    theme: dict[Any, Any] = sns.axes_style("ticks")
    return DEFAULTS | theme | {
        "font.family": font, "font.size": size, "axes.titlesize": size, "axes.labelsize": size, "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1, "axes.spines.top": False, "axes.spines.right": False, "pdf.fonttype": 42,
        "svg.fonttype": "none", "svg.hashsalt": "lrreport", "text.parse_math": False, "text.color": INK,
    }  # fmt: skip


def draw_files(document: "Document") -> dict[str, bytes]:
    """Return by file name the figures of a document for papers, and the card: the same bytes for the same document."""
    figures = document.loaded.study.figures
    style = make_style(figures.font, figures.size)
    files: dict[str, bytes] = {}
    with mpl.rc_context(style):
        drawn = {"scores": draw_scores(document, figures.width), "curves": draw_curves(document, figures.width)}
        for name, canvas in drawn.items():
            if canvas is not None:
                files |= {f"{name}.{kind}": _save(canvas, kind) for kind in ("svg", "pdf")}
    with mpl.rc_context(make_style(size=15.0)):
        files["card.png"] = _save(draw_card(document), "png")
    return files


def _save(canvas: Canvas, kind: str) -> bytes:
    stream = io.BytesIO()
    canvas.savefig(stream, format=kind, metadata=METADATA[kind])
    return stream.getvalue()


def draw_scores(document: "Document", width: float) -> Canvas | None:
    """Draw the score of each level: seeds as points, mean and 95 % interval."""
    n = len(order_rows(document.assessment, MOST_ROWS))
    if not document.assessment.compared:
        return None
    canvas = Canvas(figsize=(width, 0.8 + 0.32 * n), layout="constrained")
    _draw_rows(canvas.subplots(), document, MOST_ROWS)
    return canvas


def _draw_rows(axes: Axes, document: "Document", most: int) -> None:
    assessment = document.assessment
    metric, table = assessment.measurements.metric, assessment.decision.table
    factor = 100.0 if metric.scale == "fraction" else 1.0
    rows = order_rows(assessment, most)
    for row, index in enumerate(rows):
        entry = table.loc[index]
        color = BLUE if entry.may_be_best else GRAY
        seeds = factor * assessment.scores[metric.name][index].dropna()
        if not len(seeds):
            axes.text(0.01, row, "no seed trained", color=GRAY, va="center", transform=axes.get_yaxis_transform())
            continue
        sns.scatterplot(
            x=seeds, y=[row + 0.22] * len(seeds), ax=axes, s=16, facecolor="none", edgecolor=color, linewidth=0.9
        )
        if math.isfinite(entry.low):
            axes.plot(
                [factor * entry.low, factor * entry.high], [row, row], color=color, linewidth=2, solid_capstyle="butt"
            )
        axes.plot([factor * entry["mean"]], [row], "o", color=color, markersize=5)
    names = [assessment.measurements.levels[index].name for index in rows]
    axes.set_yticks(range(len(rows)), [textwrap.shorten(name, 40, placeholder="…") for name in names])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    bars = explain_bars(assessment)
    axes.set_xlabel(f"{name_column(metric)}{f'; {bars}' if bars else ''}")
    axes.set_ylabel("")


def draw_curves(document: "Document", width: float) -> Canvas | None:
    """Draw the mean curves of the metric that decides and of the loss, the leading levels in colour."""
    assessment = document.assessment
    metrics, lines = list_curve_metrics(assessment), choose_lines(assessment)
    if not metrics or not lines:
        return None
    canvas = Canvas(figsize=(width, 0.42 * width), layout="constrained")
    panels = canvas.subplots(1, len(metrics), squeeze=False)[0]
    labelled: dict[str, Any] = {}
    for axes, metric in zip(panels, metrics, strict=True):
        frame = assessment.curves[metric.name]
        factor = 100.0 if metric.scale == "fraction" else 1.0
        means = average_curves(frame)
        for level, curve in sorted(
            means.items(), key=lambda item: lines[item[0]].colors is not None if item[0] in lines else False
        ):
            line = lines.get(level)
            if line is None:
                continue
            color = line.colors[0] if line.colors else GRAY
            (drawn,) = axes.plot(curve.index, factor * curve, color=color, linewidth=1.5 if line.colors else 0.8)
            if line.name:
                labelled[line.name] = drawn
        axes.set_title(name_column(metric), loc="left")
        axes.set_xlabel(str(frame.index.name))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if labelled:
        canvas.legend(
            labelled.values(), labelled.keys(), loc="outside lower center", ncols=min(4, len(labelled)), frameon=False
        )
    return canvas


def draw_card(document: "Document") -> Canvas:
    """Draw the answer above the scores, 1200 × 630 pixels."""
    canvas = Canvas(figsize=(12, 6.3), dpi=100, facecolor="white")
    answer = "\n".join(textwrap.wrap(document.story.answer.text, 54)[:2])
    canvas.text(0.05, 0.93, textwrap.shorten(document.kicker, 120, placeholder="…"), size=13, color=GRAY, va="top")
    canvas.text(0.05, 0.87, answer, size=25, weight="bold", va="top", linespacing=1.25)
    if document.assessment.compared:
        axes = canvas.add_axes((0.2, 0.14, 0.74, 0.5))
        _draw_rows(axes, document, 6)
    return canvas
