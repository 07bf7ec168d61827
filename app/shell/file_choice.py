"""Files of measurements that a page shows one of: read all that can be read, and let a person
choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import streamlit as st

from app import session

Kind = TypeVar("Kind")


def read_all(
    paths: Iterable[Path], read: Callable[[Path], Kind], what: str
) -> tuple[dict[Path, Kind], list[str]]:
    """Every file that can be read, and a sentence for each that cannot. what: what a file holds,
    such as "study"."""
    found, troubles = {}, []
    for path in paths:
        try:
            found[path] = read(path)
        except (ValueError, OSError) as error:
            troubles.append(f"The {what} {path.name} cannot be read: {error}")
    return found, troubles


def choose(
    found: dict[Path, Kind], supplied: Path, label: str, key: str, called: Callable[[Kind], str]
) -> Path:
    """The file to look at. supplied: the folder of those that come with CPart. called: what one is
    called, as plain text."""
    paths = list(found)
    if len(paths) == 1:
        return paths[0]
    labels = {
        path: f"{called(one)} \u00b7 {'with CPart' if path.parent == supplied else 'your own'}"
        for path, one in found.items()
    }
    if session.widget(key) not in paths:
        session.set_widget(key, paths[0])
    return st.selectbox(label, paths, format_func=lambda path: labels[path], key=key) or paths[0]
