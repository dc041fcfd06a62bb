"""A figure as it is shown: inline SVG for wide and narrow pages, a caption, and the numbers behind it."""

from collections.abc import Callable
from dataclasses import dataclass

from lrreport.report.svg import NARROW, WIDE, escape
from lrreport.report.table import Table


@dataclass(frozen=True)
class Figure:
    """Two drawings of the same values; `label` says in words what they show, `caption` how to read them.

    A `tall` figure pushes what follows off the first screen.
    """

    name: str
    label: str
    caption: str
    wide: str
    narrow: str
    table: Table | None = None
    tall: bool = False

    def __repr__(self) -> str:
        return f"[Figure: {self.label}]"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """Return the figure as an element of HTML, with the numbers behind it folded below."""
        data = self.table.to_html() if self.table is not None else ""
        folded = f'<details class="data"><summary>Numbers</summary>{data}</details>' if data else ""
        anchor = f'<a class="anchor" href="#{self.name}">¶</a>'
        caption = f"<figcaption>{escape(self.caption)} {anchor}</figcaption>"
        return f'<figure id="{self.name}">{self.wide}{self.narrow}{caption}</figure>{folded}\n'


def clip_name(name: str, width: float) -> str:
    """Return the identifier of a clipping rectangle, different in the wide and the narrow drawing."""
    return f"clip-{name}-{width:.0f}"


def draw_both(draw: Callable[[float], str]) -> tuple[str, str]:
    """Return what `draw` draws at the width of a wide and of a narrow page."""
    return draw(WIDE), draw(NARROW)
