"""Figures: what is drawn lies where the numbers say, whatever the study; and the same study gives the same bytes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lrreport.report import figures
from lrreport.report.colors import color_rates
from lrreport.report.figures import curves, panels
from lrreport.report.results import Results, load_results
from lrreport.report.stats import estimate_mean

Make = Callable[..., Results]


def end_at(accuracy: float, n_epochs: int = 3, seeds: int = 3) -> list[list[tuple[float, float]]]:
    """Curves of seeds that end a little apart around an accuracy, with the loss 1 − accuracy."""
    ends = [accuracy + 0.01 * (seed - (seeds - 1) / 2) for seed in range(seeds)]
    return [[(1 - end + 0.1 * left, end - 0.1 * left) for left in range(n_epochs - 1, -1, -1)] for end in ends]


STUDIES: dict[str, dict[float, Any]] = {
    "two rates": {0.1: end_at(0.8), 0.01: end_at(0.7)},
    "one rate": {0.1: end_at(0.8)},
    "one seed": {0.1: end_at(0.8, seeds=1), 0.01: end_at(0.7, seeds=1)},
    "one epoch": {0.1: end_at(0.8, n_epochs=1), 0.01: end_at(0.7, n_epochs=1)},
    "all diverged": {0.1: [[], []], 0.01: [[], []]},
    "one diverged": {1.0: [[], *end_at(0.2, seeds=1)], 0.01: end_at(0.7, seeds=2)},
    "twelve rates": {2.0**-place: end_at(0.5 + 0.02 * place) for place in range(12)},
    "forty rates": {1.5**-place: end_at(0.5 + 0.01 * place) for place in range(40)},
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_drawn_and_told(make_results: Make, name: str) -> None:
    results = make_results(STUDIES[name])
    for draw in (figures.draw_accuracy_by_rate, figures.draw_curves):
        picture = draw(results)
        explained, _, message = picture.caption.partition(". ")
        assert picture.alt.endswith(message.removeprefix("A cross is where training diverged. "))
        assert "seed" in explained
        assert not re.search(r"\bnan\b", picture.alt)
        shown, metadata = picture._repr_mimebundle_()
        assert shown["image/svg+xml"].startswith("<svg")
        assert set(metadata["image/svg+xml"]) == {"alt", "caption", "table", "narrow"}
    plt.close("all")


def test_means_and_intervals_are_drawn_over_the_points(make_results: Make) -> None:
    results = make_results(STUDIES["two rates"])
    axis = figures.draw_accuracy_by_rate(results).figure.axes[0]
    one = estimate_mean(results.values(0.1, "val_accuracy"))
    [bars] = [bar for bar in axis.containers if bar.lines[0].get_xdata()[0] == 0.1]  # type: ignore[union-attr]
    assert bars.lines[0].get_ydata()[0] == pytest.approx(one.mean)
    assert bars.lines[2][0].get_segments()[0][:, 1] == pytest.approx([one.low, one.high])
    [points] = [
        line for line in axis.lines if len(line.get_xdata()) == 3 and abs(np.mean(line.get_xdata()) - 0.1) < 0.01
    ]
    assert sorted(points.get_ydata()) == pytest.approx(sorted(results.values(0.1, "val_accuracy")))
    assert points.get_zorder() <= bars.lines[0].get_zorder()


def test_captions_name_the_ends(make_results: Make) -> None:
    picture = figures.draw_accuracy_by_rate(make_results(STUDIES["two rates"]))
    assert picture.caption == (
        "Each point is one seed, each diamond the mean over seeds with its 95 % interval. "
        "The mean validation accuracy ends highest at 0.1, 80.00 %, and lowest at 0.01, 70.00 %."
    )
    picture = figures.draw_curves(make_results(STUDIES["one diverged"]))
    lines = "Lines are means over seeds, bands reach from the lowest seed to the highest. A cross is where training diverged."
    assert picture.caption == f"{lines} The mean validation loss of 0.01 ends at 0.3000 nats. Training diverged at 1.0."
    picture = figures.draw_curves(make_results(STUDIES["all diverged"]))
    assert picture.caption == f"{lines} No learning rate trained to the end. Training diverged at 0.1 and 0.01."


def test_diverged_rates_are_marked_and_named_once(make_results: Make) -> None:
    axis = figures.draw_accuracy_by_rate(make_results(STUDIES["all diverged"])).figure.axes[0]
    assert [line.get_marker() for line in axis.lines] == ["x", "x"]
    assert [text.get_text() for text in axis.texts] == ["diverged"]
    panel = figures.draw_curves(make_results(STUDIES["one diverged"])).figure.axes[1]
    assert [line.get_marker() for line in panel.lines].count("x") == 1


@pytest.mark.parametrize(("name", "n_labels", "n_legends", "n_axes"), [
    ("two rates", 2, 0, 4), ("twelve rates", 0, 1, 4), ("forty rates", 0, 0, 5),
])  # fmt: skip
def test_lines_are_named_at_their_ends_in_a_legend_or_by_a_scale(
    make_results: Make, name: str, n_labels: int, n_legends: int, n_axes: int
) -> None:
    figure = figures.draw_curves(make_results(STUDIES[name])).figure
    assert len(figure.axes[1].texts) == n_labels
    assert len(figure.legends) == n_legends
    assert len(figure.axes) == n_axes


def test_many_rates_are_a_line_with_a_band(make_results: Make) -> None:
    axis = figures.draw_accuracy_by_rate(make_results(STUDIES["forty rates"])).figure.axes[0]
    assert not axis.containers
    assert len(axis.collections) == 1
    assert len(axis.lines) == 41


def test_very_many_rates_are_bands_and_some_of_their_curves(write_study: Callable[..., Path], tmp_path: Path) -> None:
    results = load_results(write_study(tmp_path / "large", 400, 3, 2))
    picture = figures.draw_accuracy_by_rate(results)
    assert len(picture.figure.axes[0].collections) == 2
    assert picture.caption.startswith(
        "The wide band goes from the lowest seed to the highest, the line the mean over seeds"
    )
    assert picture.table is not None
    assert len(picture.table.frame) == panels.TABLE_ROWS
    assert picture.table.caption.endswith("at 300 of the 400 learning rates, evenly spaced by rank.")
    picture = figures.draw_curves(results)
    drawn = [line for line in picture.figure.axes[1].lines if line.get_marker() != "x"]
    assert len(drawn) == curves.CURVES
    assert "; drawn are 60 of the rates, evenly spaced by rank." in picture.caption
    assert {min(results.rates), max(results.rates)} <= set(panels.pick_evenly(results.rates, 60))


def test_names_are_spread_apart_evenly_and_stay_inside() -> None:
    assert curves.spread_apart([0.2, 0.5, 0.9], 0.1) == pytest.approx([0.2, 0.5, 0.9])
    assert curves.spread_apart([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert curves.spread_apart([0.0, 0.01], 0.1) == pytest.approx([0.0, 0.1])
    assert curves.spread_apart([0.97, 1.0], 0.1) == pytest.approx([0.9, 1.0])


def test_losses_beyond_the_untrained_network_are_cut_off(make_results: Make) -> None:
    results = make_results({10.0: [[(1e6, 0.1)], [(2e6, 0.1)]], 0.1: [[(0.5, 0.8)], [(0.6, 0.8)]]})
    picture = figures.draw_curves(results)
    assert picture.figure.axes[0].get_ylim()[1] == pytest.approx(1.5 * 2.3)
    assert "Losses above 3.45 nats are cut off." in picture.caption


def test_the_tables_hold_what_is_drawn(make_results: Make) -> None:
    results = make_results(STUDIES["two rates"])
    table = figures.draw_accuracy_by_rate(results).table
    assert table is not None
    one = estimate_mean(results.values(0.1, "val_accuracy"))
    assert table.frame.iloc[0, 1] == "80.00 %"
    assert table.frame.iloc[0, 2] == f"{100 * one.low:.2f} % to {100 * one.high:.2f} %"
    curves = figures.draw_curves(results).table
    assert curves is not None
    assert list(curves.frame.iloc[3]) == ["0.1", "3", "0.2000", "0.2000", "80.00 %", "80.00 %"]
    long = figures.draw_curves(make_results({0.1: end_at(0.8, n_epochs=400), 0.01: end_at(0.7, n_epochs=400)})).table
    assert long is not None
    assert 200 < len(long.frame) <= panels.TABLE_ROWS
    assert "400" in set(long.frame["Epoch"])
    assert long.caption == "Means over seeds at some of the epochs. Losses are in nats."


def test_a_range_test_shows_the_rates_tried_and_its_lowest_loss() -> None:
    rates = np.geomspace(1e-7, 10, 300)
    losses = np.array([2.3 - 2 / (1 + (1e-3 / rates) ** 2) + 100 * (rates / 10) ** 2 for _ in range(2)])
    losses[0, 290:] = np.nan
    picture = figures.draw_range(rates, losses, (0.1, 0.099, 0.001))
    axis = picture.figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["0.001", "0.099"]  # 0.1 would overlap
    assert "Vertical lines are the 3 rates of the study." in picture.caption
    assert picture.alt.startswith(
        "Range test: training loss while the learning rate grows from 1e-7 to 10.0, a line for each"
    )
    assert picture.table is not None
    assert picture.table.frame.columns.tolist() == ["Learning rate", "Seed 1", "Seed 2"]
    smooth = pd.Series(losses[1]).ewm(alpha=0.05).mean()
    assert picture.table.frame.iloc[10, 2] == f"{smooth[60]:.4f}"
    assert picture.table.frame.iloc[-1, 1] == "diverged"


def test_the_same_records_give_the_same_bytes() -> None:
    for kind in ("svg", "pdf"):
        first, second = (figures.draw_curves(load_results()).to_paper(kind) for _ in range(2))
        assert first == second
    assert figures.draw_curves(load_results()).to_svg() == figures.draw_curves(load_results()).to_svg()


def test_each_colour_has_its_shade_on_a_dark_page() -> None:
    results = load_results()
    svg = figures.draw_accuracy_by_rate(results).to_svg()
    for hue in color_rates(results.rates).values():
        assert f"--{hue.light[1:]}:{hue.dark}" in svg
        assert f"var(--{hue.light[1:]})" in svg
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg.partition("</style>")[2])) <= {"#000000"}
    assert b"var(" not in figures.draw_accuracy_by_rate(results).to_paper("svg")


def test_many_rates_are_drawn_soon(write_study: Callable[..., Path], tmp_path: Path) -> None:
    picture = figures.draw_curves(load_results(write_study(tmp_path / "large", 200, 2, 3)))
    assert len(picture.to_svg()) < 1_000_000
    assert picture.table is not None
    assert len(picture.table.frame) <= 2 * 200
