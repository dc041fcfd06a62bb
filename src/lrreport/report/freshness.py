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

from lrreport.errors import LrreportError
from lrreport.project import PACKAGE, find_checkout, find_notebook
from lrreport.record.contents import CONTENTS
from lrreport.record.files import digest_file, replace_file
from lrreport.study.decide import Look

PAGE, FINDINGS, SUMMARY, SEAL = "report.html", "findings.json", "summary.md", ".made-from"
PRODUCTS = (
    PAGE, FINDINGS, SUMMARY, CONTENTS, "results.csv", "table.md", "table.tex", "card.svg", "card.png", "scores.svg",
    "scores.pdf", "curves.svg", "curves.pdf", "summary.ipynb",
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
    digests = {name: digest_file(folder / name) for name in PRODUCTS if (folder / name).is_file()}
    replace_file(folder / SEAL, (json.dumps({"made_from": made_from, "files": digests}, indent=1) + "\n").encode())


def break_seal(folder: Path) -> None:
    """Remove the record of what a report was made from, before its files are replaced."""
    (folder / SEAL).unlink(missing_ok=True)


def read_answer(folder: Path, made_from: str) -> str | None:
    """Return the answer of the report in `folder` if it was made from just this and no file of it changed, else None."""
    try:
        sealed = _read_seal(folder)
        if sealed["made_from"] != made_from or find_change(folder) is not None:
            return None
        return str(read_findings(folder)["answer"])
    except (LrreportError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def find_change(folder: Path) -> str | None:
    """Return the name of a file of a sealed report that is gone or not as it was written, or None.

    Raises OSError, ValueError or KeyError where there is no seal, or the seal does not name the page.
    """
    files = _read_seal(folder)["files"]
    if missing := {PAGE, FINDINGS, SUMMARY, CONTENTS} - files.keys():
        raise KeyError(min(missing))
    for name, digest in files.items():
        if not (folder / name).is_file() or digest_file(folder / name) != digest:
            return str(name)
    return None


def read_findings(folder: Path) -> dict[str, Any]:
    """Return the findings of a finished report; raises LrreportError if they cannot be read or are not as written."""
    path = folder / FINDINGS
    try:
        content = path.read_bytes()
        digest = _read_seal(folder)["files"][FINDINGS]
        if hashlib.sha256(content).hexdigest() != digest:  # of the very bytes that are read below
            raise ValueError("changed since it was written")
        findings: dict[str, Any] = json.loads(content)
        if not {"answer", "findings", "decision"} <= findings.keys():
            raise ValueError("written by another version of lrreport")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        problem = f"no {SEAL} beside it" if not (folder / SEAL).is_file() and path.is_file() else err
        raise LrreportError(f"{path}: not the findings of a report ({problem}); make the report first") from err
    return findings


def read_look(folder: Path) -> Look | None:
    """Return the look at the study that the report in `folder` took, or None where it holds none."""
    try:
        return Look.model_validate(json.loads((folder / FINDINGS).read_bytes())["decision"]["look"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _read_seal(folder: Path) -> dict[str, Any]:
    sealed: dict[str, Any] = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    return sealed
