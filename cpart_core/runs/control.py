"""Between a run's trainer and the pages: the lock that says who trains, the commands that pages give, the signal when commands do not help.

Liveness is the lock, not a process number: the system lets go of it whenever and however the trainer dies.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from cpart_core.runs.database import open_for_writing
from cpart_core.runs.records import EVENT_ROW, LIFE

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = "lock"
TRIES = 10
SECONDS_BETWEEN_TRIES = 0.05
"""A page that asks whether the trainer lives holds the lock for a moment; a starting trainer must outlast that."""

COMMANDS = ("pause", "resume", "step", "stop")


class RunLock:
    """Held by the trainer while it lives: `with RunLock(folder): ...`. ValueError when another process trains this run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None

    def acquire(self) -> None:
        """Take the lock and write down who has it."""
        # Asked before the lock is taken: whoever sees the lock held must find its holder, though that be killed at once.
        started = process_started(os.getpid())
        file = open(self.folder / LOCK, "a+b")
        for attempt in range(TRIES):
            if attempt:
                time.sleep(SECONDS_BETWEEN_TRIES)
            if try_lock(file, shared=False):
                break
        else:
            file.close()
            raise ValueError(f"Run {self.folder.name} is already being trained by another process. Stop that one first, or wait for it.")
        self._file = file
        file.truncate(0)
        holder = {"pid": os.getpid(), "started": started, "taken": time.time()}
        file.write(json.dumps(holder).encode())
        file.flush()

    def release(self) -> None:
        """Let go; again does nothing."""
        if self._file is not None:
            unlock(self._file)
            self._file.close()
            self._file = None

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.release()


def is_training(folder: Path) -> bool:
    """Does a living process hold this run's lock? Costs some microseconds."""
    try:
        file = open(folder / LOCK, "rb")
    except OSError:
        return False
    with file:
        if try_lock(file, shared=True):
            unlock(file)
            return False
    return True


def try_lock(file: BinaryIO, shared: bool) -> bool:
    """One attempt, without waiting."""
    try:
        if sys.platform == "win32":
            file.seek(1 << 30)  # a byte beyond the text, so that the text stays readable; Windows knows no shared lock here
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def unlock(file: BinaryIO) -> None:
    """Undo try_lock."""
    if sys.platform == "win32":
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def trainer_pid(folder: Path) -> int | None:
    """Process number of the living trainer; None when there is none, or the number now belongs to another process."""
    if not is_training(folder):
        return None
    holder = last_holder(folder)
    pid = int(holder.get("pid", 0))
    return pid if pid > 0 and process_started(pid) == holder.get("started") else None


def last_holder(folder: Path) -> dict[str, float]:
    """Who took the lock last: `pid`, when that process `started` and when it had `taken` the lock (seconds since 1970); {} when nobody did.

    Written in the file, since the times of a file change when a folder is copied. Only where its holder was killed between taking the lock
    and writing this is the file empty: then `taken` alone, from the file's time.
    """
    try:
        written = (folder / LOCK).read_bytes()[:1000]
        if not written:
            return {"taken": (folder / LOCK).stat().st_mtime}
        holder = json.loads(written)
        return {name: float(holder[name]) for name in ("pid", "started", "taken")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def signal_trainer(folder: Path, number: int) -> bool:
    """Send a signal (signal.SIGTERM: finish the step, save, end) to the living trainer. False when there is none to send it to."""
    pid = trainer_pid(folder)
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def end_process(folder: Path, patience_seconds: float) -> bool:
    """SIGTERM to the trainer, and SIGKILL when it still lives after `patience_seconds`. True when no trainer is left. Waits."""
    signal_trainer(folder, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while is_training(folder) and time.monotonic() < deadline:
        time.sleep(SECONDS_BETWEEN_TRIES)
    if is_training(folder):
        signal_trainer(folder, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        time.sleep(SECONDS_BETWEEN_TRIES * 4)
    return not is_training(folder)


def process_started(pid: int) -> float:
    """When a process started, in seconds since 1970 (steps of 10 ms); 0.0 where the system has no /proc or no such process.

    Together with the number it names a process for good: numbers are used again.
    """
    with suppress(OSError, ValueError, IndexError, AttributeError):
        # the name in brackets may hold spaces and brackets: count fields behind the last one
        ticks = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
        return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


def send_command(folder: Path, name: str) -> None:
    """Give the trainer a command; it is obeyed after the step in hand. ValueError for an unknown one, or when it cannot be written."""
    if name not in COMMANDS:
        raise ValueError(f"Unknown command {name!r}; allowed: {', '.join(COMMANDS)}.")
    insert(folder, "INSERT INTO commands (time, name) VALUES (?, ?)", (time.time(), name))


def note_launch(folder: Path) -> None:
    """Note that a trainer for this run is being started, so that its first seconds do not look like death. Call it before Popen."""
    insert(folder, EVENT_ROW, (time.time(), 0, "launch", ""))


def insert(folder: Path, statement: str, values: tuple[object, ...]) -> None:
    """One row from a page."""
    connection = open_for_writing(folder)
    try:
        connection.execute(statement, values)
    except sqlite3.Error as error:
        raise ValueError(f"Run {folder.name} could not be told: {error}.") from None
    finally:
        connection.close()


class Commands:
    """The trainer's side of `send_command`. Make it once the lock is held and before the event `start` is written.

    Commands that an earlier trainer did not live to obey are not for this one: it takes those given since the page launched it, or, when no
    page did, since now.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = open_for_writing(folder)
        self._version = -1
        life = self._connection.execute(f"SELECT time, kind FROM events WHERE kind IN {LIFE} ORDER BY id DESC LIMIT 1").fetchone()
        since = float(life[0]) if life is not None and life[1] == "launch" else time.time()
        self._last = self._connection.execute("SELECT coalesce(max(id), 0) FROM commands WHERE time < ?", (since,)).fetchone()[0]

    def take(self) -> list[str]:
        """The commands given since the last call, oldest first, each once. Some microseconds when there is none; never raises."""
        try:
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:  # nobody has written anything
                return []
            rows = self._connection.execute("SELECT id, name FROM commands WHERE id > ? ORDER BY id", (self._last,)).fetchall()
        except sqlite3.Error:  # a busy or failing disk: the command waits, training does not
            return []
        self._version = version
        if rows:
            self._last = rows[-1][0]
        return [name for _, name in rows if name in COMMANDS]

    def close(self) -> None:
        self._connection.close()
