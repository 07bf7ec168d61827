"""Clocks that nobody sets: seconds since the machine started, which start that was, and when a
process began by that count.

The time of day jumps (a clock set by hand, by the network, by a laptop waking up), so nothing here
is ordered, named or waited for by it.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Which start of the machine this is; empty where the system does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def process_started(pid: int) -> int:
    """When a process began, in ticks since the machine started (Linux) or the like; 0 when there is
    no such process.

    With `boot` and the number it names a process for good: numbers are used again.
    """
    with suppress(OSError, ValueError, IndexError):
        # the name in brackets may hold spaces and brackets: count fields behind the last one
        return int(
            Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        )
    with suppress(psutil.Error, ValueError, OverflowError):
        return int(100 * psutil.Process(pid).create_time())
    return 0


@dataclass(frozen=True)
class Instant:
    """A moment of one start of the machine."""

    boot: str
    seconds: float
    """Since the machine started."""

    @classmethod
    def now(cls) -> Instant:
        return cls(boot(), time.monotonic())

    @classmethod
    def from_json(cls, text: str) -> Instant | None:
        """What `to_json` made; None for anything else."""
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            data = json.loads(text)
            return cls(str(data["boot"]), float(data["seconds"]))
        return None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def age(self) -> float | None:
        """Seconds since then; None when the machine was started anew in between, or this was
        written on another one."""
        passed = time.monotonic() - self.seconds
        return passed if self.boot == boot() and passed >= 0 else None
