"""What a report is made from, and whether it is up to date; told without importing what makes it."""

import hashlib
import json
from pathlib import Path

from lrreport.study import REPOSITORY, Study

CONTENTS = "study.json"  # the study that a folder answers, and where the runs are
FINDINGS, FINGERPRINT, PAGE = "findings.json", ".made-from", "report.html"
PRODUCTS = (PAGE, FINDINGS, "results.csv", "table.md", "table.tex", "accuracy.svg", "accuracy.pdf", "curves.svg", "curves.pdf",
            "summary.ipynb")  # fmt: skip
SUMMARY_NOTEBOOK = REPOSITORY / "notebooks" / "summary.ipynb"
SOURCES = {".py", ".j2", ".css", ".js", ".json"}


def describe_contents(study: Study, folders: dict[float, str], of_range: str | None = None) -> str:
    """Return the text of a study.json: the study, and the folders of its runs and range test relative to the file."""
    runs = [{"learning_rate": rate, "folder": folder} for rate, folder in folders.items()]
    contents = {"study": study.model_dump(mode="json", exclude_none=True), "runs": runs}
    return json.dumps(contents | ({"range_test": of_range} if of_range else {}), indent=1) + "\n"


def fingerprint(contents: str, records: list[Path]) -> str:
    """Return the SHA-256 of all that a report is made from: its study, its records, our code and the lock."""
    sources = [path for path in sorted((REPOSITORY / "src" / "lrreport").rglob("*")) if path.suffix in SOURCES]
    digest = hashlib.sha256(contents.encode())
    for path in [*records, *sources, SUMMARY_NOTEBOOK, REPOSITORY / "requirements.lock"]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_answer(folder: Path, made_from: str) -> str | None:
    """Return the answer of the report in `folder` if it was made from just this, else None."""
    try:
        if (folder / FINGERPRINT).read_text(encoding="utf-8") != made_from:
            return None
        if not all((folder / name).exists() for name in PRODUCTS):
            return None
        return str(json.loads((folder / FINDINGS).read_text(encoding="utf-8"))["answer"])
    except (OSError, ValueError, KeyError):
        return None
