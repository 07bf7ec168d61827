"""`study`: train arms x seeds on the very same batches, and compare them."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cpart_core.cli.roots import use_root
from cpart_core.cli.text_table import table
from cpart_core.files.paths import given_path

if TYPE_CHECKING:
    from cpart_core.study.plan import Plan
    from cpart_core.study.result import Study

NAME = "study"
HELP = "Train several arms and seeds on the very same batches, and compare them with intervals."
FAILED = 3


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument(
        "plan",
        metavar="STUDY",
        help=(
            "a study file (JSON), or the name of one that comes with CPart: default, controls,"
            " domains"
        ),
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=given_path,
        help="where its runs lie (default: .studies/NAME below the root of runs)",
    )
    parser.add_argument(
        "--corpus",
        metavar="PATH",
        type=given_path,
        help="train on this folder (one subfolder a context) or file instead",
    )
    parser.add_argument(
        "--set",
        metavar="JSON",
        default="{}",
        help="base settings to change, such as '{\"steps\": 2000}'",
    )
    parser.add_argument("--seeds", metavar="A,B", help="seeds instead of the plan's")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="runs trained at once (default 1; times are then of a busy machine)",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="also store the result where the Claims page of this copy finds it",
    )
    parser.add_argument(
        "--only",
        metavar="ARM-SEED",
        help=(
            "do here, in the foreground, what is next for this one run: train and measure it, or"
            " its coherence"
        ),
    )


def execute(arguments: argparse.Namespace) -> int:
    from cpart_core.study.result import studies_root

    plan = plan_of(arguments)
    folder = (arguments.out or studies_root() / plan.name).absolute()
    use_root(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.only:
        return train_one(plan, folder, arguments.only)
    return train_all(plan, folder, arguments)


def plan_of(arguments: argparse.Namespace) -> Plan:
    """The plan with what the flags change. ValueError for a mistake in either."""
    from dataclasses import replace

    from cpart_core.study.plan import checked_seeds, find_plan, read_plan

    try:
        changes: Any = json.loads(arguments.set)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--set is not valid JSON: {error}") from None
    if not isinstance(changes, dict):
        raise ValueError("--set must be a JSON object of settings.")
    if arguments.corpus is not None:
        if not arguments.corpus.exists():
            raise ValueError(f"There is nothing at {str(arguments.corpus)!r}.")
        changes |= {
            "source": "folder" if arguments.corpus.is_dir() else "file",
            "path": str(arguments.corpus.resolve()),
        }
    plan = read_plan(find_plan(arguments.plan), changes)
    if arguments.seeds:
        words = [word.strip() for word in arguments.seeds.split(",")]
        plan = replace(
            plan, seeds=checked_seeds([int(word) if word.isdecimal() else word for word in words])
        )
    if not 1 <= arguments.jobs <= 64:
        raise ValueError(f"--jobs is {arguments.jobs}; allowed: 1 to 64.")
    return plan


def train_one(plan: Plan, folder: Path, name: str) -> int:
    from cpart_core.cli.progress_line import Progress
    from cpart_core.study.cell import cell_id, read_outcome, train_cell
    from cpart_core.study.coherence_scores import add_coherence, lacks_coherence

    cells = {cell_id(arm, seed): (arm, seed) for arm, seed in plan.cells()}
    if name not in cells:
        raise ValueError(f"This study has no run {name!r}; it has: {', '.join(cells)}.")
    progress = Progress(plan.settings(*cells[name]).training.steps, sys.stdout)
    outcome = read_outcome(folder, *cells[name])
    if outcome is None:
        outcome = train_cell(plan, folder, *cells[name], progress.record, progress.say)
    elif lacks_coherence(plan, folder, *cells[name]):
        outcome = add_coherence(plan, folder, outcome, progress.say)
    progress.say(
        "stopped; the same command goes on"
        if outcome is None
        else f"{name}: loss {outcome['loss']:.4f}"
    )
    return 0


def train_all(plan: Plan, folder: Path, arguments: argparse.Namespace) -> int:
    from cpart_core.study.result import RESULTS, save_study
    from cpart_core.study.run import StudyRunner

    runner = StudyRunner(
        plan,
        flags_for_children(arguments),
        folder,
        arguments.jobs,
        sys.stdout,
        command_of(arguments),
    )
    signal.signal(signal.SIGTERM, as_interrupt)
    study = runner.go()
    print(as_text(study))
    paths = [folder / f"{plan.name}.json"] + (
        [RESULTS / f"{plan.name}.json"] if arguments.publish and study.complete else []
    )
    for path in paths:
        save_study(study, path)
        print(f"saved: {path}")
    return FAILED if runner.failed else 0


def as_interrupt(*_: object) -> NoReturn:
    """End as by Ctrl-C: the runs at work are told to stop, and write their checkpoints."""
    raise KeyboardInterrupt


def flags_for_children(arguments: argparse.Namespace) -> list[str]:
    """What tells a child the same plan."""
    from cpart_core.study.plan import find_plan

    flags = [str(find_plan(arguments.plan).resolve()), "--set", arguments.set]
    flags += ["--corpus", str(arguments.corpus.resolve())] if arguments.corpus is not None else []
    return flags + (["--seeds", arguments.seeds] if arguments.seeds else [])


def command_of(arguments: argparse.Namespace) -> str:
    """The command that measures the same again; the place of one's text is left to whoever repeats
    it."""
    words = ["python", "-m", "cpart_core", "study", Path(arguments.plan).name]
    words += ["--corpus", arguments.corpus.name] if arguments.corpus is not None else []
    words += ["--set", arguments.set] if arguments.set != "{}" else []
    words += ["--seeds", arguments.seeds] if arguments.seeds else []
    return shlex.join(words + (["--jobs", str(arguments.jobs)] if arguments.jobs > 1 else []))


def as_text(study: Study) -> str:
    """The tables at the end."""
    from cpart_core.study.claims.paper import judge
    from cpart_core.study.design import designs
    from cpart_core.study.interval import how_little
    from cpart_core.study.rows import arm_rows, context_rows, difference_rows
    from cpart_core.study.targets.evidence import weigh

    if not study.outcomes:
        return "No run of this study has finished."
    parts = [
        f"{study.title} (means over seeds)",
        table(arm_rows(study)),
        "loss by context",
        table(context_rows(study)),
    ]
    if rows := difference_rows(study):
        parts += ["paired differences, 95 % intervals over seeds", table(rows)]
    for arm in designs(study):
        figures = [
            {"figure to reach": entry.title, "verdict": entry.verdict}
            for entry in weigh(study, arm)
        ]
        parts += [
            (
                f"does the partition of {arm} mean anything, and does it matter? (why: the Claims"
                " page)"
            ),
            table(figures),
        ]
    parts += [little] if (little := how_little(len(study.seeds))) else []
    verdicts = [{"claim": entry.title, "verdict": entry.verdict} for entry in judge(study)]
    parts += ["the paper's claims (why: the Claims page)", table(verdicts)]
    return "\n\n".join(parts)
