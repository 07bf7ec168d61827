"""What a training will take, said before it starts: from the settings, and from runs on this
machine that are like it.

A run counts as like another when both compute the same way on the same device and a step's work
differs by no more than LIKE. It must have ended well or still be at work, and have recorded enough
steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from app import results
from app.text.escape import code_span
from cpart_core.runs import folder
from cpart_core.runs.create import machine
from cpart_core.runs.folder import RunSummary
from cpart_core.runs.origin import Trained
from cpart_core.settings.run import Settings
from cpart_core.training.estimate import Estimate, estimate

FEWEST_STEPS = 20
"""Of a run that says something: the first ones compile, and reserve memory."""
LIKE = 4.0
"""How many times the work of a step may be another's: over more, caches and threads make it another
matter."""
MOST_READ = 5
"""Runs whose records are read in search of one."""


@dataclass(frozen=True)
class Forecast:
    memory_bytes: float
    memory_basis: str
    """From what the memory follows, as markdown."""
    seconds: float | None
    """None: nothing on this machine says."""
    time_basis: str


@dataclass(frozen=True)
class Measured:
    """What the records of a run say of its cost."""

    seconds: float
    """Median of a step."""
    memory_bytes: float
    """The most that its process held."""


def forecast(settings: Settings) -> Forecast:
    needed = estimate(settings)
    basis = "from the settings; six models measured lay within 6 %"
    for entry in alike(settings, needed, folder.list_runs())[:MOST_READ]:
        found = measured(entry.id)
        if found is None or entry.info is None:
            continue
        theirs = estimate(entry.info.settings)
        seconds = (
            found.seconds * needed.flops_per_step / theirs.flops_per_step * settings.training.steps
        )
        whose = (
            f"{code_span(entry.name, 40)}"
            f" {'on the machine that made the sample' if entry.read_only else 'on this machine'}"
        )
        if entry.read_only or settings.training.device == "cuda":
            return Forecast(needed.memory_bytes, basis, seconds, f"from the steps of {whose}")
        memory = max(
            needed.memory_bytes - theirs.memory_bytes + found.memory_bytes,
            found.memory_bytes / LIKE,
        )
        return Forecast(memory, f"from {whose}", seconds, f"from the steps of {whose}")
    why = "no run here is like this one, so it is known after the first steps"
    return Forecast(needed.memory_bytes, basis, None, why)


def alike(settings: Settings, needed: Estimate, listed: list[RunSummary]) -> list[RunSummary]:
    """Runs that say something of this one: those from this machine before samples, the most alike
    first, then the newest."""
    here = machine()
    found = []
    for entry in listed:
        info = entry.info
        if (
            info is None
            or not isinstance(info.origin, Trained)
            or entry.state.step < FEWEST_STEPS
            or entry.state.state in ("failed", "crashed", "damaged")
        ):
            continue
        same = (
            info.settings.model.execution == settings.model.execution
            and info.settings.training.device == settings.training.device
        )
        distance = abs(math.log(needed.flops_per_step / estimate(info.settings).flops_per_step))
        if same and distance <= math.log(LIKE) and (entry.read_only or info.machine == here):
            found.append((entry.read_only, round(distance, 1), entry))
    return [entry for _, _, entry in sorted(found, key=lambda item: item[:2])]


def measured(run_id: str) -> Measured | None:
    """None where the records cannot be read, or hold fewer times than are needed."""
    try:
        records = results.records(folder.open_run(run_id))
    except ValueError:
        return None
    seconds = sorted(
        value for value in records.seconds.tolist() if math.isfinite(value) and value > 0
    )
    if len(seconds) < min(FEWEST_STEPS, len(records.step)) or not seconds:
        return None
    return Measured(seconds[len(seconds) // 2], float(records.memory_bytes.max()))
