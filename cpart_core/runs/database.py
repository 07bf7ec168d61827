"""records.sqlite: its tables and how to open it. One writer (the trainer), many readers; pages
write only commands and the launch event."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cpart_core.files.plain import open_plain
from cpart_core.runs.guarded import StrangeTables, check_files, check_tables, set_limits, tables_in
from cpart_core.runs.signed import check_signature, has_wal, sign, unsign

DATABASE = "records.sqlite"
WAIT_SECONDS = 10.0
"""How long one connection waits for another's write to end."""
READ_SECONDS = 0.5
"""How long a reader waits: a page that asks every two seconds must not stand still for it. A trainer's
own writing holds nobody up (WAL); another program that takes the file for itself does."""
MOST_CPU_SECONDS = 1.0
"""Of one reading. What pages ask of a run of a million steps takes a part of it."""
BUSY, LOCKED, STOPPED, DAMAGED, NO_DATABASE = 5, 6, 9, 11, 26
"""SQLite's primary codes: in use; the same within one process; took too long; a file that is no
whole database; or none at all."""

LIFE = ("launch", "start", "finish", "stop", "fail")
"""Events that say where a run is in its life: a page started a trainer; it began; it reached its
last step; was told to stop; failed."""
EVENT_ROW = "INSERT INTO events (time, step, kind, message) VALUES (?, ?, ?, ?)"

NETWORK_FILESYSTEMS = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "ceph",
    "afs",
    "gpfs",
    "beegfs",
    "9p",
    "drvfs",
    "fuse.",
)
"""How the names of filesystems begin on which SQLite's WAL may corrupt, since it needs memory
shared on one machine."""

TABLES = """
CREATE TABLE IF NOT EXISTS steps (step INTEGER PRIMARY KEY, tokens INTEGER, loss REAL, affinity_loss REAL, balance_loss REAL,
    gradient_norm REAL, learning_rate REAL, seconds REAL, memory_bytes INTEGER, loss_by_context BLOB);
CREATE TABLE IF NOT EXISTS evaluations (step INTEGER PRIMARY KEY, loss REAL, loss_by_context BLOB, tokens_by_context BLOB);
CREATE TABLE IF NOT EXISTS changes (step INTEGER PRIMARY KEY, churn BLOB, seconds REAL, frozen INTEGER);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, time REAL, step INTEGER, kind TEXT, message TEXT);
CREATE TABLE IF NOT EXISTS status (id INTEGER PRIMARY KEY CHECK (id = 1), time REAL, step INTEGER, phase TEXT,
    tokens_per_second REAL, eta_seconds REAL, memory_bytes INTEGER, boot TEXT, clock REAL);
CREATE TABLE IF NOT EXISTS commands (id INTEGER PRIMARY KEY, time REAL, name TEXT);
"""


OUR_TABLES = tables_in(TABLES)
LATER_COLUMNS = {"boot": "TEXT", "clock": "REAL"}
"""Of `status`, which the first release did not have: the heartbeat's `clock.Instant`."""


class Busy(ValueError):
    """The records are whole, but another program has them locked. Ask again."""


class Unreadable(ValueError):
    """The file is damaged: no waiting helps."""


