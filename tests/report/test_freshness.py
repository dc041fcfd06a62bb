"""A sealed report: an answer is printed only from files that are as they were written (fault: emptied pages, edited findings)."""

import json
import shutil
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.record.contents import CONTENTS
from lrreport.report.document import Document
from lrreport.report.freshness import (
    FINDINGS,
    PAGE,
    SEAL,
    SUMMARY,
    break_seal,
    fingerprint,
    read_answer,
    read_findings,
    read_look,
    seal,
)


@pytest.fixture(scope="module")
def sealed(documents: dict[str, Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sealed")
    documents["three"].write(made)
    (made / PAGE).write_text("<!DOCTYPE html>")
    (made / CONTENTS).write_text("{}")
    seal(made, "made from this")
    return made


@pytest.fixture
def folder(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "report"))


def test_a_sealed_report_gives_its_answer(folder: Path, documents: dict[str, Document]) -> None:
    assert read_answer(folder, "made from this") == documents["three"].story.answer.text
    assert read_answer(folder, "made from other runs") is None
    assert read_look(folder).n_seeds == {0: 5, 1: 5, 2: 5}


def test_every_file_of_a_report_is_sealed(folder: Path) -> None:
    sealed = json.loads((folder / SEAL).read_text())["files"]
    assert {path.name for path in folder.iterdir()} == {*sealed, SEAL}


@pytest.mark.parametrize("name", [PAGE, FINDINGS, SUMMARY, CONTENTS, "card.svg", "results.csv", "curves.pdf"])
def test_a_file_that_changed_is_no_answer(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    assert read_answer(folder, "made from this") is None


@pytest.mark.parametrize("name", [PAGE, FINDINGS, SUMMARY, SEAL])
def test_a_file_that_is_gone_is_no_answer(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert read_answer(folder, "made from this") is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"made_from": "made from this"}', '{"made_from": "made from this", "files": {}}']
)
def test_a_seal_that_says_nothing_is_no_answer(folder: Path, text: str) -> None:
    (folder / SEAL).write_text(text)
    assert read_answer(folder, "made from this") is None


def test_edited_findings_do_not_reach_the_terminal(folder: Path) -> None:
    findings = json.loads((folder / FINDINGS).read_text())
    (folder / FINDINGS).write_text(json.dumps(findings | {"answer": "Rate 99 is best."}))
    assert read_answer(folder, "made from this") is None
    with pytest.raises(LrreportError, match="not the findings of a report \\(changed since it was written\\)"):
        read_findings(folder)


def test_a_broken_seal_stays_broken(folder: Path) -> None:
    break_seal(folder)
    break_seal(folder)
    assert read_answer(folder, "made from this") is None
    assert read_look(folder.parent) is None


def test_the_fingerprint_tells_contents_and_records_apart(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text("1")
    first = fingerprint("study", [record])
    assert fingerprint("study", [record]) == first
    assert fingerprint("another", [record]) != first
    record.write_text("2")
    assert fingerprint("study", [record]) != first
