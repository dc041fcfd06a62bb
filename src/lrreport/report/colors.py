"""One colour for each learning rate, the same everywhere, in a shade for light pages and one for dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass

import seaborn as sns

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
LIGHT_RAMP, DARK_RAMP = (0.0, 0.64), (0.4, 0.98)  # parts of a perceptual ramp that stand out from either page


def color_rates(rates: Sequence[float]) -> dict[float, Hue]:
    """Return the colour of each rate: few get one each, more of them a ramp in their order."""
    ordered = sorted(rates, reverse=True)
    hues = FEW if len(ordered) <= len(FEW) else _ramp(len(ordered))
    return dict(zip(ordered, hues, strict=False))


def _ramp(n: int) -> list[Hue]:
    ramp = sns.color_palette("plasma", as_cmap=True)
    shades = [
        [_to_hex(ramp(low + (high - low) * place / (n - 1))) for place in range(n)]
        for low, high in (LIGHT_RAMP, DARK_RAMP)
    ]
    return [Hue(light, dark) for light, dark in zip(*shades, strict=True)]


def _to_hex(color: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in color[:3])
