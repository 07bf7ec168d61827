"""RecordWriter: the trainer's pen. Records, evaluations, changes, snapshots, events and the
heartbeat go into the run folder through it.

Rows are gathered and committed about twice a second. A full disk never stops training: what cannot
be written waits in memory (bounded; beyond the bound every second waiting step is dropped, and an
event says so) and is written when there is space again. Reading is in `tables`.
"""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from cpart_core.records.training import Record, Snapshot
from cpart_core.runs.clock import Instant
from cpart_core.runs.database import BUSY, DATABASE, EVENT_ROW, LIFE, LOCKED, code, open_for_writing
from cpart_core.runs.explain import DiskRefuses, FolderGone
from cpart_core.runs.signed import sign
from cpart_core.runs.snapshots import save_snapshot, truncate_snapshots

COMMIT_SECONDS = 0.5
RETRY_SECONDS = 5.0
"""Between two tries after the disk refused."""
ROWS_A_COMMIT = 500
"""A full disk may have room for a small transaction where one large one would never fit again."""
PATIENCE_SECONDS = 30.0
"""How long the disk may refuse before training on would only lose more."""
BUSY_SECONDS = 60.0
"""How long a session that begins waits for another program to let go of the records; while training
goes on, they wait in memory."""
MOST_WAITING_ROWS = 20_000
MOST_WAITING_SNAPSHOTS = 8

EVENT_KINDS = (*LIFE, "pause", "continue", "note")

STEP_ROW = "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
EVALUATION_ROW = "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?)"
CHANGE_ROW = "INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?)"
STATUS_ROW = (
    "INSERT OR REPLACE INTO status (id, time, step, phase, tokens_per_second, eta_seconds,"
    " memory_bytes, boot, clock) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"
)

Row = tuple[str, tuple[object, ...]]


@dataclass(frozen=True)
class Heartbeat:
    """What the trainer says of itself. NaN = not known (yet)."""

    step: int
    phase: str
    """For people: building the corpus, training, evaluating, saving, paused, ..."""
    tokens_per_second: float = float("nan")
    eta_seconds: float = float("nan")
    memory_bytes: int = 0


