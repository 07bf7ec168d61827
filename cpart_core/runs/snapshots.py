"""Snapshot <-> `snapshots/step-00000100.npz`: exact, compact, a few milliseconds to load."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from cpart_core.files.arrays import load_arrays
from cpart_core.files.plain import kind_of, plain_folder
from cpart_core.records.training import SHARED, Snapshot
from cpart_core.runs.array_files import save_arrays

FOLDER = "snapshots"
STEP_NAME = re.compile(r"step-([0-9]{8,12})")

STORED_AS = {"segment_of": np.int16, "signature": np.float16, "signature_scale": np.float32}
"""Types that the dataclass promises; other arrays are stored as they come."""

AXES = {
    "segment_of": "LN",
    "signature": "LNC",
    "signature_scale": "L",
    "signature_tokens": "C",
    "fusion_mass": "LCS",
    "chosen_share": "LCS",
    "fusion_tokens": "C",
}
"""Axes of each array; the same letter is the same length everywhere."""


def snapshot_path(folder: Path, step: int) -> Path:
    """The file of one step's snapshot in a run folder."""
    return folder / FOLDER / f"step-{step:08d}.npz"


def save_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Store a snapshot in the run folder. OSError when the disk refuses."""
    arrays = {name: np.asarray(getattr(snapshot, name), dtype=STORED_AS.get(name)) for name in AXES}
    for name in ("step", "partitioned", "frozen"):
        arrays[name] = np.asarray(getattr(snapshot, name))
    plain_folder(folder, FOLDER, make=True)
    save_arrays(snapshot_path(folder, snapshot.step), arrays)


def load_snapshot(folder: Path, step: int) -> Snapshot:
    """The snapshot of a step. ValueError when there is none, or the file is damaged."""
    plain_folder(folder, FOLDER)
    path = snapshot_path(folder, step)
    if kind_of(path) == "nothing":
        raise ValueError(f"There is no snapshot of step {step} in run {folder.name}.")
    arrays = load_arrays(path)
    wanted = {*AXES, "step", "partitioned", "frozen"}
    if set(arrays) != wanted:
        raise ValueError(
            f"{path.name} is damaged: it holds {sorted(arrays)} instead of {sorted(wanted)}."
        )
    check_axes(path.name, arrays)
    if arrays["step"].shape or int(arrays["step"]) != step:
        raise ValueError(f"{path.name} is damaged: it says that it is of step {arrays['step']}.")
    partitioned, frozen = (bool(arrays[name].all()) for name in ("partitioned", "frozen"))
    values: dict[str, Any] = {name: arrays[name] for name in AXES}
    return Snapshot(step=step, partitioned=partitioned, frozen=frozen, **values)


def check_axes(name: str, arrays: dict[str, np.ndarray]) -> None:
    """Lengths must agree and segments must exist, so that no page fails later at an index."""
    lengths: dict[str, int] = {}
    for field, axes in AXES.items():
        shape = arrays[field].shape
        if len(shape) != len(axes) or any(
            lengths.setdefault(axis, length) != length
            for axis, length in zip(axes, shape, strict=True)
        ):
            raise ValueError(
                f"{name} is damaged: {field} has shape {shape}, which does not fit the rest."
            )
    for field, dtype in STORED_AS.items():
        if arrays[field].dtype != dtype:
            raise ValueError(f"{name} is damaged: {field} has type {arrays[field].dtype}.")
    segments = arrays["segment_of"]
    if segments.size and (segments.min() < SHARED or segments.max() >= lengths["S"]):
        raise ValueError(
            f"{name} is damaged: it names segments outside {SHARED} to {lengths['S'] - 1}."
        )


def snapshot_steps(folder: Path) -> list[int]:
    """Steps that have a snapshot, rising."""
    return steps_in(folder / FOLDER, ".npz")


def steps_in(folder: Path, suffix: str = "") -> list[int]:
    """Rising steps of the entries `step-<number><suffix>` of a folder, none of a link; other names
    are not looked at."""
    if kind_of(folder) == "a link":
        return []
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    ours = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
    return sorted(int(match[1]) for name in ours if (match := STEP_NAME.fullmatch(name)))


def truncate_snapshots(folder: Path, step: int) -> None:
    """Delete the snapshots of later steps than `step`. NotPlain where the folder is a link: they
    would be somebody else's."""
    plain_folder(folder, FOLDER)
    for later in snapshot_steps(folder):
        if later > step:
            snapshot_path(folder, later).unlink(missing_ok=True)
