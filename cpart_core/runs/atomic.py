"""Writing that either happened or did not: files and folders appear under their name only when all
of their bytes are on the disk.

Whatever a killed writer leaves behind is called `.tmp-*`; readers never look at such names, and the
next writer clears them away. Knows nothing of what is written.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cpart_core.files.plain import OUR_FOLDER, OURS, TEMPORARY, kind_of, new_file, read_plain


def write_file(path: Path, data: bytes) -> None:
    """Write or replace one file; a reader sees the old bytes or the new ones, also after a power
    cut. OSError when the disk refuses."""
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{path.name}")
    try:
        with new_file(temporary) as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def writing_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; left without an exception it becomes `target` (replacing one
    that was there), else it vanishes."""
    target.parent.mkdir(OUR_FOLDER, parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{target.name}")
    temporary.mkdir(OUR_FOLDER)
    try:
        yield temporary
        sync_tree(temporary)
        if target.exists():
            aside = target.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-old-{target.name}")
            os.rename(target, aside)
            os.rename(temporary, target)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)


def remove_folder(folder: Path) -> None:
    """Take a folder away at once (a rename), then delete what was in it; a kill between the two
    leaves only a `.tmp-*`."""
    aside = folder.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-gone-{folder.name}")
    os.rename(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def clear_leftovers(folder: Path, older_than_seconds: float = 0.0) -> None:
    """Delete what killed writers left in `folder`, unless that is a link. Where several may write
    at once, spare the young ones: they may be at work."""
    if kind_of(folder) != "a folder":
        return
    for entry in folder.iterdir():
        if not entry.name.startswith(TEMPORARY):
            continue
        with suppress(OSError):  # another writer may have been quicker
            # one dated ahead is no younger
            if abs(time.time() - entry.lstat().st_mtime) < older_than_seconds:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def read_small(path: Path, limit_bytes: int = 4_000_000) -> bytes:
    """The bytes of a file that ought to be small. ValueError when it is a link, missing or larger;
    OSError when it cannot be read."""
    try:
        return read_plain(path.parent, path.name, limit_bytes)
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing.") from None


def sync_tree(folder: Path) -> None:
    """fsync every file and folder below `folder`, and itself; they become their owner's alone,
    whatever wrote them."""
    for place, _, names in os.walk(folder):
        os.chmod(place, OUR_FOLDER)
        for name in names:
            with open(os.path.join(place, name), "rb+") as file:
                os.chmod(file.name, OURS)
                os.fsync(file.fileno())
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    """fsync the folder's list of names; systems that cannot (Windows) are left as they are."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
