"""Heat maps: classes by level as differences from the leader, and the grid of two factors."""

import math
from collections.abc import Sequence

import pandas as pd

from lrreport.report.svg import SIZE, Drawing, measure_text, shorten

CELL, HEAD = 26.0, 30.0


def draw_differences(
    frame: pd.DataFrame, texts: pd.DataFrame, scores: Sequence[str], title: str, width: float, label: str
) -> str:
    """Return a heat map of differences (rows × levels): better in blue, worse in orange, both by strength, with numbers.

    `scores` stand in the first column: what each row's differences are taken from.
    """
    names = min(0.34 * width, max(measure_text(str(name)) for name in frame.index) + 12)
    of_scores = max([measure_text(text, 12) for text in (title, *scores)]) + 16
    drawing = Drawing(width, HEAD + CELL * len(frame) + 8)
    room = (width - names - of_scores) / len(frame.columns)
    largest = float(frame.abs().max().max()) or 1.0
    drawing.text(names + of_scores - 12, HEAD - 10, title, "small faint", "end")
    for column, level in enumerate(frame.columns):
        middle = names + of_scores + room * (column + 0.5)
        drawing.text(middle, HEAD - 10, shorten(str(level), room - 4, 12), "small faint", "middle")
    for row, name in enumerate(frame.index):
        y = HEAD + CELL * row
        drawing.text(0, y + 18, str(name), width=names - 8)
        drawing.text(names + of_scores - 12, y + 18, scores[row], "small", "end")
        for column in range(len(frame.columns)):
            value, x = float(frame.iat[row, column]), names + of_scores + room * column
            if not math.isfinite(value):
                continue
            kind = "gain" if value > 0 else "loss"
            drawing.rect(x + 1, y + 1, room - 2, CELL - 2, f"cell {kind}", f"--strength:{abs(value) / largest:.2f}")
            drawing.text(x + room / 2, y + 18, shorten(str(texts.iat[row, column]), room - 4, 12), "small", "middle")
    return drawing.to_svg(label, "wide" if width > 600 else "narrow")


def draw_grid(
    texts: pd.DataFrame, kinds: pd.DataFrame, row_title: str, column_title: str, width: float, label: str
) -> str:
    """Return the grid of two factors: a cell for each combination with its mean, marked as `kinds` say.

    A kind is "leader", "best" (may be the best), "few" (too few seeds to be ruled out), "out", or "" where there is no run.
    """
    names = min(0.34 * width, max(measure_text(str(n), SIZE + 1) for n in (*texts.index, row_title)) + 14)
    drawing = Drawing(width, HEAD + 22 + (CELL + 8) * len(texts) + 6)
    room = (width - names) / len(texts.columns)
    drawing.text(0, HEAD + 10, row_title, "small faint", width=names - 8)
    drawing.text(names, 14, column_title, "small faint", width=width - names)
    for column, value in enumerate(texts.columns):
        drawing.text(names + room * (column + 0.5), HEAD + 10, shorten(str(value), room - 4, SIZE), "name", "middle")
    for row, value in enumerate(texts.index):
        y = HEAD + 20 + (CELL + 8) * row
        drawing.text(0, y + 21, str(value), "name", width=names - 8)
        for column in range(len(texts.columns)):
            kind, text, x = str(kinds.iat[row, column]), str(texts.iat[row, column]), names + room * column
            drawing.rect(x + 2, y + 2, room - 4, CELL + 4, f"grid-cell {kind or 'empty'}")
            mark = "★ " if kind == "leader" else ""
            shown = shorten(f"{mark}{text}" if measure_text(mark + text) < room - 6 else text, room - 6, SIZE)
            drawing.text(x + room / 2, y + 22, shown, f"on-{kind or 'empty'}", "middle")
    return drawing.to_svg(label, "wide" if width > 600 else "narrow")
