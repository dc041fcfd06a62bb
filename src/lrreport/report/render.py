"""Summary notebook -> one HTML file, with the tables and findings beside it; each file appears whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter, TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from traitlets.config import Config

from lrreport.errors import LrreportError
from lrreport.record import replace_file
from lrreport.report import conditions, figures, narrative
from lrreport.report.freshness import FINDINGS, PAGE
from lrreport.report.pictures import Picture
from lrreport.report.results import Found, load_results
from lrreport.report.tables import tabulate_results

FIGURES: dict[str, Callable[[Found], Picture | None]] = {
    "accuracy": figures.draw_accuracy_by_rate,
    "curves": figures.draw_curves,
    "grid": figures.draw_grid,
    "range_test": figures.draw_range_test,
}
TEMPLATE = Path(__file__).parent / "template"


def render_page(folder: Path, target: Path | None = None) -> None:
    """Write the page of the report on the study that `folder` describes, from the executed summary notebook.

    That notebook lies in `target`, where the page goes too: by default `folder` itself.
    """
    target = target or folder
    results = load_results(folder)
    page = export_html(target / "summary.ipynb", results.study.title, conditions.write_colophon(results))
    replace_file(target / PAGE, page.encode())


def write_takeaways(folder: Path, target: Path | None = None) -> str:
    """Write results.csv, findings.json, table.md, table.tex and the figures as SVG and PDF: the report, to take away.

    They go to `target`, by default `folder` itself. Returns the answer of the report on the study that `folder`
    describes.
    """
    target = target or folder
    results = load_results(folder)
    table = tabulate_results(results)
    findings = collect_findings(results)
    texts = {
        "results.csv": results.runs.to_csv(index=False),
        FINDINGS: json.dumps(findings, indent=1, ensure_ascii=False) + "\n",
        "table.md": table.to_markdown(),
        "table.tex": table.to_latex(),
    }
    for name, text in texts.items():
        replace_file(target / name, text.encode())
    for name, draw in FIGURES.items():
        if picture := draw(results):
            for kind in ("svg", "pdf"):
                replace_file(target / f"{name}.{kind}", picture.to_paper(kind))
    return str(findings["answer"])


def collect_findings(results: Found) -> dict[str, Any]:
    """Return the answer, every claim and every other paragraph, each with all numbers that it quotes, as plain data."""
    paragraphs = narrative.write_paragraphs(results)
    return {
        "answer": paragraphs["answer"].text,
        "claims": [one.to_json() for one in narrative.ask_everything(results)],
        "paragraphs": {name: paragraph.to_json() for name, paragraph in paragraphs.items()},
    }


class PageExporter(HTMLExporter):
    """nbconvert's exporter without its last pass, which parses the whole page to add what our template has anyway.

    On a thousand runs that pass takes half of the time.
    """

    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> tuple[str, dict[str, Any]]:  # type: ignore[override]
        """Return the page, and the resources that were used."""
        lexer = nb.metadata.get("language_info", {}).get("pygments_lexer", "python")
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer=lexer, parent=self))  # type: ignore[no-untyped-call]
        widgets = WidgetsDataTypeFilter(notebook_metadata=self._nb_metadata, parent=self, resources=resources)
        self.register_filter("filter_data_type", widgets)  # type: ignore[no-untyped-call]
        found = self._init_resources(resources)  # type: ignore[no-untyped-call]
        return TemplateExporter.from_notebook_node(self, nb, found, **kw)


def export_html(notebook: Path, title: str, colophon: str) -> str:
    """Return an executed notebook as one page that asks no network for anything."""
    try:
        nb = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as err:
        raise LrreportError(f"{notebook}: cannot be read as a notebook ({err})") from err
    exporter = PageExporter(  # type: ignore[no-untyped-call]
        config=Config(
            {"HTMLExporter": {"template_name": "template", "extra_template_basedirs": [str(TEMPLATE.parent)]}}
        ),
    )
    resources = {"report_title": title, "colophon": colophon, "headings": find_headings(nb)}
    html, _ = exporter.from_notebook_node(nb, resources=resources)
    return str(html)


def find_headings(nb: Any) -> list[dict[str, str]]:
    """Return the second-level headings of a notebook's Markdown: text and anchor, for the table of contents."""
    lines = [line for cell in nb.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    texts = [line.removeprefix("## ").strip() for line in lines if line.startswith("## ")]
    return [{"text": text, "anchor": text.replace(" ", "-")} for text in texts]