class RecordWriter:
    """Writes one run's records; the process must hold the run's lock (`control.RunLock`).

    After `flush()` has returned True, everything given before survives the death of the process.
    Checkpoints should be written after it.
    """

    def __init__(
        self,
        folder: Path,
        commit_seconds: float = COMMIT_SECONDS,
        most_waiting: int = MOST_WAITING_ROWS,
    ) -> None:
        """Open or make the database. ValueError when it is damaged or cannot be written."""
        self.folder = folder
        self.trouble = ""
        """Why the last writing failed; empty when all is well. Worth a line in the terminal."""
        self._connection = open_for_writing(folder, BUSY_SECONDS)
        self._wait_for_others(seconds=1)
        self._commit_seconds = commit_seconds
        self._most_waiting = most_waiting
        self._rows: list[Row] = []
        self._snapshots: list[Snapshot] = []
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._writing: Future[None] | None = None
        """Of the first snapshot that waits: compressed and brought to the disk beside the
        training."""
        self._status: Row | None = None
        self._dropped = 0
        self._last_try = 0.0
        self._refused_since: float | None = None
        """By the disk, not by another program that has the records in use."""
        self._in_use = False
        self._place = place_of(folder)

    def append(self, record: Record) -> None:
        """Take a record with all that hangs on it (a `discovery` excepted: it belongs to the
        corpus). Never raises for the disk's sake."""
        self._rows.append((STEP_ROW, step_row(record)))
        if record.evaluation is not None:
            by_context = np.asarray(record.evaluation.loss_by_context, "<f8").tobytes()
            tokens = np.asarray(record.evaluation.tokens_by_context, "<i8").tobytes()
            self._rows.append(
                (EVALUATION_ROW, (record.step, float(record.evaluation.loss), by_context, tokens))
            )
        if record.change is not None:
            churn = np.asarray(record.change.churn, "<f8").tobytes()
            self._rows.append(
                (
                    CHANGE_ROW,
                    (record.step, churn, float(record.change.seconds), int(record.change.frozen)),
                )
            )
        if record.snapshot is not None:
            first, later = self._snapshots[:1], [*self._snapshots[1:], record.snapshot]
            self._snapshots = [*first, *later[1 - MOST_WAITING_SNAPSHOTS :]]
        self._flush_when_due()
        self._drop_what_is_too_much()

    def event(self, kind: str, message: str = "", step: int = 0) -> None:
        """Note something that happened (`kind` is one of EVENT_KINDS) and write it at once."""
        assert kind in EVENT_KINDS, kind
        self._rows.append((EVENT_ROW, (time.time(), int(step), kind, message)))
        self.flush()

    def heartbeat(self, beat: Heartbeat) -> None:
        """Say that the trainer is alive; cheap enough for every step. A new phase is written at
        once."""
        numbers = (float(beat.tokens_per_second), float(beat.eta_seconds), int(beat.memory_bytes))
        now = Instant.now()
        row = (time.time(), int(beat.step), beat.phase, *numbers, now.boot, now.seconds)
        changed = self._status is None or self._status[1][2] != beat.phase
        self._status = (STATUS_ROW, row)
        if changed:
            self.flush()
        else:
            self._flush_when_due()

    def flush(self, wait: bool = True) -> bool:
        """Write all that waits. False when the disk refused (`trouble` says why); it will be tried
        again.

        Rows are written after the snapshots that came with them, so that a reader who sees a step
        finds its snapshot. wait=False: when snapshots are still being written, leave the rows for
        the next time.
        """
        try:
            if not self._snapshots_written(wait):
                return False
            self._last_try = time.monotonic()
            while self._rows:
                self._commit(self._rows[:ROWS_A_COMMIT])
                del self._rows[:ROWS_A_COMMIT]
            if self._dropped:
                message = f"{self._dropped} steps are missing in the records: {self.trouble}."
                self._commit([(EVENT_ROW, (time.time(), 0, "note", message))])
                self._dropped = 0
            if self._status is not None:
                self._commit([self._status])
        except (sqlite3.Error, OSError) as error:
            self._last_try = time.monotonic()
            self.trouble = f"the records could not be written ({error})"
            self._in_use = isinstance(error, sqlite3.Error) and code(error) in (BUSY, LOCKED)
            self._refused_since = None if self._in_use else self._refused_since or self._last_try
            return False
        self.trouble = ""
        self._refused_since = None
        return True

    def check(self) -> None:
        """May training go on? Some microseconds. FolderGone when the folder is not where it was,
        DiskRefuses when for too long nothing could be written."""
        try:
            gone = place_of(self.folder) != self._place
        except OSError:  # a disk that does not answer for a moment has not lost the folder
            gone = False
        if gone:
            self._snapshots.clear()  # they would make a folder of that name again
            raise FolderGone(self.folder.name)
        refused = 0.0 if self._refused_since is None else time.monotonic() - self._refused_since
        if refused > PATIENCE_SECONDS:
            raise DiskRefuses(
                f"For {refused:.0f} s {self.trouble}, so training ended before more would be lost."
                f" Make space on the disk, then resume {self.folder.name}: it goes on from its last"
                " checkpoint."
            )

    def _snapshots_written(self, wait: bool) -> bool:
        """Whether all are on the disk; the next one is begun where none is being written. OSError
        when the disk refused one."""
        while self._snapshots:
            if self._writing is None:
                self._writing = self._hand.submit(save_snapshot, self.folder, self._snapshots[0])
            if not (wait or self._writing.done()):
                return False
            done, self._writing = self._writing, None
            done.result()
            del self._snapshots[0]
        return True

    def truncate_after(self, step: int) -> None:
        """Forget all later steps than `step`, before training goes on from there: no step may show
        twice. ValueError when refused."""
        deadline = time.monotonic() + BUSY_SECONDS
        while not self.flush() and self._in_use and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.trouble:
            raise ValueError(f"Nothing can be removed from the records: {self.trouble}.")
        try:
            self._commit(
                [
                    (f"DELETE FROM {table} WHERE step > ?", (int(step),))
                    for table in ("steps", "evaluations", "changes")
                ]
            )
            truncate_snapshots(self.folder, step)
        except (sqlite3.Error, OSError) as error:
            raise ValueError(
                f"The records after step {step} could not be removed: {error}."
            ) from None

    def close(self) -> None:
        """Flush, note the records' sum, and close. Rows that the disk still refuses are lost, and
        then there is no sum."""
        self._wait_for_others(seconds=10)
        whole = self.flush()
        self._hand.shutdown()
        if whole:
            sign(self.folder, DATABASE, self._connection)
        self._connection.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_for_others(self, seconds: int) -> None:
        """How long a write may wait for another program's; while training goes on that is a short
        time, since rows wait in memory."""
        self._connection.execute(f"PRAGMA busy_timeout = {1000 * seconds}")

    def _commit(self, rows: list[Row]) -> None:
        """All rows in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in rows:
                self._connection.execute(statement, values)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:  # some errors have rolled it back already
                self._connection.execute("ROLLBACK")
            raise

    def _flush_when_due(self) -> None:
        waited = time.monotonic() - self._last_try
        if waited >= RETRY_SECONDS or (
            not self.trouble
            and (waited >= self._commit_seconds or len(self._rows) >= ROWS_A_COMMIT)
        ):
            self.flush(wait=False)

    def _drop_what_is_too_much(self) -> None:
        """Halve the waiting steps, evenly; what is rare (evaluations, changes, events) is kept."""
        if len(self._rows) <= self._most_waiting:
            return
        kept = [row for number, row in enumerate(self._rows) if number % 2 or row[0] != STEP_ROW]
        self._dropped += len(self._rows) - len(kept)
        self._rows = kept


def place_of(folder: Path) -> tuple[int, int] | None:
    """Device and number of the folder of that name; None when there is none. OSError when the disk
    does not answer."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def step_row(record: Record) -> tuple[object, ...]:
    """The columns of `steps`, as Python's own numbers: SQLite would store numpy's as bytes."""
    floats = (
        record.loss,
        record.affinity_loss,
        record.balance_loss,
        record.gradient_norm,
        record.learning_rate,
        record.seconds,
    )
    by_context = np.asarray(record.loss_by_context, "<f4").tobytes()
    return (
        int(record.step),
        int(record.tokens),
        *(float(value) for value in floats),
        int(record.memory_bytes),
        by_context,
    )
