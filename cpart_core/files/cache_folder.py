"""Where compiled code is kept between starts: the first place that can be written and that nobody
else can write. Standard library only."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from cpart_core.files.paths import PROJECT, path_of_environment

PLACE = "CPART_CACHE"
"""Environment variable: the folder to keep it in."""
OLD_SECONDS = 30 * 86_400.0
"""Unused for so long, compiled code is of a version that is gone."""


def candidates() -> Iterator[Path]:
    """As asked for, in the home, beside the runs, in a folder of the user's own among temporary
    ones."""
    if os.environ.get(PLACE):
        yield path_of_environment(PLACE, Path())
    with suppress(RuntimeError):  # a user without a home, as in some containers
        home = Path.home()
        if home.is_dir():  # the home of a user without one is not ours to make
            yield home / ".cache" / "cpart"
    runs = path_of_environment("CPART_RUNS", PROJECT / "runs")
    if runs.is_dir():
        yield runs / ".cache" / "compiled"
    yield (
        Path(tempfile.gettempdir())
        / f"cpart-{getattr(os, 'getuid', lambda: os.environ.get('USERNAME', 'user'))()}"
    )


def usable(folder: Path) -> bool:
    """Whether it is there, or could be made, for writing by this user and no other: what is
    compiled is run, and its index unpickled."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) and not (
            folder.is_symlink() and folder.parent == Path.home() / ".cache"
        ):
            return False
        if hasattr(os, "getuid") and (
            folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o022
        ):
            return False
        return os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):
        return False


@cache
def cache_folder() -> Path:
    """The place for this process and its children. Where there is none at all, a temporary one that
    goes with the process."""
    for folder in candidates():
        if usable(folder):
            return folder
    folder = Path(tempfile.mkdtemp(prefix="cpart-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def clear_old(folder: Path, pattern: str) -> None:
    """Delete the folders in it whose name fits the pattern and that nobody has touched for
    OLD_SECONDS."""
    with suppress(OSError):
        for entry in folder.glob(pattern):
            if (
                entry.is_dir()
                and not entry.is_symlink()
                and time.time() - entry.stat().st_mtime > OLD_SECONDS
            ):
                shutil.rmtree(entry, ignore_errors=True)
