"""How an analysis says how far it is. Knows nothing of where the words go: terminal, worker or
nowhere."""

from __future__ import annotations

from typing import Any, Protocol


class Progress(Protocol):
    """Called often enough for a progress bar; may raise to stop the analysis between two pieces of
    work."""

    def __call__(self, share: float, say: str, partial: dict[str, Any] | None = None) -> None:
        """share: 0..1 done. say: what is being done. partial: JSON-able first part of the result,
        where there is one."""


def silent(share: float, say: str, partial: dict[str, Any] | None = None) -> None:
    """For callers that do not want to know."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """A progress whose 0..1 is start..end of another one."""

    def scaled(share: float, say: str, partial: dict[str, Any] | None = None) -> None:
        progress(start + (end - start) * share, say, partial)

    return scaled
