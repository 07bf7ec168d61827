"""Training processes: start, resume, stop, kill; and the one that compiles beforehand. No streamlit
and no torch here.

A training is a process of its own session: closing the tab or killing the server leaves it running.
What is known of it is in its run folder, so this file keeps no state.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Sequence

import psutil

from cpart_core.corpus.document import Gathered
from cpart_core.files.plain import open_to_add
from cpart_core.model.kernels.cpu.compiled_mark import all_compiled
from cpart_core.runs.child import python_child
from cpart_core.runs.commands import note_launch
from cpart_core.runs.control import RunLock, end_process, is_training, trainer_pid
from cpart_core.runs.create import create_run, create_twin
from cpart_core.runs.database import Unreadable
from cpart_core.runs.folder import Run, list_runs
from cpart_core.runs.repair import mend_records
from cpart_core.runs.status import LOG
from cpart_core.runs.twins import check_twins
from cpart_core.settings.run import Settings

LAST = 19
"""The nice value of what gives way to everything else."""
PATIENCE_SECONDS = 10.0
"""How long a trainer that was told to stop may take for its last step and checkpoint."""


def start_training(
    settings: Settings, name: str, gathered: Gathered | None = None, twins: Sequence[str] = ()
) -> str:
    """Write a new run folder, start its trainer, and return the run's id. Twins are trained
    afterwards, by the same process.

    gathered: documents that were pasted or uploaded; None = the trainer gathers what
    `settings.corpus` names. ValueError for bad settings.
    """
    check_twins(settings, twins)  # refused before anything is written
    run = create_run(settings, gathered, name)
    launch(run, [create_twin(run, kind).id for kind in twins])
    return run.id


def resume_training(run: Run, then: Sequence[str] = (), device: str = "") -> None:
    """Go on from the last good checkpoint, on another device if one is named. ValueError when it is
    running already, finished, or only for looking at."""
    if run.read_only:
        raise ValueError(
            f"Run {run.id} is a sample and is only for looking at; start a run of your own with its"
            " settings."
        )
    now = run.state()
    state = now.state
    if now.phase == "starting":
        raise ValueError(f"Run {run.id} is being started already.")
    if now.alive:
        raise ValueError(f"Run {run.id} is {state} already.")
    if state == "finished":
        raise ValueError(f"Run {run.id} has finished; there is nothing left to do.")
    launch(run, then, device)


def read_list() -> None:
    """Read every run once, behind all else, so that the first visitor's list need only look for
    changes. A server calls it when it starts."""
    threading.Thread(target=list_runs, daemon=True, name="read-list").start()


def warm_up() -> None:
    """Have everything compiled that is compiled once on a machine, behind all else, unless it was.
    A server calls it when it starts."""
    if all_compiled():
        return
    child = python_child("cpart_core", "warm")
    try:
        process = subprocess.Popen(
            child.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=child.environment,
            cwd=child.folder,
        )
    except OSError:
        return  # the first training compiles, and says so
    threading.Thread(target=process.wait, daemon=True, name="reap-warm").start()
    with contextlib.suppress(psutil.Error):
        psutil.Process(process.pid).nice(LAST if psutil.POSIX else psutil.IDLE_PRIORITY_CLASS)


def kill_training(run: Run, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """End the trainer even if it hangs: SIGTERM, and SIGKILL when it has not gone after
    `patience_seconds`. Returns at once.

    ValueError when there is a trainer but no process that could be ended.
    """
    if is_training(run.folder) and trainer_pid(run.folder) is None:
        raise ValueError(
            f"The trainer of run {run.id} cannot be ended from here: its process is not found on"
            " this machine. It may run on another machine or in another container that shares this"
            " folder; end it there."
        )
    threading.Thread(
        target=end_process, args=(run.folder, patience_seconds), daemon=True, name=f"kill-{run.id}"
    ).start()


def launch(run: Run, then: Sequence[str], device: str = "") -> None:
    """Start the trainer, detached, its words going to the run's log.txt."""
    words = [
        "resume",
        run.id,
        "--background",
        *(["--device", device] if device else []),
        *(["--then", *then] if then else []),
    ]
    child = python_child("cpart_core", *words, changes={"PYTHONUNBUFFERED": "1"})
    try:
        note_launch(run.folder)
    except Unreadable:
        with RunLock(run.folder):
            mend_records(run.folder)
        note_launch(run.folder)
    with open_to_add(run.folder, LOG) as log:
        process = subprocess.Popen(
            child.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=child.environment,
            cwd=child.folder,
        )
    # Somebody must wait for it, or it stays as a zombie, as long as this server lives.
    threading.Thread(target=process.wait, daemon=True, name=f"reap-{run.id}").start()