def code(error: sqlite3.Error) -> int:
    """SQLite's primary code of an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def refusal(error: sqlite3.Error, what: str) -> ValueError:
    """The ValueError to raise for it: `what` is the beginning of the sentence. Busy and Unreadable
    are told apart."""
    if code(error) in (BUSY, LOCKED):
        return Busy(
            f"{what}: another program has the records in use ({error}). Try again in a moment."
        )
    if code(error) == STOPPED:
        return ValueError(f"{what}: it would take longer than a run of CPart's ever does.")
    kind = Unreadable if code(error) in (DAMAGED, NO_DATABASE) else ValueError
    return kind(f"{what}: {error}.")


def open_for_writing(folder: Path, patience_seconds: float | None = None) -> sqlite3.Connection:
    """Open the run's database, making it if it is not there. ValueError when it is damaged or
    cannot be written; Busy when it is in use for longer than `patience_seconds` (None =
    WAIT_SECONDS)."""
    patience = WAIT_SECONDS if patience_seconds is None else patience_seconds
    if not check_files(folder, DATABASE, writing=True):
        make_file(folder)
    try:
        connection = sqlite3.connect(folder / DATABASE, timeout=patience, isolation_level=None)
    except sqlite3.Error as error:
        raise refusal(error, f"{DATABASE} of run {folder.name} cannot be opened") from None
    try:
        set_limits(connection, None)
        check_tables(connection, OUR_TABLES)
        connection.execute(f"PRAGMA journal_mode = {'DELETE' if on_network(folder) else 'WAL'}")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(f"BEGIN IMMEDIATE; {TABLES}")
        unsign(folder)  # within: whoever signs holds the database for writing
        there = {row[1] for row in connection.execute("PRAGMA table_info(status)")}
        for name, kind in LATER_COLUMNS.items():
            if name not in there:
                connection.execute(f"ALTER TABLE status ADD COLUMN {name} {kind}")
        connection.execute("COMMIT")  # all or none, whenever the process is killed
        connection.execute(f"PRAGMA busy_timeout = {int(1000 * min(patience, WAIT_SECONDS))}")
    except sqlite3.Error as error:
        connection.close()
        raise refusal(error, f"{DATABASE} of run {folder.name} cannot be written") from None
    except OSError:
        connection.close()
        raise
    except StrangeTables as error:
        connection.close()
        raise ValueError(f"{DATABASE} of run {folder.name} cannot be written: {error}.") from None
    return connection


def make_file(folder: Path) -> None:
    """Make the file before SQLite does, for its owner alone; SQLite's helper files are made as it
    is.

    A file that is there is never opened: closing it would let go of the locks that this process
    holds on it (POSIX), and the next program to close it would take its log away from under us.
    """
    with suppress(FileExistsError):  # another process was quicker
        os.close(open_plain(folder, DATABASE, os.O_RDWR | os.O_CREAT | os.O_EXCL))


@contextmanager
def reading(
    folder: Path,
    read_only: bool = False,
    cpu_seconds: float | None = MOST_CPU_SECONDS,
    check_sum: bool = False,
) -> Iterator[sqlite3.Connection]:
    """Open for reading, and close. A missing database, or one without tables yet, reads as an empty
    one; a damaged one raises ValueError, also from inside the block, and one that is in use Busy.

    `read_only` says that nobody writes to this run, so that its folder may be one in which not even
    SQLite's helper files can be made. check_sum: refuse records that are not what was written when
    training ended; a list of runs has no time for it. What is done in the block may take
    `cpu_seconds` of this thread's time (None = any); then it ends with ValueError.
    """
    path = folder / DATABASE
    connection = None
    try:
        if check_files(folder, DATABASE, writing=False):
            if check_sum:
                check_signature(folder, DATABASE)
            still = (read_only or not os.access(folder, os.W_OK)) and not has_wal(path)
            uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
            connection = sqlite3.connect(uri, uri=True, timeout=READ_SECONDS, isolation_level=None)
            set_limits(connection, cpu_seconds)
            if not check_tables(connection, OUR_TABLES):
                connection.close()  # its maker was killed before the tables were there
                connection = None
        if connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.executescript(TABLES)
        yield connection
    except StrangeTables as error:
        raise ValueError(f"{DATABASE} of run {folder.name} cannot be read: {error}.") from None
    except sqlite3.Error as error:
        raise refusal(error, f"{DATABASE} of run {folder.name} cannot be read") from None
    finally:
        if connection is not None:
            connection.close()


def seal(folder: Path) -> None:
    """Fold everything into the one file records.sqlite, as a sample needs it. ValueError while
    somebody else has it open."""
    connection = open_for_writing(folder)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        connection.execute("VACUUM")
        sign(folder, DATABASE, connection)
    except sqlite3.Error as error:
        raise ValueError(
            f"{DATABASE} of run {folder.name} cannot become one file: {error}. Stop its trainer and"
            " its pages."
        ) from None
    finally:
        connection.close()
    assert mode == "delete", mode


def on_network(folder: Path) -> bool:
    """Best effort: does the folder lie on a network filesystem? False where the system does not
    tell."""
    try:
        mounts = Path("/proc/mounts").read_text(errors="replace")
    except OSError:
        return False
    return filesystem_of(str(folder.resolve()), mounts).startswith(NETWORK_FILESYSTEMS)


def filesystem_of(place: str, mounts: str) -> str:
    """Name of the filesystem that `place` (absolute) lies on, from the text of /proc/mounts; empty
    when it is not found."""
    longest, kind = "", ""
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        mount = words[1].replace("\\040", " ").rstrip("/") + "/"
        # of equal ones the last is on top
        if f"{place}/".startswith(mount) and len(mount) >= len(longest):
            longest, kind = mount, words[2]
    return kind
