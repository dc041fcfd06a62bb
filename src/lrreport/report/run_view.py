"""Views of a notebook's runs: images, curves by seed, confusions, a range test. Needs only matplotlib."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lrreport.record.record import RunRecord
from lrreport.study.metrics import Metric

INK, FAINT, TRAINING, VALIDATION = "#1b212c", "#5a6371", "#b35900", "#0b62a4"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": FAINT, "axes.grid": True, "axes.labelcolor": INK, "axes.spines.right": False,
    "axes.spines.top": False, "axes.titlecolor": INK, "axes.titlelocation": "left", "axes.titlesize": 11,
    "font.size": 10, "grid.alpha": 0.22, "grid.color": FAINT, "legend.frameon": False, "lines.linewidth": 1.2,
    "svg.fonttype": "path", "svg.hashsalt": "lrreport", "text.color": INK, "xtick.color": FAINT, "ytick.color": FAINT,
    "text.parse_math": False,  # a "$" in a class name is a dollar
}  # fmt: skip
WIDTH = 7.6  # inches
MOST_CLASSES = 30  # of a confusion matrix that can be read
SMOOTHING = 0.05  # the share of each new step in a smoothed loss


@dataclass(frozen=True)
class View:
    """A figure, and the text for those who do not see it."""

    svg: str
    alt: str

    def __repr__(self) -> str:
        return f"[Figure: {self.alt}]"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}, {"image/svg+xml": {"alt": self.alt}}


def _draw(size: tuple[float, float], alt: str, draw: Callable[[Figure], None], **style: Any) -> View:
    """Return the figure that `draw` fills, the same bytes for the same content."""
    with mpl.rc_context(mpl.rcParamsDefault | STYLE | style):
        figure, stream = Figure(figsize=size, layout="constrained"), io.BytesIO()
        draw(figure)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    return View(stream.getvalue().decode(), alt)


def tabulate_runs(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Return a row per run: its status, its epochs, and its final metrics as formatted."""
    rows = {
        record.seed: {
            "status": record.status,
            "epochs": f"{max(series.at[-1] for series in record.history):g}",
            **{record.metrics[name].label: record.metrics[name].format(value) for name, value in record.final.items()},
        }
        for record in records
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed").fillna("").T


def draw_seeds(records: Sequence[RunRecord], alt: str) -> View:
    """Draw each quantity that is measured in training and on validation by epoch, with a thin line per seed."""
    by_prefix: dict[str, dict[str, Metric]] = {"train": {}, "validation": {}}
    for series in records[0].history:
        metric = records[0].metrics[series.metric]
        if metric.split in by_prefix and len(series.at) == len(records[0].history[0].at) and metric.unit != "s":
            by_prefix[metric.split][metric.name.partition("_")[2]] = metric
    shown = list(by_prefix["train"])

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, len(shown), squeeze=False)[0]
        for axis, quantity in zip(axes, shown, strict=True):
            for split, color, style in (("train", TRAINING, "--"), ("validation", VALIDATION, "-")):
                metric = by_prefix[split].get(quantity)
                for index, record in enumerate(records if metric is not None else ()):
                    series = next(
                        candidate for candidate in record.history if metric and candidate.metric == metric.name
                    )
                    values = [np.nan if value is None else value for value in series.values]
                    name = "training, mean over the epoch" if split == "train" else "validation, end of the epoch"
                    axis.plot(series.at, values, style, color=color, alpha=0.75, label=None if index else name)
            metric = by_prefix["train"][quantity]
            label = quantity.replace("_", " ").capitalize()
            axis.set(title=f"{label} ({metric.unit})" if metric.unit else label, xlabel="epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            if metric.scale == "fraction":
                axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

    return _draw((3.8 * len(shown), 3.2), alt, draw)


def draw_images(images: Any, names: Sequence[str], alt: str, columns: int = 10) -> View | None:
    """Draw images (n, height, width[, 3]) with values in [0, 1] in a grid, each with its name; None if there are none."""
    if images is None or not len(images):
        return None
    images, n_rows = np.asarray(images), -(-len(images) // columns)
    pitch = WIDTH / columns  # all lengths are in inches
    width, line = 0.88 * pitch, 0.14
    height = width * images.shape[1] / images.shape[2]
    above = line * max(name.count("\n") + 1.7 for name in names)
    total = n_rows * (above + height)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axis = figure.add_axes((0, 0, 1, 1))  # a grid of axes takes five times as long
        axis.set_axis_off()
        for i, (image, name) in enumerate(zip(images, names, strict=True)):
            left, top = i % columns * pitch, i // columns * (above + height) + above
            axis.imshow(
                image, cmap="gray", vmin=0, vmax=1, extent=(left, left + width, top + height, top), aspect="auto"
            )
            axis.text(left + width / 2, top - 0.3 * line, name, fontsize=7.5, ha="center", va="bottom")
        axis.set(xlim=(0, WIDTH), ylim=(total, 0))

    return _draw((WIDTH, total), alt, draw, **{"image.composite_image": False})


def draw_confusion(shares: pd.DataFrame, alt: str) -> View | None:
    """Draw shares of each true class (down) by predicted class (across) as percent; None without classes.

    Of many classes those are drawn that are predicted correctly least often.
    """
    if shares.empty:
        return None
    correct = pd.Series(np.diag(shares), index=shares.index)
    if len(shares) > MOST_CLASSES:
        worst = np.sort(np.argsort(correct.fillna(1).to_numpy(), kind="stable")[:MOST_CLASSES])
        shares = shares.iloc[worst, worst]
    n = len(shares)

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares.to_numpy()):
            text = "–" if np.isnan(share) else f"{100 * share:.0f}"
            if text != "0":
                axis.text(
                    column, row, text, ha="center", va="center", fontsize=8, color="white" if share > 0.6 else INK
                )
        axis.set_xticks(range(n), shares.columns, rotation=90)
        axis.set_yticks(range(n), shares.index)
        axis.set(xlabel="predicted", ylabel="true", title="Percent of each true class")
        axis.tick_params(length=0)

    return _draw((1.8 + 0.42 * n, 1.6 + 0.38 * n), alt, draw, **{"axes.grid": False})


def draw_range(rates: Any, losses: Any, alt: str) -> View:
    """Draw the smoothed losses (n_seeds, n_steps) of a range test against the learning rate of each step."""
    frame = pd.DataFrame(np.asarray(losses).T, index=np.asarray(rates))
    smooth = frame.ewm(alpha=SMOOTHING, ignore_na=True).mean().where(frame.notna())

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        axis.plot(smooth.index, smooth.to_numpy(), color=VALIDATION, alpha=0.75)
        axis.set(
            xscale="log", xlabel="learning rate (log scale)", title="Training loss (smoothed) while the rate grows"
        )
        start, low = float(smooth.iloc[0].max()), float(np.nanmin(smooth))
        axis.set_ylim(low - 0.05 * (start - low), start + 0.5 * (start - low))

    return _draw((WIDTH, 3.2), alt, draw)
