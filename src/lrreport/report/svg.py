"""SVG by hand: shapes and real text in the page's colours."""

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

SIZE = 13.0  # of text, in the figure's units, which are pixels where there is room
WIDE, NARROW = 880.0, 350.0
# Widths in em of the widest common fonts (DejaVu Sans, Verdana), so that text never takes more room than is reserved for it.
NARROW_LETTERS, WIDE_LETTERS = set(" .,:;'|!iljtfIr()[]"), set("mwMW@%−—×")


def measure_text(text: str, size: float = SIZE) -> float:
    """Return about how wide a text is, rather too wide than too narrow."""
    return size * sum(0.4 if c in NARROW_LETTERS else 0.92 if c in WIDE_LETTERS else 0.63 for c in text)


def shorten(text: str, width: float, size: float = SIZE) -> str:
    """Return a text, cut with an ellipsis where it is wider than `width`."""
    if measure_text(text, size) <= width:
        return text
    shortened = text
    while shortened and measure_text(f"{shortened}…", size) > width:
        shortened = shortened[:-1]
    return f"{shortened.rstrip()}…"


def escape(text: object) -> str:
    """Return a text as it stands in HTML and SVG, whatever it contains."""
    return html.escape("".join(char for char in str(text) if char.isprintable() or char == "\n"))


def number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


@dataclass
class Drawing:
    """A figure being drawn: its size and its elements; coordinates grow to the right and down."""

    width: float
    height: float
    elements: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str, style: str = "") -> None:
        """Add a straight line; `kind` is its class in figures.css."""
        points = " ".join(
            f'{name}="{number(v)}"' for name, v in zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True)
        )
        self.elements.append(f"<line {points}{_attributes(kind, style)}/>")

    def rect(
        self, x: float, y: float, width: float, height: float, kind: str, style: str = "", title: str = ""
    ) -> None:
        """Add a rectangle; `title` is shown by a browser on hover."""
        box = f'x="{number(x)}" y="{number(y)}" width="{number(max(0, width))}" height="{number(max(0, height))}"'
        self.elements.append(_close(f"<rect {box}{_attributes(kind, style)}", "rect", title))

    def circle(self, x: float, y: float, radius: float, kind: str, style: str = "", title: str = "") -> None:
        """Add a disc or a ring."""
        position = f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
        self.elements.append(_close(f"<circle {position}{_attributes(kind, style)}", "circle", title))

    def path(self, points: Iterable[tuple[float, float]], kind: str, style: str = "", clip: str = "") -> None:
        """Add a line through points; it is interrupted at points that are not finite."""
        parts, pen_up = [], True
        for x, y in points:
            if not (math.isfinite(x) and math.isfinite(y)):
                pen_up = True
                continue
            parts.append(f"{'M' if pen_up else 'L'}{number(x)} {number(y)}")
            pen_up = False
        if parts:
            clipped = f' clip-path="url(#{clip})"' if clip else ""
            self.elements.append(f'<path d="{"".join(parts)}"{_attributes(kind, style)}{clipped}/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        kind: str = "",
        anchor: str = "start",
        style: str = "",
        width: float | None = None,
    ) -> None:
        """Add text on a baseline, cut where it is wider than `width`; `anchor` is "start", "middle" or "end"."""
        size = 12.0 if "small" in kind else SIZE
        shown = text if width is None else shorten(text, width, size)
        title = f"<title>{escape(text)}</title>" if shown != text else ""
        position = f'x="{number(x)}" y="{number(y)}"' + ("" if anchor == "start" else f' text-anchor="{anchor}"')
        self.elements.append(f"<text {position}{_attributes(kind, style)}>{title}{escape(shown)}</text>")

    def label(self, x: float, y: float, text: str, kind: str = "small", anchor: str = "start") -> None:
        """Add text on a patch in the page's colour, so that no line runs through it."""
        size = 12.0 if "small" in kind else SIZE
        width = measure_text(text, size) + 4
        left = {"start": x - 2, "middle": x - width / 2, "end": x - width + 2}[anchor]
        self.rect(left, y - size + 1, width, size + 2, "patch")
        self.text(x, y, text, kind, anchor)

    def clip(self, name: str, x: float, y: float, width: float, height: float) -> None:
        """Define the rectangle that paths with this `clip` are cut to."""
        box = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
        self.elements.append(f'<clipPath id="{name}"><rect {box}/></clipPath>')

    def to_svg(self, label: str, kind: str = "") -> str:
        """Return the figure as an SVG element with `label` for those who do not see it."""
        size = f'viewBox="0 0 {number(self.width)} {number(self.height)}"'
        body = "".join(self.elements)
        return f'<svg class="figure {kind}" {size} role="img" aria-label="{escape(label)}">{body}</svg>'


def _attributes(kind: str, style: str) -> str:
    return (f' class="{kind}"' if kind else "") + (f' style="{style}"' if style else "")


def _close(opened: str, tag: str, title: str) -> str:
    return f"{opened}><title>{escape(title)}</title></{tag}>" if title else f"{opened}/>"
