"""Shapes and text of figures: names are text, and lines end where values do."""

import math

from lrreport.report.svg import Drawing, escape, measure_text, shorten


def test_text_is_escaped_and_cut() -> None:
    assert escape('<b>&"\x07') == "&lt;b&gt;&amp;&quot;"
    assert shorten("short", 400) == "short"
    cut = shorten("a long name " * 20, 100)
    assert cut.endswith("…")
    assert measure_text(cut) <= 100
    drawing = Drawing(10, 10)
    drawing.text(0, 0, "a < b " * 30, width=50)
    assert "<title>a &lt; b " in drawing.elements[0]


def test_a_line_is_interrupted_where_there_is_no_value() -> None:
    drawing = Drawing(10, 10)
    drawing.path([(0, 0), (1, 1), (2, math.nan), (3, 3), (4, 4)], "curve")
    assert 'd="M0 0L1 1M3 3L4 4"' in drawing.elements[0]
    drawing.path([(0, math.nan)], "curve")
    assert len(drawing.elements) == 1
