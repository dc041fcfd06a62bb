"""Loss and accuracy by epoch."""

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter
from scipy.optimize import isotonic_regression

from lrreport.report.claims.claim import METRICS, quantify
from lrreport.report.colors import Hue, color_rates
from lrreport.report.figures.panels import (
    LISTED,
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
from lrreport.report.formats import (
    capitalize,
    count_nouns,
    format_count,
    format_percent,
    format_rate,
    format_ratio,
    list_words,
)
from lrreport.report.pictures import STYLE, Picture, make_axes
from lrreport.report.results import Found, Levels, Results, by_level, describe_losses
from lrreport.report.table import Table, stack_tables

PANELS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
LABELLED = 6  # lines with their names at their ends; more get a legend, and more than LISTED a scale of colours
CURVES = 60  # rates whose curves are drawn, and whose numbers stand in the table behind them


def draw_curves(found: Found) -> Picture:
    """Draw loss and accuracy by epoch, training and validation: means over seeds, bands from the lowest to the highest.

    Of several levels only validation, each level in a row.
    """
    hues = color_rates(found.study.vary.learning_rate)
    wide, narrow = (_plot_curves(found, hues, n_columns) for n_columns in (2, 1))
    said = compare_ends(found, "val_loss", "highest", "lowest")
    rates = [rate for rate in found.study.vary.learning_rate if any(rate in one.rates for one in list_results(found))]
    n_rates, drawn = count_nouns(len(rates), "learning rate"), pick_evenly(rates, CURVES)
    alt = f"Four panels, loss and accuracy in training and on validation by epoch, for {n_rates}. {said}"
    if isinstance(found, Levels):
        alt = f"Panels for each {found.axis}, validation loss and accuracy by epoch, for {n_rates}. {said}"
    limits = _limit_curves(found)
    cut = [f"losses above {format_ratio(limits['loss'])} {found.loss_unit}"] if "loss" in limits else []
    cut += [f"accuracies below {format_percent(limits['accuracy'])}"] if "accuracy" in limits else []
    caption = f"{_explain_curves(found, drawn)}{f' {capitalize(list_words(cut))} are cut off.' if cut else ''} {said}"
    return Picture(wide, alt, caption, _tabulate_curves(found), tuple(hues[rate] for rate in drawn), narrow)


def _explain_curves(found: Found, drawn: Sequence[float]) -> str:
    """Return what the lines in the figure of curves are."""
    every = list_results(found)
    n_rates = max(len(results.rates) for results in every)
    text = "Lines are means over seeds"
    if len(found.study.vary.seed) == 1:
        text = "Lines are single seeds"
    elif n_rates <= LISTED:
        text += ", bands reach from the lowest seed to the highest"
    if len(drawn) < n_rates:
        text += f"; drawn are {format_count(len(drawn))} of the rates, evenly spaced by rank"
    broken = any(set(drawn) & set(one.rates) - set(one.complete_rates) for one in every)
    return f"{text}." + (" A cross is where training diverged." if broken else "")


def _plot_curves(found: Found, hues: Mapping[float, Hue], n_columns: int) -> Figure:
    panels = list_panels(found, _choose_metrics(found), n_columns)
    n_rows = len(panels) // n_columns
    height = (0.8 + 2.4 * n_rows) if n_columns == 2 else (0.2 + 2.2 * n_rows)
    figure, axes = make_axes(n_rows, n_columns, sharex=True, height=height, **(WIDE if n_columns == 2 else NARROW))
    limits, first = _limit_curves(found), dict[str, Axes]()
    for place, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
        kind, rates = panel.metric.partition("_")[2], panel.results.rates
        if first.setdefault(kind, axis) is not axis and not (kind == "loss" and found.study.vary.axis == "loss"):
            axis.sharey(first[kind])
            axis.tick_params(labelleft=n_columns == 1 or not place % 2 or first[kind] is not axes[place - 1])
        with mpl.rc_context(STYLE):
            for rate in pick_evenly(rates, CURVES):
                _draw_curve(axis, panel.results.curves(rate, panel.metric), hues[rate], banded=len(rates) <= LISTED)
            unit = " (nats)" if kind == "loss" and found.loss_unit == "nats" else ""
            axis.set_title(f"{METRICS[panel.metric].capitalize()}{unit}{panel.where}")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        if kind == "accuracy":
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    if "loss" in limits:
        first["loss"].set_ylim(0 if isinstance(found, Results) and _are_positive(found) else None, limits["loss"])
    if "accuracy" in limits:
        first["accuracy"].set_ylim(bottom=limits["accuracy"])
    for axis in axes[-n_columns:]:
        axis.set_xlabel("epoch")
    for axis, panel in zip(axes, panels, strict=True):
        _mark_ends(axis, panel.results, panel.metric, hues)
    _name_curves(figure, axes, panels, hues, n_columns)
    return figure


def _choose_metrics(found: Found) -> tuple[str, ...]:
    """Return the metrics whose curves are drawn: of several levels, those that they are compared on."""
    return PANELS if isinstance(found, Results) else ("val_loss", "val_accuracy")


def _limit_curves(found: Found) -> dict[str, float]:
    """Return where the axes of curves end: "loss" also where some run left the scale of the untrained network."""
    limits = find_limits(found, _choose_metrics(found), by_epoch=True)
    for results in list_results(found):
        losses = results.epochs[["train_loss", "val_loss"]].to_numpy()
        untrained = float(results.epochs.loc[results.epochs.epoch == 0, "val_loss"].max())
        if losses.max() > 2 * untrained > 0:  # a loss of the user's own may begin below 0
            limits["loss"] = min(1.5 * untrained, limits.get("loss", math.inf))
    return limits


def _are_positive(results: Results) -> bool:
    return bool((results.epochs[["train_loss", "val_loss"]].to_numpy() >= 0).all())


def _draw_curve(axis: Axes, curves: pd.DataFrame, hue: Hue, banded: bool) -> None:
    trained = curves.loc[1:] if len(curves) > 1 else curves
    mean = trained.mean(axis=1)
    axis.plot(
        mean.index, mean, color=hue.light, marker="o" if len(trained) == 1 else None, linewidth=1.8 if banded else 0.9
    )
    if banded and trained.shape[1] > 1:
        axis.fill_between(
            mean.index, trained.min(axis=1), trained.max(axis=1), color=hue.light, alpha=0.18, linewidth=0
        )


def _mark_ends(axis: Axes, results: Results, metric: str, hues: Mapping[float, Hue]) -> None:
    """Put a cross where the curve of a seed that diverged breaks off."""
    drawn = pick_evenly(results.rates, CURVES)
    broken = results.runs[(results.runs.status == "diverged") & results.runs.learning_rate.isin(drawn)]
    bottom, top = axis.get_ylim()
    for rate, seed in zip(broken.learning_rate, broken.seed, strict=True):
        curve = results.curves(rate, metric)[seed].dropna()
        axis.plot(
            curve.index[-1],
            min(max(curve.iloc[-1], bottom), top),
            "x",
            color=hues[rate].light,
            markersize=6,
            markeredgewidth=1.8,
            clip_on=False,
        )


def _name_curves(
    figure: Figure, axes: Sequence[Axes], panels: Sequence[Panel], hues: Mapping[float, Hue], n_columns: int
) -> None:
    """Name the lines: at their ends if they are few, in a legend, or by a scale of colours if they are many."""
    rates = sorted({rate for panel in panels for rate in panel.results.rates})
    with mpl.rc_context(STYLE):
        if len(rates) <= LABELLED:
            for axis, panel in list(zip(axes, panels, strict=True))[n_columns - 1 :: n_columns]:
                own = panel.results
                ends = {rate: own.curves(rate, panel.metric).mean(axis=1).iloc[-1] for rate in own.rates}
                _label_ends(axis, ends, hues)
        elif len(rates) <= LISTED:
            handles = [mpl.lines.Line2D([], [], color=hues[rate].light, label=format_rate(rate)) for rate in rates]
            figure.legend(
                handles=handles,
                loc="outside lower center",
                ncols=min(3 * n_columns, len(handles)),
                title="learning rate",
            )
        else:
            _add_scale(figure, axes, hues)


def _label_ends(axis: Axes, ends: Mapping[float, float], hues: Mapping[float, Hue]) -> None:
    """Write each rate beside the end of its line, moved apart until no two names overlap."""
    low, high = axis.get_ylim()
    order = sorted(ends, key=lambda rate: ends[rate])
    places = [min(1.0, max(0.0, (ends[rate] - low) / (high - low))) for rate in order]
    for rate, place in zip(order, spread_apart(places, gap=0.1), strict=True):
        axis.text(
            1.02,
            place,
            format_rate(rate),
            transform=axis.transAxes,
            va="center",
            color=hues[rate].light,
            fontweight="bold",
            fontsize=10,
        )


def spread_apart(places: Sequence[float], gap: float) -> list[float]:
    """Return ascending places moved as little as possible (least squares) to lie `gap` or more apart, in [0, 1] if they fit."""
    steps = gap * np.arange(len(places))
    moved = isotonic_regression(np.asarray(places) - steps).x.clip(0.0, max(0.0, 1 - steps[-1])) + steps
    return [float(one) for one in moved]


def _add_scale(figure: Figure, axes: Sequence[Axes], hues: Mapping[float, Hue]) -> None:
    rates = sorted(hues)
    scale = ScalarMappable(LogNorm(rates[0], rates[-1]), ListedColormap([hues[rate].light for rate in rates]))
    bar = figure.colorbar(scale, ax=list(axes), label="learning rate", aspect=40, pad=0.02)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_rate(float(f"{value:.6g}"))))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())


@by_level(stack_tables)
def _tabulate_curves(results: Results) -> Table:
    drawn = pick_evenly(results.rates, CURVES)
    epochs = _choose_epochs(results, len(drawn))
    metrics = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    means = results.epochs.groupby(["learning_rate", "epoch"])[list(metrics)].mean()
    rows = [
        {"Learning rate": format_rate(rate), "Epoch": format_count(epoch)}
        | {METRICS[metric].capitalize(): str(quantify(means.at[(rate, epoch), metric], metric)) for metric in metrics}
        for rate in drawn
        for epoch in epochs
        if (rate, epoch) in means.index
    ]
    which = "" if len(epochs) == results.study.fixed.epochs + 1 else " at some of the epochs"
    caption = f"Means over seeds{which}{say_picked(drawn, results.rates)}. {describe_losses(results.study)}"
    return Table(pd.DataFrame(rows), caption)


def _choose_epochs(results: Results, n_rates: int) -> list[int]:
    """Return the epochs that the table shows: all, or so many evenly spaced ones that it stays short."""
    last = results.study.fixed.epochs
    n = max(2, min(last + 1, TABLE_ROWS // n_rates))
    return sorted({round(place) for place in np.linspace(0, last, n)})
