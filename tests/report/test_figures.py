"""Figures: marks lie where a second route puts them, nothing is NaN, no text runs into another."""

import re
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from lrreport.report import illustrate
from lrreport.report.document import Document, make_document
from lrreport.report.errors_by_class import ClassErrors
from lrreport.report.figures.curves import thin_out
from lrreport.report.load import assess_report, load_report
from lrreport.report.svg import measure_text
from lrreport.testing import make_measurements
from tests.report.conftest import build, make_state
from tests.report.test_document import list_parts

TEXT = re.compile(
    r'<text x="([^"]*)" y="([^"]*)"(?: text-anchor="(\w+)")?(?: class="([^"]*)")?(?: style="[^"]*")?>(?:<title>.*?</title>)?(.*?)</text>'
)
FIGURE = re.compile(r'<figure id="([^"]*)">(<svg.*?</svg>)(<svg.*?</svg>)<figcaption>', re.DOTALL)
SIZES = {"small": 12.0, "name": 15.0}
SLACK = 0.85  # text is narrower than the widths reserved for it


def list_drawings(document: Document) -> list[tuple[str, str]]:
    """Return the name and the SVG of each drawing on the page, wide and narrow."""
    html = "".join(part.html for part in list_parts(document).values())
    return [(name, svg) for name, *both in FIGURE.findall(html) for svg in both]


def read_texts(svg: str) -> list[tuple[float, float, float, float, str]]:
    """Return the boxes of all texts: left, right, top, bottom, text."""
    boxes = []
    for x, y, anchor, kind, text in TEXT.findall(svg):
        size = next((size for name, size in SIZES.items() if name in kind.split()), 13.0)
        shown = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
        width = SLACK * measure_text(shown, size)
        left = float(x) - {"": 0, "start": 0, "middle": width / 2, "end": width}[anchor]
        boxes.append((left, left + width, float(y) - 0.7 * size, float(y) + 0.1 * size, shown))
    return boxes


def check_drawing(name: str, svg: str) -> None:
    """Assert that nothing is NaN, and that no text overlaps another or leaves the drawing."""
    assert "nan" not in svg
    assert "inf" not in svg.replace("info", "")
    width = float(re.findall(r'viewBox="0 0 (\S+)', svg)[0])
    boxes = read_texts(svg)
    assert boxes
    for left, right, _, _, text in boxes:
        assert left > -12, (name, text)
        assert right < width + 12, (name, text)
    for a, b in combinations(boxes, 2):
        apart = a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
        assert apart, (name, width, a, b)


def test_nothing_overlaps_and_nothing_is_missing(document: Document) -> None:
    for name, svg in list_drawings(document):
        check_drawing(name, svg)


