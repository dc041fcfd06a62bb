"""Frame in, Figure out; nothing is computed here but where to draw, and nothing is saved."""

from lrreport.report.figures.accuracy import draw_accuracy_by_rate
from lrreport.report.figures.curves import draw_curves
from lrreport.report.figures.grid import draw_grid
from lrreport.report.figures.one_run import draw_confusion, draw_images, draw_seeds
from lrreport.report.figures.range_test import draw_range, draw_range_test

__all__ = [
    "draw_accuracy_by_rate",
    "draw_confusion",
    "draw_curves",
    "draw_grid",
    "draw_images",
    "draw_range",
    "draw_range_test",
    "draw_seeds",
]
