"""Render the executed summary notebook as a single HTML file that works offline."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter, TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from traitlets.config import Config

from lrreport.errors import LrreportError
from lrreport.record.files import replace_file
from lrreport.report.freshness import FINDINGS, PAGE, SUMMARY_NOTEBOOK

TEMPLATE = Path(__file__).parent / "template"
STYLE = re.compile(r"<style>(.*?)</style>\n?", re.DOTALL)
HEADING = re.compile(r'<h2 id="([^"]*)">(.*?) <a class="anchor"')


def render_page(folder: Path, target: Path | None = None) -> None:
    """Write the page of a report from the executed notebook and the findings in `target`, by default `folder` itself."""
    target = target or folder
    try:
        findings = json.loads((target / FINDINGS).read_text(encoding="utf-8"))
        title, colophon = str(findings["title"]), str(findings["colophon"])
    except (OSError, ValueError, KeyError) as err:
        raise LrreportError(f"{target / FINDINGS}: not written by the summary notebook ({err})") from err
    page = export_html(target / SUMMARY_NOTEBOOK.name, title, colophon)
    replace_file(target / PAGE, page.encode())


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
        initial = self._init_resources(resources)  # type: ignore[no-untyped-call]
        return TemplateExporter.from_notebook_node(self, nb, initial, **kw)


def export_html(notebook: Path, title: str, colophon: str) -> str:
    """Return an executed notebook as an HTML page."""
    try:
        nb = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as err:
        raise LrreportError(f"{notebook}: cannot be read as a notebook ({err})") from err
    options = {"template_name": "template", "extra_template_basedirs": [str(TEMPLATE.parent)]}
    exporter = PageExporter(config=Config({"HTMLExporter": options}))  # type: ignore[no-untyped-call]
    styles = move_styles(nb)
    resources = {"report_title": title, "colophon": colophon, "headings": find_headings(nb), "styles": styles}
    html, _ = exporter.from_notebook_node(nb, resources=resources)
    return str(html)


def list_outputs(nb: Any) -> list[dict[str, Any]]:
    """Return the data of each output that has HTML."""
    outputs = [output for cell in nb.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output["data"] for output in outputs if "text/html" in output.get("data", {})]


def move_styles(nb: Any) -> str:
    """Take the style sheets out of the outputs, where they serve the notebook, and return them, each once, for the head."""
    styles: dict[str, None] = {}
    for data in list_outputs(nb):
        styles |= dict.fromkeys(STYLE.findall(data["text/html"]))
        data["text/html"] = STYLE.sub("", data["text/html"])
    return "\n".join(styles)


def find_headings(nb: Any) -> list[dict[str, str]]:
    """Return the second-level headings of the outputs, as HTML, with their anchors."""
    headings = [match for data in list_outputs(nb) for match in HEADING.findall(data["text/html"])]
    return [{"text": text, "anchor": anchor} for anchor, text in headings]
