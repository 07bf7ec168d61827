"""What this machine has for trainings, and what one of them takes of it. No torch: asked before it
is imported."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from cpart_core.settings.run import Settings
from cpart_core.training.estimate import estimate
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup

AT_ONCE = "CPART_TRAININGS"
"""Environment variable: how many trainings at once, whatever the machine has; 0 = as many as are
started."""
SHARE_OF_MEMORY = 0.9
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True)
class Need:
    """What one training takes."""

    cores: int
    bytes: int
    """Of memory, estimated."""
    gpu: bool


@dataclass(frozen=True)
class Machine:
    """What there is for trainings."""

    cores: int
    bytes: int
    gpus: int
    at_once: int | None = None
    """As many as a person allows, instead of what the machine has; 0 = any number."""

    def has_room(self, need: Need, others: Sequence[Need]) -> bool:
        """Whether one more fits beside `others`. One alone always may: it is told by other means
        what it lacks."""
        if not others or self.at_once == 0:
            return True
        if self.at_once is not None:
            return len(others) < self.at_once
        if sum(other.bytes for other in others) + need.bytes > SHARE_OF_MEMORY * self.bytes:
            return False
        if need.gpu:
            return sum(other.gpu for other in others) < self.gpus
        return sum(other.cores for other in others) + need.cores <= max(1, self.cores - 1)


def this_machine() -> Machine:
    """ValueError when the environment variable is no number."""
    given = os.environ.get(AT_ONCE, "").strip()
    if given and not (given.isascii() and given.isdigit()):
        raise ValueError(
            f"{AT_ONCE} is {given[:40]!r}; a whole number is wanted: how many trainings at once, 0"
            " for any number."
        )
    return Machine(cores(), memory_bytes(), gpus(), int(given) if given else None)


def need_of(settings: Settings, machine: Machine, group: ProcessGroup = SINGLE_PROCESS) -> Need:
    """Of a run with these settings: as many threads as `training.device.set_threads` takes, on a
    GPU one core and the GPU."""
    gpu = settings.training.device != "cpu" and machine.gpus > 0
    threads = settings.training.threads * group.local_size or max(1, machine.cores - 1)
    return Need(1 if gpu else threads, estimate(settings).memory_bytes * group.local_size, gpu)


def cores() -> int:
    """Those that this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )


def memory_bytes() -> int:
    """Of the machine, or of the container where that has less."""
    total = int(psutil.virtual_memory().total)
    for path in CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            total = min(total, int(path.read_text(encoding="ascii")))
    return total


def gpus() -> int:
    """NVIDIA GPUs that torch may use here, found without it: 0 where it is built for CPUs alone."""
    with suppress(importlib.metadata.PackageNotFoundError):
        if "+cpu" in importlib.metadata.version("torch"):
            return 0
    there = sum(
        path.name.removeprefix("nvidia").isdigit() for path in Path("/dev").glob("nvidia[0-9]*")
    )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return there
    named = [name.strip() for name in visible.split(",")]
    return min(there, len([name for name in named if name and not name.startswith("-")]))
