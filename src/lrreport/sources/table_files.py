"""Text files of tables: CSV, TSV, JSON and JSON lines, each read into a frame of columns as written."""

import codecs
import csv
import io
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lrreport.errors import LrreportError
from lrreport.sources.folder import Folder, hide_host
from lrreport.sources.logs import Note
from lrreport.sources.refusal import refuse_file
from lrreport.sources.values import MISSING, NON_FINITE, decode, flatten, parse_json, parse_measurement

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
# Numbers are read to the last digit: pandas 3.1 does so by itself.
PANDAS = tuple(map(int, pd.__version__.split(".")[:2]))
EXACT: dict[str, Any] = {} if PANDAS >= (3, 1) else {"float_precision": "round_trip"}
WIDEST = 10_000  # columns


def read_csv(folder: Folder, path: str) -> tuple[pd.DataFrame, list[Note]]:
    """Return the table of a CSV or TSV file, and notes of lines that were left out.

    An empty cell is NaN in a column of numbers and None in a column of text; "nan" and "inf" stay text, which
    `to_numbers` distinguishes from an empty cell. A last line that is cut off and a header that is repeated are left out.
    """
    text = decode(_drop_cut_character(folder.read(path)), hide_host(path))
    notes: list[Note] = []
    header_line, header, delimiter = _read_header(text, path)
    text, cut = _drop_cut_line(text, len(header), delimiter)
    if cut:
        notes.append(Note("cut", f"{path}: the last line has no end and may be cut off, so it is left out"))
    is_text = not header_line.replace(delimiter, "").replace(".", "").isdecimal()
    if is_text and (repeated := text.count(f"\n{header_line}")):
        lines = text.splitlines(keepends=True)
        text = lines[0] + "".join(line for line in lines[1:] if line.rstrip("\r\n") != header_line.rstrip("\r"))
        notes.append(Note("duplicate", f"{path}: the header is repeated", repeated))
    data = text.encode()
    del text
    try:
        frame = pd.read_csv(
            io.BytesIO(data), sep=delimiter, keep_default_na=False, na_values=[""], low_memory=False,
            skip_blank_lines=True, index_col=False, on_bad_lines="error", **EXACT,
        )  # fmt: skip
    except (ValueError, pd.errors.ParserWarning, csv.Error) as err:
        problem = " ".join(str(err).split()).removeprefix("Error tokenizing data. C error: ")
        raise refuse_file(path, f"not a table ({problem[:120]})", "correct that line") from err
    if doubled := sorted({name for name in header if name and header.count(name) > 1}):
        raise refuse_file(path, f"two columns are called {doubled[0]}", "rename a column")
    if frame.iloc[:, -1].isna().any():
        _refuse_short_lines(data, len(header), delimiter.encode(), path)
    unnamed = [name for name in frame.columns if str(name).startswith("Unnamed:")]
    return frame.drop(columns=unnamed).rename(columns=lambda name: str(name).strip()), notes


def _read_header(text: str, path: str) -> tuple[str, list[str], str]:
    """Return the first line of a table, its names and the delimiter: the most frequent of comma, tab and semicolon."""
    line, _, _ = text.partition("\n")
    delimiter = max(",\t;", key=line.count)
    header = next(csv.reader([line.rstrip("\r")], delimiter=delimiter), [])
    if not text.strip() or not any(name.strip() for name in header):
        raise refuse_file(path, "no header line, perhaps cut off")
    if len(header) > WIDEST:
        raise refuse_file(path, f"more than {WIDEST:,} columns, so it is not a table of runs")
    return line, header, delimiter


