"""`runs`: what has been trained; and to find, rename and delete runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cpart_core.cli.roots import OUT_HELP, use_root
from cpart_core.files.paths import given_path

if TYPE_CHECKING:
    from cpart_core.runs.folder import RunSummary

NAME = "runs"
HELP = "List the runs, the sample first, then the newest; find, rename and delete them."
ORDERS = ("newest", "oldest", "name", "state", "steps")
"""As runs/search.py has them; named here, so that the help needs no numpy."""


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument(
        "--search",
        metavar="WORDS",
        default="",
        help="only runs with these words in name, id, state, contexts or method",
    )
    parser.add_argument(
        "--sort", choices=ORDERS, default="newest", help="order of the list (default newest)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", metavar="ROOT", type=given_path, help=OUT_HELP)
    actions = parser.add_subparsers(title="to change runs", metavar="ACTION", dest="action")
    rename = actions.add_parser("rename", help="give a run another name", allow_abbrev=False)
    rename.add_argument("run", metavar="RUN", help="id of the run")
    rename.add_argument(
        "name", metavar="NAME", help="its new name; the first 80 characters are kept"
    )
    delete = actions.add_parser(
        "delete", help="delete runs with all that is in them", allow_abbrev=False
    )
    delete.add_argument("runs", metavar="RUN", nargs="+", help="ids of the runs")
    clear = actions.add_parser(
        "clear", help="delete the starts that failed before their first step", allow_abbrev=False
    )
    for asking in (delete, clear):
        asking.add_argument("--yes", action="store_true", help="do not ask")


def execute(arguments: argparse.Namespace) -> int:
    use_root(arguments.out)
    actions = {"rename": rename, "delete": delete, "clear": clear}
    return actions[arguments.action](arguments) if arguments.action else show(arguments)


def show(arguments: argparse.Namespace) -> int:
    from cpart_core.runs.folder import list_runs
    from cpart_core.runs.search import in_order, search
    from cpart_core.runs.unlisted import unlisted

    listed = list_runs()
    found = in_order(search(listed, arguments.search), arguments.sort)
    rows = [row_of(summary) for summary in found]
    for entry in unlisted():
        print(f"not listed: {entry.name}: {entry.reason}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    if not listed:
        print("No runs yet. Start one: python -m cpart_core train --preset quick")
    elif not found:
        print(f"None of {len(listed):,} runs has all of these words: {arguments.search}")
    else:
        print_table(rows)
    return 0


def print_table(rows: Sequence[dict[str, str | int | float | None]]) -> None:
    """The table, and under it why some runs failed."""
    from cpart_core.cli.text_table import cell, table

    print(table([{name: value for name, value in row.items() if name != "reason"} for row in rows]))
    reasons = [f"{row['id']}: {cell(row['reason'])[:200]}" for row in rows if row["reason"]]
    if reasons:
        print("\nWhy they ended:", *reasons, sep="\n  ")


def row_of(summary: RunSummary) -> dict[str, str | int | float | None]:
    """One line of the list."""
    from cpart_core.runs.search import reason

    state = summary.state
    return {
        "id": summary.id,
        "name": summary.name,
        "state": state.state,
        "step": state.step,
        "steps": state.steps,
        "created": summary.created[:16],
        "kind": "sample" if summary.read_only else "own",
        "reason": reason(summary),
    }


def rename(arguments: argparse.Namespace) -> int:
    from cpart_core.runs.folder import open_run, rename_run

    rename_run(arguments.run, arguments.name)
    print(f"{arguments.run} is now called: {open_run(arguments.run).info.name}")
    return 0


def delete(arguments: argparse.Namespace) -> int:
    from cpart_core.runs.folder import delete_run, own_folder

    wanted = list(dict.fromkeys(arguments.runs))
    for run_id in wanted:
        own_folder(run_id)  # all are there before the first is gone
    if not agreed(
        arguments.yes,
        f"Delete {', '.join(wanted)} with all records, snapshots and checkpoints? This cannot be"
        " undone.",
    ):
        return 1
    for run_id in wanted:
        delete_run(run_id)
        print(f"Deleted {run_id}.")
    return 0


def clear(arguments: argparse.Namespace) -> int:
    from cpart_core.runs.folder import list_runs
    from cpart_core.runs.search import clear_failed_starts, failed_starts

    failed = failed_starts(list_runs())
    if not failed:
        print("No start has failed.")
        return 0
    print_table([row_of(entry) for entry in failed])
    if not agreed(
        arguments.yes, f"Delete {'this one' if len(failed) == 1 else f'these {len(failed)}'}?"
    ):
        return 1
    print(f"Deleted {len(clear_failed_starts())}.")
    return 0


def agreed(yes: bool, question: str) -> bool:
    """Whether a person says yes. ValueError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ValueError(f"{question} Nobody can be asked here; say --yes.")
    said = input(f"{question} [y/N] ").strip().lower()
    if said not in ("y", "yes"):
        print("Nothing was deleted.")
        return False
    return True
