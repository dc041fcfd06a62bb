"""The loss while the learning rate grows."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from lrreport.report.colors import Hue, color_rates
from lrreport.report.formats import count_nouns, format_loss, format_rate
from lrreport.report.pictures import FAINT, STYLE, Picture, make_axes
from lrreport.report.results import Found, RangeCurves
from lrreport.report.table import Table

SMOOTHING = 0.05  # the share of each new step in the smoothed loss


def draw_range_test(found: Found) -> Picture | None:
    """Draw the loss of each seed while the rate grows, and where the rates of the study lie; None without a range test.

    Of several levels each has a row.
    """
    tests = found.range_tests
    return _draw_ranges(tests, found.study.vary.learning_rate, found.loss_unit) if tests else None


def draw_range(rates: Any, losses: Any, tried: Sequence[float] = ()) -> Picture:
    """Draw the losses (n_seeds, n_steps) of a range test against the rate of each step, and the rates tried as lines."""
    return _draw_ranges({"": RangeCurves(rates, losses)}, tried)


def _draw_ranges(tests: Mapping[str, RangeCurves], tried: Sequence[float], unit: str = "nats") -> Picture:
    """Draw range tests one below the other, each by the name of its level."""
    figure, axes = make_axes(len(tests), sharex=True, sharey=True, height=1.0 + 2.4 * len(tests))
    hues, said, tables = color_rates(tried), [], []
    for axis, (name, curves) in zip(axes, tests.items(), strict=True):
        smooth = _smooth(curves)
        _plot_range(axis, smooth, f", {name}" if name else "", hues)
        tables.append(_tabulate_range(smooth, name))
        mean = smooth.mean(axis=1)
        near = format_rate(float(f"{mean.idxmin():.1g}"))
        lowest = f"over all seeds the smoothed loss is lowest, {format_loss(float(mean.min()))} {unit}, near {near}."
        said.append(f"With {name} {lowest}" if name else f"{lowest[0].upper()}{lowest[1:]}")
    axes[-1].set_xlabel("learning rate (log scale)")
    first = max(float(np.nanmax(np.asarray(one.losses)[:, 0])) for one in tests.values())
    if first > 0:  # a loss of the user's own may begin below 0
        axes[0].set_ylim(min(0.0, *(float(np.nanmin(one.losses)) for one in tests.values())), 1.5 * first)
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
        axis.set(title=f"Training loss (smoothed) while the rate grows{where}")
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
        f"The smoothed training loss at {which}, seed by seed.",
        n_labels=2 if level else 1,
    )
