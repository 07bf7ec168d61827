"""Memory in pages of 2 MB for the commands that train: a step reads and writes hundreds of
megabytes, and pages of 4 kB cost it a tenth of its time.

glibc asks the system for them when a tunable says so, which it reads once, when a process begins
(glibc manual, "Memory Allocation Tunables").
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

TRAINS = ("train", "resume", "study", "bench", "sample")
"""Commands that train, or start processes that do; children inherit the tunable."""
TUNABLE = "glibc.malloc.hugetlb"
ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
ON_REQUEST = "[madvise]"
"""Where the kernel gives them always or never, there is nothing to ask for."""


def tunables_for(argv: Sequence[str], now: str, enabled: Path = ENABLED) -> str | None:
    """What GLIBC_TUNABLES has to be for this command line, where that is not what it is `now`; None
    where nothing is to change."""
    if not argv or argv[0] not in TRAINS or TUNABLE in now:
        return None
    try:
        on_request = ON_REQUEST in enabled.read_text(encoding="ascii")
    except OSError:  # not Linux, or a kernel without them
        return None
    return ":".join(filter(None, (now, f"{TUNABLE}=1"))) if on_request else None


def reexec() -> None:
    """Replace this process by itself with the tunable set, where that changes something; it stays
    the same process to all others."""
    tunables = tunables_for(sys.argv[1:], os.environ.get("GLIBC_TUNABLES", ""))
    if tunables is not None:
        os.environ["GLIBC_TUNABLES"] = tunables
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
