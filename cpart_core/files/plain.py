"""Files and folders opened as what they ought to be: plain ones of one name, with no link on the
way. All of runs/ opens its files here.

A run folder may come from somebody else. A link in it leads out of it, a pipe waits for ever, a
device never ends: so a file is opened without following links and without waiting, and looked at
before a byte of it is read or written. Sentences name the file, no folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
BY_HANDLE = os.open in os.supports_dir_fd
"""Whether a folder can be held open while what is in it is opened; else (Windows) it is looked at
first."""
OURS, OUR_FOLDER = 0o600, 0o700
"""Modes: nobody else reads what is written here."""
TEMPORARY = ".tmp-"
"""How the names of unfinished files and folders begin."""
KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlain(ValueError):
    """Something is there, but not what ought to be: a link, a pipe, a device, a folder in place of
    a file, a file in place of a folder."""


def open_plain(folder: Path, name: str, flags: int = os.O_RDONLY) -> int:
    """A handle of the plain file `name` below `folder`, for whoever closes it; a file that is made
    belongs to its owner alone.

    name: with / between folders, none of which may be a link. flags: of os.open, without O_TRUNC.
    NotPlain for anything but a plain file, and, when it is opened for writing, for one that has a
    second name (a hard link): what is written would change that too. OSError when it is missing or
    cannot be opened.
    """
    assert not flags & os.O_TRUNC, "look at the file before anything of it is lost"
    try:
        with place_of(folder, name) as (place, last):
            handle = os.open(last, flags | NO_LINK | NO_WAIT, OURS, dir_fd=place)
    except OSError as error:
        raise refused(folder, name, error) from None
    try:
        check_plain(name, os.fstat(handle), writing=bool(flags & (os.O_WRONLY | os.O_RDWR)))
    except ValueError:
        os.close(handle)
        raise
    return handle


@contextmanager
def place_of(folder: Path, name: str) -> Iterator[tuple[int | None, str | Path]]:
    """(handle of the folder that holds `name`, its last part), as os.open wants them; no folder on
    the way is a link."""
    *above, last = name.split("/")
    if not BY_HANDLE:
        plain_folder(folder, "/".join(above))
        check_no_link(folder / name)
        yield None, folder / name
        return
    place = os.open(folder, FOLDER)
    try:
        for part in above:
            inner = os.open(part, FOLDER | NO_LINK, dir_fd=place)
            os.close(place)
            place = inner
        yield place, last
    finally:
        os.close(place)


def refused(folder: Path, name: str, error: OSError) -> Exception:
    """What to raise when the system did not open it: NotPlain where something strange is in the
    way, else the error."""
    if error.errno in (
        errno.ELOOP,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EISDIR,
        errno.EMLINK,
        errno.ENODEV,
    ):
        path = folder
        for part in name.split("/"):
            path /= part
            kind = kind_of(path)
            if kind not in ("a folder", "nothing") and path != folder / name:
                return NotPlain(f"{part} is {kind} and not a folder; it was left alone.")
        return NotPlain(
            f"{name} is {kind_of(folder / name)} and not a plain file; it was left alone."
        )
    return error


def check_plain(name: str, found: os.stat_result, writing: bool = False) -> None:
    """NotPlain unless `found`, of lstat or fstat, is a plain file, and, for writing, one with no
    second name."""
    if not stat.S_ISREG(found.st_mode):
        raise NotPlain(f"{name} is {kind_in(found)} and not a plain file; it was left alone.")
    if writing and found.st_nlink > 1:
        raise NotPlain(
            f"{name} has a second name elsewhere (a hard link), and writing to it would change that"
            " file too; copy the run's folder, which parts the two."
        )


def check_no_link(path: Path) -> None:
    """NotPlain when a link is there. For systems that cannot be told not to follow one."""
    if kind_of(path) == "a link":
        raise NotPlain(f"{path.name} is a link and not a plain file; it was left alone.")


def kind_of(path: Path) -> str:
    """What is at a path, in two words, itself and not what it may lead to: 'a file', 'a link',
    'nothing', ..."""
    try:
        return kind_in(path.lstat())
    except OSError:
        return "nothing"


def kind_in(found: os.stat_result) -> str:
    return next((words for test, words in KINDS if test(found.st_mode)), "something else")


def read_plain(folder: Path, name: str, limit_bytes: int) -> bytes:
    """All bytes of a plain file. NotPlain for anything else, ValueError when it is larger than the
    limit, OSError when it is missing."""
    with os.fdopen(open_plain(folder, name), "rb") as file:
        data = file.read(limit_bytes + 1) if os.fstat(file.fileno()).st_size <= limit_bytes else b""
        if len(data) > limit_bytes or not data and os.fstat(file.fileno()).st_size > limit_bytes:
            raise ValueError(f"{name} is larger than the {limit_bytes:,} bytes allowed for it.")
    return data


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that was not there, for its owner alone; on the disk when the block is left. OSError
    when it cannot be made."""
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_WAIT, OURS), "wb"
    ) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def open_to_add(folder: Path, name: str) -> BinaryIO:
    """A plain file that is written at its end, made if it is not there."""
    return os.fdopen(open_plain(folder, name, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")


def plain_folder(folder: Path, name: str, make: bool = False) -> Path:
    """folder/name, when every folder on the way below `folder` is a real one or is not there yet;
    `make` makes those.

    NotPlain for a link, or for anything else in place of a folder.
    """
    path = folder
    for part in filter(None, name.split("/")):
        path /= part
        kind = kind_of(path)
        if kind == "nothing" and make:
            path.mkdir(OUR_FOLDER, exist_ok=True)
            kind = kind_of(path)
        if kind not in ("a folder", "nothing"):
            raise NotPlain(
                f"{part} in {folder.name} is {kind} and not a folder; it was left alone."
            )
    return path


def check_tree(folder: Path) -> None:
    """NotPlain unless all that is below a folder is plain files and folders; nothing is opened."""
    waiting = [folder]
    while waiting:
        inner = waiting.pop()
        with os.scandir(inner) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    path = Path(entry.path)
                    raise NotPlain(
                        f"{path.relative_to(folder).as_posix()} in {folder.name} is"
                        f" {kind_of(path)}; delete it, then try again."
                    )
