"""The visible list of commands. Adding one = one file with `NAME`, `HELP`, `add_arguments`,
`execute`, and one line here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from types import ModuleType

from cpart_core import __version__
from cpart_core.cli import (
    analyze,
    bench,
    carve,
    coherence,
    evaluate,
    generate,
    resume,
    runs,
    sample,
    study,
    train,
    warm,
    worker,
)

COMMANDS: tuple[ModuleType, ...] = (
    train,
    resume,
    runs,
    evaluate,
    analyze,
    generate,
    carve,
    coherence,
    study,
    bench,
    sample,
    warm,
    worker,
)

DESCRIPTION = "CPart: train a language model whose neurons lie in segments, and look inside it."
EPILOG = """\
first steps:
  python -m cpart_core train --preset quick        train a small model, first segments within a minute
  python -m cpart_core runs                        what has been trained
  python -m cpart_core evaluate latest             validation loss of the newest run, by context
  python -m cpart_core generate latest --text "def "
  streamlit run app/main.py                        look inside it
"""


def build_parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of all commands. `argv` says which of them is asked for, so that no other need tell
    its arguments (empty: all), and whether `--help-all` asks for settings that are folded away."""
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"CPart {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        added = subparsers.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if command.NAME in argv or not argv:
            command.add_arguments(added, "--help-all" in argv)
        execute: Callable[[argparse.Namespace], int] = command.execute
        added.set_defaults(execute=execute)
    return parser
