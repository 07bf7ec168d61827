"""A run folder made ready for its trainer, and a root of runs tidied: nothing strange in ours, and
nothing left of writers that were killed."""

from __future__ import annotations

from pathlib import Path

from cpart_core.files.plain import check_tree, plain_folder
from cpart_core.runs.atomic import clear_leftovers
from cpart_core.runs.folder import YOUNG_SECONDS, runs_root

WRITTEN_BY_THE_TRAINER = ("checkpoints", "snapshots", "corpus", "tensorboard")
WRITTEN_BY_ANYONE = ("analysis",)


def make_ready(folder: Path) -> None:
    """For whoever holds the run's lock, before anything else of the run is opened.

    NotPlain where one of our folders is a link or holds anything but plain files: nothing is
    written, and nothing deleted, through it.
    """
    for name in (*WRITTEN_BY_THE_TRAINER, *WRITTEN_BY_ANYONE):
        inner = plain_folder(folder, name)
        if inner.is_dir():
            check_tree(inner)
    clear_leftovers(folder)
    for name in WRITTEN_BY_THE_TRAINER:
        clear_leftovers(folder / name)
    for name in WRITTEN_BY_ANYONE:
        clear_leftovers(folder / name, YOUNG_SECONDS)


def tidy_root() -> None:
    """Clear what killed writers left beside a person's runs; what may still be at work is
    spared."""
    clear_leftovers(runs_root().resolve(), YOUNG_SECONDS)
