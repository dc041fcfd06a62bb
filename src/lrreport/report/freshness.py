"""What a report is made from, and whether it is up to date; told without importing what makes it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrreport.study import REPOSITORY, Study

CONTENTS = "study.json"  # the study that a folder answers, and where the runs are
FINDINGS, FINGERPRINT, PAGE = "findings.json", ".made-from", "report.html"
PRODUCTS = (PAGE, FINDINGS, "results.csv", "table.md", "table.tex", "accuracy.svg", "accuracy.pdf", "curves.svg", "curves.pdf",
            "summary.ipynb")  # fmt: skip
SUMMARY_NOTEBOOK = REPOSITORY / "notebooks" / "summary.ipynb"
SOURCES = {".py", ".j2", ".css", ".js", ".json"}


@dataclass(frozen=True)
class Places:
    """The folders of the runs of a study, or of one level of it, by learning rate, and of its range test."""

    runs: dict[float, str]
    range_test: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the folders as plain data."""
        runs = [{"learning_rate": rate, "folder": folder} for rate, folder in self.runs.items()]
        return {"runs": runs} | ({"range_test": self.range_test} if self.range_test else {})


def describe_contents(study: Study, places: Mapping[Any, Places]) -> str:
    """Return the text of a study.json: the study, and where its runs are, relative to the file.

    `places` are by the values of the study's second axis, or under None if it has none.
    """
    told = study.model_dump(mode="json", exclude_none=True)
    levels = {"levels": [{"value": value, **one.to_json()} for value, one in places.items()]}
    return json.dumps({"study": told, **(places[None].to_json() if None in places else levels)}, indent=1) + "\n"


def list_folders(contents: Mapping[str, Any]) -> list[str]:
    """Return the folders of all runs and range tests that the contents of a study.json name; raises KeyError."""
    levels = contents.get("levels", [contents])
    runs = [run["folder"] for level in levels for run in level["runs"]]
    return runs + [level["range_test"] for level in levels if "range_test" in level]


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
