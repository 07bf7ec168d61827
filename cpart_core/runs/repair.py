"""Damaged records are set aside, never deleted, and what can be read of them goes into new ones.
Weights and state lie elsewhere."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from cpart_core.runs.database import DATABASE, Unreadable, open_for_writing, refusal
from cpart_core.runs.guarded import set_limits
from cpart_core.runs.signed import SUM_FILE, check_signature

TABLES = ("steps", "evaluations", "changes", "events", "status", "commands")
MOST_CPU_SECONDS = 60.0
"""To read what can be read."""
BESIDE = ("", "-wal", "-shm")
"""What SQLite's files are called after the database."""
SHOWN_GAPS = 5


def mend_records(folder: Path, patience_seconds: float | None = None) -> str:
    """Make the records of a run usable; a sentence on what was done, empty when they were sound.
    For whoever holds the run's lock.

    Busy when another program has them in use for longer than `patience_seconds`, ValueError when
    the disk refuses.
    """
    changed = ""
    try:
        check_signature(folder, DATABASE)
    except ValueError:
        changed = (
            f"{DATABASE} is not what {SUM_FILE} says: it was damaged or changed after training last"
            " ended."
        )
    try:
        check(folder, patience_seconds)
    except Unreadable as error:
        aside = set_aside(folder)
        kept = keep_what_can_be_read(folder, aside)
        what = (
            f"{kept:,} of its rows could be read and were kept"
            if kept
            else "nothing of it could be read"
        )
        return f"{error} It was set aside as {aside.name}, and {what}."
    return changed and f"{changed} Its rows can be read, and were kept as they are."


def check(folder: Path, patience_seconds: float | None) -> None:
    """Unreadable unless the database is whole."""
    connection = open_for_writing(folder, patience_seconds)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise refusal(error, f"{DATABASE} of run {folder.name} cannot be read") from None
    finally:
        connection.close()
    if found != "ok":
        raise Unreadable(f"{DATABASE} of run {folder.name} is damaged.")


def set_aside(folder: Path) -> Path:
    """The database under a name that nothing looks at."""
    number = next(
        number for number in range(1, 10_000) if not (folder / f"damaged-{number}.sqlite").exists()
    )
    aside = folder / f"damaged-{number}.sqlite"
    for suffix in reversed(BESIDE):  # the database last: until then it is found, and set aside anew
        with suppress(FileNotFoundError):
            os.rename(folder / f"{DATABASE}{suffix}", f"{aside}{suffix}")
    return aside


def keep_what_can_be_read(folder: Path, aside: Path) -> int:
    """Rows that came from the database `aside` into a new one, all tables together."""
    kept = 0
    with closing(open_for_writing(folder)) as new, suppress(sqlite3.Error):
        with closing(
            sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as old:
            set_limits(old, MOST_CPU_SECONDS)
            new.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
                marks = ", ".join("?" * len(columns))
                for row in readable_rows(old, table, columns):
                    kept += new.execute(
                        f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row
                    ).rowcount
            new.execute("COMMIT")
    return kept


def readable_rows(
    old: sqlite3.Connection, table: str, columns: list[str]
) -> Iterator[tuple[object, ...]]:
    """Rows from both ends of a table, up to where it is damaged; a sound one twice would be skipped
    when it is inserted."""
    with suppress(sqlite3.Error):
        there = {row[1] for row in old.execute(f"PRAGMA table_info({table})")}
        wanted = ", ".join(name if name in there else "NULL" for name in columns)
        for order in ("ASC", "DESC"):
            try:
                yield from old.execute(f"SELECT {wanted} FROM {table} ORDER BY rowid {order}")
                return
            except sqlite3.Error:
                continue


def missing_steps(connection: sqlite3.Connection, last: int) -> str:
    """Which of the steps 1 to `last` have no record, in words; empty when all have."""
    if (
        connection.execute(
            "SELECT count(*) FROM steps WHERE step BETWEEN 1 AND ?", (last,)
        ).fetchone()[0]
        == last
    ):
        return ""
    gaps, before = [], 0
    for (step,) in [
        *connection.execute(
            "SELECT step FROM steps WHERE step BETWEEN 1 AND ? ORDER BY step", (last,)
        ),
        (last + 1,),
    ]:
        if step > before + 1:
            gaps.append((before + 1, step - 1))
        before = step
    said = [
        str(first) if first == end else f"{first:,} to {end:,}" for first, end in gaps[:SHOWN_GAPS]
    ]
    more = f" and {len(gaps) - SHOWN_GAPS:,} more gaps" if len(gaps) > SHOWN_GAPS else ""
    total = sum(end - first + 1 for first, end in gaps)
    return f"{total:,} of {last:,} steps ({', '.join(said)}{more})"
