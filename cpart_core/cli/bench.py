"""`bench NAME`: side-by-side measurements, one module of cpart_core.bench each."""

from __future__ import annotations

import argparse
import importlib

NAME = "bench"
HELP = "Measure speed and endurance, each side by side with what it is compared with; `bench all` measures what the table of docs/results.md states."

MEASUREMENTS = (
    "all",
    "kernels",
    "train",
    "generate",
    "maps",
    "scale",
    "curves",
    "table",
    "app",
    "estimate",
    "structure",
    "kills",
)
"""Adding one = a module with `add_arguments` and `main`, and its name here. `table` prints what
`all` has stored."""


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        default="all",
        help=f"one of: {', '.join(MEASUREMENTS)} (default all)",
    )
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="its own flags; `bench NAME --help` shows them",
    )


def execute(arguments: argparse.Namespace) -> int:
    if arguments.name not in MEASUREMENTS:
        raise ValueError(
            f"There is no measurement {arguments.name!r}; known: {', '.join(MEASUREMENTS)}."
        )
    return int(
        importlib.import_module(f"cpart_core.bench.{arguments.name}").main(arguments.rest) or 0
    )
