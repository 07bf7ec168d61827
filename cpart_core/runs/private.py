"""Runs are their owner's: other users of the machine cannot list them or read texts and logs.
Folders 700, files 600.

What is made anew is made so (atomic.py and the umask of every process of ours); this file sees to
what was there before.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from cpart_core.files.paths import PROJECT

SAMPLES = PROJECT / "sample_checkpoints"
OTHERS = 0o077
"""The bits of a mode that are for others; as a umask, what they are not given."""


def only_for_me() -> None:
    """Whatever this process and its children make is closed to others, also by libraries."""
    os.umask(OTHERS)


def make_private(folder: Path) -> None:
    """Close a run's folder, all in it and the root it lies in to others. Links are not followed,
    and what belongs to another user stays as it is. Samples that are being made are for
    everybody."""
    if os.name == "nt" or folder.parent == SAMPLES:
        return
    if is_for_runs(folder.parent):
        close(folder.parent, None)
    close(folder, None)
    for _, folders, files, place in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            close(name, place)


def close(name: Path | str, place: int | None) -> None:
    """Take the bits for others from a plain file or folder that is ours. place: handle of the
    folder that holds it.

    What is closed already is not opened: a trainer that closes a handle of its own database lets go
    of its locks on it.
    """
    with suppress(OSError):  # a link, gone meanwhile, or of another user
        if not os.stat(name, dir_fd=place, follow_symlinks=False).st_mode & OTHERS:
            return
        handle = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place
        )
        try:
            found = os.fstat(handle)
            alone = stat.S_ISDIR(found.st_mode) or (
                stat.S_ISREG(found.st_mode) and found.st_nlink == 1
            )
            if alone and found.st_mode & OTHERS:
                os.fchmod(handle, stat.S_IMODE(found.st_mode) & ~OTHERS)
        finally:
            os.close(handle)


def is_for_runs(root: Path) -> bool:
    """Whether a folder may be closed as a root of runs: not where a person's other things lie, or
    everybody's."""
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        home = PROJECT
    shared = root.is_dir() and root.stat().st_mode & stat.S_ISVTX
    return not shared and not any(known.is_relative_to(root) for known in (home, PROJECT))
