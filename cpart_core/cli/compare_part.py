"""The part of `analyze` that sets two checkpoints side by side: `--what compare --other RUN`. The
Compare page asks for the same."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cpart_core.cli.roots import newest_checkpoint
from cpart_core.cli.text_table import table

if TYPE_CHECKING:
    from cpart_core.runs.folder import Run

NAME = "compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--other",
        default="",
        metavar="ID",
        help="for compare: the run to set beside this one, or this one itself",
    )
    parser.add_argument(
        "--other-step",
        type=int,
        help="for compare: step of the other's checkpoint (default: its newest)",
    )


def other_of(arguments: argparse.Namespace) -> tuple[Run, int]:
    """The other run and its step. ValueError without one."""
    from cpart_core.runs.folder import open_run

    if not arguments.other:
        raise ValueError(
            "compare needs a second run: give --other ID (see `runs`); for two steps of one run,"
            " its own id and --other-step."
        )
    other = open_run(arguments.other)
    return other, newest_checkpoint(other, arguments.other_step)


def requests(
    run_id: str, step: int, arguments: argparse.Namespace
) -> list[tuple[str, dict[str, Any]]]:
    """Segments by the snapshots nearest to the checkpoints, losses, and the meter of each side that
    computes fusion weights."""
    from cpart_core.runs.folder import open_run

    run = open_run(run_id)
    other, other_step = other_of(arguments)
    steps = [nearest(side, at) for side, at in ((run, step), (other, other_step))]
    beside = {"run": run_id, "other": other.id, "seed": arguments.seed}
    found: list[tuple[str, dict[str, Any]]] = [
        (
            "compare_segments",
            {**beside, "step": steps[0], "other_step": steps[1], "method": "auto"},
        ),
        ("compare_losses", {**beside, "step": step, "other_step": other_step}),
    ]
    if "dense" not in (run.settings.model.execution, other.settings.model.execution):
        found += [
            ("specialization", {"run": side.id, "step": at, "seed": arguments.seed})
            for side, at in ((run, step), (other, other_step))
        ]
    return found


def nearest(run: Run, step: int) -> int:
    """The snapshot step nearest to a checkpoint's; ValueError without any."""
    steps = run.snapshot_steps()
    if not steps:
        raise ValueError(f"Run {run.id} has no snapshot yet. Wait for its first one.")
    return min(steps, key=lambda saved: abs(saved - step))


def run_of(run: Run, request: dict[str, Any]) -> Run:
    """The run whose folder the result of a request belongs to."""
    from cpart_core.runs.folder import open_run

    return run if request["run"] == run.id else open_run(request["run"])


def in_words(run: Run, answered: list[Any]) -> str:
    """Settings that differ, how segments were matched, and all differences, largest first; from the
    results of `requests`."""
    from cpart_core.analysis.compare import differences as compare_list
    from cpart_core.records.comparison import LossComparison, SegmentComparison
    from cpart_core.records.specialization import Specialization
    from cpart_core.runs.folder import open_run

    segments = next(result for result in answered if isinstance(result, SegmentComparison))
    losses = next(result for result in answered if isinstance(result, LossComparison))
    other = open_run(losses.other)
    meter_of = {
        (result.run, result.step): result
        for result in answered
        if isinstance(result, Specialization)
    }
    sides = ((losses.run, losses.step), (losses.other, losses.other_step))
    meters = (
        (meter_of[sides[0]], meter_of[sides[1]])
        if all(side in meter_of for side in sides)
        else None
    )
    found = compare_list.differences(run, other, segments, losses, meters)
    changed = compare_list.settings_that_differ(run.settings, other.settings)
    said = [
        (
            f"\nA: {run.id} step {losses.step}   B: {other.id} step {losses.other_step}  "
            " (differences are B less A)"
        ),
        compare_list.corpus_words(run, other),
        "; ".join(f"{name}: {ours} in A, {theirs} in B" for _, name, ours, theirs in changed)
        or "All settings are the same.",
        compare_list.match_words(segments),
        compare_list.headline_words(losses),
    ]
    shown = (
        f"\n\n{table(compare_list.difference_rows(found))}"
        if found
        else "\nNothing that is measured differs."
    )
    return "\n".join(said) + shown
