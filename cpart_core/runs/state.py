"""How a run is: derived each time from its lock, its events and its last heartbeat. Nothing is remembered, so nothing is out of date."""

from __future__ import annotations

import math
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from cpart_core.runs.control import is_training, last_holder
from cpart_core.runs.database import reading
from cpart_core.runs.records import LIFE

STATES = ("new", "running", "paused", "finished", "stopped", "crashed", "failed", "damaged")
LAUNCH_SECONDS = 60.0
"""How long a launched trainer may take to lock its run (importing torch on a busy machine) before it counts as crashed."""
SILENT_SECONDS = 60.0
"""A running trainer whose last heartbeat is older is 'not responding': perhaps in a long evaluation, perhaps hung."""
LOG = "log.txt"
LOG_TAIL_BYTES = 4000


@dataclass(frozen=True)
class RunState:
    """A run at this moment."""

    state: str
    """One of STATES. new: not started, or being started. crashed: its trainer died without a word. failed: it ended itself."""
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
    """Why it failed, is damaged, or the end of its log; for other states empty."""

    @property
    def alive(self) -> bool:
        """Is a trainer at work (or paused)?"""
        return self.state in ("running", "paused")

    @property
    def responding(self) -> bool:
        """False when a trainer lives but has long said nothing. A paused trainer must go on with its heartbeat."""
        return not (self.alive and self.heartbeat_age > SILENT_SECONDS)


def run_state(folder: Path, steps: int, read_only: bool = False) -> RunState:
    """The state of a run folder; an unreadable database gives 'damaged', never an exception."""
    try:
        with reading(folder, read_only) as connection:
            return derive(connection, folder, steps, read_only)
    except ValueError as error:
        return RunState("damaged", 0, steps, last_words=str(error))


def derive(connection: sqlite3.Connection, folder: Path, steps: int, read_only: bool) -> RunState:
    """The rule itself."""
    training = not read_only and is_training(folder)  # asked first: an end noted after this is still seen below
    life = connection.execute(f"SELECT time, kind, message FROM events WHERE kind IN {LIFE} ORDER BY id DESC LIMIT 1").fetchone()
    beat = connection.execute("SELECT time, step, phase, tokens_per_second, eta_seconds, memory_bytes FROM status").fetchone()
    last_step = connection.execute("SELECT max(step) FROM steps").fetchone()[0]
    now = time.time()
    since, kind, message = life if life is not None else (0.0, "", "")
    said, _, phase, speed, eta, memory = beat if beat is not None else (None, 0, "", None, None, 0)
    ended = state_without_trainer(str(kind), number(since, 0.0), {} if read_only else last_holder(folder))
    if ended == "crashed" and not training and not read_only:
        training = is_training(folder)  # it may have started between the questions
    state = ended if not training else "paused" if phase == "paused" else "running"
    words = str(message) if state == "failed" else ""
    return RunState(
        state=state,
        step=int(number(last_step, 0.0)),
        steps=steps,
        phase=str(phase) if training else "starting" if kind == "launch" and state == "new" else "",
        heartbeat_age=max(now - number(said), 0.0),  # in this order NaN stays NaN
        tokens_per_second=number(speed),
        eta_seconds=number(eta) if training else math.nan,
        memory_bytes=int(number(memory, 0.0)),
        last_words=words or (last_lines(folder) if state in ("failed", "crashed") else ""),
    )


def state_without_trainer(kind: str, since: float, holder: dict[str, float]) -> str:
    """The state when nobody holds the lock. kind, since: the last event of LIFE and its time; holder: who held the lock last."""
    if holder.get("taken", 0.0) > since:  # took the lock after that, and died before it could say so
        return "crashed"
    if kind == "launch":
        return "new" if time.time() - since < LAUNCH_SECONDS else "crashed"
    return {"": "new", "start": "crashed", "finish": "finished", "stop": "stopped", "fail": "failed"}[kind]


def number(value: object, missing: float = math.nan) -> float:
    """A stored number; NULL, infinity and what is no number become `missing`."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else missing


def last_lines(folder: Path) -> str:
    """The end of the trainer's log as plain text, at most about 20 lines; empty when there is none."""
    path = folder / LOG
    try:
        if path.is_symlink():
            return ""
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            text = file.read(LOG_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]  # a progress line is written over and over
    return "\n".join("".join(letter for letter in line if letter.isprintable()) for line in lines[-20:]).strip()
