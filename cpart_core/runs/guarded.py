"""What must hold of a run's SQLite files before a statement is run on them: plain files, our tables
and no others, and limits on what it costs.

A database is a program: views and triggers run what their maker wrote, a journal can name a file
elsewhere that SQLite then deletes, and one text can be as long as the disk. So this is asked
whenever one is opened, for it may have come from somebody else.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from cpart_core.files.plain import check_plain, open_plain

SIDE_FILES = ("-wal", "-shm", "-journal")
LARGEST_WAL = 256 << 20
"""Bytes. Ours is folded in every 4 MB; SQLite reads all of it before the first answer."""
LARGEST_JOURNAL = 1 << 30
SUPER_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
"""How a journal ends that names another file, which SQLite may delete when it rolls back. Ours
never do: they are of one database."""
LONGEST_VALUE = 1_000_000
"""Bytes of one value or row; ours have some hundreds."""
MOST_TABLES = 20
OPERATIONS = 4000
"""Of SQLite's machine, between two looks at the clock: some tens of microseconds."""

Columns = Mapping[str, tuple[str, ...]]
"""Table -> its columns, each as it is declared."""


class StrangeTables(ValueError):
    """A database with views, triggers, or tables that are none of ours."""


def check_files(folder: Path, name: str, writing: bool) -> bool:
    """Whether the database is there; NotPlain or ValueError when it or a helper file of it is
    nothing that SQLite should open."""
    there = False
    for suffix in ("", *SIDE_FILES):
        try:
            found = (folder / (name + suffix)).lstat()
        except FileNotFoundError:
            continue
        check_plain(name + suffix, found, writing)
        there |= not suffix
        if suffix == "-wal" and found.st_size > LARGEST_WAL:
            raise ValueError(f"{name}-wal has {found.st_size:,} bytes; allowed: {LARGEST_WAL:,}.")
        if (
            suffix == "-journal"
            and found.st_size
            and names_another_file(folder, name + suffix, found.st_size)
        ):
            raise ValueError(
                f"{name}-journal names a file elsewhere, as a journal of CPart never does;"
                " delete it."
            )
    return there


def names_another_file(folder: Path, name: str, size: int) -> bool:
    """Does a rollback journal end with the name of a super-journal?"""
    if size > LARGEST_JOURNAL:
        raise ValueError(f"{name} has {size:,} bytes; allowed: {LARGEST_JOURNAL:,}.")
    try:
        handle = open_plain(folder, name)
    except FileNotFoundError:  # whoever was writing has ended meanwhile
        return False
    with os.fdopen(handle, "rb") as file:
        file.seek(max(0, size - len(SUPER_JOURNAL)))
        return file.read() == SUPER_JOURNAL


def set_limits(connection: sqlite3.Connection, cpu_seconds: float | None) -> None:
    """Before the first statement: short values, no code of the schema's, and an end after
    `cpu_seconds` of this thread's time."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    connection.execute("PRAGMA trusted_schema = OFF")
    if cpu_seconds is not None:
        end = time.thread_time() + cpu_seconds
        connection.set_progress_handler(lambda: time.thread_time() > end, OPERATIONS)


def check_tables(connection: sqlite3.Connection, ours: Columns) -> bool:
    """Whether there are tables yet; StrangeTables unless all that the schema holds is plain tables
    of ours."""
    rows = connection.execute(
        f"SELECT type, name, rootpage, sql FROM sqlite_master LIMIT {MOST_TABLES + 1}"
    ).fetchall()
    for kind, name, page, sql in rows:
        columns = ours.get(name)
        if (
            kind != "table"
            or columns is None
            or not page
            or not is_ours(str(name), str(sql), columns)
        ):
            raise StrangeTables(
                f"it holds the {str(kind)[:20]} {str(name)[:40]!r}, which no release of CPart up to"
                " this one makes"
            )
    return bool(rows)


@lru_cache(maxsize=64)
def is_ours(name: str, sql: str, columns: tuple[str, ...]) -> bool:
    """Does a CREATE TABLE declare these columns, or, as an earlier release did, some of them, the
    key first, and nothing else?"""
    head, _, rest = sql.partition("(")
    inside, _, tail = rest.rpartition(")")
    found = declared(inside)
    return (
        head.split() == ["CREATE", "TABLE", name]
        and not tail.strip()
        and found[0] == columns[0]
        and set(found) <= set(columns)
    )


def declared(columns: str) -> tuple[str, ...]:
    """'a INTEGER PRIMARY KEY,\\n  b REAL' -> ('a INTEGER PRIMARY KEY', 'b REAL')."""
    return tuple(" ".join(part.split()) for part in columns.split(","))


def tables_in(script: str) -> dict[str, tuple[str, ...]]:
    """The tables that a script of `CREATE TABLE IF NOT EXISTS name (columns);` makes."""
    statements = [statement.strip() for statement in script.split(";") if statement.strip()]
    return {
        statement.partition("(")[0].split()[-1]: declared(
            statement.partition("(")[2].rpartition(")")[0]
        )
        for statement in statements
    }
