"""MANIFEST.json: the SHA-256 of every file of a folder, so that one flipped byte is noticed before
anything is believed.

safetensors notices no flipped byte in its payload; this does. The manifest's own text has one
allowed form, so a flip in it shows too. Hidden files (`.DS_Store`, `.tmp-*`) are neither listed nor
looked at.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from cpart_core.files.plain import check_plain, open_plain
from cpart_core.runs.atomic import read_small, write_file

MANIFEST = "MANIFEST.json"
FORMAT = 1

Files = dict[str, dict[str, int | str]]
"""Path inside the folder -> {"bytes", "sha256"}."""


def write_manifest(folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    """Write `folder/MANIFEST.json` over all files below it, except those whose path in the folder
    is in `leave_out`."""
    present = {name: path for name, path in listing(folder).items() if name not in leave_out}
    files: Files = {
        name: {"bytes": path.stat().st_size, "sha256": digest(path)}
        for name, path in present.items()
    }
    write_file(folder / MANIFEST, canonical(files).encode())


def verify(folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    """Return when every file is as its manifest says; else ValueError that names the first file
    that is not."""
    try:
        text = read_small(folder / MANIFEST).decode()
        files = json.loads(text)["files"]
        sound = canonical(files) == text and all(
            isinstance(entry, dict) for entry in files.values()
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(f"{MANIFEST} in {folder.name} is missing or damaged.")
    present = {name: path for name, path in listing(folder).items() if name not in leave_out}
    for name in sorted(set(files) | set(present)):
        if name not in present:
            raise ValueError(f"{name} is missing in {folder.name}.")
        if name not in files:
            raise ValueError(f"{name} in {folder.name} is not in its {MANIFEST}.")
        size = present[name].stat().st_size
        if files[name].get("bytes") != size or files[name] != {
            "bytes": size,
            "sha256": digest(present[name]),
        }:
            raise ValueError(f"{name} in {folder.name} is damaged: it is not what {MANIFEST} says.")


def canonical(files: Files) -> str:
    """The one text that a manifest of these files may have."""
    return json.dumps({"files": files, "format": FORMAT}, indent=1, sort_keys=True) + "\n"


def listing(folder: Path) -> dict[str, Path]:
    """Path inside the folder (with /) -> file, for all files that count. ValueError for a link,
    which could point anywhere."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts) or parts == (MANIFEST,):
            continue
        if path.is_symlink():
            raise ValueError(
                f"{'/'.join(parts)} in {folder.name} is a link; links are not accepted here."
            )
        if not path.is_dir():
            check_plain("/".join(parts), path.lstat())
            found["/".join(parts)] = path
    return found


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with os.fdopen(open_plain(path.parent, path.name), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
