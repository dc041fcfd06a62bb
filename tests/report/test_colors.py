"""Colours: lightness is monotone, neighbours are distinguishable in every kind of sight, each is visible on its page."""

import itertools

import numpy as np
import pytest

from lrreport.report.colors import DARK_PAGE, LIGHT_PAGE, color_levels

# Simulated sight (Machado, Oliveira and Fernandes, 2009, severity 1), on linear RGB.
SIGHTS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def read_linear(color: str) -> np.ndarray:
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def find_lab(linear: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ linear.clip(0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def find_distance(first: np.ndarray, second: np.ndarray) -> float:
    """CIEDE2000 (Sharma, Wu and Dalal, 2005) of two colours in CIELAB."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * stretch)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    lightness, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360
    cosines = [np.cos(np.radians(angle)) for angle in (hue - 30, 2 * hue, 3 * hue + 6, 4 * hue - 63)]
    t = 1 + np.dot([-0.17, 0.24, 0.32, -0.20], cosines)
    dl = (l2 - l1) / (1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    turned = 60 * np.exp(-(((hue - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(turned))
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def test_distance_is_that_of_the_published_example() -> None:
    # The first and the seventeenth pair of the test data of Sharma, Wu and Dalal (2005).
    assert find_distance(np.array([50, 2.6772, -79.7751]), np.array([50, 0, -82.7485])) == pytest.approx(
        2.0425, abs=1e-4
    )
    assert find_distance(np.array([50, 2.5, 0]), np.array([73, 25, -18])) == pytest.approx(27.1492, abs=1e-4)


@pytest.mark.parametrize("n", range(2, 13))
@pytest.mark.parametrize("page", [0, 1])
def test_neighbours_are_distinguishable_and_lightness_is_monotone(n: int, page: int) -> None:
    linear = [read_linear(pair[page]) for pair in color_levels(n)]
    seen = [find_lab(color) for color in linear]
    assert all(later[0] > earlier[0] for earlier, later in itertools.pairwise(seen))
    assert min(find_distance(*pair) for pair in itertools.pairwise(seen)) >= 8
    for sight in SIGHTS.values():
        simulated = [find_lab(np.array(sight) @ color) for color in linear]
        assert min(find_distance(*pair) for pair in itertools.pairwise(simulated)) >= 5


@pytest.mark.parametrize("n", [1, 2, 7, 12, 40])
@pytest.mark.parametrize(("page", "paper"), [(0, LIGHT_PAGE), (1, DARK_PAGE)])
def test_each_colour_is_visible_on_its_page(n: int, page: int, paper: str) -> None:
    weights = TO_XYZ[1]
    ground = float(weights @ read_linear(paper))
    for pair in color_levels(n):
        luminance = float(weights @ read_linear(pair[page]))
        assert (max(luminance, ground) + 0.05) / (min(luminance, ground) + 0.05) >= 3


def test_many_levels_get_a_colour_each() -> None:
    assert len(set(color_levels(12))) == 12
    assert len(color_levels(200)) == 200
    assert color_levels(0) == []
