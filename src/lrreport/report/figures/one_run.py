"""One run by itself: its images, its seeds, and where it errs."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lrreport.report.colors import FEW
from lrreport.report.pictures import STYLE, Picture, make_axes


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
