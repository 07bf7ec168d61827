"""Paths as people write them: ~ is their home, everywhere; variables such as $HOME are left to the
shell. Standard library only."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that holds `cpart_core`."""
VARIABLE = re.compile(r"\$\w+|\$\{\w+\}|%\w+%")


def with_home(text: str, what: str) -> str:
    """The path with ~ or ~name at its beginning as that home. ValueError for a home that is not
    known, or a variable where nothing is.

    what: what the path is for, such as '--out'.
    """
    try:
        path = Path(text).expanduser() if text.startswith("~") else Path(text)
    except RuntimeError:
        raise ValueError(
            f"{what}: {text[:200]!r} begins with a home that is not known here; write the path in"
            " full."
        ) from None
    variable = VARIABLE.search(text)
    if variable and not os.path.lexists(path):
        raise ValueError(
            f"{what}: {text[:200]!r} holds {variable[0]}; variables are not expanded here, ~ is:"
            " write the path in full."
        )
    return str(path) if text.startswith("~") else text


def given_path(text: str) -> Path:
    """What a flag for a path makes of its text; argparse says what is wrong with it."""
    try:
        return Path(with_home(text, "the path"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def path_of_environment(name: str, default: Path) -> Path:
    """The absolute path in an environment variable, or the default where it is empty. ValueError as
    `with_home`."""
    given = os.environ.get(name)
    return (Path(with_home(given, name)) if given else default).absolute()
