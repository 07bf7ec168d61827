"""`runs`: what has been trained."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cpart_core.runs.folder import RunSummary

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


def row_of(summary: RunSummary) -> dict[str, str | int | float | None]:
    """One line of the list."""
    state = summary.state
    return {
        "id": summary.id,
        "name": summary.name,
        "state": state.state,
        "step": state.step,
        "steps": state.steps,
        "created": summary.created[:16],
        "kind": "sample" if summary.read_only else "own",
    }
