"""`analyze`: compute and store what the pages draw, ahead of time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cpart_core.analysis.text.first_text import FIRST_TEXT
from cpart_core.cli import compare_part
from cpart_core.cli.progress_line import share_line
from cpart_core.cli.roots import add_run_argument, find_run, newest_checkpoint
from cpart_core.cli.text_table import table

NAME = "analyze"
HELP = "Compute and store what the pages draw, so that it is there at once."
LAYOUTS = ("pca", "umap")


class Given(NamedTuple):
    """What a person asked of one run."""

    run: str
    step: int
    layout: str
    arguments: argparse.Namespace

    @property
    def runs(self) -> list[str]:
        return [self.run, *parts(self.arguments.runs)]


FILLED: dict[str, Callable[[Given], Any]] = {
    "step": lambda given: given.step,
    "seed": lambda given: given.arguments.seed,
    "method": lambda given: given.layout,
    "layer": lambda given: ALL_LAYERS,
    "text": lambda given: FIRST_TEXT,
    "runs": lambda given: given.runs,
    "steps": lambda given: newest_snapshots(given.runs),
}
"""Key of a request -> its value. An analysis all of whose keys stand here can be asked for by its
name alone; `compare` puts its own together."""
ALL_LAYERS = -1


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
    usual, on_request = names()
    parser.add_argument(
        "--what",
        default=",".join(usual),
        metavar="A,B,...",
        help=(f"which results, of: {', '.join(usual)} (default: these), {', '.join(on_request)}"),
    )
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


def names() -> tuple[list[str], list[str]]:
    """What may be asked for by name here: what is computed without being told to, and the rest,
    which needs other runs or some time."""
    from cpart_core.service.registry import ANALYSES

    offered = {one.cli: one.by_default for one in ANALYSES if one.cli}
    return (
        [name for name, usual in offered.items() if usual],
        [name for name, usual in offered.items() if not usual],
    )


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    wanted = requests(run.id, newest_checkpoint(run, arguments.step), arguments)
    from cpart_core.service.answering import answer

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
        if said := in_words(result):
            print(said, flush=True)
    if any(name == "compare_losses" for name, _ in wanted):
        print(compare_part.in_words(run, answered), flush=True)
    return 0


def in_words(result: Any) -> str:
    """Verdict and table of a result whose numbers are few enough to be read here; nothing of
    others."""
    from cpart_core.analysis.segments import verdict
    from cpart_core.records.specialization import Specialization, Stability

    if isinstance(result, Stability):
        return f"\n{table(verdict.stability_rows(result))}\n\n{verdict.stability_verdict(result)}"
    if not isinstance(result, Specialization):
        return ""
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
    asked = parts(arguments.what)
    usual, on_request = names()
    check_known("result", asked, (*usual, *on_request))
    check_known("method", parts(arguments.method), LAYOUTS)
    found: list[tuple[str, dict[str, Any]]] = []
    for name in asked:
        if name == compare_part.NAME:
            found += compare_part.requests(run_id, step, arguments)
        else:
            found += requests_named(name, run_id, step, arguments)
    # compare asks for a meter too
    return [one for place, one in enumerate(found) if one not in found[:place]]


def requests_named(
    name: str, run_id: str, step: int, arguments: argparse.Namespace
) -> list[tuple[str, dict[str, Any]]]:
    """(name, request) of the analyses that bear a name here, for each layout where they have one."""
    from cpart_core.service.registry import ANALYSES

    return [
        (one.name, {"run": run_id} | {key: FILLED[key](given) for key in one.keys})
        for one in ANALYSES
        if one.cli == name
        for layout in (parts(arguments.method) if "method" in one.keys else [""])
        for given in [Given(run_id, step, layout, arguments)]
    ]


def parts(text: str) -> list[str]:
    """'a, b,' -> ['a', 'b']."""
    return [part.strip() for part in text.split(",") if part.strip()]


def check_known(kind: str, given: list[str], allowed: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ValueError(f"Unknown {kind} {', '.join(unknown)}; allowed: {', '.join(allowed)}.")
