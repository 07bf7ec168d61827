"""One request to the analysis worker, as a page sees it."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

LONGEST_SENTENCE = 1000
"""Characters that the worker may say to a person at once."""


class Handle:
    """One request as a page sees it: poll `done`, then look at `error` and `path`. All fields are
    set by the client's reader thread."""

    def __init__(self, name: str, request: dict[str, Any]) -> None:
        self.name = name
        self.request = request
        self.progress = 0.0
        self.say = "Waiting for the worker"
        self.partial: dict[str, Any] | None = None
        self.error: str | None = None
        self.path: Path | None = None
        self.finished = threading.Event()
        self.line = b""
        """The request as it is sent."""

    @property
    def done(self) -> bool:
        return self.finished.is_set()

    def note(self, answer: dict[str, Any]) -> None:
        """Take over how far the worker says it is, where it says so in the right form."""
        progress, partial = answer.get("progress"), answer.get("partial")
        if isinstance(progress, (int, float)) and math.isfinite(progress):
            self.progress = float(progress)
        if "say" in answer:
            self.say = str(answer["say"])[:LONGEST_SENTENCE]
        if isinstance(partial, dict):
            self.partial = partial

    def fail(self, sentence: str) -> None:
        self.error = sentence[:LONGEST_SENTENCE]
        self.finished.set()
