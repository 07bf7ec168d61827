"""What a program or the system said, as far as a page may repeat it: without secrets, and without
the way to where things lie."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from cpart_core.files.paths import PROJECT
from cpart_core.runs.folder import runs_root

SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
SHORTEST_SECRET = 8
SECRETS = re.compile(r"\bhf_\w{8,}|\bsk-[\w-]{8,}|(?<=Bearer )\S+|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)")
"""Tokens of hubs and services, and names with passwords in addresses. A name ends at its first
colon: else a log could make the search take the square of its length."""
COVERED = "\u2022\u2022\u2022"
PARTS = r"[^\s/\\'\"`<>|:;,()\[\]{}]+"
PATHS = re.compile(
    rf"(?<![\w.:/~\\\u2026])(?:(?:/{PARTS}){{2,}}|[A-Za-z]:(?:[\\/]{PARTS}){{2,}})/?"
)
"""Whole paths of two parts and more."""
KEPT_PARTS = 2


def shortened(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with CPart's own folders and the home by their names, any other whole path by its
    last parts, and secrets covered."""
    secrets = [
        value
        for name, value in environment.items()
        if SECRET_NAMES.search(name) and len(value) >= SHORTEST_SECRET
    ]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, COVERED)
    text = SECRETS.sub(COVERED, text)
    for folder, name in sorted(
        named_folders().items(), key=lambda entry: len(entry[0]), reverse=True
    ):
        whole = re.compile(rf"(?<![\w./~-]){re.escape(folder)}(?![\w.-])")
        text = whole.sub(name.replace("\\", r"\\"), text)
    return PATHS.sub(lambda found: last_parts(found[0]), text)


def named_folders() -> dict[str, str]:
    """Folders that a page names otherwise."""
    folders = {sys.prefix: "python", str(PROJECT): "CPart", str(runs_root()): "runs"}
    try:
        folders.setdefault(str(Path.home()), "~")
    except RuntimeError:  # a user without a home
        pass
    return {folder: name for folder, name in folders.items() if len(folder) > 1}


def last_parts(path: str) -> str:
    parts = [part for part in re.split(r"[\\/]", path) if part]
    return "\u2026/" + "/".join(parts[-min(KEPT_PARTS, len(parts) - 1) :])


def last_said(text: str, limit: int) -> str:
    """The end of a log of at most `limit` characters, from the beginning of a line where one
    fits."""
    text = shortened(text).strip()
    if len(text) <= limit:
        return text
    end = text[len(text) - limit + 2 :]
    return "\u2026\n" + (end.partition("\n")[2] or end)
