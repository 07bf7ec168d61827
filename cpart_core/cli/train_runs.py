"""Training in the terminal: one run after another, with the progress line; alone or as one of
several processes that torchrun started."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from cpart_core.cli.progress_line import Progress
from cpart_core.runs.folder import Run, runs_root
from cpart_core.runs.other_processes import Command, broadcast, follow
from cpart_core.runs.queue import Slot
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from cpart_core.training.capacity import need_of, this_machine
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup, joined


def follow_the_first(group: ProcessGroup) -> int:
    """What every process but the first does, whatever the command. Returns the exit code."""
    with joined(group):
        return follow(group)


def train_in_order(
    runs: Sequence[Run],
    restart: bool = False,
    group: ProcessGroup = SINGLE_PROCESS,
    now: bool = False,
) -> int:
    """Train each run; the next one only when the one before it has finished. Returns the last exit
    code.

    now: begin at once, whatever else is trained below the same root; else wait until the machine
    has room for one more.
    """
    with joined(group), ExitStack() as stack:
        slot = None if now or not group.alone else stack.enter_context(slot_of(runs[0]))
        code = train_each(runs, group, restart, slot)
        # after a failure the others may wait for anything, and see that this process has gone
        if code == ExitCode.DONE:
            broadcast(group, Command.END)
    return int(code)


def slot_of(run: Run) -> Slot:
    """The place in line of a run and of its twins, which need the same."""
    machine = this_machine()
    return Slot(runs_root(), run.id, need_of(run.settings, machine), machine)


def train_each(
    runs: Sequence[Run], group: ProcessGroup, restart: bool, slot: Slot | None
) -> ExitCode:
    code = ExitCode.DONE
    for run in runs:
        progress = Progress(run.settings.training.steps, sys.stdout)
        together = (
            "" if group.alone else f", {group.size} processes ({run.settings.training.parallel})"
        )
        progress.say(
            f"run {run.id}{together}"
            + (f" ({run.info.twin_kind} twin of {run.info.twin_of})" if run.info.twin_of else "")
        )
        code = run_training(run, progress.record, progress.say, look_inside, restart, group, slot)
        state = run.state()
        progress.say(f"{state.state} at step {state.step} of {state.steps}: {run.folder}")
        if code != ExitCode.DONE or state.state != "finished":
            break
    return code


def look_inside(run: Run, step: int, progress: Callable[..., None]) -> None:
    """Store what the pages show first, so that they have it at once."""
    from cpart_core.service.answering import stored_or_answered

    for name in ("losses", "profiles"):  # a resumed run that had finished has them
        stored_or_answered(run, name, {"run": run.id, "step": step}, progress)
