"""`runs`: what has been trained."""

from __future__ import annotations

import argparse
import json

NAME = "runs"
HELP = "List the runs: the sample first, then the newest."


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def execute(arguments: argparse.Namespace) -> int:
    from cpart_core.runs.folder import list_runs

    rows = [row_of(summary) for summary in list_runs()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    if not rows:
        print("No runs yet. Start one: python -m cpart_core train --preset quick")
        return 0
    from cpart_core.cli.table import table

    print(table(rows))
    return 0
