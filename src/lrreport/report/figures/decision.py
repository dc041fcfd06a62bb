"""The decision figure: a row for each level with its seeds, mean and interval, its difference from the leader, and notes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lrreport.report.scales import Scale, list_ticks, make_scale
from lrreport.report.svg import SIZE, Drawing, measure_text
from lrreport.study.metrics import Metric

ROW, ROW_NARROW, HEAD, FOOT = 50.0, 104.0, 44.0, 30.0
SQUEEZE = 0.2  # a row that would squeeze the rest into less than this share of the axis is put into words


@dataclass(frozen=True)
class Row:
    """What a row shows: values of seeds, mean with interval, difference from the leader with interval, notes in words."""

    name: str
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    may_be_best: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What the figure shows: rows, the metric, the margin, the level that differences are from, and headings of the notes."""

    rows: Sequence[Row]
    metric: Metric
    margin: float | None
    leader: str
    headings: Sequence[str]

    @property
    def score_title(self) -> str:
        """The metric with its unit."""
        unit = "%" if self.metric.scale == "fraction" else self.metric.unit
        return f"{self.metric.label}{f', {unit}' if unit else ''}"

    def title_differences(self, width: float) -> str:
        """Return from what differences are taken, with their unit, in the longest form that fits."""
        unit = f", {self.metric.difference_unit}" if self.metric.difference_unit else ""
        forms = (f"difference from {self.leader}{unit}", f"from {self.leader}{unit}", f"from {self.leader}")
        return next((form for form in forms if measure_text(form, 12) <= width), forms[-1])

    @property
    def has_differences(self) -> bool:
        """Whether a level differs from the leader by a known amount."""
        return any(math.isfinite(row.difference) and row.difference != 0 for row in self.rows) or any(
            math.isfinite(row.difference_low) for row in self.rows
        )


def draw_decision(shown: Decision, width: float, label: str) -> str:
    """Return the figure as SVG, with columns side by side where `width` leaves room, else with a level's parts stacked."""
    return (_draw_wide if width > 600 else _draw_narrow)(shown, width, label)


def _draw_wide(shown: Decision, width: float, label: str) -> str:
    rows, metric, margin = shown.rows, shown.metric, shown.margin
    drawing = Drawing(width, HEAD + ROW * len(rows) + FOOT)
    names = min(200.0, max(measure_text(row.name, SIZE + 2) for row in rows) + 14)
    notes = [max(measure_text(text) for text in (head, *texts)) + 18 for head, *texts in _columns(shown.headings, rows)]
    notes = [min(130.0, note_width) for note_width in notes]
    room, end = width - names - sum(notes), width - sum(notes)
    left = (names + 24, names + room * (0.53 if shown.has_differences else 1) - 18)
    right = (names + room * 0.53 + 18, end - 26)
    scores, differences = _make_scales(shown, left, right)
    drawing.text(left[0] - 10, 16, shown.score_title, "small faint")
    if differences is not None:
        room_of_title = right[1] - right[0] + 24
        title = shown.title_differences(room_of_title)
        drawing.text(right[0] - 10, 16, title, "small faint", width=room_of_title)
    starts = [end + sum(notes[:i]) for i in range(len(notes))]
    for x, text, note_width in zip(starts, shown.headings, notes, strict=True):
        drawing.text(x, 16, text, "small faint", width=note_width - 4)
    bottom = HEAD + ROW * len(rows)
    _draw_frame(drawing, shown, margin, scores, differences, HEAD - 14, bottom)
    drawing.line(0, bottom, width, bottom, "rule")
    for index, row in enumerate(rows):
        y = HEAD + ROW * index
        if index:
            drawing.line(0, y, width, y, "rule")
        drawing.text(0, y + 31, row.name, "name", width=names - 8)
        _draw_scores(drawing, row, metric, scores, y + 27, y + 42)
        _draw_difference(drawing, row, metric, differences, y + 27)
        for x, text, note_width in zip(starts, row.notes, notes, strict=True):
            drawing.text(x, y + 31, text, "small", width=note_width - 6)
    return drawing.to_svg(label, "wide")


