"""Read the cells, parameters and imports of a notebook."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.record.provenance import list_imports, parse_source


def list_parameters(notebook: Path) -> list[str]:
    """Return the names in a notebook's parameters cell; raises LrreportError for a file that is not a notebook."""
    source = "".join(line for cell in read_cells(notebook) if is_tagged(cell, "parameters") for line in cell["source"])
    return [line.partition(":")[0].partition("=")[0].strip() for line in source.splitlines() if "=" in line]


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook; raises LrreportError for a file that is not a notebook."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [{**cell, "source": "".join(cell["source"]), "tags": cell["metadata"].get("tags", [])} for cell in cells]
    except OSError as err:
        raise LrreportError(f"{notebook}: cannot read the notebook ({err.strerror}); name another notebook") from err
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise LrreportError(f"{notebook}: not a notebook of format 4; save it again in Jupyter") from err


def list_modules(notebook: Path) -> list[str]:
    """Return the modules that the cells of a notebook may import; cells that are not plain Python are skipped."""
    names: list[str] = []
    for cell in read_cells(notebook):
        if cell["cell_type"] == "code":
            with suppress(SyntaxError, ValueError):
                names += list_imports(parse_source(cell["source"]), "")
    return names


def is_tagged(cell: Mapping[str, Any], tag: str) -> bool:
    """Return whether a cell from `read_cells` has a tag."""
    return tag in cell["tags"]


def refuse_unknown_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Raise LrreportError for a parameter that the notebook does not have, of which Papermill would only warn."""
    known = list_parameters(notebook)
    for name in parameters:
        if name not in known:
            raise LrreportError(f"{notebook}: no parameter {name!r}; its parameters are {', '.join(known)}")
