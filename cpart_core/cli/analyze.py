"""`analyze`: compute and store what the pages draw, ahead of time."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cpart_core.analysis.first_text import FIRST_TEXT
from cpart_core.cli.progress import share_line
from cpart_core.cli.roots import add_run_argument, find_run, newest_checkpoint

NAME = "analyze"
HELP = "Compute and store what the pages draw, so that it is there at once."
WHAT = ("losses", "profiles", "neuron_map", "document_map", "trace")


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
    parser.add_argument("--what", default=",".join(WHAT), metavar="A,B,...", help=f"which results, of: {', '.join(WHAT)} (default: all)")
    parser.add_argument("--method", default="pca,umap", metavar="A,B", help="layouts of the maps: pca, umap (default: both)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the maps (default: 0)")


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    wanted = requests(run.id, newest_checkpoint(run, arguments.step), arguments)
    from cpart_core.analysis.requests import answer

    for name, request in wanted:
        print(f"{name} {' '.join(f'{key}={value}'.splitlines()[0] for key, value in request.items() if key != 'run')}", flush=True)
        print(f"  {run.store_result(name, request, answer(name, request, share_line(sys.stderr)))}", flush=True)
    return 0


def requests(run_id: str, step: int, arguments: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """(name, request) of all that is asked for; ValueError for a name that is not known."""
    names = [name.strip() for name in arguments.what.split(",") if name.strip()]
    methods = [method.strip() for method in arguments.method.split(",") if method.strip()]
    for kind, given, allowed in (("result", names, WHAT), ("method", methods, ("pca", "umap"))):
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            raise ValueError(f"Unknown {kind} {', '.join(unknown)}; allowed: {', '.join(allowed)}.")
    found: list[tuple[str, dict[str, Any]]] = []
    for name in names:
        if name == "neuron_map":
            found += [(name, {"run": run_id, "method": method, "layer": -1, "seed": arguments.seed}) for method in methods]
        elif name == "document_map":
            found += [(name, {"run": run_id, "step": step, "method": method, "seed": arguments.seed}) for method in methods]
        elif name == "trace":
            found.append((name, {"run": run_id, "step": step, "text": FIRST_TEXT}))
        else:
            found.append((name, {"run": run_id, "step": step}))
    return found
