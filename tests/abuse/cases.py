"""The visible list of cases. Adding one = a function with `@case` in the file of its subject, and
its name in that file's CASES."""

from __future__ import annotations

from tests.abuse import (
    browser,
    hostile_data,
    hostile_files,
    hostile_folders,
    queues,
    reliability_added,
    reliability_clocks,
    reliability_disk,
    reliability_ends,
    reliability_limits,
    scale,
    server,
    supply,
    texts,
    uploads,
)
from tests.abuse.case import Case

FILES = (
    *(reliability_ends, reliability_disk, reliability_limits, reliability_clocks),
    *(reliability_added, scale, texts, uploads, hostile_files, hostile_folders, hostile_data),
    *(server, queues, supply, browser),
)


def order(number: str) -> tuple[str, list[int]]:
    """The 46 first, then the added ones: A1, then C28 and on."""
    return number.strip("0123456789."), [int(part) for part in number.lstrip("AC").split(".")]


CASES: tuple[Case, ...] = tuple(
    sorted((entry for file in FILES for entry in file.CASES), key=lambda entry: order(entry.number))
)


def chosen(only: str) -> list[Case]:
    """The cases that `only` names ("7,C30": a number means all that begin with it), or all.
    ValueError for an unknown one."""
    wanted = [number.strip() for number in only.split(",") if number.strip()]
    unknown = [number for number in wanted if not any(means(number, entry) for entry in CASES)]
    if unknown:
        raise ValueError(f"There is no case {', '.join(unknown)}; --list shows those there are.")
    return [
        entry for entry in CASES if not wanted or any(means(number, entry) for number in wanted)
    ]


def means(number: str, entry: Case) -> bool:
    return entry.number == number or entry.number.startswith(f"{number}.")
