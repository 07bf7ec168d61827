"""Which run a command means: by id, `latest`, or below another root folder."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cpart_core.files.paths import given_path
from cpart_core.runs.manifest import verify

if TYPE_CHECKING:
    from cpart_core.runs.folder import Run

RUN_HELP = "id of the run (see `runs`), or: latest"
NOW_HELP = (
    "begin at once; otherwise it waits its turn while this machine has no room for one more"
    " training below the same root"
)
OUT_HELP = (
    "root folder of the runs, such as sample_checkpoints (default: runs/ of the project, or"
    " $CPART_RUNS)"
)


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--out", metavar="ROOT", type=given_path, help=OUT_HELP)


def use_root(root: Path | None) -> None:
    """Make `root` the root folder of this process and of those it starts."""
    if root is not None:
        os.environ["CPART_RUNS"] = str(root.resolve())


def find_run(arguments: argparse.Namespace) -> Run:
    """The run that RUN and --out name; ValueError when there is none."""
    from cpart_core.runs.folder import list_runs, open_run

    use_root(arguments.out)
    if arguments.run != "latest":
        return open_run(arguments.run)
    own = [summary for summary in list_runs() if not summary.read_only]
    if not own:
        raise ValueError(
            "There are no runs of your own yet; start one with `train`, or give the id of the"
            " sample (see `runs`)."
        )
    return open_run(own[0].id)  # the newest first, by when and not by how that is written


def newest_checkpoint(run: Run, step: int | None) -> int:
    """The step asked for, or that of the newest checkpoint that is not damaged: passing one over is
    said. ValueError when there is none."""
    if step is not None:
        return step
    steps = sorted(run.checkpoint_steps(), reverse=True)
    if not steps:
        raise ValueError(
            f"Run {run.id} has no checkpoint yet; train it for a while first (`resume {run.id}`)."
        )
    troubles = {}
    for newest in steps:
        try:
            verify(run.checkpoint_folder(newest))
        except (ValueError, OSError) as error:
            troubles[newest] = str(error)
            continue
        for passed, why in troubles.items():
            print(
                f"The checkpoint of step {passed} is passed over: {why} Step {newest} is used"
                " instead.",
                file=sys.stderr,
            )
        return newest
    raise ValueError(
        f"None of the {len(steps)} checkpoints of run {run.id} can be used: {troubles[steps[0]]}"
    )
