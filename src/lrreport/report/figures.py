"""Frame in, Figure out; nothing is computed here but where to draw, and nothing is saved."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from lrreport.report.claims.claim import list_rates
from lrreport.report.formats import format_loss, format_percent, format_rate, list_words
from lrreport.report.results import Results
from lrreport.report.stats import estimate_mean

INK, FAINT = "#010203", "#010204"  # placeholders: the reader's colour scheme decides, see _follow_scheme
STYLE: dict[Any, Any] = {
    "axes.edgecolor": FAINT, "axes.grid": True, "axes.labelcolor": INK, "axes.spines.right": False,
    "axes.spines.top": False, "axes.titlecolor": INK, "axes.titlelocation": "left", "axes.titlesize": 11,
    "figure.facecolor": "none", "axes.facecolor": "none", "font.size": 10, "grid.alpha": 0.25, "grid.color": FAINT,
    "grid.linewidth": 0.6, "legend.frameon": False, "lines.linewidth": 1.8, "svg.fonttype": "path",
    "svg.hashsalt": "lrreport", "text.color": INK, "xtick.color": FAINT, "xtick.labelcolor": INK,
    "ytick.color": FAINT, "ytick.labelcolor": INK,
}  # fmt: skip
SCHEME = (
    "<style>.ink{color:#1c2330}.faint{color:#6b7280}"
    "@media(prefers-color-scheme:dark){.ink{color:#e6e9ef}.faint{color:#9aa3b2}}</style>"
)


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, with the text that states its message to those who do not see it."""

    figure: Figure
    alt: str

    def __repr__(self) -> str:
        return f"[Figure: {self.alt}]"

    def to_svg(self) -> str:
        """Return the figure as SVG, the same for the same figure, in ink that suits light and dark pages."""
        stream = io.StringIO()
        with mpl.rc_context(STYLE):
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
        return _follow_scheme(stream.getvalue())

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return {"image/svg+xml": self.to_svg(), "text/plain": repr(self)}, {"image/svg+xml": {"alt": self.alt}}


def _follow_scheme(svg: str) -> str:
    """Let ink be dark on light pages and light on dark ones: the placeholders become the colour of a class."""
    for placeholder, name in ((INK, "ink"), (FAINT, "faint")):
        svg = re.sub(rf'style="([^"]*){placeholder}', rf'class="{name}" style="\1currentColor', svg)
    start = svg.index("<svg")
    return svg[start:].replace("<defs>", f"{SCHEME}<defs>", 1)


def color_rates(rates: Sequence[float]) -> dict[float, tuple[float, float, float]]:
    """Return one colour for each rate, the same in every figure; few rates get the colour-blind palette, many a ramp."""
    ordered = sorted(rates, reverse=True)
    few = [color for place, color in enumerate(sns.color_palette("colorblind")) if place not in (7, 8)]  # grey, yellow
    palette = few if len(ordered) <= len(few) else sns.color_palette("viridis", len(ordered))
    return dict(zip(ordered, palette, strict=False))


def make_axes(n_columns: int = 1, height: float = 3.4, width: float = 7.6, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes side by side, in the style of the house."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, n_columns, squeeze=False, **options)
    return figure, list(axes[0])


def draw_accuracy_by_rate(results: Results) -> Picture:
    """Draw validation and test accuracy against the learning rate: every seed a point, the mean with its interval."""
    figure, axes = make_axes(2, sharey=True)
    colors = color_rates(results.study.vary.learning_rate)
    for axis, metric, title in zip(axes, ("val_accuracy", "test_accuracy"), ("Validation", "Test"), strict=True):
        with mpl.rc_context(STYLE):
            axis.set_xscale("log")
            for rate in results.complete_rates:
                _draw_estimate(axis, rate, results.values(rate, metric), colors[rate])
            axis.set(title=f"{title} accuracy", xlabel="learning rate (log scale)")
            _label_rates(axis, results.rates)
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    means = [
        f"{format_rate(rate)} ends at {format_percent(results.values(rate, 'val_accuracy').mean())}"
        for rate in results.complete_rates[:12]
    ]
    said = f"On validation, {list_words(means)}" if means else "No rate trained to the end"
    return Picture(figure, f"Accuracy against learning rate, every seed a point. {said}.")


def _draw_estimate(axis: Axes, rate: float, values: "pd.Series[float]", color: Any) -> None:
    estimate = estimate_mean(values)
    spread = rate * np.exp(np.linspace(-0.06, 0.06, len(values))) if len(values) > 1 else np.array([rate])
    axis.plot(spread, values, "o", color=color, alpha=0.45, markersize=4, markeredgewidth=0)
    if estimate.n > 1:
        axis.errorbar(
            rate * 1.17, estimate.mean, yerr=[[estimate.mean - estimate.low], [estimate.high - estimate.mean]],
            fmt="D", color=color, markersize=5, capsize=3,
        )  # fmt: skip


def _label_rates(axis: Axes, rates: Sequence[float]) -> None:
    shown = sorted(rates) if len(rates) <= 4 else []
    if shown:
        axis.set_xticks(shown, [format_rate(rate) for rate in shown])
    else:
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_rate(value)))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(x=0.15)


