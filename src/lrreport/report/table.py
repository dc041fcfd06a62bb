"""A table: a frame of formatted text, shown as HTML and written as Markdown and LaTeX."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lrreport.report.formats import MINUS, capitalize, format_rate, format_setting, list_words
from lrreport.report.results import Levels

MANY_COLUMNS = 8  # are set closer


@dataclass(frozen=True)
class Table:
    """A frame whose cells are text, ready to be read; numbers stand in all columns but the first `n_labels`."""

    frame: pd.DataFrame
    caption: str
    n_labels: int = 1

    def __repr__(self) -> str:
        if self.frame.empty:
            return self.caption
        return str(self.frame.to_string(index=False))

    def _repr_html_(self) -> str:
        if self.frame.empty:
            return f"<p>{_escape(self.caption)}</p>"
        classes = [' class="label"'] * self.n_labels + [""] * (len(self.frame.columns) - self.n_labels)
        head = "".join(
            f'<th scope="col"{kind}>{_escape(name)}</th>' for name, kind in zip(self.frame, classes, strict=True)
        )
        body = "".join(f"<tr>{_show_row(row, classes)}</tr>\n" for row in self.frame.itertuples(index=False, name=None))
        kind = "table dense" if len(self.frame.columns) >= MANY_COLUMNS else "table"
        return (
            f'<div class="{kind}" tabindex="0"><table>\n<caption>{_escape(self.caption)}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
        )

    def to_markdown(self) -> str:
        """Return the table in Markdown, with pipes in cells escaped."""
        rows = [list(self.frame.columns), [":--"] * self.n_labels + ["--:"] * (len(self.frame.columns) - self.n_labels)]
        rows += self.frame.to_numpy().tolist()
        lines = ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
        return "\n".join(lines) + f"\n\n{self.caption}\n"

    def to_latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        columns = "l" * self.n_labels + "r" * (len(self.frame.columns) - self.n_labels)
        rows = [" & ".join(_escape_latex(cell) for cell in row) + r" \\" for row in self.frame.to_numpy().tolist()]
        head = " & ".join(map(_escape_latex, self.frame.columns)) + r" \\"
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{_escape_latex(self.caption)}}}"]
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
        return "\n".join([*lines, r"\end{tabular}", r"\end{table}"]) + "\n"


def _show_row(cells: tuple[Any, ...], classes: list[str]) -> str:
    first = f'<th scope="row" class="label">{_escape(cells[0])}</th>'
    return first + "".join(f"<td{kind}>{_escape(cell)}</td>" for cell, kind in zip(cells[1:], classes[1:], strict=True))


def _escape(text: Any) -> str:
    return html.escape(str(text))


def _escape_latex(text: Any) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {char: f"\\{char}" for char in "&%$#_{}"} | {
        "±": r"$\pm$",
        MINUS: "$-$",
        "×": r"$\times$",
        "→": r"$\to$",
    }
    return "".join(special.get(char, char) for char in str(text))


def stack_tables(levels: Levels, tables: Mapping[Any, Table]) -> Table:
    """Return the tables of all levels as one, the level in the first column; captions that differ name their levels."""
    frames, captions = [], dict[str, list[str]]()
    for value, table in tables.items():
        frame = table.frame.copy()
        frame.insert(0, levels.axis.capitalize(), format_setting(value))
        frames.append(frame)
        captions.setdefault(table.caption, []).append(levels.name(value))
    stacked = pd.concat(frames, ignore_index=True).fillna("")
    rates = [name for name in map(format_rate, levels.study.vary.learning_rate) if name in stacked]
    stacked = stacked[[*(name for name in stacked if name not in rates), *rates]]
    [*caption] = captions
    if len(captions) > 1:
        caption = [f"{capitalize(list_words(names))}: {text}" for text, names in captions.items()]
    return Table(stacked, " ".join(caption), next(iter(tables.values())).n_labels + 1)
