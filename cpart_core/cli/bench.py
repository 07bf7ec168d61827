"""`bench NAME`: side-by-side measurements, one module of cpart_core.bench each."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import cpart_core.bench

NAME = "bench"
HELP = "Measure something and print the numbers that the documents state."


def names() -> tuple[str, ...]:
    """The measurements there are: the modules of cpart_core.bench."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(cpart_core.bench.__path__) if not module.name.startswith("_")))


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument("name", metavar="NAME", help=f"one of: {', '.join(names()) or 'none yet'}")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="its own flags; `bench NAME --help` shows them")


def execute(arguments: argparse.Namespace) -> int:
    if arguments.name not in names():
        raise ValueError(f"There is no measurement {arguments.name!r}; known: {', '.join(names())}.")
    return int(importlib.import_module(f"cpart_core.bench.{arguments.name}").main(arguments.rest) or 0)
