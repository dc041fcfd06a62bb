"""Two axes at once: how each learning rate ends with each value of the other setting."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lrreport.report.claims.levels import find_candidates
from lrreport.report.figures.panels import LISTED, NARROW, WIDE, compare_ends, find_limits, pick_evenly, say_picked
from lrreport.report.formats import capitalize, format_percent, format_rate, format_setting
from lrreport.report.pictures import INK, STYLE, Picture
from lrreport.report.results import Found, Levels, Results
from lrreport.report.table import Table

METRIC = "val_accuracy"
SHADES = sns.light_palette("#0b5394", as_cmap=True)
DARK, WHITE = "#000000", "#ffffff"  # numbers and frames on light and on dark cells, whatever the page
CROWDED = 0.55  # inches a cell: narrower ones have smaller numbers


def draw_grid(found: Found) -> Picture | None:
    """Draw the mean validation accuracy of each learning rate (across) with each value of the second axis (down).

    None for a study without a second axis.
    """
    if isinstance(found, Results):
        return None
    rates = pick_evenly(sorted(found.study.vary.learning_rate), LISTED)
    names = [format_setting(value) for value in found.levels]
    means = pd.DataFrame(
        {rate: [_find_mean(one, rate) for one in found.levels.values()] for rate in rates}, index=names
    )
    floor = find_limits(found, (METRIC,), by_epoch=False).get("accuracy")
    wide, narrow = (_plot_grid(found, means, floor, **size) for size in (WIDE, NARROW))
    cut = f" All cells below {format_percent(floor)} have one shade." if floor else ""
    caption = (
        f"Mean validation accuracy in percent{say_picked(rates, found.study.vary.learning_rate)}. In each row the leading rate "
        f"is bold, and a frame is round those that “best rate moves” cannot rule out as the best.{cut}"
    )
    said = compare_ends(found, METRIC, "highest", "lowest")
    alt = f"A grid of validation accuracy, learning rates across, {found.noun} down. {said}"
    return Picture(wide, alt, caption, _tabulate_grid(found, means), narrow=narrow)


def _find_mean(results: Results, rate: float) -> float:
    """Return the mean over seeds, NaN where there is none: no run, or a seed that diverged."""
    return float(results.values(rate, METRIC).mean()) if rate in results.complete_rates else float("nan")


def _plot_grid(found: Levels, means: pd.DataFrame, floor: float | None, width: float) -> Figure:
    known = means.to_numpy()[means.notna()]
    low = floor or float(known.min(initial=1.0))
    crowded = width / means.shape[1] < CROWDED
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(width, 1.0 + 0.42 * len(means)), layout="constrained")
        axis = figure.subplots()
        labels = list(map(format_rate, means.columns))
        sns.heatmap(means, ax=axis, vmin=low, vmax=known.max(initial=low), cmap=SHADES, cbar=False, xticklabels=labels)
        candidates = find_candidates(found)
        for row, value in enumerate(found.levels):
            for column, rate in enumerate(means.columns):
                may_lead = candidates.get(value, ())
                _mark_cell(
                    axis, row, column, means.iat[row, column], rate in may_lead, may_lead[:1] == (rate,), crowded
                )
        axis.set(xlabel="learning rate", ylabel="", title=f"Validation accuracy (%), {found.noun} down")
        axis.tick_params(length=0)
        axis.tick_params(axis="y", rotation=0)
        axis.tick_params(axis="x", rotation=45 if crowded else 0)
    return figure


def _mark_cell(axis: Axes, row: int, column: int, mean: float, framed: bool, bold: bool, crowded: bool) -> None:
    """Write a cell's number into it, and put a frame round it if it may be the best."""
    shade = INK.light if np.isnan(mean) else _contrast(axis.collections[0].to_rgba(np.array([mean]))[0])
    text = "–" if np.isnan(mean) else f"{100 * mean:.{0 if crowded else 1}f}"
    weight, size = "bold" if bold else "normal", 8 if crowded else 9.5
    middle = (column + 0.5, row + 0.5)
    axis.text(*middle, text, ha="center", va="center", fontsize=size, fontweight=weight, color=shade)
    if framed:
        corner = (column + 0.05, row + 0.08)
        axis.add_patch(Rectangle(corner, 0.9, 0.84, fill=False, edgecolor=shade, linewidth=1.8))


def _contrast(color: Sequence[float]) -> str:
    """Return what can be read on a colour: dark on light ones (relative luminance, WCAG 2.2)."""
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in color[:3])
    return DARK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else WHITE


def _tabulate_grid(found: Levels, means: pd.DataFrame) -> Table:
    frame = means.map(lambda mean: "" if np.isnan(mean) else format_percent(mean)).rename(columns=format_rate)
    return Table(frame.rename_axis(capitalize(found.axis)).reset_index(), "Mean validation accuracy over seeds.")
