"""Check the archive that a worker sends back, and unpack it."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from lrreport.errors import FailedError
from lrreport.record.record import ARRAYS, RECORD
from lrreport.study.frozen import FrozenModel
from lrreport.study.parsing import shorten

ANSWER = "answer.json"
LARGEST_ARCHIVE = 500_000_000  # bytes, compressed
LARGEST_FILE, LARGEST_TOTAL = 1_000_000_000, 2_000_000_000  # bytes, uncompressed
LARGEST_ANSWER = 1_000_000
MOST_FILES = 1_000
LONGEST_NAME = 255  # bytes, as file systems have it
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA may ask for a dictionary of 4 GB
TO_OPEN = re.compile(r"[\w.=+ -]{1,120}\.(ipynb|log|jsonl)|progress")  # what a workspace may hold beside its runs
Text = Annotated[str, Field(max_length=4_000)]


class Answer(FrozenModel):
    """How an execution ended, why, and where; `errors` are those of single runs, by key."""

    status: Literal["made", "failed", "differs", "lacks data"]
    reason: Text = ""
    errors: dict[Text, Text] = {}
    worker: Text = ""
    host: Text = ""


def read_answer(content: Any, workspace: Path, keys: Collection[str]) -> Answer:
    """Return the answer in an archive, and write its files into the workspace.

    Only records of the runs with these keys are written, and files for the user to open. Raises FailedError for
    anything but a complete archive within the size limits.
    """
    if not isinstance(content, bytes):
        raise FailedError(f"its worker sent a {shorten(type(content).__name__)}, not an archive; see the worker's log")
    if len(content) > LARGEST_ARCHIVE:
        raise FailedError(f"its worker sent {len(content) / 1e6:,.0f} MB, at most {LARGEST_ARCHIVE / 1e6:.0f} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MOST_FILES or sum(member.file_size for member in members) > LARGEST_TOTAL:
                raise FailedError(f"its worker sent more than {MOST_FILES:,} files or {LARGEST_TOTAL / 1e9:.0f} GB")
            if any(member.compress_type not in COMPRESSIONS for member in members):
                raise FailedError(
                    "its worker sent an archive with a compression other than deflate; see the worker's log"
                )
            answer = Answer.model_validate(json.loads(_read(archive, ANSWER, LARGEST_ANSWER)))
            for member in members:
                _write(archive, member.filename, workspace, keys)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as err:
        raise FailedError(f"its worker sent a damaged archive ({shorten(str(err))})") from err
    except (ValidationError, ValueError, RecursionError) as err:
        raise FailedError("its worker sent an archive without a valid answer; see the worker's log") from err
    return answer.model_copy(
        update={
            "reason": clean(answer.reason), "worker": clean(answer.worker), "host": clean(answer.host),
            "errors": {key: clean(error) for key, error in answer.errors.items() if key in keys},
        }
    )  # fmt: skip


def clean(text: str) -> str:
    """Return a text as a single line of printable characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:2_000]


def _write(archive: zipfile.ZipFile, name: str, workspace: Path, keys: Collection[str]) -> None:
    """Write a file of an archive into the workspace if it may be there."""
    folder, _, file = name.rpartition("/")
    if folder and folder in keys and file in (RECORD, ARRAYS):
        (workspace / folder).mkdir(exist_ok=True)
    elif folder or not TO_OPEN.fullmatch(file) or len(file.encode()) > LONGEST_NAME:
        return
    (workspace / name).write_bytes(_read(archive, name, LARGEST_FILE))


def _read(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    with archive.open(name) as file:  # read so, since the size that an archive states may be wrong
        content = file.read(largest + 1)
    if len(content) > largest:
        raise FailedError(f"its worker sent more than {largest / 1e6:,.0f} MB as {shorten(name)}")
    return content
