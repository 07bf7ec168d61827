"""`resume`: go on with a run from its last good checkpoint, or start one that waits."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cpart_core.cli.roots import NOW_HELP, add_run_argument, find_run
from cpart_core.training.process_group import group_of_environment

if TYPE_CHECKING:
    from cpart_core.runs.folder import Run

NAME = "resume"
HELP = (
    "Go on with a run from its last good checkpoint (the records are as if it had never stopped)."
)


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument(
        "--then",
        nargs="*",
        default=[],
        metavar="RUN",
        help="runs to train afterwards, such as its twins",
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="begin again at step 0, for a run whose checkpoints are all damaged",
    )
    parser.add_argument(
        "--parallel",
        choices=("ddp", "fsdp"),
        help=(
            "with several processes: a copy of the weights in each, or a part (default: as the run"
            " says)"
        ),
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        help=(
            "go on with a run on another device than it was begun on (default: as the run says);"
            " the same up to rounding"
        ),
    )
    parser.add_argument("--now", action="store_true", help=NOW_HELP)
    parser.add_argument("--background", action="store_true", help=argparse.SUPPRESS)


def execute(arguments: argparse.Namespace) -> int:
    group = group_of_environment()
    run = find_run(arguments) if group.first else None
    if arguments.background:
        lower_priority()
    from cpart_core.cli.train_runs import follow_the_first, train_in_order
    from cpart_core.runs.folder import open_run

    # not the first of several processes: it takes everything from that one, and need not see its
    # disk
    if run is None:
        return follow_the_first(group)
    runs = [run, *(open_run(run_id) for run_id in arguments.then)]
    changes = {
        name: value
        for name in ("parallel", "device")
        if (value := getattr(arguments, name)) is not None
    }
    return train_in_order(
        [for_this_session(run, changes) for run in runs], arguments.restart, group, arguments.now
    )


def for_this_session(run: Run, changes: dict[str, str]) -> Run:
    """The run with other settings for now, which change where it is trained and not what; its
    folder keeps what it says."""
    return (
        replace(run, info=replace(run.info, settings=run.settings.with_values(changes)))
        if changes
        else run
    )


def lower_priority() -> None:
    """Leave the machine to the page and to the person: lower priority, and first to go when memory
    runs out. Best effort."""
    with suppress(OSError, AttributeError):
        os.nice(5)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
