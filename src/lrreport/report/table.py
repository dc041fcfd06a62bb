"""A table of text: shown as HTML, written as Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from lrreport.report.svg import escape
from lrreport.study.formats import MINUS

MANY_COLUMNS, MANY_ROWS = 8, 30  # are set closer; scroll by themselves


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first `n_labels` columns are words, the rest numbers."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    n_labels: int = 1

    def __repr__(self) -> str:
        widths = [max(len(row[i]) for row in (self.headings, *self.rows)) for i in range(len(self.headings))]
        lines = []
        for row in (self.headings, *self.rows):
            cells = [
                cell.ljust(width) if i < self.n_labels else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """Return the table as HTML, scrolling separately where it is too wide; nothing without rows."""
        if not self.rows:
            return ""
        kinds = [' class="label"' if i < self.n_labels else "" for i in range(len(self.headings))]
        heads = zip(self.headings, kinds, strict=True)
        head = "".join(f'<th scope="col"{kind}>{escape(text)}</th>' for text, kind in heads)
        body = "".join(f"<tr>{_show_row(row, kinds)}</tr>\n" for row in self.rows)
        caption = f"<caption>{escape(self.caption)}</caption>\n" if self.caption else ""
        return wrap_table(
            self.name,
            f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>",
            len(self.headings),
            len(self.rows),
        )

    def to_markdown(self) -> str:
        """Return the table in Markdown, with pipes in cells escaped."""
        rules = [":--" if i < self.n_labels else "--:" for i in range(len(self.headings))]
        lines = (
            "| " + " | ".join(escape_markdown(cell) for cell in row) + " |"
            for row in (self.headings, rules, *self.rows)
        )
        return "\n".join(lines) + "\n" + (f"\n{self.caption}\n" if self.caption else "")

    def to_latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        columns = "l" * self.n_labels + "r" * (len(self.headings) - self.n_labels)
        head, *rows = (" & ".join(map(escape_latex, row)) + r" \\" for row in (self.headings, *self.rows))
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(self.caption)}}}"]
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
        return "\n".join([*lines, r"\end{tabular}", r"\end{table}"]) + "\n"

    def to_csv(self) -> str:
        """Return the table as comma-separated values."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.headings, *self.rows])
        return stream.getvalue()


def wrap_table(name: str, content: str, n_columns: int, n_rows: int = 0) -> str:
    """Return the content of a table in a box that scrolls, with an anchor if it has a name."""
    kind = "table" + (" dense" if n_columns >= MANY_COLUMNS else "") + (" tall" if n_rows >= MANY_ROWS else "")
    anchor = f' id="{name}"' if name else ""
    return f'<div class="{kind}"{anchor} tabindex="0" role="group" aria-label="Table"><table>\n{content}</table></div>'


def _show_row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    first = f'<th scope="row"{kinds[0]}>{escape(cells[0])}</th>'
    return first + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(cells[1:], kinds[1:], strict=True))


def escape_markdown(text: str) -> str:
    """Return a text whose characters mean themselves in a Markdown table."""
    escaped = "".join(f"\\{char}" if char in "\\|*_`<>#$[]" else char for char in text)
    return " ".join(escaped.split())


def escape_latex(text: str) -> str:
    """Return a text whose characters mean themselves in LaTeX."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
    special |= {">": r"\textgreater{}"} | {char: f"\\{char}" for char in "&%$#_{}"}
    special |= {
        "±": r"$\pm$",
        MINUS: "$-$",
        "×": r"$\times$",
        "→": r"$\to$",
        "≤": r"$\le$",
        "≥": r"$\ge$",
        "²": r"$^2$",
    }
    return "".join(special.get(char, char) for char in text)
