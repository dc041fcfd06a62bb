"""Heat maps: classes by level as differences from the leader, and the grid of two factors."""

import math
from collections.abc import Sequence

import pandas as pd

from lrreport.report.svg import SIZE, Drawing, measure_text, shorten

CELL, HEAD = 26.0, 30.0
MOST_WIDTH, LINE = 72.0, 14.0  # that a column asks for; between the lines of a heading


def draw_differences(
    frame: pd.DataFrame,
    texts: pd.DataFrame,
    scores: Sequence[str],
    ranks: Sequence[int],
    title: str,
    width: float,
    label: str,
) -> str:
    """Return a heat map of differences (rows × levels): better in blue, worse in orange, both by strength, with numbers.

    `scores` stand in the first column: what each row's differences are taken from. Where there is no room for all levels,
    those of the lowest `ranks` are drawn. A heading breaks at " · ".
    """
    headings = [str(level).split(" · ") for level in frame.columns]
    names = min(0.34 * width, max(measure_text(str(name)) for name in frame.index) + 12)
    of_scores = max([measure_text(text, 12) for text in (title, *scores)]) + 16
    parts = [*(part for heading in headings for part in heading), *map(str, texts.to_numpy().ravel())]
    widest = max(measure_text(part, 12) for part in parts) + 8
    most = max(1, int((width - names - of_scores) / min(widest, MOST_WIDTH)))
    drawn = sorted(sorted(range(len(ranks)), key=lambda i: ranks[i])[:most])
    room = (width - names - of_scores) / len(drawn)
    head = HEAD + LINE * (max(map(len, headings)) - 1)
    drawing = Drawing(width, head + CELL * len(frame) + 8)
    largest = float(frame.abs().max().max()) or 1.0
    drawing.text(names + of_scores - 12, head - 10, title, "small faint", "end")
    _draw_headings(drawing, [headings[column] for column in drawn], names + of_scores, room, head)
    for row, name in enumerate(frame.index):
        y = head + CELL * row
        drawing.text(0, y + 18, str(name), width=names - 8)
        drawing.text(names + of_scores - 12, y + 18, scores[row], "small", "end")
        for i, column in enumerate(drawn):
            value, x = float(frame.iat[row, column]), names + of_scores + room * i
            if not math.isfinite(value):
                continue
            kind = "gain" if value > 0 else "loss"
            drawing.rect(x + 1, y + 1, room - 2, CELL - 2, f"cell {kind}", f"--strength:{abs(value) / largest:.2f}")
            drawing.text(x + room / 2, y + 18, shorten(str(texts.iat[row, column]), room - 4, 12), "small", "middle")
    return drawing.to_svg(label, "wide" if width > 600 else "narrow")


def _draw_headings(
    drawing: Drawing, headings: Sequence[Sequence[str]], left: float, room: float, bottom: float
) -> None:
    """Write the lines of each heading above its column, the last line just above `bottom`."""
    for column, lines in enumerate(headings):
        middle = left + room * (column + 0.5)
        for line, text in enumerate(reversed(lines)):
            drawing.text(middle, bottom - 10 - LINE * line, shorten(text, room - 4, 12), "small faint", "middle")


def draw_grid(
    forms: Sequence[pd.DataFrame],
    kinds: pd.DataFrame,
    row_title: str,
    column_title: str,
    width: float,
    label: str,
) -> str:
    """Return the grid of two factors: a cell for each combination with its mean, marked as `kinds` say.

    `forms` hold the texts of all cells, from the longest on; drawn are the first that fit. A kind is "leader", "best" (may
    be the best), "few" (too few seeds to be ruled out), "out", or "" where there is no run.
    """
    names = min(0.34 * width, max(measure_text(str(n), SIZE + 1) for n in (*kinds.index, row_title)) + 14)
    room = (width - names) / len(kinds.columns)
    fitting = [form for form in forms if form.map(measure_text).to_numpy().max() <= room - 6]
    texts = (fitting or forms[-1:])[0]
    drawing = Drawing(width, HEAD + 22 + (CELL + 8) * len(texts) + 6)
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
