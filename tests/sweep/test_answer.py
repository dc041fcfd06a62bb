"""Archives from workers: valid archives are read, anything else is a failed run with a single line."""

import io
import json
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lrreport.errors import FailedError
from lrreport.sweep.answer import Answer, read_answer
from lrreport.sweep.remote import pack

KEY = "0123456789abcdef"


def zip_files(files: dict[str, bytes], answer: Any = None, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("answer.json", json.dumps({"status": "made"} if answer is None else answer))
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def lie_about_sizes(content: bytes) -> bytes:
    """Return an archive whose directory says that each file has a single byte."""
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        content = content[: start + 24] + struct.pack("<I", 1) + content[start + 28 :]
        start = content.find(b"PK\x01\x02", start + 4)
    return content


def test_what_was_packed_is_read(tmp_path: Path) -> None:
    (tmp_path / "there" / KEY).mkdir(parents=True)
    (tmp_path / "here").mkdir()
    files = {
        f"{KEY}/record.json": b"{}",
        f"{KEY}/arrays.npz": bytes(range(256)) * 9,
        "train.ipynb": b"",
        "execution.log": b"x",
    }
    for name, content in files.items():
        (tmp_path / "there" / name).write_bytes(content)
    sent = Answer(status="made", reason="a\nb", worker="tcp://w", host="h", errors={KEY: "no\x1bluck", "other": "x"})
    answer = read_answer(pack(sent, tmp_path / "there"), tmp_path / "here", [KEY])
    assert answer == Answer(status="made", reason="a b", worker="tcp://w", host="h", errors={KEY: "no luck"})
    here = [path for path in (tmp_path / "here").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "here").as_posix(): path.read_bytes() for path in here} == files


GOOD = zip_files({f"{KEY}/record.json": b"{}"})
ODD: dict[str, Any] = {
    "nothing": None, "a number": 7, "a text": "made", "a list": [GOOD], "a table": {"status": "made"}, "a type": int,
    "no bytes": b"", "other bytes": b"made" * 100, "cut": GOOD[:-30], "half": GOOD[: len(GOOD) // 2],
    "flipped": GOOD[:45] + bytes([GOOD[45] ^ 255]) + GOOD[46:], "without an answer": zip_files({}).replace(b"answer.json", b"answer.jsoN"),
    "an answer that is no table": zip_files({}, []), "an unknown status": zip_files({}, {"status": "odd"}),
    "no status": zip_files({}, {"reason": "x"}), "another key": zip_files({}, {"status": "made", "more": 1}),
    "a reason that is no text": zip_files({}, {"status": "made", "reason": 3}),
    "a reason without end": zip_files({}, {"status": "failed", "reason": "x" * 900_000}),
    "errors that are no table": zip_files({}, {"status": "made", "errors": ["x"]}),
    "a nested answer": zip_files({}, "PLACE").replace(b'"PLACE"', b"[[[[[[["), "many files": zip_files({f"{n}.log": b"" for n in range(1500)}),
    "lzma": zip_files({}, None, zipfile.ZIP_LZMA), "bzip2": zip_files({}, None, zipfile.ZIP_BZIP2),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_answer_is_one_line(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FailedError, match="^its worker sent ") as error:
        read_answer(ODD[kind], tmp_path, [KEY])
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300
    assert not list(tmp_path.rglob("*.json"))


def test_an_answer_that_unpacks_to_gigabytes_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At true and at stated sizes, whatever the archive says of them."""
    monkeypatch.setattr("lrreport.sweep.answer.LARGEST_FILE", 10_000_000)
    monkeypatch.setattr("lrreport.sweep.answer.LARGEST_TOTAL", 20_000_000)
    bomb = zip_files({f"{KEY}/arrays.npz": bytes(200_000_000)})
    tracemalloc.start()
    for content in (bomb, lie_about_sizes(bomb)):
        with pytest.raises(FailedError, match="^its worker sent "):
            read_answer(content, tmp_path, [KEY])
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 10_000_000


@pytest.mark.parametrize(
    "name",
    ["../record.json", "/etc/passwd", "other/record.json", f"{KEY}/../../x.log", f"{KEY}/code.py", "a/b/c.ipynb", ".hidden", "x.so",
     f"{KEY}\\record.json", "x" * 300 + ".log", "字" * 100 + ".log"],
)  # fmt: skip
def test_a_file_without_a_place_is_left_out(tmp_path: Path, name: str) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    read_answer(zip_files({name: b"x"}), workspace, [KEY])
    assert list(tmp_path.rglob("*")) == [workspace]
