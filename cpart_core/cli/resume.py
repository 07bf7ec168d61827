"""`resume`: go on with a run from its last good checkpoint, or start one that waits."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path

from cpart_core.cli.roots import add_run_argument, find_run

NAME = "resume"
HELP = "Go on with a run from its last good checkpoint (the records are as if it had never stopped)."


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--then", nargs="*", default=[], metavar="RUN", help="runs to train afterwards, such as its twins")
    parser.add_argument("--restart", action="store_true", help="begin again at step 0, for a run whose checkpoints are all damaged")
    parser.add_argument("--background", action="store_true", help=argparse.SUPPRESS)


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    if arguments.background:
        give_way()
    from cpart_core.cli.training import train_in_order
    from cpart_core.runs.folder import open_run

    return train_in_order([run, *(open_run(run_id) for run_id in arguments.then)], arguments.restart)


def give_way() -> None:
    """Leave the machine to the page and to the person: lower priority, and first to go when memory runs out. Best effort."""
    with suppress(OSError, AttributeError):
        os.nice(5)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
