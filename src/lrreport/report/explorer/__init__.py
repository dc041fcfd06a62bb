"""The interactive explorer: a figure of every run, and the table of runs, which is there without JavaScript too."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lrreport.inference.measurements import Measurements
from lrreport.report.explorer.curves import Records, read_recorded
from lrreport.report.explorer.data import collect_data
from lrreport.report.explorer.table import RunTable, tabulate_runs
from lrreport.study.formats import count_nouns, list_words

FOLDER = Path(__file__).parent
SCRIPTS, STYLE = ("data.js", "plot.js", "table.js", "index.js"), "explorer.css"


@dataclass(frozen=True)
class Explorer:
    """The panel as HTML, for a page or JupyterLab; a document may hold several panels."""

    data: dict[str, Any]
    table: RunTable

    def __repr__(self) -> str:
        metrics = {row[1] for row in self.data["series"]}
        counts = [count_nouns(len(self.data["runs"]), "run"), count_nouns(len(metrics), "metric") + " with curves"]
        return f"[Explorer: {list_words(counts)}]"

    def _repr_html_(self) -> str:
        data = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        return (
            f'<div class="explorer">\n<style>\n{read_style()}</style>\n<div class="panel"></div>\n'
            f'<div class="runs">{self.table.to_html()}</div>\n'
            f'<script type="application/json">{data}</script>\n<script>\n{read_script()}</script>\n</div>'
        )

    @property
    def frame(self) -> pd.DataFrame:
        """The table of runs as text, constant columns included."""
        return self.table.frame


def explore(measurements: Measurements, records: Records | None = None) -> Explorer:
    """Return the panel on all runs; `records` add step losses, settings and facts, by level index and seed."""
    records = records or {}
    recorded = read_recorded(measurements, records)
    return Explorer(collect_data(measurements, recorded, records), tabulate_runs(measurements, recorded, records))


def read_script() -> str:
    """Return the script's parts wrapped in a function without globals, with indentation and blank lines removed."""
    parts = [(FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS]
    lines = (line.strip() for part in parts for line in part.splitlines())
    body = "\n".join(line for line in lines if line and not line.startswith("// "))
    return f'(() => {{\n"use strict";\n{body}\n}})();\n'


def read_style() -> str:
    """Return the style sheet of the panel."""
    return (FOLDER / STYLE).read_text(encoding="utf-8")


__all__ = ["Explorer", "explore"]
