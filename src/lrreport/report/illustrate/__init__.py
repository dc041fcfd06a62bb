"""From an assessment to the frames that figures draw, and the figures with their captions and the numbers behind them."""

from lrreport.report.illustrate.curves import (
    average_curves,
    choose_lines,
    list_curve_metrics,
    show_curves,
    show_gap,
    show_pace,
    span_curves,
)
from lrreport.report.illustrate.decision import arrange_decision, explain_bars, show_decision, show_grid
from lrreport.report.illustrate.scores import show_classes, show_range_test, show_scores

__all__ = [
    "arrange_decision",
    "average_curves",
    "choose_lines",
    "explain_bars",
    "list_curve_metrics",
    "show_classes",
    "show_curves",
    "show_decision",
    "show_gap",
    "show_grid",
    "show_pace",
    "show_range_test",
    "show_scores",
    "span_curves",
]