def test_every_figure_is_on_a_page(documents: dict[str, Document], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also checks the figures that only a report on stored predictions has."""
    called = set[str]()

    def record(name: str, show: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (called.add(name), show(*arguments))[1]

    shows = {name for name in illustrate.__all__ if name.startswith("show_")}
    for name in shows:
        monkeypatch.setattr(illustrate, name, record(name, getattr(illustrate, name)))
    loaded = load_report()
    reference = make_document(loaded, assess_report(loaded))
    drawings = list_drawings(reference)
    list_drawings(make_state("range test"))
    assert called == shows - {"show_grid"}  # which show_decision calls
    assert {name for name, _ in drawings} > {"decision", "classes"}
    for name, svg in drawings:
        check_drawing(name, svg)


def test_every_state_has_a_decision_figure_but_without_runs(documents: dict[str, Document]) -> None:
    for name, document in documents.items():
        assert document.decision_figure is not None, name


def test_marks_of_the_decision_figure_lie_where_their_values_are(documents: dict[str, Document]) -> None:
    svg = documents["three"].decision_figure.wide
    rings = [float(x) for x in re.findall(r'<circle cx="(\S+)" cy="\S+" r="3.2"', svg)]
    values = [value for level in (0.001, 0.0005, 0.0001) for value in _scores(documents["three"])[level]]
    assert len(rings) == len(values) == 15
    slope = (rings[0] - rings[-1]) / (values[0] - values[-1])  # a line through two of them holds all the rest
    for ring, value in zip(rings, values, strict=True):
        assert ring == pytest.approx(rings[0] + slope * (value - values[0]), abs=0.2)
    discs = [float(x) for x in re.findall(r'<circle cx="(\S+)" cy="\S+" r="5"', svg)][::2]
    means = [sum(_scores(documents["three"])[level]) / 5 for level in (0.001, 0.0005)]
    assert discs[0] == pytest.approx(rings[0] + slope * (means[0] - values[0]), abs=0.3)


def _scores(document: Document) -> dict[float, list[float]]:
    scores = document.assessment.scores["val_accuracy"]
    return {
        level.values["learning_rate"]: list(scores[level.index]) for level in document.assessment.measurements.levels
    }


def test_a_level_off_the_scale_is_put_into_words(documents: dict[str, Document]) -> None:
    svg = documents["far away"].decision_figure.wide
    assert "◂ 25.00 (12.58 to 37.42), off the scale" in svg
    assert ">◂ −70.27<" in svg


def test_blue_may_be_the_best_and_grey_is_ruled_out(documents: dict[str, Document]) -> None:
    svg = documents["three"].decision_figure.wide
    assert len(re.findall(r'class="ring best"', svg)) == 10
    assert len(re.findall(r'class="ring out"', svg)) == 5


def test_many_levels_are_cut_to_those_that_matter(documents: dict[str, Document]) -> None:
    document = documents["many levels"]
    assert len(re.findall(r'class="name"', document.decision_figure.wide)) == 12
    assert "188 more levels" in document.decision_figure.caption


def test_the_grid_marks_the_leader_and_what_is_out(documents: dict[str, Document]) -> None:
    svg = documents["two factors"].decision_figure.wide
    assert len(re.findall(r"grid-cell leader", svg)) == 1
    assert len(re.findall(r"grid-cell out", svg)) == 5
    assert "★ 90.15" in svg


def test_curves_color_the_leading_levels_and_thin_out_points(documents: dict[str, Document]) -> None:
    svg = illustrate.show_curves(documents["three"].assessment).wide
    assert len(re.findall(r'class="curve level"', svg)) == 4
    assert len(re.findall(r'class="curve context"', svg)) == 2
    assert svg.count("stroke-dasharray") > 0  # lines differ without colour too
    long = pd.Series(range(5000), dtype=float)
    assert len(thin_out(long)) == 200
    assert thin_out(long).index[[0, -1]].tolist() == [0, 4999]


def test_averages_are_of_points_that_all_seeds_have() -> None:
    frame = pd.DataFrame(
        {(0, 0): [1.0, 2, 3, 4], (0, 1): [3.0, 4, 5, None]}, index=pd.Index([0, 1, 2, 3], name="epoch")
    ).rename_axis(columns=["level", "seed"])
    assert illustrate.average_curves(frame)[0].to_dict() == {1: 3.0, 2: 4.0}
    assert illustrate.span_curves(frame, [0])[0].to_numpy().tolist() == [[2, 4], [3, 5]]


def test_classes_show_the_difference_from_the_leader(documents: dict[str, Document]) -> None:
    accuracy = pd.DataFrame({0: [0.9, 0.5], 1: [0.8, 0.6]}, index=["a $b$", "<c>"])
    errors = ClassErrors((0, 1), 0, accuracy, {0: ("a $b$", "<c>", 0.2), 1: ("a $b$", "<c>", 0.1)}, 0)
    figure = illustrate.show_classes(documents["three"].assessment, errors)
    assert ">−10.0<" in figure.wide
    assert ">+10.0<" in figure.wide
    assert "&lt;c&gt;" in figure.wide
    assert figure.table.rows == (("a $b$", "90.0", "−10.0"), ("<c>", "50.0", "+10.0"))


def read_grid(svg: str) -> tuple[list[str], list[str]]:
    """Return the headings down and across of a grid: those at its left edge, and the rest."""
    names = re.findall(r'<text x="([^"]*)" y="[^"]*"(?: text-anchor="middle")? class="name">(.*?)</text>', svg)
    return [name for x, name in names if x == "0"], [name for x, name in names if x != "0"]


def make_grid(n_rates: int, n_sizes: int, metric: str = "val_accuracy", scale: float = 1.0) -> Document:
    scores = {(10.0**-i, 2**j): [scale * (0.9 - 0.01 * (i + j) + 0.001 * seed) for seed in range(4)]
              for i in range(n_rates) for j in range(n_sizes)}  # fmt: skip
    scores[1.0, 1] = [scale * 0.3, scale * 0.3, scale * 0.3, None]
    chance = 0.1 if metric == "val_accuracy" else None
    return build(make_measurements(scores, metric=metric, chance=chance, factors=("learning_rate", "batch_size")))


@pytest.mark.parametrize(("n_rates", "n_sizes", "down"), [(8, 3, 8), (4, 3, 3), (3, 8, 8), (6, 6, 6)])
def test_every_grid_of_a_page_is_turned_the_same_way(n_rates: int, n_sizes: int, down: int) -> None:
    figure = make_grid(n_rates, n_sizes).decision_figure
    assert figure is not None
    rows, columns = read_grid(figure.wide)
    assert (rows, columns) == read_grid(figure.narrow)
    assert (len(rows), len(rows) * len(columns)) == (down, n_rates * n_sizes)
    assert list(figure.table.headings[1:]) == columns
    assert [row[0] for row in figure.table.rows] == rows


@pytest.mark.parametrize(("metric", "scale"), [("val_accuracy", 1.0), ("val_rmse", 120.0), ("val_rmse", 1e4)])
@pytest.mark.parametrize("n_sizes", [3, 5])
def test_all_cells_of_a_grid_have_as_many_decimals(metric: str, scale: float, n_sizes: int) -> None:
    figure = make_grid(9, n_sizes, metric, scale).decision_figure
    for svg in (figure.wide, figure.narrow):
        cells = re.findall(r'class="on-\w+">(?:★ )?([^<]*)</text>', svg)
        assert len(cells) == 9 * n_sizes
        decimals = {len(re.sub(r" .*", "", cell).partition(".")[2]) for cell in cells}
        assert len(decimals) == 1
        assert "…" not in "".join(cells)


def test_a_narrow_figure_shows_the_classes_of_the_levels_that_matter_most(documents: dict[str, Document]) -> None:
    document = make_grid(4, 2)
    levels = tuple(range(8))
    leader = document.assessment.decision.leader
    accuracy = pd.DataFrame({i: [0.9 + 0.01 * i, 0.5] for i in levels}, index=["Ankle boot", "T-shirt/top"])
    errors = ClassErrors(levels, leader, accuracy, dict.fromkeys(levels, ("Ankle boot", "T-shirt/top", 0.2)), 0)
    figure = illustrate.show_classes(document.assessment, errors)
    counts = {svg: len(re.findall(r'class="cell ', svg)) for svg in (figure.wide, figure.narrow)}
    assert counts[figure.wide] == 2 * 7
    assert 2 * 2 <= counts[figure.narrow] < 2 * 7
    assert "…" not in figure.narrow
    assert len(figure.table.headings) == 2 + 7
