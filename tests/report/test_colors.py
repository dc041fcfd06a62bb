"""Colours stand out from both pages, and from each other for readers who see no difference of red and green."""

from itertools import combinations

import numpy as np
import pytest

from lrreport.report.colors import DARK_PAGE, FEW, LIGHT_PAGE, Hue, color_rates

# Machado, Oliveira and Fernandes (2009): how colours look, in linear RGB, without one kind of cone.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def read_linear(color: str) -> np.ndarray:  # type: ignore[type-arg]
    parts = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def measure_contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted(float(read_linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def measure_distance(one: str, other: str, blindness: str) -> float:
    """The distance of two colours in CIELAB as somebody sees them who lacks one kind of cone."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    labs = []
    for color in (one, other):
        seen = np.clip(np.array(BLINDNESS[blindness]) @ read_linear(color), 0, 1)
        x, y, z = np.cbrt(to_xyz @ seen / [0.9505, 1.0, 1.089])
        labs.append(np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)]))
    return float(np.linalg.norm(labs[0] - labs[1]))


def test_contrast_of_black_and_white() -> None:
    assert measure_contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 12, 200])
def test_every_colour_stands_out_from_its_page(n: int) -> None:
    hues = color_rates([2.0**-place for place in range(n)])
    assert len(hues) == n
    assert min(measure_contrast(hue.light, LIGHT_PAGE) for hue in hues.values()) >= 3
    assert min(measure_contrast(hue.dark, DARK_PAGE) for hue in hues.values()) >= 3


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_few_colours_differ_for_the_colour_blind(blindness: str) -> None:
    for one, other in combinations(FEW, 2):
        assert measure_distance(one.light, other.light, blindness) > 18, (one, other)
        assert measure_distance(one.dark, other.dark, blindness) > 18, (one, other)


def test_colours_follow_the_rate_and_not_the_order_of_the_study() -> None:
    assert color_rates([0.1, 0.01]) == color_rates([0.01, 0.1])
    assert color_rates([0.1]) == {0.1: Hue("#005c9c", "#4ba6e0")}
