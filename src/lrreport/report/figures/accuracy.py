"""Validation and test accuracy against the learning rate."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator, PercentFormatter

from lrreport.report.claims.claim import METRICS, quantify, quantify_limit
from lrreport.report.colors import Hue, color_rates
from lrreport.report.figures.panels import (
    NARROW,
    TABLE_ROWS,
    WIDE,
    Panel,
    compare_ends,
    find_limits,
    list_panels,
    list_results,
    pick_evenly,
    say_picked,
)
from lrreport.report.formats import format_percent, format_rate
from lrreport.report.pictures import FAINT, INK, STYLE, Picture, make_axes
from lrreport.report.results import Found, Levels, Results, by_level
from lrreport.report.stats import estimate_mean
from lrreport.report.table import Table, stack_tables

POINTS = 30  # rates whose intervals are drawn one by one; more are a line with a band
MANY_POINTS = 1000  # seeds over all rates that are points; more are a band from the lowest to the highest


def draw_accuracy_by_rate(found: Found) -> Picture:
    """Draw validation and test accuracy against the learning rate: every seed a point, the mean with its interval.

    Of several levels each has a row.
    """
    hues = color_rates(found.study.vary.learning_rate)
    wide, narrow = (_plot_accuracies(found, hues, n_columns) for n_columns in (2, 1))
    said = compare_ends(found, "val_accuracy", "highest", "lowest")
    panels = f"Panels for each {found.axis}" if isinstance(found, Levels) else "Two panels"
    alt = f"{panels}, validation and test accuracy against the learning rate on a log scale. {said}"
    floor = find_limits(found, ("val_accuracy", "test_accuracy"), by_epoch=False).get("accuracy")
    cut = f" A triangle stands for a mean below {format_percent(floor)}, where the axis is cut off." if floor else ""
    caption = f"{_explain_estimates(found)}{cut} {said}"
    return Picture(wide, alt, caption, _tabulate_estimates(found), tuple(hues.values()), narrow)


def _explain_estimates(found: Found) -> str:
    """Return what the marks in the figure of accuracies are."""
    results = max(list_results(found), key=lambda one: len(one.runs))
    seeds = "Each point is one seed"
    if len(results.runs) > MANY_POINTS:
        seeds = "The wide band goes from the lowest seed to the highest"
    if len(results.study.vary.seed) == 1:
        return f"{seeds}."
    if len(results.rates) > POINTS:
        return f"{seeds}, the line the mean over seeds in the band of its 95 % interval."
    return f"{seeds}, each diamond the mean over seeds with its 95 % interval."


def _plot_accuracies(found: Found, hues: Mapping[float, Hue], n_columns: int) -> Figure:
    panels = list_panels(found, ("val_accuracy", "test_accuracy"), n_columns)
    n_rows = len(panels) // n_columns
    height = (1.0 + 2.4 * n_rows) if n_columns == 2 else (0.4 + 2.4 * n_rows)
    figure, axes = make_axes(
        n_rows, n_columns, sharex=True, sharey=True, height=height, **(WIDE if n_columns == 2 else NARROW)
    )
    for axis, panel in zip(axes, panels, strict=True):
        results = panel.results
        with mpl.rc_context(STYLE):
            axis.set_xscale("log")
            _draw_estimates(axis, results, panel.metric, hues)
            _mark_diverged(axis, results, hues)
            axis.set_title(f"{METRICS[panel.metric].capitalize()}{panel.where}")
            axis.margins(x=0.15 if len(results.rates) <= 4 else 0.07)
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
            axis.tick_params(labelbottom=n_columns == 1 or axis in axes[-n_columns:])
    floor = find_limits(found, ("val_accuracy", "test_accuracy"), by_epoch=False).get("accuracy")
    if floor is not None:
        axes[0].set_ylim(bottom=floor)
        for axis, panel in zip(axes, panels, strict=True):
            _mark_below(axis, panel, floor, hues)
    with mpl.rc_context(STYLE):
        _label_rates(axes[-1], sorted({rate for panel in panels for rate in panel.results.rates}))
    for axis in axes[-n_columns:]:
        axis.set_xlabel("learning rate (log scale)")
    return figure


def _draw_estimates(axis: Axes, results: Results, metric: str, hues: Mapping[float, Hue]) -> None:
    rates = sorted(results.complete_rates)
    _draw_seeds(axis, {rate: results.values(rate, metric) for rate in rates}, hues)
    estimates = {rate: estimate_mean(results.values(rate, metric)) for rate in rates}
    if len(rates) > POINTS:
        ends = np.array([(one.mean, one.low, one.high) for one in estimates.values()]).clip(0, 1)
        axis.plot(rates, ends[:, 0], color=INK.light, linewidth=1.2)
        axis.fill_between(rates, ends[:, 1], ends[:, 2], color=FAINT.light, alpha=0.25, linewidth=0)
        return
    for rate, one in estimates.items():
        if one.n > 1:
            error = [[one.mean - max(one.low, 0.0)], [min(one.high, 1.0) - one.mean]]  # an accuracy, from 0 to 1
            axis.errorbar(
                rate, one.mean, error, fmt="D", color=hues[rate].light, markersize=5.5, capsize=4, linewidth=1.8
            )


def _draw_seeds(axis: Axes, scores: Mapping[float, "pd.Series[float]"], hues: Mapping[float, Hue]) -> None:
    """Draw every seed as a point; very many as a band."""
    if sum(map(len, scores.values())) > MANY_POINTS:
        ends = np.array([(values.min(), values.max()) for values in scores.values()])
        axis.fill_between(list(scores), ends[:, 0], ends[:, 1], color=FAINT.light, alpha=0.15, linewidth=0)
        return
    jitter = _find_jitter(list(scores))
    for rate, values in scores.items():
        places = rate * np.exp(np.linspace(-jitter, jitter, len(values))) if len(values) > 1 else [rate]
        axis.plot(places, values, "o", color=hues[rate].light, alpha=0.5, markersize=4.5, markeredgewidth=0)


def _find_jitter(rates: Sequence[float]) -> float:
    """Return how far to either side, in the logarithm of the rate, the points of a rate may lie."""
    return min(0.1, 0.2 * float(np.diff(np.log(rates)).min())) if len(rates) > 1 else 0.1


def _mark_diverged(axis: Axes, results: Results, hues: Mapping[float, Hue]) -> None:
    """Put a cross on the lower edge for each rate at which a seed diverged."""
    diverged = [rate for rate in results.rates if rate not in results.complete_rates]
    edge = axis.get_xaxis_transform()
    for rate in diverged:
        axis.plot(
            rate, 0.035, "x", color=hues[rate].light, transform=edge, markersize=7, markeredgewidth=2, clip_on=False
        )
    if diverged:
        middle = float(np.exp(np.mean(np.log(diverged))))
        axis.text(middle, 0.075, "diverged", transform=edge, ha="center", fontsize=9.5, color=FAINT.light)


def _mark_below(axis: Axes, panel: Panel, floor: float, hues: Mapping[float, Hue]) -> None:
    """Put a triangle on the lower edge for each rate whose mean lies below it, with the mean."""
    edge = axis.get_xaxis_transform()
    for rate in panel.results.complete_rates:
        mean = float(panel.results.values(rate, panel.metric).mean())
        if mean < floor:
            axis.plot(rate, 0.035, "v", color=hues[rate].light, transform=edge, markersize=7, clip_on=False)
            text = f"{100 * mean:.0f} %"
            axis.text(rate, 0.09, text, transform=edge, ha="center", fontsize=9, color=hues[rate].light)


def _label_rates(axis: Axes, rates: Sequence[float]) -> None:
    """Name the rates themselves on the axis where their names do not overlap, else round ones."""
    shown = sorted(rates)
    low, high = (np.log(end) for end in axis.get_xlim())
    width = 33  # characters that fit on the axis
    gaps = np.diff(np.log(shown)) / (high - low) * width if len(shown) > 1 else np.array([width])
    if gaps.min() > max(len(format_rate(rate)) for rate in shown):
        axis.set_xticks(shown, [format_rate(rate) for rate in shown])
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_rate(float(f"{value:.6g}"))))
    axis.xaxis.set_minor_formatter(NullFormatter())


@by_level(stack_tables)
def _tabulate_estimates(results: Results) -> Table:
    rows, shown = [], pick_evenly(results.rates, TABLE_ROWS)
    for rate in shown:
        cells = {"Learning rate": format_rate(rate)}
        for metric in ("val_accuracy", "test_accuracy"):
            name = METRICS[metric].capitalize()
            cells |= {name: "diverged", f"{name}, 95 % interval": ""}
            if rate in results.complete_rates:
                one = estimate_mean(results.values(rate, metric))
                cells[name] = str(quantify(one.mean, metric))
                if one.n > 1:
                    cells[f"{name}, 95 % interval"] = (
                        f"{quantify_limit(one.low, metric)} to {quantify_limit(one.high, metric)}"
                    )
        rows.append(cells)
    caption = f"Means over seeds and their 95 % intervals{say_picked(shown, results.rates)}."
    return Table(pd.DataFrame(rows), caption)