def _refuse_short_lines(data: bytes, width: int, delimiter: bytes, path: str) -> None:
    """Raise LrreportError for lines with fewer fields than the header."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip() and line.count(delimiter) < width - 1 and b'"' not in line:
            raise refuse_file(path, f"has {line.count(delimiter) + 1} of {width} fields", "correct it", number)


def _drop_cut_line(text: str, width: int, delimiter: str) -> tuple[str, bool]:
    """Return the text without a last line that lacks its end; a last line that ends in a quoted field is whole."""
    if text.endswith("\n"):
        return text, False
    body, newline, last = text.rpartition("\n")
    if not newline:
        return text, False
    try:
        fields = next(csv.reader([last.rstrip("\r")], delimiter=delimiter, strict=True), [])
    except csv.Error:
        fields = []
    if not last.strip() or (len(fields) == width and last.rstrip().endswith('"')):
        return f"{text}\n", False
    return f"{body}\n", True


def read_json(folder: Folder, path: str) -> tuple[pd.DataFrame | dict[str, Any], list[Note]]:
    """Return a list of objects as a frame, or an object as it is."""
    content = parse_json(folder.read(path), path)
    if isinstance(content, dict):
        return content, []
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        return make_frame(content), []
    raise refuse_file(path, "neither a JSON object nor a list of objects")


def read_lines(folder: Folder, path: str) -> tuple[list[dict[str, Any]], list[Note]]:
    """Return the objects of a file of JSON lines; a last line that is cut off is left out with a note."""
    text = decode(_drop_cut_character(folder.read(path)), path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    rows: list[dict[str, Any]] = []
    for number, line in lines:
        try:
            row = parse_json(line.encode(), path, number)
        except LrreportError:
            if number == lines[-1][0] and not text.endswith("\n"):
                return rows, [Note("cut", f"{path}: the last line is cut off, so it is left out")]
            raise
        if not isinstance(row, dict):
            if number == lines[-1][0] and not text.endswith("\n"):
                return rows, [Note("cut", f"{path}: the last line is cut off, so it is left out")]
            raise refuse_file(path, "not a JSON object", "correct that line", number)
        rows.append(row)
    return rows, []


def _drop_cut_character(content: bytes) -> bytes:
    """Return UTF-8 bytes without an incomplete character at their end."""
    try:
        return content[: codecs.utf_8_decode(content, "strict", False)[1]]
    except UnicodeDecodeError:
        return content


def make_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return JSON objects as a frame; a number that is not finite becomes text, so that it is not taken for a gap."""
    flat = [
        {
            name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in flatten(row).items()
        }
        for row in rows
    ]
    return pd.DataFrame(flat)


def to_numbers(column: pd.Series, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as floats (n,), and where it has a value (n,): text "nan" is a value that is not finite.

    Raises LrreportError for a cell that is not a number.
    """
    if pd.api.types.is_bool_dtype(column):
        column = column.astype(float)
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        return values, ~np.isnan(values)
    values, present = np.full(len(column), np.nan), np.zeros(len(column), dtype=bool)
    for index, cell in enumerate(column):
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            continue
        if isinstance(cell, str) and cell.strip().casefold() in MISSING:
            continue
        number = parse_measurement(cell)
        if number is None:
            raise refuse_file(
                path, f"column {column.name} holds {str(cell)[:40]!r}, which is not a number", "correct it"
            )
        values[index], present[index] = number, True
    return values, present


def is_numeric(column: pd.Series) -> bool:
    """Return whether all cells of a column that are not empty are numbers, those that are not finite included."""
    if pd.api.types.is_bool_dtype(column):
        return False
    if pd.api.types.is_numeric_dtype(column):
        return True
    cells = {cell for cell in column.map(_hashable).unique() if cell is not None}
    cells -= {cell for cell in cells if isinstance(cell, float) and math.isnan(cell)}
    words = {cell for cell in cells if isinstance(cell, str) and cell.strip().casefold() in (*MISSING, *NON_FINITE)}
    return bool(cells) and all(parse_measurement(cell) is not None for cell in cells - words) and cells != words


def _hashable(cell: Any) -> Any:
    return str(cell) if isinstance(cell, list | dict) else cell
