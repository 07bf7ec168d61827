"""Where the machine code of the CPU kernels is kept, and whether all of it is there. Imports
neither numba nor torch."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from cpart_core.files.cache_folder import cache_folder, clear_old, usable


@cache
def kept_in() -> Path:
    """The folder of numba's compiled code; usable, whatever the environment names."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    return Path(given) if given and usable(Path(given)) else cache_folder() / "numba"


@cache
def folder() -> Path:
    """That of these kernels, of this numba and in this place: one for each state of the sources,
    since numba looks at a pass's own file alone.

    Made if it is not there.
    """
    here = Path(__file__).parent
    sources = [str(here), *(path.read_text(encoding="utf-8") for path in sorted(here.glob("*.py")))]
    key = hashlib.sha256("\n".join([version("numba"), sys.version, *sources]).encode()).hexdigest()[
        :16
    ]
    wanted = kept_in() / f"passes-{key}"
    wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    return wanted


def mark() -> Path:
    """A file that is there when all kernels have been compiled."""
    return folder() / "all"


def all_compiled() -> bool:
    """Whether no pass has to be compiled any more."""
    return mark().exists()


def note_all_compiled() -> None:
    """Set the mark, and clear away what earlier versions left behind."""
    mark().touch()
    with suppress(OSError):
        os.utime(folder())
    clear_old(kept_in(), "passes-*")
    clear_old(Path(tempfile.gettempdir()), "cpart-passes-*")
