"""Who trains a run: the lock that says so, with the last words of its holder, and the signals for
when commands do not help.

Liveness is the lock, not a process number: the system lets go of it whenever and however the
trainer dies.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from cpart_core.files.plain import NotPlain, open_plain
from cpart_core.runs.clock import boot, process_started
from cpart_core.runs.database import LIFE, Busy, reading

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = "lock"
LOCK_BYTES = 4096
"""Always as long, so that last words fit into it when the disk holds nothing more."""
LONGEST_MESSAGE = 600
TRIES = 10
SECONDS_BETWEEN_TRIES = 0.05
"""A page that asks whether the trainer lives holds the lock for a moment; a starting trainer must
outlast that."""
SECONDS_TO_DIE = 5.0
"""For the system to take down a killed process and let go of its lock: at once, but on a busy
machine."""
EVERYTHING = sys.maxsize
"""Larger than the number of any row."""


@dataclass(frozen=True)
class Holder:
    """What the lock file says of the process that took the lock last."""

    pid: int = 0
    began: int = 0
    """`process_started` of it."""
    boot: str = ""
    after: int = -1
    """Number of the last event of LIFE when it took the lock; -1 when nobody ever took it."""
    others: tuple[tuple[int, int], ...] = ()
    """(pid, began) of the processes of this machine that train with it."""
    ended: str = ""
    """The event with which it ended; empty while it lives, and when it died without a word."""
    message: str = ""
    """What it said then."""

    def processes(self) -> list[int]:
        """Numbers of those that still live, itself first."""
        if self.boot != boot():
            return []
        return [
            pid
            for pid, began in ((self.pid, self.began), *self.others)
            if pid > 0 and began and process_started(pid) == began
        ]


class RunLock:
    """Held by the trainer while it lives: `with RunLock(folder): ...`. ValueError when another
    process trains this run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None
        self._holder = Holder()

    def acquire(self) -> None:
        """Take the lock and write down who has it."""
        # Asked before the lock is taken: whoever sees the lock held must find its holder, though
        # that be killed at once.
        holder = Holder(os.getpid(), process_started(os.getpid()), boot(), last_life(self.folder))
        file = open_lock(self.folder / LOCK)
        for attempt in range(TRIES):
            if attempt:
                time.sleep(SECONDS_BETWEEN_TRIES)
            if try_lock(file, shared=False):
                break
        else:
            file.close()
            raise ValueError(
                f"Run {self.folder.name} is already being trained by another process. Stop that one"
                " first, or wait for it."
            )
        self._file = file
        end_others(self.folder)  # of a session that is over: they would train beside this one
        self._write(holder)

    def join(self, others: Sequence[tuple[int, int]]) -> None:
        """Note the other processes that train with this one: (pid, process_started) of each."""
        self._write(replace(self._holder, others=tuple(others)))

    def note_restarted_events(self) -> None:
        """The records were rewritten, so that events are numbered from 1 again."""
        self._write(replace(self._holder, after=last_life(self.folder)))

    def end(self, kind: str, message: str = "") -> None:
        """Leave last words, which need no space on the disk. Never raises."""
        with suppress(OSError, ValueError):
            self._write(replace(self._holder, ended=kind, message=message[:LONGEST_MESSAGE]))

    def _write(self, holder: Holder) -> None:
        """In place and at once: no moment at which the file is empty, and no new place on the disk
        is needed."""
        assert self._file is not None
        data = json.dumps(asdict(holder)).encode().ljust(LOCK_BYTES)
        self._file.seek(0)
        self._file.write(data)
        self._file.flush()
        self._holder = holder

    def release(self) -> None:
        """Let go; again does nothing."""
        if self._file is not None:
            unlock(self._file)
            self._file.close()
            self._file = None

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def open_lock(path: Path) -> BinaryIO:
    """The lock file, made if it is not there, for reading and writing in place."""
    return os.fdopen(open_plain(path.parent, path.name, os.O_RDWR | os.O_CREAT), "rb+", buffering=0)


