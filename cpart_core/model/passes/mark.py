"""Where numba's compiled code lies, and whether all passes have been compiled. Imports neither numba nor torch."""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path


def kept_in() -> Path:
    """The folder of numba's compiled code."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path.home() / ".cache" / "cpart" / "numba")


def mark() -> Path:
    """A file that is there when these passes, of this numba and in this place, have all been compiled on this machine."""
    here = Path(__file__).parent
    sources = [f"{path} {path.stat().st_mtime_ns}" for path in sorted(here.glob("*.py"))]
    key = hashlib.sha256("\n".join([version("numba"), sys.version, *sources]).encode()).hexdigest()[:16]
    return kept_in() / f"warm-{key}"
