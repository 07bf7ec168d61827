"""When a stored result is no longer true. Most are of one checkpoint and stay true; loads no torch,
for the pages ask this too."""

from __future__ import annotations

from cpart_core.records.keep import CarveReport
from cpart_core.records.maps import NeuronMap
from cpart_core.runs.folder import Run, run_folders


def always_current(run: Run, result: object) -> bool:
    """Of a checkpoint, which does not change."""
    return True


def no_newer_snapshot(run: Run, result: NeuronMap) -> bool:
    """False where the run has gone on since the map was made of all its snapshots."""
    steps = run.snapshot_steps()
    return not steps or result.steps[-1] == steps[-1]


def carved_run_exists(run: Run, result: CarveReport) -> bool:
    """False where the carved run was deleted: asked for again, it is carved again."""
    return any(folder.name == result.carved for folder, _ in run_folders())
