"""What lies among the runs and is none that can be listed, each with what to do about it: nothing a
person put there vanishes without a word."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from cpart_core.files.plain import TEMPORARY, kind_of
from cpart_core.runs.folder import roots
from cpart_core.runs.info import INFO, clean_name
from cpart_core.runs.naming import NAME_PATTERN

MOST = 20
"""Said of one root."""


class Unlisted(NamedTuple):
    """Something that is no run of the list."""

    name: str
    """As a label: its own name may hold anything."""
    reason: str
    """A sentence, with what to do."""


def unlisted() -> list[Unlisted]:
    """Of all roots, in order; never raises for what is on the disk."""
    found: list[Unlisted] = []
    for root, _ in roots():
        found += in_root(root)[:MOST]
    return found


def in_root(root: Path) -> list[Unlisted]:
    """A root that is none, or that cannot be read; else the folders in it that hold a run.json and
    are no runs."""
    if kind_of(root) == "nothing":
        return []
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except NotADirectoryError:
        advice = "Move it away, or set CPART_RUNS to a folder."
        return [
            Unlisted(
                label(root.name),
                f"The place of the runs is {kind_of(root)} and not a folder, so it holds no run."
                f" {advice}",
            )
        ]
    except OSError as error:
        advice = "Give yourself the right to read it, or set CPART_RUNS to another one."
        return [
            Unlisted(
                label(root.name),
                f"The folder of the runs cannot be read ({error.strerror}). {advice}",
            )
        ]
    return [strange for entry in entries if (strange := said_of(entry)) is not None]


def said_of(entry: os.DirEntry[str]) -> Unlisted | None:
    """Why a folder with a run.json is not listed; None where it is, or where there is nothing to
    list."""
    if entry.name.startswith((".", TEMPORARY)) or not os.path.lexists(
        os.path.join(entry.path, INFO)
    ):
        return None
    if entry.is_symlink():
        return Unlisted(
            label(entry.name),
            "It is a link to a run, and links are not followed. Move the run's own folder here"
            " instead.",
        )
    if NAME_PATTERN.fullmatch(entry.name):
        return None
    free = free_name(Path(entry.path))
    return Unlisted(
        label(entry.name),
        "A run's folder is named with a-z, 0-9 and -, at most 64 of them. Rename this one to"
        f" {free}.",
    )


def free_name(folder: Path) -> str:
    """The nearest name that is allowed and not taken."""
    near = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:60] or "run"
    names = (near, *(f"{near}-{number}" for number in range(2, 1000)))
    return next(name for name in names if kind_of(folder.with_name(name)) == "nothing")


def label(name: str) -> str:
    return clean_name(name.encode("utf-8", "replace").decode()) or "?"
