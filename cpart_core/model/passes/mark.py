"""Where the machine code of passes is kept, and whether all of it is there. Imports neither numba nor torch."""

from __future__ import annotations

import getpass
import hashlib
import os
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path


def kept_in() -> Path:
    """The folder of numba's compiled code."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    try:
        return Path.home() / ".cache" / "cpart" / "numba"
    except RuntimeError:  # a user without a home, as in some containers
        return own_temporary()


def own_temporary() -> Path:
    """Nobody else's: numba unpickles what it finds in its folder."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(getattr(os, "getuid", os.getpid)())
    return Path(tempfile.gettempdir()) / f"cpart-{name}"


@cache
def folder() -> Path:
    """That of these passes, of this numba and in this place: one for each state of the sources, since numba looks at a pass's own file alone.

    Made if it is not there; a temporary one, new for each process, where it cannot be made.
    """
    here = Path(__file__).parent
    sources = [str(here), *(path.read_text(encoding="utf-8") for path in sorted(here.glob("*.py")))]
    key = hashlib.sha256("\n".join([version("numba"), sys.version, *sources]).encode()).hexdigest()[:16]
    wanted = kept_in() / f"passes-{key}"
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(wanted, os.W_OK | os.X_OK):
            return wanted
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="cpart-passes-"))


def mark() -> Path:
    """A file that is there when all passes have been compiled."""
    return folder() / "all"


def all_compiled() -> bool:
    """Whether no pass has to be compiled any more."""
    return mark().exists()
