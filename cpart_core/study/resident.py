"""What carving for one context really gains: resident memory of the whole and of the carved model,
each in fresh processes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cpart_core.analysis.keep.footprint import measure_footprints
from cpart_core.analysis.source import Source
from cpart_core.runs.carved import carve_run
from cpart_core.runs.folder import Run, delete_run

PROCESSES = 1
"""For each of the two models; seeds are what a study repeats."""


class Resident(NamedTuple):
    """Bytes that loading the model and reading one row adds to a process."""

    whole: int
    carved: int


def measure_resident(run: Run, source: Source, kept_LxK: np.ndarray, context: str) -> Resident:
    """The carved model is written as a run, measured as it lies on the disk, and deleted.
    ValueError when a process fails."""
    carved = carve_run(run, source.step, source.model, kept_LxK, context)
    try:
        whole, smaller = measure_footprints([(run, source.step), (carved, source.step)], PROCESSES)
    finally:
        delete_run(carved.id)
    return Resident(whole.loaded_bytes, smaller.loaded_bytes)
