"""Commands that pages and terminals give to a run's trainer, and the trainer's side of them. Their
order is that of their rows."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cpart_core.runs.clock import Instant
from cpart_core.runs.database import EVENT_ROW, LIFE, open_for_writing, refusal
from cpart_core.runs.signed import unsign

COMMANDS = ("pause", "resume", "step", "stop")
LAUNCHED = "launched"
"""Stands among the commands where a page started a trainer: what follows is for that one."""
COMMAND_ROW = "INSERT INTO commands (time, name) VALUES (?, ?)"


def send_command(folder: Path, name: str) -> None:
    """Give the trainer a command, carried out after the step in hand. ValueError for an unknown
    one, or when it cannot be written."""
    if name not in COMMANDS:
        raise ValueError(f"Unknown command {name!r}; allowed: {', '.join(COMMANDS)}.")
    with writing(folder) as connection:
        connection.execute(COMMAND_ROW, (time.time(), name))


def note_launch(folder: Path) -> None:
    """Note that a trainer for this run is being started, so that its first seconds do not look like
    death. Call it before Popen.

    Commands given from now on are for that trainer.
    """
    with writing(folder) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(EVENT_ROW, (time.time(), 0, "launch", Instant.now().to_json()))
        connection.execute(COMMAND_ROW, (time.time(), LAUNCHED))
        connection.execute("COMMIT")


@contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """The records, for rows that a page or terminal adds. ValueError when they cannot be
    written."""
    connection = open_for_writing(folder)
    try:
        yield connection
    except sqlite3.Error as error:
        raise refusal(error, f"Run {folder.name} could not be told") from None
    finally:
        with suppress(OSError):
            # a trainer that ended meanwhile may have signed what was there before this
            unsign(folder)
        connection.close()


class Commands:
    """The trainer's side of `send_command`. Make it once the lock is held and before the event
    `start` is written.

    Commands that an earlier trainer did not live to carry out are not for this one: it reads those
    given since the page launched it, or, when no page did, since now.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = open_for_writing(folder)
        self._version = -1
        life = self._connection.execute(
            f"SELECT kind FROM events WHERE kind IN {LIFE} ORDER BY id DESC LIMIT 1"
        ).fetchone()
        launched = life is not None and life[0] == "launch"
        last = f"SELECT max(id) FROM commands{f' WHERE name = {LAUNCHED!r}' if launched else ''}"
        self._last = int(
            self._connection.execute(
                f"SELECT coalesce(({last}), (SELECT max(id) FROM commands), 0)"
            ).fetchone()[0]
        )

    def read_new(self) -> list[str]:
        """The commands given since the last call, oldest first, each once. Some microseconds when
        there is none; never raises."""
        try:
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:  # nobody has written anything
                return []
            rows = self._connection.execute(
                "SELECT id, name FROM commands WHERE id > ? ORDER BY id", (self._last,)
            ).fetchall()
        except sqlite3.Error:  # a busy or failing disk: the command waits, training does not
            return []
        self._version = version
        if rows:
            self._last = rows[-1][0]
        return [name for _, name in rows if name in COMMANDS]

    def close(self) -> None:
        self._connection.close()
