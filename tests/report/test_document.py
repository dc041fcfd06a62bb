"""The document in every state of a study: what is absent, what stands once, and what its further outputs say."""

import json
import os
import re
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lrreport.report import illustrate
from lrreport.report.document import Document, Part
from lrreport.report.freshness import PRODUCTS
from lrreport.testing import make_measurements

SNAPSHOT = Path(__file__).parent / "snapshots" / "default.txt"
VOID = {"meta", "link", "br", "hr", "img", "input"}


def list_parts(document: Document) -> dict[str, Part]:
    names = (
        "first_screen", "differences", "search", "curves", "where_they_err", "earlier_report", "settings", "provenance",
    )  # fmt: skip
    return {name: getattr(document, name) for name in names}


class Checker(HTMLParser):
    """Reads HTML strictly enough to see unbalanced elements, anchors, and the text in sight."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.hidden = 0
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if attributes.get("id"):
            self.anchors.append(str(attributes["id"]))
        self.links += [
            str(attributes[name]).removeprefix("#") for name in ("href", "popovertarget") if attributes.get(name)
        ]
        if tag not in VOID:
            self.open.append(tag)
        if (
            self.hidden
            or "popover" in attributes
            or tag in ("style", "script", "title", "details")
            or "narrow" in str(attributes.get("class"))
        ):
            self.hidden += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()
        self.hidden = max(0, self.hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words += [word for word in data.split() if re.search(r"\w", word)]


def read(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker


def test_every_part_is_sound_html_in_every_state(document: Document) -> None:
    checked = read("".join(part.html for part in list_parts(document).values()))
    assert len(checked.anchors) == len(set(checked.anchors))
    assert set(checked.links) <= set(checked.anchors)


def test_no_section_is_empty(document: Document) -> None:
    for name, part in list_parts(document).items():
        headings = re.findall(r"<h2 .*?</h2>", part.html)
        assert len(headings) <= 1
        if headings:
            assert len(read(part.html.replace(headings[0], "")).anchors) + len(re.sub("<[^>]*>", "", part.html)) > 40, (
                name
            )


def test_numbers_are_written_as_numbers(document: Document) -> None:
    html = "".join(part.html for part in list_parts(document).values())
    text = re.sub(r"<[^>]+>", " ", html)
    assert not re.search(r"\b(nan|inf|None|NaN)\b", text)
    assert not re.search(r'="[^"]*\b(nan|inf)\b', html)


def test_names_are_text_wherever_they_stand(documents: dict[str, Document]) -> None:
    html = "".join(part.html for part in list_parts(documents["named factor"]).values())
    assert "<b>" not in html
    assert "$x_1$" in html


def test_what_has_no_data_is_absent(documents: dict[str, Document]) -> None:
    parts = list_parts(documents["failures"])
    assert parts["where_they_err"].html == parts["earlier_report"].html == ""
    assert "<svg" not in parts["curves"].html
    assert "test, %" not in parts["first_screen"].html


def test_no_sentence_stands_twice(documents: dict[str, Document]) -> None:
    for name in ("three", "failures", "undecided"):
        html = "".join(part.html for part in list_parts(documents[name]).values())
        paragraphs = [
            text
            for text in re.findall(r"<(?:p|figcaption|caption)\b[^>]*>(.*?)</", html)
            if len(text) > 40 and "#rule-" not in text
        ]
        assert len(paragraphs) == len(set(paragraphs))


def test_few_words_are_in_sight(documents: dict[str, Document]) -> None:
    for name, most in (("three", 900), ("two factors", 700), ("many levels", 1200)):
        html = "".join(part.html for part in list_parts(documents[name]).values())
        assert len(read(html).words) <= most, name


def test_the_titles_of_sections_state_results(documents: dict[str, Document]) -> None:
    titles = {
        name: [
            re.sub(r"<[^>]+>", "", text).removesuffix(" ¶")
            for text in re.findall(r"<h2 .*?</h2>", "".join(p.html for p in list_parts(document).values()))
        ]
        for name, document in documents.items()
    }
    assert "0.001 and 0.0005 are practically equal; 1 of 3 rates is ruled out" in titles["three"]
    assert "0.001 is the highest rate tried: look further" in titles["three"]
    assert "0.3 is ahead of every other rate" in titles["far away"]
    assert "3 of 3 rates may be the best" in titles["undecided"]
    assert "What 0.1 reaches" in titles["one level"]
    assert "Batch size 32 is the lowest tried: look further" in titles["two factors"]


def test_the_next_step_has_a_command(build_document: Callable[..., Document], documents: dict[str, Document]) -> None:
    measurements = documents["three"].assessment.measurements
    renamed = build_document(measurements, **{"import": None, "name": "fresh"})
    assert renamed.command == "lrreport report fresh.toml --learning-rates 0.01 0.003 0.001 0.0005 0.0001"
    assert f'data-copy="{renamed.command}"' in renamed.first_screen.html
    assert documents["three"].command == ""  # of imported runs: no command makes more of them


WRITTEN = ("three", "failures", "none learns", "one seed", "many levels", "two factors", "named factor", "steps")


@pytest.fixture(scope="module")
def written(documents: dict[str, Document], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for name in WRITTEN:
        folders[name] = tmp_path_factory.mktemp("written")
        documents[name].write(folders[name])
    return folders


def test_every_view_is_written_and_reads_back(written: dict[str, Path]) -> None:
    for name, folder in written.items():
        findings = json.loads((folder / "findings.json").read_text())
        assert findings["answer"]
        summary = (folder / "summary.md").read_text()
        assert len(summary.splitlines()) <= 40, name
        assert summary.splitlines()[2].startswith("**")
        assert (folder / "card.svg").read_text().startswith("<svg")
        made = {path.name for path in folder.iterdir()}
        assert set(PRODUCTS) - made <= {
            "report.html",
            "study.json",
            "summary.ipynb",
            "scores.svg",
            "scores.pdf",
            "curves.svg",
            "curves.pdf",
        }
        assert made <= set(PRODUCTS)


def test_findings_are_what_the_page_shows(documents: dict[str, Document], written: dict[str, Path]) -> None:
    document = documents["three"]
    findings = json.loads((written["three"] / "findings.json").read_text())
    page = re.sub(r"<[^>]+>", "", "".join(part.html for part in list_parts(document).values()))
    page = unescape(page).replace("\N{NO-BREAK SPACE}", " ")
    for finding in findings["findings"]:
        assert finding["claim"] == "choice" or finding["sentence"] in page
    assert findings["answer"] in page
    assert [row["name"] for row in findings["decision"]["table"]] == ["0.001", "0.0005", "0.0001"]


def test_the_same_runs_give_the_same_bytes(
    documents: dict[str, Document], written: dict[str, Path], tmp_path: Path
) -> None:
    again = Document(
        documents["three"].loaded,
        documents["three"].assessment,
        documents["three"].all_sections,
        documents["three"].story,
    )
    again.write(tmp_path)
    for path in written["three"].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_nothing_is_written_without_a_folder(documents: dict[str, Document], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert documents["three"].write("").text == ""
    assert list(tmp_path.iterdir()) == []


def test_fonts_of_papers_are_embedded_and_text_stays_text(written: dict[str, Path]) -> None:
    for name in ("scores.pdf", "curves.pdf"):
        content = (written["three"] / name).read_bytes()
        assert b"/CIDFontType2" in content
        assert b"/Type3" not in content
    assert "Validation accuracy, %" in (written["three"] / "scores.svg").read_text()
    assert "$x_1$" in (written["named factor"] / "scores.svg").read_text()


def iterate_texts(document: Document) -> Iterator[str]:
    for part in list_parts(document).values():
        yield part.text


def test_cells_read_as_text(document: Document) -> None:
    text = "\n".join(iterate_texts(document))
    assert document.story.answer.text in text
    assert "<" not in text.replace('<b>"bold"</b>', "").replace("p <", "")


def test_the_text_of_the_default_report_is_as_reviewed(documents: dict[str, Document]) -> None:
    """Set LRREPORT_UPDATE_SNAPSHOTS to write the text anew, then read it aloud and review the difference."""
    text = "\n\n".join(filter(None, iterate_texts(documents["three"]))) + "\n"
    if os.environ.get("LRREPORT_UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def test_one_seed_leaves_out_what_needs_several(build_document: Callable[..., Document]) -> None:
    curves = {"val_accuracy": {rate: [[0.1, 0.5, end]] for rate, end in ((0.1, 0.9), (0.01, 0.8))}}
    document = build_document(make_measurements(curves=curves))
    assert list(document.notes) == ["failed"]  # no column in which every word is "Not testable"
    assert "Not testable" not in document.first_screen.html
    assert '<span class="word">Edge of range</span>' in document.search.html
    assert "</div> · Not testable: there is one seed" in document.search.html
    assert "Means over seeds" not in document.curves.html


def test_a_heading_of_differences_fits(documents: dict[str, Document]) -> None:
    shown = illustrate.arrange_decision(documents["three"].assessment, documents["three"].notes)
    assert shown.title_differences(400) == "difference from 0.0005, points"
    assert shown.title_differences(150) == "from 0.0005, points"
    assert shown.title_differences(50) == "from 0.0005"
