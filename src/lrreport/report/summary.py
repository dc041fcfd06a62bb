"""The report in a few lines: summary.md, the text for a terminal, and the card for a chat or a slide."""

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from lrreport.errors import LrreportError
from lrreport.inference.assessment import Assessment
from lrreport.report.figures.decision import draw_decision
from lrreport.report.freshness import SUMMARY
from lrreport.report.illustrate import arrange_decision, explain_bars, show_grid
from lrreport.report.svg import escape, measure_text, shorten
from lrreport.report.table import Table, escape_markdown
from lrreport.report.tables.results import name_column, order_rows
from lrreport.study.formats import capitalize, format_count

if TYPE_CHECKING:
    from lrreport.report.document import Document

MOST_ROWS, MOST_LINES, WIDTH = 16, 40, 100
CARD = (1200, 630)
CARD_ROWS = 6


def tabulate_summary(assessment: Assessment) -> Table:
    """Return a row for each level: mean with its 95 % interval, and the difference from the leader with its interval."""
    measurements, decision = assessment.measurements, assessment.decision
    metric, table, leader = measurements.metric, decision.table, decision.leader
    shown = order_rows(assessment, MOST_ROWS)
    rows = []
    for index in shown:
        row = table.loc[index]
        score = metric.format(float(row["mean"]), unit=False) if row.n else "–"
        if math.isfinite(row.low):
            score += f" ({metric.format(float(row.low), unit=False)} to {metric.format(float(row.high), unit=False)})"
        difference = "leads" if index == leader else "–"
        if leader is not None and index != leader and row.n and table.n[leader]:
            estimate = assessment.compare_scores(index, leader, metric.name)
            difference = metric.format_difference(estimate.mean, unit=False)
            if math.isfinite(estimate.low):
                ends = map(metric.clip_difference, (estimate.low, estimate.high))
                low, high = (metric.format_difference(end, unit=False) for end in ends)
                difference += f" ({low} to {high})"
        seeds = str(row.n) if row.n == row.n_runs else f"{row.n} of {row.n_runs}"
        may_be_best = "–" if decision.reason == "no choice" else "yes" if row.may_be_best else "no"
        rows.append((measurements.levels[index].name, score, difference, may_be_best, seeds))
    unit = f", {metric.difference_unit}" if metric.difference_unit else ""
    headings = (
        capitalize(" and ".join(factor.label for factor in measurements.factors)),
        f"{name_column(metric)} (95 % interval over seeds)", f"From the leader{unit}", "May be the best", "Seeds",
    )  # fmt: skip
    more = int((table.n_runs > 0).sum()) - len(shown)
    caption = f"{format_count(more)} more levels are in results.csv." if more else ""
    return Table("summary", headings, tuple(rows), caption)


def write_summary(document: "Document") -> str:
    """Return summary.md: title, answer, paragraph, table and next step in at most 40 lines of Markdown."""
    story = document.story
    lines = [
        f"# {escape_markdown(document.assessment.measurements.title)}",
        "",
        f"**{escape_markdown(story.answer.text)}**",
        "",
    ]
    lines += (
        [escape_markdown(document.kicker), "", escape_markdown(story.tradeoffs.text), ""]
        if story.tradeoffs.text
        else []
    )
    lines += [*document.summary_table().to_markdown().splitlines(), ""]
    if story.next_step.text:
        lines.append(f"**Next: {escape_markdown(story.next_step.title)}.** {escape_markdown(story.next_step.text)}")
        lines += ["", f"    {document.command}"] if document.command else []
    return "\n".join(lines[:MOST_LINES]).rstrip() + "\n"


def summary_text(folder: Path) -> str:
    """Return summary.md of the report in `folder` as text for a terminal, without marks and in lines of 100 characters.

    Raises LrreportError if there is none.
    """
    try:
        text = (folder / SUMMARY).read_text(encoding="utf-8")
    except OSError as err:
        raise LrreportError(
            f"{folder / SUMMARY}: cannot read it ({err.strerror}); run lrreport report to make it"
        ) from err
    lines: list[str] = []
    table: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            cells = [_unescape(cell.strip()) for cell in line.strip("|").replace("\\|", "\0").split("|")]
            table.append([cell.replace("\0", "|") for cell in cells])
            continue
        if table:
            rows = [row for row in table if set("".join(row)) - set(":-")]
            lines += repr(Table("", tuple(rows[0]), tuple(map(tuple, rows[1:])))).splitlines()
            table = []
        plain = _unescape(line.removeprefix("# ").replace("**", ""))
        lines += textwrap.wrap(plain, WIDTH) if len(plain) > WIDTH and not line.startswith("    ") else [plain]
    return "\n".join(lines).strip()


def _unescape(text: str) -> str:
    plain, escaped = [], False
    for char in text:
        if char == "\\" and not escaped:
            escaped = True
            continue
        plain.append(char)
        escaped = False
    return "".join(plain)


def write_card(document: "Document") -> str:
    """Return the answer with the decision figure as an SVG of 1200 × 630, in the colours of a light page."""
    width, height = CARD
    lines = _wrap(document.story.answer.text, 34.0, width - 120, most=2)
    top = 96 + 44 * len(lines)
    figure = _draw_figure(document)
    box = figure.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split() if figure else ["1", "1"]
    scale = min((width - 120) / float(box[0]), (height - top - 40) / float(box[1]))
    inner = figure.replace(
        "<svg ", f'<svg x="60" y="{top}" width="{float(box[0]) * scale:.0f}" height="{float(box[1]) * scale:.0f}" ', 1
    )
    kicker = shorten(document.kicker, width - 120, 20.0)
    texts = [f'<text x="60" y="64" class="kicker">{escape(kicker)}</text>']
    bars = explain_bars(document.assessment) if len(document.assessment.measurements.factors) == 1 else ""
    texts += (
        [f'<text x="60" y="{height - 20}" class="kicker">{escape(f"Discs are means, {bars}")}</text>'] if bars else []
    )
    texts += [f'<text x="60" y="{112 + 44 * i}" class="answer">{escape(line)}</text>' for i, line in enumerate(lines)]
    from lrreport.report.document import STYLE

    style = STYLE.read_text(encoding="utf-8").split("@media", 1)[0]
    colors = (
        "--page:#fff;--ink:#1b212c;--faint:#59626f;--line:#d9dde4;--blue:#0b5cad;--gray:#767f8c;--zone:#e9f0fa;"
        "--sans:system-ui,-apple-system,'Segoe UI',Arial,sans-serif"
    )
    css = ".kicker{font-size:20px;fill:#59626f}.answer{font-size:34px;font-weight:700;fill:#1b212c}.figure.narrow{display:block}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'style="{colors};font-family:var(--sans)" role="img" aria-label="{escape(document.story.answer.text)}">'
        f"<style>{style}{css}</style>"
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(texts)}{inner}</svg>\n'
    )


def _draw_figure(document: "Document") -> str:
    assessment = document.assessment
    if len(assessment.measurements.factors) > 1:
        grid = show_grid(assessment)
        return grid.wide if grid is not None else ""
    shown = arrange_decision(assessment, document.notes, CARD_ROWS)
    return draw_decision(shown, 880.0, "Decision") if shown.rows else ""


def _wrap(text: str, size: float, width: float, most: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if measure_text(longer, size) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [shorten(line, width, size) for line in lines]