def _draw_narrow(shown: Decision, width: float, label: str) -> str:
    rows, metric, margin = shown.rows, shown.metric, shown.margin
    height = ROW_NARROW + 17 * math.ceil(len(shown.headings) / 2)
    drawing = Drawing(width, HEAD + height * len(rows) + FOOT)
    half = shown.has_differences
    left, right = (16.0, (width * 0.5 if half else width) - 12), (width * 0.5 + 12, width - 18)
    scores, differences = _make_scales(shown, left, right)
    drawing.text(0, 14, shown.score_title, "small faint", width=width)
    if differences is not None:
        drawing.text(width, 30, shown.title_differences(width), "small faint", "end", width=width)
    bottom = HEAD + height * len(rows)
    _draw_frame(drawing, shown, None, scores, differences, bottom, bottom)
    for index, row in enumerate(rows):
        y = HEAD + height * index
        drawing.line(0, y, width, y, "rule")
        drawing.text(0, y + 20, row.name, "name", width=width)
        if margin is not None and differences is not None:
            drawing.rect(differences(-margin), y + 30, differences(margin) - differences(-margin), 48, "zone")
            drawing.line(differences(0), y + 30, differences(0), y + 78, "zero")
        _draw_scores(drawing, row, metric, scores, y + 50, y + 67)
        _draw_difference(drawing, row, metric, differences, y + 56)
        for i, (heading, text) in enumerate(zip(shown.headings, row.notes, strict=True)):
            x, line = (0.0, width / 2)[i % 2], y + 96 + 17 * (i // 2)
            drawing.text(x, line, f"{heading}: {text}" if text else "", "small", width=width / 2 - 6)
    drawing.line(0, bottom, width, bottom, "rule")
    return drawing.to_svg(label, "narrow")


def _columns(headings: Sequence[str], rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [(heading, *(row.notes[i] for row in rows)) for i, heading in enumerate(headings)]


def _make_scales(
    decision: Decision, left: tuple[float, float], right: tuple[float, float]
) -> tuple[Scale, Scale | None]:
    """Return the scales of scores and of differences; the second is None where there is no difference to show."""
    rows, margin = decision.rows, decision.margin
    spans = [_finite(row.low, row.high, row.mean, *row.values) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (not rows[i].may_be_best, abs(rows[i].difference)))
    scores = make_scale(_choose_span([spans[i] for i in order if spans[i]]), *left)
    if not decision.has_differences:
        return scores, None
    differences = [_finite(row.difference, row.difference_low, row.difference_high) for row in rows]
    close = [differences[i] for i in order if differences[i]]
    zone = [-margin, margin] if margin is not None else []
    return scores, make_scale([*_choose_span([[0.0, *zone], *close], least=3), 0.0, *zone], *right)


def _choose_span(spans: Sequence[Sequence[float]], least: int = 2) -> list[float]:
    """Return the values to be shown on an axis: those of spans, nearest first, up to the first that would squeeze all before it.

    The first `least` are always shown.
    """
    shown: list[float] = []
    for index, span in enumerate(spans):
        wider = [*shown, *span]
        if index >= least and max(shown) - min(shown) < SQUEEZE * (max(wider) - min(wider)):
            break
        shown = wider
    return shown


def _finite(*values: float) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _draw_frame(
    drawing: Drawing,
    shown: Decision,
    margin: float | None,
    scores: Scale,
    differences: Scale | None,
    top: float,
    bottom: float,
) -> None:
    metric = shown.metric
    factor = 100.0 if metric.scale == "fraction" else 1.0
    if differences is not None and margin is not None:
        left, right = differences(-margin), differences(margin)
        drawing.rect(left, top, right - left, bottom - top, "zone")
        text = f"± {metric.format_difference(margin, unit=False)}: practically equal"
        half = measure_text(text, 12) / 2
        middle = min((left + right) / 2, differences.end + 18 - half)
        drawing.text(middle, top + 1, text, "small faint", "middle")
    for scale in (scores, differences):
        if scale is None:
            continue
        for value, text in list_ticks(scale, factor, most=4):
            signed = f"+{text}" if scale is differences and value > 0 and text != "0" else text
            if top < bottom:
                drawing.line(scale(value), top + 8, scale(value), bottom, "grid")
            drawing.text(scale(value), bottom + 18, signed, "small", "middle")
    if differences is not None and top < bottom:
        drawing.line(differences(0), top + 8, differences(0), bottom, "zero")


def _draw_scores(drawing: Drawing, row: Row, metric: Metric, scale: Scale, bar: float, rings: float) -> None:
    kind = "best" if row.may_be_best else "out"
    text = metric.format(row.mean, unit=False)
    if not math.isfinite(row.mean):
        drawing.label(scale.start - 10, bar + 4, "every run failed", "small faint")
        return
    if not scale.holds(row.mean):
        spread = ""
        if math.isfinite(row.low):
            spread = f" ({metric.format(row.low, unit=False)} to {metric.format(row.high, unit=False)})"
        arrow, anchor, x = ("◂", "start", scale.start - 10) if row.mean < scale.low else ("▸", "end", scale.end + 10)
        texts = (f"{arrow} {text}{spread}, off the scale", f"{arrow} {text}, off the scale", f"{arrow} {text}")
        room = scale.end - scale.start + 10
        shown = next((candidate for candidate in texts if measure_text(candidate, 12) <= room), texts[-1])
        drawing.label(x, bar + 4, shown, "small" if row.may_be_best else "small faint", anchor)
        return
    if math.isfinite(row.low):
        ends = [min(max(end, scale.low), scale.high) for end in (row.low, row.high)]
        drawing.line(scale(ends[0]), bar, scale(ends[1]), bar, f"bar {kind}")
    drawing.circle(scale(row.mean), bar, 5, f"disc {kind}")
    drawing.label(scale(row.mean), bar - 9, text, "small", "middle")
    for value in row.values:
        if scale.holds(value):
            drawing.circle(scale(value), rings, 3.2, f"ring {kind}", title=metric.format(value))


def _draw_difference(drawing: Drawing, row: Row, metric: Metric, scale: Scale | None, y: float) -> None:
    if scale is None:
        return
    if row.difference == 0 and not math.isfinite(row.difference_low):
        drawing.circle(scale(0), y, 5, f"disc {'best' if row.may_be_best else 'out'}")
        drawing.label(scale(0), y - 10, "reference", "small", "middle")
        return
    if not math.isfinite(row.difference):
        return
    kind, text = "best" if row.may_be_best else "out", metric.format_difference(row.difference, unit=False)
    if not scale.holds(row.difference):
        drawing.label(scale.start - 8, y + 4, f"{'◂' if row.difference < scale.low else '▸'} {text}", "small")
        return
    if math.isfinite(row.difference_low):
        ends = [min(max(end, scale.low), scale.high) for end in (row.difference_low, row.difference_high)]
        drawing.line(scale(ends[0]), y, scale(ends[1]), y, f"bar {kind}")
    drawing.circle(scale(row.difference), y, 5, f"disc {kind}")
    drawing.label(scale(row.difference), y - 10, text, "small", "middle")
