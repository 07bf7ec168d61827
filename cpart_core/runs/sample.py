"""Turn a finished run into a sample: small, closed, and checked by a manifest over all of it.
Torch-free."""

from __future__ import annotations

from cpart_core.runs.database import seal
from cpart_core.runs.folder import Run
from cpart_core.runs.manifest import verify, write_manifest

TRAINER_FILES = ("lock", "log.txt")
"""What only a trainer needs; a sample is never trained on."""


def make_sample(run: Run) -> int:
    """Fold the records into one file, drop what only training needs, write the run's MANIFEST.json.
    Returns the bytes that are left.

    Raises ValueError for a run that is not finished: a sample shows what a whole run looks like.
    """
    state = run.state().state
    if state != "finished":
        raise ValueError(f"Run {run.id} is {state}; only a finished run can become a sample.")
    for step in run.checkpoint_steps():
        folder = run.checkpoint_folder(step)
        verify(folder)
        # Two thirds of a checkpoint are the optimizer's moments. Whoever wants to train on makes
        # the run again, with the command in run.json.
        (folder / "optimizer.safetensors").unlink(missing_ok=True)
        write_manifest(folder)
    for name in TRAINER_FILES:
        (run.folder / name).unlink(missing_ok=True)
    seal(run.folder)
    write_manifest(run.folder)
    verify(run.folder)
    return sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())
