"""How a run is: derived each time from its lock, its events and its last heartbeat. Nothing is
remembered, so nothing is out of date."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from cpart_core.files.plain import open_plain
from cpart_core.runs.clock import Instant
from cpart_core.runs.control import Holder, is_training, last_holder
from cpart_core.runs.database import LIFE, Busy, reading

STATES = (
    "new",
    "queued",
    "running",
    "paused",
    "finished",
    "stopped",
    "crashed",
    "failed",
    "damaged",
    "busy",
)
QUEUED = "waiting for its turn"
"""How the phase begins of a trainer that waits until others have ended."""
IN_USE = "records in use"
"""The phase of a trainer of which nothing more can be read now, since another program has locked
its records."""
LAUNCH_SECONDS = 60.0
"""How long a launched trainer may take to lock its run (importing torch on a busy machine) before
it counts as crashed."""
SILENT_SECONDS = 60.0
"""A running trainer whose last heartbeat is older is 'not responding': perhaps in a long
evaluation, perhaps hung."""
MOST_CPU_SECONDS = 0.2
"""For the state of one run, which takes a thousandth of it: a list asks this of every run."""
DAMAGED_SECONDS = 30.0
LOG = "log.txt"
LOG_TAIL_BYTES = 4000


@dataclass(frozen=True)
class RunState:
    """A run at this moment."""

    state: str
    """One of STATES. new: not started, or being started. queued: its trainer waits until others
    have ended. crashed: its trainer died without a word. failed: it ended itself. busy: another
    program has the records in use, and no trainer lives; ask again."""
    step: int
    """Last stored step."""
    steps: int
    """Steps that the settings ask for."""
    phase: str = ""
    """What the trainer does, in words; empty when there is none."""
    heartbeat_age: float = math.nan
    """Seconds since the trainer last said something; NaN when it never did."""
    tokens_per_second: float = math.nan
    eta_seconds: float = math.nan
    memory_bytes: int = 0
    last_words: str = ""
    """Why it failed, was stopped without a checkpoint, is damaged or busy, or the end of its log;
    for other states empty."""

    @property
    def alive(self) -> bool:
        """Is a trainer at work, paused, or waiting for its turn?"""
        return self.state in ("queued", "running", "paused")

    @property
    def holds_seconds(self) -> float:
        """How long it need not be asked for again if nothing is written into the folder: not at all
        while a trainer lives or is being started. What could not be read may be readable soon."""
        if self.alive or self.phase == "starting" or self.state == "busy":
            return 0.0
        return DAMAGED_SECONDS if self.state == "damaged" else math.inf

    @property
    def responding(self) -> bool:
        """False when a trainer lives but has long said nothing. A paused trainer must go on with
        its heartbeat."""
        return not (self.alive and self.heartbeat_age > SILENT_SECONDS)


def run_state(
    folder: Path, steps: int, read_only: bool = False, check_sum: bool = False
) -> RunState:
    """The state of a run folder; an unreadable database gives 'damaged', never an exception.
    check_sum: as in `reading`."""
    try:
        with reading(folder, read_only, MOST_CPU_SECONDS, check_sum) as connection:
            return derive(connection, folder, steps, read_only)
    except Busy as error:
        living = not read_only and is_training(folder)
        return (
            RunState("running", 0, steps, IN_USE)
            if living
            else RunState("busy", 0, steps, last_words=str(error))
        )
    except ValueError as error:
        return RunState("damaged", 0, steps, last_words=str(error))


def derive(connection: sqlite3.Connection, folder: Path, steps: int, read_only: bool) -> RunState:
    """The rule itself."""
    # asked first: an end noted after this is still seen below
    training = not read_only and is_training(folder)
    life = connection.execute(
        f"SELECT id, time, kind, message FROM events WHERE kind IN {LIFE} ORDER BY id DESC LIMIT 1"
    ).fetchone()
    last = Life(*life) if life is not None else Life()
    beat = status_of(connection)
    last_step = connection.execute("SELECT max(step) FROM steps").fetchone()[0]
    end = last if read_only else end_of(last, last_holder(folder))
    if end.kind == "crash" and not training and not read_only:
        training = is_training(folder)  # it may have started between the questions
    phase = str(beat.get("phase", ""))
    state = (
        ENDED[end.kind]
        if not training
        else "paused"
        if phase == "paused"
        else "queued"
        if phase.startswith(QUEUED)
        else "running"
    )
    words = str(end.message) if state in ("failed", "stopped") else ""
    return RunState(
        state=state,
        # The status knows the step where records were lost.
        step=int(max(number(last_step, 0.0), number(beat.get("step"), 0.0))),
        steps=steps,
        phase=phase if training else "starting" if end.kind == "launch" else "",
        heartbeat_age=age_of(beat),
        tokens_per_second=number(beat.get("tokens_per_second")),
        eta_seconds=number(beat.get("eta_seconds")) if training else math.nan,
        memory_bytes=int(number(beat.get("memory_bytes"), 0.0)),
        last_words=words or (last_lines(folder) if state in ("failed", "crashed") else ""),
    )


@dataclass(frozen=True)
class Life:
    """An event of LIFE: the last one of a run. kind "" = there is none."""

    id: int = 0
    time: float = 0.0
    kind: str = ""
    message: str = ""


ENDED = {
    "": "new",
    "launch": "new",
    "crash": "crashed",
    "start": "crashed",
    "finish": "finished",
    "stop": "stopped",
    "fail": "failed",
}
"""The state of a run that no trainer has locked, by how it came to that."""


def end_of(last: Life, holder: Holder) -> Life:
    """How it came to nobody training: the last event, or the last words in the lock, or "crash"
    when there are none.

    By numbers alone: who took the lock when `last` was the last event, or after it, has said
    nothing of it in the events.
    """
    if holder.after >= last.id or (last.kind == "start" and holder.ended):
        return Life(last.id, last.time, holder.ended or "crash", holder.message)
    if last.kind == "launch" and not just_launched(last):
        return Life(last.id, last.time, "crash")
    return last


def just_launched(launch: Life) -> bool:
    """Whether its trainer may still be on its way to the lock."""
    then = Instant.from_json(str(launch.message))
    # Of a launch that says no more than the time of day, that has to do; one that is dated ahead
    # has been long ago.
    age = time.time() - number(launch.time, 0.0) if then is None else then.age()
    return age is not None and 0 <= age < LAUNCH_SECONDS


def status_of(connection: sqlite3.Connection) -> dict[str, object]:
    """The last heartbeat, by the names of its columns; {} without one. Records of the first release
    have fewer columns."""
    cursor = connection.execute("SELECT * FROM status")
    row = cursor.fetchone()
    return (
        {}
        if row is None
        else dict(zip((column[0] for column in cursor.description), row, strict=True))
    )


def age_of(beat: dict[str, object]) -> float:
    """Seconds since a heartbeat; NaN without one."""
    if isinstance(beat.get("boot"), str):
        age = Instant(str(beat["boot"]), number(beat.get("clock"))).age()
        if age is not None:
            return age
    return max(time.time() - number(beat.get("time")), 0.0)  # in this order NaN stays NaN


def number(value: object, missing: float = math.nan) -> float:
    """A stored number; NULL, infinity and what is no number become `missing`."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else missing


def last_lines(folder: Path) -> str:
    """The end of the trainer's log as plain text, at most about 20 lines; empty when there is
    none."""
    try:
        with os.fdopen(open_plain(folder, LOG), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL_BYTES))
            text = file.read(LOG_TAIL_BYTES).decode(errors="replace")
    except (OSError, ValueError):
        return ""
    # a progress line is written over and over
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(
        "".join(letter for letter in line if letter.isprintable()) for line in lines[-20:]
    ).strip()
