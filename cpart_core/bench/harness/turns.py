"""Things that are timed in turns, one after the other and then backwards, so that a busy machine
slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from cpart_core.bench.report.save import in_turns, paired, spread


@dataclass
class Times:
    """Seconds of each repetition: by the wall clock, and of this process's CPU time, which other
    programs disturb less."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Milliseconds."""
        seconds = {"wall": self.wall, "cpu": self.cpu}
        return {
            name: {**spread([1e3 * value for value in values]), "least": 1e3 * min(values)}
            for name, values in seconds.items()
        }


def take_turns(
    runs: dict[str, Callable[[], object]], repeats: int, warm: int = 2
) -> dict[str, Times]:
    """Every run `warm` times uncounted, then `repeats` times in turns."""
    for run in runs.values():
        for _ in range(warm):
            run()
    times = {name: Times() for name in runs}
    for name in in_turns(runs, repeats):
        settle()
        began, cpu_began = time.perf_counter(), time.process_time()
        runs[name]()
        settle()
        times[name].wall.append(time.perf_counter() - began)
        times[name].cpu.append(time.process_time() - cpu_began)
    return times


def settle() -> None:
    """A GPU works on after the call returns; wait for it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(ours: Times, theirs: Times) -> dict[str, Any]:
    """Ours / theirs, repetition by repetition, with its spread; `cpu` is the one to believe on a
    busy machine with one thread."""
    return {"wall": paired(ours.wall, theirs.wall), "cpu": paired(ours.cpu, theirs.cpu)}


def told(value: dict[str, Any]) -> str:
    """One ratio as a line prints it."""
    wall, cpu = value["wall"], value["cpu"]
    return (
        f"{wall['median']:.2f} ({wall['low_quartile']:.2f} to {wall['high_quartile']:.2f}; CPU time"
        f" {cpu['median']:.2f})"
    )


def least(times: dict[str, Times]) -> dict[str, float]:
    """Median CPU seconds of each: what a table of the fastest is made of; wall seconds on a GPU."""
    return {
        name: median(item.wall if torch.cuda.is_available() else item.cpu)
        for name, item in times.items()
    }
