"""Where numba's compiled code lies, and whether all passes have been compiled. Imports neither numba nor torch."""

from __future__ import annotations

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
        home = Path.home()
    except RuntimeError:  # a user without a home, as in some containers
        home = Path(tempfile.gettempdir())
    return home / ".cache" / "cpart" / "numba"


@cache
def folder() -> Path:
    """That of these passes, of this numba and in this place: one for each state of the sources, since numba looks at a pass's own file alone."""
    here = Path(__file__).parent
    sources = [f"{path} {path.stat().st_mtime_ns}" for path in sorted(here.glob("*.py"))]
    key = hashlib.sha256("\n".join([version("numba"), sys.version, *sources]).encode()).hexdigest()[:16]
    return kept_in() / f"passes-{key}"


def mark() -> Path:
    """A file that is there when all passes have been compiled on this machine."""
    return folder() / "all"
