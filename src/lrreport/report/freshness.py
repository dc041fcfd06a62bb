"""What a report is made from, and whether the files in its folder are those that were made from it.

A report is sealed: the digests of its files stand beside the fingerprint of what they were made from, so that what a command
prints of a report was read from files that nobody changed since.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrreport.project import PACKAGE, find_checkout, find_notebook
from lrreport.record.files import replace_file
from lrreport.study.decide import Look

PAGE, FINDINGS, SUMMARY, SEAL = "report.html", "findings.json", "summary.md", ".made-from"
PRODUCTS = (
    PAGE, FINDINGS, SUMMARY, "results.csv", "table.md", "table.tex", "card.svg", "card.png", "scores.svg", "scores.pdf",
    "summary.ipynb",
)  # fmt: skip
SUMMARY_NOTEBOOK = find_notebook("summary.ipynb")
SOURCES = {".py", ".j2", ".css", ".js", ".json", ".toml"}
WINGS = ("study", "record", "inference", "report")  # those that decide what a report says


def fingerprint(contents: str, records: Sequence[Path]) -> str:
    """Return the SHA-256 of all that a report is made from: its study, its records, our code, the notebook and the lock."""
    sources = [path for wing in WINGS for path in sorted((PACKAGE / wing).rglob("*")) if path.suffix in SOURCES]
    digest = hashlib.sha256(contents.encode())
    checkout = find_checkout()
    lock = [checkout / "requirements.lock"] if checkout is not None else []
    for path in [*records, *sources, SUMMARY_NOTEBOOK, *lock]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def seal(folder: Path, made_from: str) -> None:
    """Note that the files of a report were made from this, with the digest of each."""
    digests = {name: _digest(folder / name) for name in PRODUCTS if (folder / name).is_file()}
    replace_file(folder / SEAL, (json.dumps({"made_from": made_from, "files": digests}, indent=1) + "\n").encode())


def break_seal(folder: Path) -> None:
    """Forget what the files of a report were made from, before they are replaced one by one."""
    (folder / SEAL).unlink(missing_ok=True)


def read_answer(folder: Path, made_from: str) -> str | None:
    """Return the answer of the report in `folder` if it was made from just this and no file of it changed, else None."""
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        files = sealed["files"]
        if sealed["made_from"] != made_from or not {PAGE, FINDINGS, SUMMARY} <= files.keys():
            return None
        if any(_digest(folder / name) != digest for name, digest in files.items()):
            return None
        return str(_read_findings(folder)["answer"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_look(folder: Path) -> Look | None:
    """Return the look at the study that the report in `folder` took, or None where it holds none."""
    try:
        return Look.model_validate(_read_findings(folder)["decision"]["look"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _read_findings(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / FINDINGS).read_text(encoding="utf-8"))
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