def draw_curves(results: Results) -> Picture:
    """Draw loss and accuracy by epoch for each rate: training dashed, validation solid, the band from seed to seed."""
    figure, axes = make_axes(2, height=3.8)
    colors = color_rates(results.study.vary.learning_rate)
    limit = _limit_of_interest(results)
    titles = ("Loss (nats)" if limit is None else f"Loss (nats), cut off at {limit:.1f}", "Accuracy")
    for axis, metric, title in zip(axes, ("loss", "accuracy"), titles, strict=True):
        with mpl.rc_context(STYLE):
            for rate in results.rates:
                _draw_curve(axis, results.curves(rate, f"val_{metric}"), colors[rate], "-", format_rate(rate))
                _draw_curve(axis, results.curves(rate, f"train_{metric}"), colors[rate], "--", None)
            axis.set(title=title, xlabel="epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    if limit is not None:
        axes[0].set_ylim(0, limit)
    with mpl.rc_context(STYLE):
        columns = min(6, len(results.rates))
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns, title="learning rate"
        )
    ends = [
        f"{format_rate(rate)} at {format_loss(results.values(rate, 'val_loss').mean())}"
        for rate in results.complete_rates[:12]
    ]
    diverged = [rate for rate in results.rates if rate not in results.complete_rates]
    said = f"The validation loss ends for {list_words(ends)} nats" if ends else "No rate trained to the end"
    if diverged:
        said += f"; training diverged at {list_rates(diverged)}"
    return Picture(figure, f"Loss and accuracy by epoch for {len(results.rates)} learning rates. {said}.")


def draw_range_test(results: Results) -> Picture | None:
    """Draw the loss of each seed while the rate grows, and where the rates of the study lie; None without a range test."""
    curves = results.range_test
    return None if curves is None else draw_range(curves.rates, curves.losses, results.study.vary.learning_rate)


def draw_range(rates: Any, losses: Any, tried: Sequence[float] = ()) -> Picture:
    """Draw the losses (n_seeds, n_steps) of a range test against the rate of each step, and the rates tried as lines."""
    figure, [axis] = make_axes(height=3.2)
    with mpl.rc_context(STYLE):
        axis.set_xscale("log")
        for one in losses:
            axis.plot(rates, pd.Series(one).ewm(alpha=0.05).mean(), color=FAINT, linewidth=1, alpha=0.8)
        for rate, color in color_rates(tried).items():
            axis.axvline(rate, color=color, linewidth=1.4)
        axis.set_ylim(0, 1.5 * float(np.nanmax(np.asarray(losses)[:, 0])))
        axis.set(title="Training loss (nats, smoothed) while the rate grows", xlabel="learning rate (log scale)")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_rate(value)))
        axis.xaxis.set_minor_formatter(NullFormatter())
    said = f"The vertical lines are the {len(tried)} rates of the study. " if tried else ""
    span = f"from {format_rate(float(rates[0]))} to {format_rate(float(rates[-1]))}"
    return Picture(
        figure, f"Range test: training loss while the learning rate grows {span}, a line for each seed. {said}".strip()
    )


def _limit_of_interest(results: Results) -> float | None:
    """Return an upper limit for losses when some run left the scale of the untrained network, else none."""
    losses = results.epochs[["train_loss", "val_loss"]].to_numpy()
    untrained = results.epochs.loc[results.epochs.epoch == 0, "val_loss"].max()
    return 1.5 * float(untrained) if losses.max() > 2 * untrained else None


def _draw_curve(axis: Axes, curves: pd.DataFrame, color: Any, style: str, label: str | None) -> None:
    trained = curves.loc[1:] if len(curves) > 1 else curves
    mean = trained.mean(axis=1)
    marker = "o" if len(trained) == 1 else None
    axis.plot(mean.index, mean, style, color=color, label=label, marker=marker)
    if trained.shape[1] > 1:
        axis.fill_between(mean.index, trained.min(axis=1), trained.max(axis=1), color=color, alpha=0.15, linewidth=0)


def draw_images(
    images: Any, names: Sequence[str], alt: str, n_columns: int = 10, values: tuple[float, float] = (-1, 1)
) -> Picture:
    """Draw images (n, height, width) in a grid, each with its name."""
    n_rows = -(-len(images) // n_columns)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(7.6, 0.98 * n_rows * 10 / n_columns), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False).flat
        for axis in axes:
            axis.set_axis_off()
        for axis, image, name in zip(axes, np.asarray(images), names, strict=False):
            axis.imshow(image, cmap="gray", vmin=values[0], vmax=values[1])
            axis.set_title(name, fontsize=7.5, loc="center")
    return Picture(figure, alt)


def draw_seeds(epochs: pd.DataFrame, alt: str) -> Picture:
    """Draw loss and accuracy by epoch, one thin line a seed; `epochs` has a row for each seed and epoch."""
    figure, axes = make_axes(2)
    blue, orange = sns.color_palette("colorblind")[:2]
    for axis, metric, title in zip(axes, ("loss", "accuracy"), ("Loss (nats)", "Accuracy"), strict=True):
        with mpl.rc_context(STYLE):
            for part, color, style in (("train", orange, "--"), ("val", blue, "-")):
                for place, (_, rows) in enumerate(epochs.groupby("seed")):
                    label = {"train": "training, mean over the epoch", "val": "validation, end of the epoch"}[part]
                    axis.plot(
                        rows.epoch, rows[f"{part}_{metric}"], style, color=color, alpha=0.7, linewidth=1.2,
                        label=label if place == 0 else None,
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
