"""One colour for each learning rate, the same everywhere, in a shade for light pages and one for dark pages."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

from matplotlib.colors import LinearSegmentedColormap, to_hex

LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14171c"  # as in template/style.css


@dataclass(frozen=True)
class Hue:
    """A colour as #rrggbb: `light` is its shade on a light page, `dark` on a dark one."""

    light: str
    dark: str


# After Okabe and Ito (2008), moved until each has a contrast of 3 to its page and colour-blind readers tell any two apart.
FEW = (
    Hue("#005c9c", "#4ba6e0"), Hue("#b86e00", "#f0ad45"), Hue("#00805e", "#1fb386"), Hue("#cf6fae", "#f7c3e6"),
    Hue("#7a1f1f", "#c0604f"), Hue("#39424e", "#8791a0"),
)  # fmt: skip
# From cool for low rates to hot for high ones.
RAMP = (
    Hue("#3b2a86", "#a89cf0"), Hue("#005c9c", "#4ba6e0"), Hue("#007a78", "#2fc0b4"), Hue("#5f7a00", "#b5cc4a"),
    Hue("#b06a00", "#f0ad45"), Hue("#b03a2e", "#f0877a"), Hue("#7d1150", "#e06bb0"),
)  # fmt: skip


def color_rates(rates: Sequence[float]) -> dict[float, Hue]:
    """Return the colour of each rate: few get one each, more of them a ramp in their order."""
    ordered = sorted(rates, reverse=True)
    hues = FEW if len(ordered) <= len(FEW) else _ramp(len(ordered))
    return dict(zip(ordered, hues, strict=False))


@lru_cache(maxsize=8)
def _ramp(n: int) -> list[Hue]:
    """Return n colours, hot first, between those of RAMP."""
    light, dark = (
        LinearSegmentedColormap.from_list("ramp", shades) for shades in zip(*map(astuple, RAMP), strict=True)
    )
    places = [1 - place / (n - 1) for place in range(n)]
    return [Hue(to_hex(light(place)), to_hex(dark(place))) for place in places]
