"""The summary and the card: at most 40 lines, the same words as the page, plain text in a terminal that knows ASCII only."""

import io
import re
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.report.document import Document
from lrreport.report.summary import summary_text, write_card, write_summary


def test_the_summary_says_what_the_first_screen_says(document: Document) -> None:
    text = write_summary(document)
    plain = text.replace("\\", "")
    assert len(text.splitlines()) <= 40
    assert document.story.answer.text.strip() in plain
    assert document.story.next_step.title in plain


def test_the_table_has_intervals_and_differences(documents: dict[str, Document]) -> None:
    rows = documents["three"].summary_table().rows
    assert [row[0] for row in rows] == ["0.001", "0.0005", "0.0001"]
    assert {row[2] for row in rows} >= {"leads"}
    difference = next(row for row in rows if row[0] == "0.0001")
    assert re.fullmatch(r"−1\.9\d \(−\d\.\d\d to −\d\.\d\d\)", difference[2])
    assert difference[3] == "no"


def test_names_do_not_break_the_table(documents: dict[str, Document], tmp_path: Path) -> None:
    documents["named factor"].write(tmp_path)
    lines = (tmp_path / "summary.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert 'a $x_1$ <b>"bold"</b> & very long name' in summary_text(tmp_path)


def test_a_terminal_gets_plain_text(documents: dict[str, Document], tmp_path: Path) -> None:
    documents["three"].write(tmp_path)
    text = summary_text(tmp_path)
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 130
    assert not re.search(r"\*\*|\\|^#|^\|", text, re.MULTILINE)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    stream.write(text)


def test_a_folder_without_a_summary_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        LrreportError,
        match=r"summary\.md: cannot read it \(No such file or directory\); run lrreport report to make it",
    ):
        summary_text(tmp_path)


def test_the_card_holds_the_answer_and_nothing_from_elsewhere(document: Document) -> None:
    card = write_card(document)
    assert card.startswith('<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="630"')
    shown = " ".join(re.findall(r'class="answer">(.*?)</text>', card))
    assert shown[:12].replace("&quot;", '"') == document.story.answer.text[:12]
    assert "http" not in card.replace("http://www.w3.org/2000/svg", "")
    assert "nan" not in card
