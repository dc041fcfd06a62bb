"""Frame in, Figure out; nothing is computed here but where to draw, and nothing is saved."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator, PercentFormatter
from scipy.optimize import isotonic_regression

from lrreport.report.claims.claim import METRICS, list_rates, quantify, quantify_limit
from lrreport.report.colors import FEW, Hue, color_rates
from lrreport.report.formats import (
    capitalize,
    count_nouns,
    format_count,
    format_loss,
    format_percent,
    format_rate,
    format_ratio,
    list_words,
)
from lrreport.report.pictures import FAINT, INK, STYLE, Picture, make_axes
from lrreport.report.results import Found, Levels, RangeCurves, Results, by_level
from lrreport.report.stats import estimate_mean
from lrreport.report.table import Table, stack_tables

WIDE, NARROW = {"width": 7.6}, {"width": 4.0}  # inches; the narrow arrangement is for phones
PANELS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
LABELLED = 6  # lines with their names at their ends; more get a legend, and more than LISTED a scale of colours
LISTED = 16
POINTS = 30  # rates whose intervals are drawn one by one; more are a line with a band
MANY_POINTS = 1000  # seeds over all rates that are points; more are a band from the lowest to the highest
CURVES = 60  # rates whose curves are drawn, and whose numbers stand in the table behind them
FENCE = 3  # times the distance from the best to the three quarters: what lies beyond would press the others together
TABLE_ROWS = 300  # about so many at most in the table behind a figure
SMOOTHING = 0.05  # the share of each new step in the smoothed loss of a range test


def draw_accuracy_by_rate(found: Found) -> Picture:
    """Draw validation and test accuracy against the learning rate: every seed a point, the mean with its interval.

    Of several levels each has a row.
    """
    hues = color_rates(found.study.vary.learning_rate)
    wide, narrow = (_plot_accuracies(found, hues, n_columns) for n_columns in (2, 1))
    said = _compare_ends(found, "val_accuracy", "highest", "lowest")
    panels = f"Panels for each {found.axis}" if isinstance(found, Levels) else "Two panels"
    alt = f"{panels}, validation and test accuracy against the learning rate on a log scale. {said}"
    floor = find_limits(found, ("val_accuracy", "test_accuracy"), by_epoch=False).get("accuracy")
    cut = f" A triangle stands for a mean below {format_percent(floor)}, where the axis is cut off." if floor else ""
    caption = f"{_explain_estimates(found)}{cut} {said}"
    return Picture(wide, alt, caption, _tabulate_estimates(found), tuple(hues.values()), narrow)


@dataclass(frozen=True)
class Panel:
    """What is drawn on one pair of axes: a metric of the results of a study or of one level, which `where` names."""

    metric: str
    results: Results
    where: str = ""


def list_panels(found: Found, metrics: Sequence[str], n_columns: int) -> list[Panel]:
    """Return the panels of a figure, row by row: in one column those of a metric follow one another, level by level."""
    if isinstance(found, Results):
        return [Panel(metric, found) for metric in metrics]
    levels = {f", {found.name(value)}": one for value, one in found.levels.items()}
    if n_columns == 1:
        return [Panel(metric, one, where) for metric in metrics for where, one in levels.items()]
    return [Panel(metric, one, where) for where, one in levels.items() for metric in metrics]


def find_outliers(found: Found) -> list[tuple[Results, float]]:
    """Return the rates that end on validation accuracy so far below the others that they would hide how these differ."""
    means = {
        (results, rate): float(results.values(rate, "val_accuracy").mean())
        for results in _list_results(found)
        for rate in results.complete_rates
    }
    if not means:
        return []
    best = max(means.values())
    fence = best - FENCE * (best - float(np.quantile(list(means.values()), 0.25)))
    return [one for one, mean in means.items() if mean < fence]


def find_limits(found: Found, metrics: Sequence[str], by_epoch: bool) -> dict[str, float]:
    """Return where axes end so that outliers do not press the rest together: "accuracy" below, "loss" above, if they do.

    The values of all other rates lie within: those at their end, or of every epoch from 1 on.
    """
    outliers = find_outliers(found)
    limits: dict[str, float] = {}
    for metric in metrics if outliers else ():
        kind = metric.partition("_")[2]
        for results in _list_results(found):
            for rate in results.complete_rates:
                if (results, rate) not in outliers:
                    values = results.curves(rate, metric).loc[1:] if by_epoch else results.values(rate, metric)
                    low, high = float(np.min(values)), float(np.max(values))
                    limits[kind] = (
                        min(low, limits.get(kind, low)) if kind == "accuracy" else max(high, limits.get(kind, high))
                    )
    return {kind: limit - 0.01 if kind == "accuracy" else 1.05 * limit for kind, limit in limits.items()}


def _list_results(found: Found) -> list[Results]:
    return [found] if isinstance(found, Results) else list(found.levels.values())


def _explain_estimates(found: Found) -> str:
    """Return what the marks in the figure of accuracies are."""
    results = max(_list_results(found), key=lambda one: len(one.runs))
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
        ends = np.array([(one.mean, one.low, one.high) for one in estimates.values()])
        axis.plot(rates, ends[:, 0], color=INK.light, linewidth=1.2)
        axis.fill_between(rates, ends[:, 1], ends[:, 2], color=FAINT.light, alpha=0.25, linewidth=0)
        return
    for rate, one in estimates.items():
        if one.n > 1:
            error = [[one.mean - one.low], [one.high - one.mean]]
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


def _compare_ends(found: Found, metric: str, first: str, last: str) -> str:
    """Return which rates end at the two ends of a metric; `first` is the word for its upper end, `last` for the lower.

    Of several levels, which rate ends best at each.
    """
    if isinstance(found, Results):
        return _compare_ends_of_one(found, metric, first, last)
    ends = []
    for value, results in found.levels.items():
        means = {rate: float(results.values(rate, metric).mean()) for rate in results.complete_rates}
        if means:
            best = (max if metric.endswith("accuracy") else min)(means, key=lambda rate: means[rate])
            unit = "" if metric.endswith("accuracy") else " nats"
            ends.append(f"at {format_rate(best)} with {found.name(value)} ({quantify(means[best], metric)}{unit})")
    which = first if metric.endswith("accuracy") else last
    if not ends:
        return "No learning rate trained to the end."
    return f"The mean {METRICS[metric]} ends {which} {list_words(ends)}."


def _compare_ends_of_one(results: Results, metric: str, first: str, last: str) -> str:
    means = {rate: float(results.values(rate, metric).mean()) for rate in results.complete_rates}
    diverged = [rate for rate in results.rates if rate not in means]
    broken = f" Training diverged at {list_rates(diverged)}." if 0 < len(diverged) <= LISTED else ""
    if len(diverged) > LISTED:
        broken = f" Training diverged at {count_nouns(len(diverged), 'learning rate')}."
    if not means:
        return f"No learning rate trained to the end.{broken}"
    high, low = max(means, key=lambda rate: means[rate]), min(means, key=lambda rate: means[rate])
    unit = "" if metric.endswith("accuracy") else " nats"
    upper, lower = (f"{quantify(means[rate], metric)}{unit}" for rate in (high, low))
    if len(means) == 1:
        return f"The mean {METRICS[metric]} of {format_rate(high)} ends at {upper}.{broken}"
    return (
        f"The mean {METRICS[metric]} ends {first} at {format_rate(high)}, {upper}, and {last} at {format_rate(low)}, {lower}."
        f"{broken}"
    )


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
    caption = f"Means over seeds and their 95 % intervals{_say_picked(shown, results.rates)}."
    return Table(pd.DataFrame(rows), caption)


def pick_evenly(rates: Sequence[float], n: int) -> list[float]:
    """Return the rates, or so many of them that lie evenly between the lowest and the highest by rank, in their order."""
    if len(rates) <= n:
        return list(rates)
    ranked = sorted(rates)
    picked = {ranked[round(place)] for place in np.linspace(0, len(rates) - 1, n)}
    return [rate for rate in rates if rate in picked]


def _say_picked(picked: Sequence[float], rates: Sequence[float]) -> str:
    if len(picked) == len(rates):
        return ""
    return f", at {format_count(len(picked))} of the {format_count(len(rates))} learning rates, evenly spaced by rank"


def draw_curves(found: Found) -> Picture:
    """Draw loss and accuracy by epoch, training and validation: means over seeds, bands from the lowest to the highest.

    Of several levels only validation, each level in a row.
    """
    hues = color_rates(found.study.vary.learning_rate)
    wide, narrow = (_plot_curves(found, hues, n_columns) for n_columns in (2, 1))
    said = _compare_ends(found, "val_loss", "highest", "lowest")
    rates = [rate for rate in found.study.vary.learning_rate if any(rate in one.rates for one in _list_results(found))]
    n_rates, drawn = count_nouns(len(rates), "learning rate"), pick_evenly(rates, CURVES)
    alt = f"Four panels, loss and accuracy in training and on validation by epoch, for {n_rates}. {said}"
    if isinstance(found, Levels):
        alt = f"Panels for each {found.axis}, validation loss and accuracy by epoch, for {n_rates}. {said}"
    limits = _limit_curves(found)
    cut = [f"losses above {format_ratio(limits['loss'])} nats"] if "loss" in limits else []
    cut += [f"accuracies below {format_percent(limits['accuracy'])}"] if "accuracy" in limits else []
    caption = f"{_explain_curves(found, drawn)}{f' {capitalize(list_words(cut))} are cut off.' if cut else ''} {said}"
    return Picture(wide, alt, caption, _tabulate_curves(found), tuple(hues[rate] for rate in drawn), narrow)


def _explain_curves(found: Found, drawn: Sequence[float]) -> str:
    """Return what the lines in the figure of curves are."""
    every = _list_results(found)
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
        if first.setdefault(kind, axis) is not axis:
            axis.sharey(first[kind])
            axis.tick_params(labelleft=n_columns == 1 or not place % 2 or first[kind] is not axes[place - 1])
        with mpl.rc_context(STYLE):
            for rate in pick_evenly(rates, CURVES):
                _draw_curve(axis, panel.results.curves(rate, panel.metric), hues[rate], banded=len(rates) <= LISTED)
            unit = "" if kind == "accuracy" else " (nats)"
            axis.set_title(f"{METRICS[panel.metric].capitalize()}{unit}{panel.where}")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        if kind == "accuracy":
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    if "loss" in limits:
        first["loss"].set_ylim(0 if isinstance(found, Results) else None, limits["loss"])
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
    for results in _list_results(found):
        losses = results.epochs[["train_loss", "val_loss"]].to_numpy()
        untrained = float(results.epochs.loc[results.epochs.epoch == 0, "val_loss"].max())
        if losses.max() > 2 * untrained:
            limits["loss"] = min(1.5 * untrained, limits.get("loss", math.inf))
    return limits


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
    caption = f"Means over seeds{which}{_say_picked(drawn, results.rates)}. Losses are in nats."
    return Table(pd.DataFrame(rows), caption)


def _choose_epochs(results: Results, n_rates: int) -> list[int]:
    """Return the epochs that the table shows: all, or so many evenly spaced ones that it stays short."""
    last = results.study.fixed.epochs
    n = max(2, min(last + 1, TABLE_ROWS // n_rates))
    return sorted({round(place) for place in np.linspace(0, last, n)})


def draw_range_test(found: Found) -> Picture | None:
    """Draw the loss of each seed while the rate grows, and where the rates of the study lie; None without a range test.

    Of several levels each has a row.
    """
    tests = found.range_tests
    return _draw_ranges(tests, found.study.vary.learning_rate) if tests else None


def draw_range(rates: Any, losses: Any, tried: Sequence[float] = ()) -> Picture:
    """Draw the losses (n_seeds, n_steps) of a range test against the rate of each step, and the rates tried as lines."""
    return _draw_ranges({"": RangeCurves(rates, losses)}, tried)


def _draw_ranges(tests: Mapping[str, RangeCurves], tried: Sequence[float]) -> Picture:
    """Draw range tests one below the other, each by the name of its level."""
    figure, axes = make_axes(len(tests), sharex=True, sharey=True, height=1.0 + 2.4 * len(tests))
    hues, said, tables = color_rates(tried), [], []
    for axis, (name, curves) in zip(axes, tests.items(), strict=True):
        smooth = _smooth(curves)
        _plot_range(axis, smooth, f", {name}" if name else "", hues)
        tables.append(_tabulate_range(smooth, name))
        mean = smooth.mean(axis=1)
        near = format_rate(float(f"{mean.idxmin():.1g}"))
        lowest = f"over all seeds the smoothed loss is lowest, {format_loss(float(mean.min()))} nats, near {near}."
        said.append(f"With {name} {lowest}" if name else f"{lowest[0].upper()}{lowest[1:]}")
    axes[-1].set_xlabel("learning rate (log scale)")
    axes[0].set_ylim(0, 1.5 * max(float(np.nanmax(np.asarray(one.losses)[:, 0])) for one in tests.values()))
    lines = f" Vertical lines are the {count_nouns(len(tried), 'rate')} of the study." if tried else ""
    rates = next(iter(tests.values())).rates
    span = f"from {format_rate(float(rates[0]))} to {format_rate(float(rates[-1]))}"
    caption = f"{' '.join(said)}{lines}"
    alt = f"Range test: training loss while the learning rate grows {span}, a line for each seed. {caption}"
    table = Table(pd.concat([one.frame for one in tables], ignore_index=True), tables[0].caption, tables[0].n_labels)
    return Picture(figure, alt, caption, table, tuple(hues.values()))


def _smooth(curves: RangeCurves) -> pd.DataFrame:
    """Return the smoothed losses of a range test: the rate of each step down, seeds across."""
    losses = np.asarray(curves.losses).T
    smooth = pd.DataFrame(losses, index=pd.Index(curves.rates)).ewm(alpha=SMOOTHING, ignore_na=True).mean()
    return smooth.where(np.isfinite(losses))


def _plot_range(axis: Axes, smooth: pd.DataFrame, where: str, hues: Mapping[float, Hue]) -> None:
    with mpl.rc_context(STYLE):
        axis.set_xscale("log")
        for seed in smooth:
            axis.plot(smooth.index, smooth[seed], color=FAINT.light, linewidth=1.1, alpha=0.9)
        axis.set(title=f"Training loss (nats, smoothed) while the rate grows{where}")
        axis.title.set_position((0, 1))
        _draw_tried(axis, hues)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_rate(float(f"{value:.6g}"))))
        axis.xaxis.set_minor_formatter(NullFormatter())


def _draw_tried(axis: Axes, hues: Mapping[float, Hue]) -> None:
    """Draw the rates tried as vertical lines, named where there is room."""
    low, high = (np.log(end) for end in axis.get_xlim())
    free = -np.inf
    for rate, hue in sorted(hues.items()):
        axis.axvline(rate, ymax=0.93, color=hue.light, linewidth=1.4)
        place, name = (np.log(rate) - low) / (high - low), format_rate(rate)
        half = 0.0055 * len(name)
        if place - half > free:
            axis.text(rate, 0.95, name, transform=axis.get_xaxis_transform(), ha="center", fontsize=9, color=hue.light)
            free = place + half + 0.01


def _tabulate_range(smooth: pd.DataFrame, level: str) -> Table:
    every = max(1, len(smooth) // 50)
    rows = [
        ({"Level": level} if level else {})
        | {"Learning rate": format_rate(float(f"{rate:.3g}"))}
        | {
            f"Seed {place}": format_loss(value) if value == value else "diverged"
            for place, value in enumerate(row, start=1)
        }
        for rate, row in zip(smooth.index[::every], smooth.to_numpy()[::every], strict=True)
    ]
    which = "each step" if every == 1 else f"one step of every {every}"
    return Table(
        pd.DataFrame(rows),
        f"The smoothed training loss, in nats, at {which}, seed by seed.",
        n_labels=2 if level else 1,
    )


def draw_images(images: Any, names: Sequence[str], alt: str, n_columns: int = 10) -> Picture | None:
    """Draw images (n, height, width[, 3]) with values in [0, 1] in a grid, each with its name; None if there are none."""
    if images is None or not len(images):
        return None
    n_rows = -(-len(images) // n_columns)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(7.6, 0.98 * n_rows * 10 / n_columns), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False).flat
        for axis in axes:
            axis.set_axis_off()
        for axis, image, name in zip(axes, np.asarray(images), names, strict=False):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.set_title(name, fontsize=7.5, loc="center")
    return Picture(figure, alt)


def draw_seeds(epochs: pd.DataFrame, alt: str) -> Picture:
    """Draw loss and accuracy by epoch, one thin line a seed; `epochs` has a row for each seed and epoch."""
    figure, axes = make_axes(1, 2)
    names = {"train": "training, mean over the epoch", "val": "validation, end of the epoch"}
    for axis, metric, title in zip(axes, ("loss", "accuracy"), ("Loss (nats)", "Accuracy"), strict=True):
        with mpl.rc_context(STYLE):
            for (part, name), hue, style in zip(names.items(), FEW[1::-1], ("--", "-"), strict=True):
                for place, (_, rows) in enumerate(epochs.groupby("seed")):
                    axis.plot(
                        rows.epoch, rows[f"{part}_{metric}"], style, color=hue.light, alpha=0.75, linewidth=1.2,
                        label=name if place == 0 else None,
                    )  # fmt: skip
            axis.set(title=title, xlabel="epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    with mpl.rc_context(STYLE):
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Picture(figure, alt)


def draw_confusion(shares: pd.DataFrame, alt: str) -> Picture:
    """Draw a confusion matrix of shares: true classes down, predicted classes across, each row adding up to 1."""
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(6.6, 5.2), layout="constrained")
        axis = figure.subplots()
        sns.heatmap(
            100 * shares, ax=axis, annot=True, fmt=".0f", cmap="Blues", cbar=False, square=True, annot_kws={"size": 8}
        )
        axis.set(xlabel="predicted", ylabel="true")
        axis.tick_params(length=0)
        axis.set_title("Percent of each true class")
    return Picture(figure, alt)
