"""The sum of records.sqlite in records.sha256, as `sha256sum -c` reads it, from the end of a
training to the next writing.

SQLite notices no flipped bit in what it stores. While a run is written there is no sum, and a run
that was killed has none.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cpart_core.files.plain import open_plain, read_plain
from cpart_core.runs.atomic import write_file
from cpart_core.runs.manifest import digest

SUM_FILE = "records.sha256"
LONGEST = 200
HEADER = 100
"""Bytes of a database before its first table."""
YOUNG_NANOSECONDS = 2 * 10**9
LARGEST = 400 << 20
"""Bytes; a run of a million steps has a third of it. Beyond that a sum would keep a page waiting,
and there is none."""


def noted(name: str, counter: int, found: str) -> bytes:
    """The text of the file: SQLite's count of changes, as a comment, and the sum."""
    return f"# changes {counter}\n{found}  {name}\n".encode()


def sign(folder: Path, name: str, connection: sqlite3.Connection) -> None:
    """Fold everything into the one file and note its sum. Without one where others are reading or
    writing, or the disk refuses.

    `connection` is held for writing meanwhile, so that nobody can write between the sum and its
    file.
    """
    with suppress(sqlite3.Error, OSError, ValueError):
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not has_wal(folder / name) and (folder / name).stat().st_size <= LARGEST:
                write_file(
                    folder / SUM_FILE,
                    noted(name, changes(folder, name) or 0, digest(folder / name)),
                )
        finally:
            connection.execute("ROLLBACK")


def unsign(folder: Path) -> None:
    """Before and after anything is written. OSError when the disk refuses."""
    (folder / SUM_FILE).unlink(missing_ok=True)


def check_signature(folder: Path, name: str) -> None:
    """ValueError when the file is not what its sum says; a file without a sum, or with a log of
    later writing beside it, passes, and so does one larger than LARGEST."""
    try:
        said = read_plain(folder, SUM_FILE, LONGEST)
        too_large = (folder / name).lstat().st_size > LARGEST
    except FileNotFoundError:
        return
    if has_wal(folder / name) or too_large:
        return
    counter = changes(folder, name)
    if counter is not None and not said.startswith(f"# changes {counter}\n".encode()):
        return  # another program has written to it, by SQLite's rules
    if said != noted(name, counter or 0, sum_of(folder / name)):
        raise ValueError(
            f"{name} of run {folder.name} is damaged: it is not what {SUM_FILE} says. Delete that"
            " file to have the records read as they are."
        )


def changes(folder: Path, name: str) -> int | None:
    """How often a database was changed while it was in rollback mode, as its header says in two
    places; None where they differ.

    No single flipped bit changes both. (https://sqlite.org/fileformat.html, sections 1.3.7 and
    1.3.19)
    """
    with os.fdopen(open_plain(folder, name), "rb") as file:
        header = file.read(HEADER)
    counter, again = header[24:28], header[92:96]
    return int.from_bytes(counter, "big") if len(header) == HEADER and counter == again else None


def sum_of(path: Path) -> str:
    """Of a file, kept until it is another, since a page asks many times; not where it is so young
    that its time may not tell."""
    found = path.lstat()
    if abs(time.time_ns() - found.st_mtime_ns) < YOUNG_NANOSECONDS:
        return digest(path)
    return kept_sum(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=256)
def kept_sum(path: Path, modified: int, size: int, number: int) -> str:
    return digest(path)


def has_wal(path: Path) -> bool:
    """Is there a write-ahead log with something in it beside the database?"""
    wal = path.with_name(path.name + "-wal")
    return wal.exists() and wal.stat().st_size > 0
