"""A figure as it is shown: on light and dark pages, on paper, and in words to those who do not see it."""

import io
import re
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrreport.report.colors import FEW, Hue
from lrreport.report.table import Table

INK, FAINT = Hue("#1b212c", "#e6e9ef"), Hue("#5a6371", "#a3acba")  # as in template/style.css
# Matplotlib's own defaults, whatever a reader's matplotlibrc says, and ours.
DEFAULTS = {
    key: value
    for key, value in mpl.rcParamsDefault.items()
    if not key.startswith(("backend", "interactive", "keymap", "toolbar", "tk.", "webagg"))
}
STYLE: dict[Any, Any] = DEFAULTS | {
    "axes.edgecolor": FAINT.light, "axes.grid": True, "axes.labelcolor": INK.light, "axes.spines.right": False,
    "axes.spines.top": False, "axes.titlecolor": INK.light, "axes.titlelocation": "left", "axes.titlesize": 11,
    "figure.facecolor": "none", "axes.facecolor": "none", "font.size": 10.5, "grid.alpha": 0.22,
    "grid.color": FAINT.light, "grid.linewidth": 0.6, "legend.frameon": False, "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round", "svg.fonttype": "path", "svg.hashsalt": "lrreport", "text.color": INK.light,
    "xtick.color": FAINT.light, "xtick.labelcolor": INK.light, "ytick.color": FAINT.light, "ytick.labelcolor": INK.light,
}  # fmt: skip
PAPER = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}


@dataclass(frozen=True)
class Picture:
    """A figure with the text that states its message, a caption that says what to see, and the numbers drawn.

    `hues` are the colours, besides those of text and of few rates, that have another shade on a dark page; `narrow` is
    the same figure with its panels one below the other, for a phone.
    """

    figure: Figure
    alt: str
    caption: str = ""
    table: Table | None = None
    hues: tuple[Hue, ...] = ()
    narrow: Figure | None = None

    def __repr__(self) -> str:
        return f"[Figure: {self.alt}]"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        narrow = self.to_svg(self.narrow) if self.narrow else ""
        words = {
            "narrow": narrow,
            "alt": self.alt,
            "caption": self.caption,
            "table": self.table._repr_html_() if self.table else "",
        }
        shown = {"image/svg+xml": self.to_svg(), "text/plain": repr(self)}
        return shown, {"image/svg+xml": {name: text for name, text in words.items() if text}}

    def to_svg(self, figure: Figure | None = None) -> str:
        """Return the figure, or another arrangement of it, as SVG whose colours follow the reader's light or dark page."""
        return _follow_scheme(_save(figure or self.figure, "svg").decode(), (INK, FAINT, *FEW, *self.hues))

    def to_paper(self, kind: str) -> bytes:
        """Return the figure for white paper as "svg" or "pdf", the same bytes for the same figure."""
        return _save(self.figure, kind)


def _save(figure: Figure, kind: str) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format=kind, metadata=PAPER[kind], bbox_inches="tight")
    return stream.getvalue()


def _follow_scheme(svg: str, hues: tuple[Hue, ...]) -> str:
    """Replace each colour by a variable that has another value on dark pages."""
    used = {hue.light: hue.dark for hue in hues if hue.light in svg}
    body = re.sub(r"#[0-9a-f]{6}\b", lambda found: f"var(--{found[0][1:]})" if found[0] in used else found[0], svg)
    light, dark = (
        ";".join(f"--{name[1:]}:{shade}" for name, shade in shades)
        for shades in (zip(used, used, strict=True), used.items())
    )
    style = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    return body[body.index("<svg") :].replace("<defs>", f"{style}<defs>", 1)


def make_axes(
    n_rows: int = 1, n_columns: int = 1, height: float = 3.4, width: float = 7.6, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure with its axes, row by row, in the style of the house."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False, **options)
    return figure, list(axes.flat)
