"""`worker`: answers analysis requests as JSON lines on stdin and stdout; pages start it, people
rarely do."""

from __future__ import annotations

import argparse

NAME = "worker"
HELP = (
    "Answer analysis requests, JSON lines on stdin and stdout (the pages start it; it ends when"
    " stdin closes)."
)


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    return


def execute(arguments: argparse.Namespace) -> int:
    from cpart_core.service.server import main

    return int(main() or 0)
