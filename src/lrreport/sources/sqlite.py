"""SQLite databases, opened for reading only."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from lrreport.sources.folder import Folder
from lrreport.sources.refusal import refuse_file

MAGIC = b"SQLite format 3\x00"
SUFFIXES = (".db", ".sqlite", ".sqlite3")
MOST_ROWS = 20_000_000


def is_database(folder: Folder, path: str, tables: set[str]) -> bool:
    """Return whether a file is an SQLite database with all of these tables."""
    if not path.casefold().endswith(SUFFIXES):
        return False
    with folder.locate(path).open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return False
    with open_database(folder, path) as database:
        names = {row[0] for row in read_rows(database, path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    return tables <= names


@contextmanager
def open_database(folder: Folder, path: str) -> Iterator[sqlite3.Connection]:
    """Yield a connection that can only read; without a write-ahead log the file is taken to be immutable."""
    file = folder.register(path)
    log = file.with_name(f"{file.name}-wal")
    options = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    try:
        database = sqlite3.connect(f"file:{quote(str(file))}?{options}", uri=True)
    except sqlite3.Error as err:
        raise refuse_file(path, f"cannot be opened ({err})", "copy it with its -wal file") from err
    try:
        database.execute("PRAGMA trusted_schema = OFF")
        problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise refuse_file(path, f"damaged or cut off ({' '.join(problem.split())[:100]})", "copy it again")
        yield database
    except sqlite3.Error as err:
        raise refuse_file(path, str(err), "copy it again") from err
    finally:
        database.close()


def read_rows(database: sqlite3.Connection, path: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query, or raise LrreportError where the database is damaged or too large."""
    try:
        rows = database.execute(query).fetchmany(MOST_ROWS + 1)
    except (sqlite3.Error, ValueError, OverflowError) as err:
        raise refuse_file(path, f"cannot be read ({err}), perhaps cut off", "copy it again") from err
    if len(rows) > MOST_ROWS:
        raise refuse_file(path, f"more than {MOST_ROWS:,} rows", "export the experiments that you need")
    return rows
