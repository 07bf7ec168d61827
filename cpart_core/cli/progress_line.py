"""The progress line of training: loss, speed and time left. Rewrites one line on a terminal, prints
plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from cpart_core.wording.percent import percent

if TYPE_CHECKING:
    from cpart_core.records.training import Record

FIRST_STEPS_WITHOUT_ETA = 20
"""The first steps are slow (allocation, caches); a guess from them would mislead."""


class Progress:
    """Call `record` for each record and `say` for a phase; both are cheap enough for every step."""

    def __init__(self, steps: int, stream: TextIO) -> None:
        self.steps = steps
        self.stream = stream
        self.live = stream.isatty()
        self.seen = 0
        self.step_seconds = 0.0
        self.tokens_per_step = 0.0
        self.last_tokens = 0
        self.last_shown = 0.0
        self.validation = float("nan")

    def say(self, sentence: str) -> None:
        """A phase or a message, on a line of its own."""
        self.clear()
        print(sentence, file=self.stream, flush=True)

    def record(self, record: Record) -> None:
        """Take one step in and show it when it is time: 5 times a second on a terminal, else at
        validations."""
        self.seen += 1
        share = max(1.0 / self.seen, 0.05)
        self.step_seconds += share * (record.seconds - self.step_seconds)
        if self.last_tokens:
            self.tokens_per_step = float(record.tokens - self.last_tokens)
        self.last_tokens = record.tokens
        if record.evaluation is not None:
            self.validation = record.evaluation.loss
        now = time.monotonic()
        due = now - self.last_shown >= 0.2 if self.live else record.evaluation is not None
        if due or record.step == self.steps:
            self.last_shown = now
            self.show(record)

    def show(self, record: Record) -> None:
        speed = (
            f"{self.tokens_per_step / self.step_seconds:,.0f} tokens/s"
            if self.step_seconds > 0 and self.tokens_per_step
            else "-"
        )
        left = (
            "-"
            if self.seen < FIRST_STEPS_WITHOUT_ETA
            else duration((self.steps - record.step) * self.step_seconds)
        )
        validation = (
            ""
            if self.validation != self.validation
            else f"  sampled validation {self.validation:.3f}"
        )
        line = (
            f"step {record.step}/{self.steps}  loss {record.loss:.3f}{validation}  {speed}  ETA"
            f" {left}"
        )
        if self.live:
            print(f"\r\x1b[2K{line}", end="", file=self.stream, flush=True)
        else:
            print(line, file=self.stream, flush=True)

    def clear(self) -> None:
        if self.live:
            print("\r\x1b[2K", end="", file=self.stream, flush=True)


def duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def share_line(stream: TextIO) -> Callable[..., None]:
    """A progress function for analysis: (share 0..1, sentence) on one rewritten line; silent where
    nobody watches."""
    if not stream.isatty():
        return lambda *_: None

    def show(share: float, say: str, *_: object) -> None:
        end = "\r\x1b[2K" if share >= 1.0 else ""
        print(f"\r\x1b[2K{percent(share, 0):>5} {say}{end}", end="", file=stream, flush=True)

    return show
