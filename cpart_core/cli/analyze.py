"""`analyze`: compute and store what the pages draw, ahead of time."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from cpart_core.analysis.text.first_text import FIRST_TEXT
from cpart_core.cli import compare_part
from cpart_core.cli.progress_line import share_line
from cpart_core.cli.roots import add_run_argument, find_run, newest_checkpoint
from cpart_core.cli.text_table import table

if TYPE_CHECKING:
    from cpart_core.records.specialization import Specialization, Stability

NAME = "analyze"
HELP = "Compute and store what the pages draw, so that it is there at once."
WHAT = ("losses", "profiles", "neuron_map", "document_map", "trace", "specialization")
ON_REQUEST = ("stability", "ablation_matrix", "router_audit", "compare")
"""Not computed unless they are named: stability and compare need other runs, the audit a run whose
fusion chooses, all of them some time."""


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
    parser.add_argument("--what", default=",".join(WHAT), metavar="A,B,...", help=what_help())
    parser.add_argument(
        "--method",
        default="pca,umap",
        metavar="A,B",
        help="layouts of the maps: pca, umap (default: both)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of maps, shuffles and draws (default: 0)"
    )
    parser.add_argument(
        "--runs",
        default="",
        metavar="ID,ID,...",
        help="for stability: runs with other seeds, at least 2",
    )
    compare_part.add_arguments(parser)


def what_help() -> str:
    return f"which results, of: {', '.join(WHAT)} (default: these), {', '.join(ON_REQUEST)}"


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    wanted = requests(run.id, newest_checkpoint(run, arguments.step), arguments)
    from cpart_core.service.registry import answer

    answered = []
    for name, request in wanted:
        print(
            f"{name}"
            f" {' '.join(f'{key}={value}'.splitlines()[0] for key, value in request.items() if key != 'run')}",
            flush=True,
        )
        result = answer(name, request, share_line(sys.stderr))
        answered.append(result)
        print(
            f"  {compare_part.run_of(run, request).store_result(name, request, result)}", flush=True
        )
        if name in ("specialization", "stability"):
            print(in_words(result), flush=True)
    if any(name == "compare_losses" for name, _ in wanted):
        print(compare_part.in_words(run, answered), flush=True)
    return 0


def in_words(result: Specialization | Stability) -> str:
    """Verdict and table of a result whose numbers are few enough to be read here."""
    from cpart_core.analysis.segments import verdict
    from cpart_core.records.specialization import Specialization

    if not isinstance(result, Specialization):
        return f"\n{table(verdict.stability_rows(result))}\n\n{verdict.stability_verdict(result)}"
    anchors = "\n".join(anchor.sentence() for anchor in verdict.ANCHORS)
    said = f"{verdict.measured_on(result)}\n{verdict.verdict(result, verdict.headline(result))}"
    return f"\n{table(verdict.rows(result))}\n\n{table(verdict.layer_rows(result))}\n\n{anchors}\n{said}"


def newest_snapshots(ids: list[str]) -> list[int]:
    """The newest snapshot step of each run; ValueError for a run that is unknown or has none."""
    from cpart_core.runs.folder import open_run

    steps = []
    for run_id in ids:
        saved = open_run(run_id).snapshot_steps()
        if not saved:
            raise ValueError(
                f"Run {run_id} has no snapshot yet. Wait for its first one, or leave it out."
            )
        steps.append(saved[-1])
    return steps


def requests(
    run_id: str, step: int, arguments: argparse.Namespace
) -> list[tuple[str, dict[str, Any]]]:
    """(name, request) of all that is asked for; ValueError for a name that is not known."""
    names = [name.strip() for name in arguments.what.split(",") if name.strip()]
    methods = [method.strip() for method in arguments.method.split(",") if method.strip()]
    for kind, given, allowed in (
        ("result", names, WHAT + ON_REQUEST),
        ("method", methods, ("pca", "umap")),
    ):
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            raise ValueError(f"Unknown {kind} {', '.join(unknown)}; allowed: {', '.join(allowed)}.")
    found: list[tuple[str, dict[str, Any]]] = []
    for name in names:
        if name == "neuron_map":
            found += [
                (name, {"run": run_id, "method": method, "layer": -1, "seed": arguments.seed})
                for method in methods
            ]
        elif name == "document_map":
            found += [
                (name, {"run": run_id, "step": step, "method": method, "seed": arguments.seed})
                for method in methods
            ]
        elif name == "trace":
            found.append((name, {"run": run_id, "step": step, "text": FIRST_TEXT}))
        elif name == "specialization":
            found.append((name, {"run": run_id, "step": step, "seed": arguments.seed}))
        elif name == "stability":
            ids = [run_id, *(other.strip() for other in arguments.runs.split(",") if other.strip())]
            found.append(
                (
                    name,
                    {
                        "run": run_id,
                        "runs": ids,
                        "steps": newest_snapshots(ids),
                        "seed": arguments.seed,
                    },
                )
            )
        elif name == "compare":
            found += compare_part.requests(run_id, step, arguments)
        else:
            found.append((name, {"run": run_id, "step": step}))
    # compare asks for a meter too
    return [one for place, one in enumerate(found) if one not in found[:place]]
