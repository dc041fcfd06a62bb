"""Colours of ordered levels: a palette of monotone lightness, with shades for light and for dark pages."""

import numpy as np

LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14171c"  # as in template/style.css
# Twelve colours each, dark first, equally far apart along a curve in OKLCH (Ottosson, 2020) that was optimised so that
# neighbours differ by a CIEDE2000 of 8, of 5 in the simulated sight of colour-blind readers (Machado et al., 2009), and
# each has a contrast of 3 to its page.
LIGHT = (
    "#270000", "#3e1300", "#532a01", "#604307", "#585f25", "#456f43",
    "#257a64", "#1a819b", "#9970b3", "#b86c98", "#ca6e71", "#bf8730",
)  # fmt: skip
DARK = (
    "#ae5752", "#986c0f", "#688437", "#4e8c52", "#229378", "#2f96b4",
    "#a293d3", "#c998c7", "#e0a3ba", "#f2bab1", "#f9d5b7", "#fdf6d4",
)  # fmt: skip
# Which of them fewer levels get: any two neighbours keep those distances.
CHOICES = {
    1: (7,), 2: (3, 11), 3: (3, 7, 11), 4: (3, 5, 8, 11), 5: (3, 5, 6, 8, 11), 6: (1, 3, 5, 6, 8, 11),
    7: (0, 1, 3, 5, 6, 8, 11), 8: (0, 1, 3, 4, 6, 7, 8, 11), 9: (0, 1, 2, 3, 4, 6, 7, 8, 11),
    10: (0, 1, 2, 3, 4, 6, 7, 8, 10, 11), 11: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11),
}  # fmt: skip


def color_levels(n: int) -> list[tuple[str, str]]:
    """Return n colours as (#rrggbb on a light page, #rrggbb on a dark page), in the order of the levels.

    Lightness grows from the first to the last; neighbours are distinguishable with every kind of colour vision up to n = 12.
    """
    if n in CHOICES:
        return [(LIGHT[index], DARK[index]) for index in CHOICES[n]]
    positions = np.linspace(0, len(LIGHT) - 1, n)
    return list(zip(_sample(LIGHT, positions), _sample(DARK, positions), strict=True))


def _sample(colors: tuple[str, ...], positions: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[str]:
    """Return the colours at these positions in a sequence, interpolated between neighbours at fractions."""
    known = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors]) / 255
    linear = np.where(known <= 0.04045, known / 12.92, ((known + 0.055) / 1.055) ** 2.4)
    mixed = np.stack([np.interp(positions, np.arange(len(colors)), linear[:, i]) for i in range(3)], axis=1)
    coded = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return [f"#{''.join(f'{round(255 * float(part)):02x}' for part in color)}" for color in coded]
