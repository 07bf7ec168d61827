"""`sample`: turn a finished run into one that can be given away."""

from __future__ import annotations

import argparse

from cpart_core.cli.roots import add_run_argument, find_run

NAME = "sample"
HELP = "Turn a finished run into a sample: without optimizer state, with a manifest over all files."


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)


def execute(arguments: argparse.Namespace) -> int:
    from cpart_core.runs.sample import make_sample

    run = find_run(arguments)
    print(f"{run.id}: {make_sample(run) / 1e6:.1f} MB in {run.folder}")
    return 0
