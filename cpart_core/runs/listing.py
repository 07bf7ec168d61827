"""What has been read of runs that no longer change, so that a list of a thousand costs a look at
their files' dates.

A run is read again when a file that its line is made from has changed, while a trainer works on it,
and while the last change is so young that another could carry the same date.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Generic, TypeVar

FILES = ("run.json", "records.sqlite", "records.sqlite-wal", "lock")
"""What a run's line is made from; its log ends with its trainer, which changes the lock."""
YOUNG_SECONDS = 2.0
"""Filesystems date changes by steps of up to 2 s."""
MOST = 20_000
"""Entries kept."""

Kept = TypeVar("Kept")
Dates = tuple[tuple[int, ...], ...]


class SummaryCache(Generic[Kept]):
    """Values by folder, each with the dates of the files it was read from and the time at which it
    is read again in any case."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Dates, float, Kept]] = {}

    def get(
        self, folder: str, read: Callable[[], Kept], holds_seconds: Callable[[Kept], float]
    ) -> Kept:
        """What is known of a folder, read now unless nothing has changed. holds_seconds: how long a
        value holds if no file changes."""
        before, now = dates(folder), time.monotonic()
        kept = self._kept.get(folder)
        if kept is not None and kept[0] == before and now < kept[1]:
            return kept[2]
        value = read()
        holds = holds_seconds(value)
        if holds > 0 and before == dates(folder) and not young(before):
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[folder] = (before, now + holds, value)
        else:
            self._kept.pop(folder, None)
        return value


def dates(folder: str) -> Dates:
    """Of each file: number, size, and when it and its place changed (ns); empty for one that is not
    there. Follows no link.

    An empty file counts as none: SQLite makes an empty -wal whenever it reads.
    """
    found: list[tuple[int, ...]] = []
    for name in FILES:
        try:
            entry = os.lstat(f"{folder}/{name}")
        except OSError:
            found.append(())
        else:
            found.append(
                (entry.st_ino, entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns)
                if entry.st_size
                else ()
            )
    return tuple(found)


def young(of: Dates) -> bool:
    """Has a file changed so lately that another change could carry the same date?"""
    now = time.time()
    return any(abs(now - max(entry[2:]) / 1e9) < YOUNG_SECONDS for entry in of if entry)