def last_life(folder: Path) -> int:
    """Number of the last event of LIFE; 0 when there is none, or none can be read. Busy when the
    records stay in use for seconds."""
    for attempt in range(TRIES):
        try:
            with reading(folder) as connection:
                return int(
                    connection.execute(
                        f"SELECT coalesce(max(id), 0) FROM events WHERE kind IN {LIFE}"
                    ).fetchone()[0]
                )
        except Busy:
            if attempt == TRIES - 1:
                raise
        except ValueError:
            break
    return 0


def is_training(folder: Path) -> bool:
    """Does a living process hold this run's lock? Costs some microseconds."""
    try:
        file = os.fdopen(open_plain(folder, LOCK), "rb")
    except (OSError, NotPlain):
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
            # a byte beyond the text, so that the text stays readable; Windows knows no shared lock
            # here
            file.seek(1 << 30)
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
    """Process number of the living trainer; None when there is none, or the number now belongs to
    another process."""
    if not is_training(folder):
        return None
    holder = last_holder(folder)
    living = holder.processes()
    return holder.pid if holder.pid in living else None


def last_holder(folder: Path) -> Holder:
    """Who took the lock last. A file that its holder was killed before filling says that much:
    taken, and no word since."""
    try:
        with os.fdopen(open_plain(folder, LOCK), "rb") as file:
            written = file.read(LOCK_BYTES)
        if not written.strip():
            return Holder(after=EVERYTHING)
        return holder_from(json.loads(written))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return Holder()


def holder_from(data: dict[str, object]) -> Holder:
    """What RunLock wrote; ValueError, KeyError or TypeError for anything else."""
    numbers = {name: data[name] for name in ("pid", "began", "after")}
    words = {name: data[name] for name in ("boot", "ended", "message")}
    others = data["others"]
    if not (
        isinstance(others, list)
        and all(type(number) is int for number in [*numbers.values(), *sum(others, [])])
    ):
        raise ValueError("not a lock of ours")
    if words["ended"] not in ("", "finish", "stop", "fail") or not all(
        isinstance(word, str) for word in words.values()
    ):
        raise ValueError("not a lock of ours")
    return Holder(**numbers, **words, others=tuple((pid, began) for pid, began in others))  # type: ignore[arg-type]


def signal_trainer(folder: Path, number: int, others: bool = False) -> bool:
    """Send a signal (signal.SIGTERM: finish the step, save, end) to the living trainer, and to
    those that train with it if `others`.

    False when there is none to send it to.
    """
    if trainer_pid(folder) is None:
        return False
    holder = last_holder(folder)
    sent = False
    for pid in holder.processes() if others else [holder.pid]:
        with suppress(OSError):
            os.kill(pid, number)
            sent = True
    return sent


def end_process(folder: Path, patience_seconds: float) -> bool:
    """SIGTERM to the trainer, and SIGKILL to all its processes when it still lives after that. True
    when no trainer is left. Waits."""
    others = last_holder(folder).others
    signal_trainer(folder, signal.SIGTERM)
    if not let_go(folder, patience_seconds):
        signal_trainer(
            folder, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL, others=True
        )
        return let_go(folder, SECONDS_TO_DIE)
    if others:
        end_others(folder)
    return not is_training(folder)


def let_go(folder: Path, patience_seconds: float) -> bool:
    """Wait until no trainer holds the lock; False when one still does after `patience_seconds`."""
    deadline = time.monotonic() + patience_seconds
    while is_training(folder):
        if time.monotonic() >= deadline:
            return False
        time.sleep(SECONDS_BETWEEN_TRIES)
    return True


def end_others(folder: Path, patience_seconds: float = 0.0) -> None:
    """SIGKILL to those that train with a trainer that is at its end, or past it, where they do not
    end by themselves. Waits."""
    holder = last_holder(folder)
    deadline = time.monotonic() + patience_seconds
    while (
        left := [pid for pid in holder.processes() if pid != holder.pid]
    ) and time.monotonic() < deadline:
        time.sleep(SECONDS_BETWEEN_TRIES)
    for pid in left:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
