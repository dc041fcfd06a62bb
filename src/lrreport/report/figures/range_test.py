"""The range test: the loss while the learning rate grows, with the rates that were tried."""

import numpy as np

from lrreport.report.scales import Scale, list_ticks, make_scale
from lrreport.report.svg import Drawing

HEIGHT = 270.0


def draw_range_test(
    rates: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    losses: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    tried: list[float],
    suggested: float,
    unit: str,
    width: float,
    label: str,
) -> str:
    """Return smoothed losses by rate as SVG; `tried` rates are ticks below, the `suggested` rate (NaN: none) a line."""
    drawing = Drawing(width, HEIGHT)
    left, top, right, bottom = 46.0, 28.0, width - 16, HEIGHT - 48
    across = make_scale([*rates, *tried], left, right, pad=0.01, log=True)
    finite = losses[np.isfinite(losses)]
    start = float(np.median(finite[: max(5, len(finite) // 20)])) if len(finite) else 1.0
    lowest = float(finite.min()) if len(finite) else 0.0
    shown = [v for v in finite if v <= start + 0.6 * (start - lowest)] or list(finite)
    down = make_scale(shown, bottom, top)
    drawing.text(left - 40, top - 12, f"training loss{f', {unit}' if unit else ''}", "title")
    for value, text in list_ticks(down, most=5, vertical=True):
        drawing.line(left, down(value), right, down(value), "grid")
        drawing.text(left - 6, down(value) + 4, text, "small", "end")
    for value, text in list_ticks(across):
        drawing.line(across(value), bottom, across(value), bottom + 4, "rule")
        drawing.text(across(value), bottom + 17, text, "small", "middle")
    drawing.text(right, bottom + 36, "learning rate, logarithmic", "small faint", "end")
    drawing.text(left, bottom + 36, "▲ tried", "small best-text")
    for rate in tried:
        x = across(rate)
        drawing.path([(x - 4, bottom), (x, bottom - 8), (x + 4, bottom), (x - 4, bottom)], "mark")
    if np.isfinite(suggested):
        drawing.line(across(suggested), top, across(suggested), bottom, "zero")
        side = "end" if across(suggested) > (left + right) / 2 else "start"
        drawing.text(across(suggested) + (-6 if side == "end" else 6), top + 12, "falls fastest", "small", side)
    clip = f"clip-range-{width:.0f}"
    drawing.clip(clip, left, top - 2, right - left, bottom - top + 4)
    points = _thin(rates, losses, across, down)
    drawing.path(points, "curve best", clip=clip)
    return drawing.to_svg(label, "wide" if width > 600 else "narrow")


def _thin(
    rates: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    losses: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    across: Scale,
    down: Scale,
) -> list[tuple[float, float]]:
    indices = np.unique(np.linspace(0, len(rates) - 1, min(len(rates), 300)).round().astype(int))
    return [(across(float(rates[i])), down(float(losses[i]))) for i in indices if np.isfinite(losses[i])]
