"""The other processes of a run: they have no folder, take settings, text and state from the first,
and do step by step what it says.

The first process (`session`, `drive`) tells them one word before everything that all must do
together.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpart_core.corpus.document import Corpus
from cpart_core.corpus.store import FILES, LARGEST_CORPUS, load_corpus
from cpart_core.files.plain import read_plain
from cpart_core.model.kernels.cpu.compiled_mark import all_compiled
from cpart_core.runs.clock import boot, process_started
from cpart_core.runs.compile_kernels import compiled_by_another
from cpart_core.runs.pending_commands import handled_by
from cpart_core.runs.unlabelled import without_found_labels
from cpart_core.settings.run import Settings
from cpart_core.training.failure import NonFiniteLoss
from cpart_core.training.process_group import ProcessGroup, lost_another

if TYPE_CHECKING:
    from torch import Tensor

    from cpart_core.training.loop import Trainer

LEFT_ALONE = 3
"""Exit code of a process whose first is gone."""
SECONDS_BETWEEN_LOOKS, GRACE_SECONDS = 1.0, 10.0


class Command(IntEnum):
    """What all processes do next."""

    RUN = 1
    """Begin a run: settings and text follow."""
    RESTORE = 2
    """Go on from a state, which follows."""
    STEP = 3
    SAVE = 4
    """Give your part of the state to the first, which writes the checkpoint."""
    WAIT = 5
    """Nothing yet: paused."""
    END = 6
    COMPILE = 7
    """Have compiled what this machine lacks."""
    WHO = 8
    """Say which process you are."""


State = tuple[dict[str, "Tensor"], dict[str, "Tensor"], dict[str, Any]]
"""Weights, other tensors, numbers, as Trainer.restore takes them."""


def broadcast(group: ProcessGroup, word: Command) -> None:
    """What the first process says before it does the same itself; nothing when it is alone."""
    group.broadcast_number(word)


def who() -> list[int]:
    """This process, as numbers: its own, when it began, and a number for this start of the
    machine."""
    return [
        os.getpid(),
        process_started(os.getpid()),
        int(hashlib.sha256(boot().encode()).hexdigest()[:15], 16),
    ]


def processes_beside(group: ProcessGroup) -> list[tuple[int, int]]:
    """(pid, process_started) of the other processes on this machine, by rank. All must call it,
    after WHO."""
    mine = who()
    everybody = group.gather_numbers(mine)
    return [
        (pid, began) for pid, began, machine in everybody if machine == mine[2] and pid != mine[0]
    ]


def broadcast_run(group: ProcessGroup, settings: Settings, corpus: Path) -> None:
    """From the first process, after RUN: nobody else need see its disk."""
    if not group.alone:
        broadcast(group, Command.RUN)
        group.broadcast_bytes(settings.to_json().encode())
        for name in FILES:
            group.broadcast_bytes(read_plain(corpus, name, LARGEST_CORPUS))


def receive_run(group: ProcessGroup) -> tuple[Settings, Corpus]:
    settings = Settings.from_json(group.broadcast_bytes().decode())
    with tempfile.TemporaryDirectory(prefix="cpart-") as folder:
        for name in FILES:
            (Path(folder) / name).write_bytes(group.broadcast_bytes())
        return settings, without_found_labels(load_corpus(Path(folder)))


def broadcast_state(group: ProcessGroup, state: State | None = None) -> State:
    """The first process's state, in all of them."""
    weights, tensors, numbers = state or ({}, {}, {})
    told = group.broadcast_bytes(json.dumps(numbers).encode())
    return group.broadcast_tensors(weights), group.broadcast_tensors(tensors), json.loads(told)


def follow(group: ProcessGroup) -> int:
    """All runs of the first process, until it says END. Returns the exit code."""
    # Signals go to all processes at once, but the first must save before it ends, and needs the
    # others for that.
    with handled_by(signal.SIG_IGN):
        try:
            run_commands(group)
        except RuntimeError as error:
            if not lost_another(error):
                raise
            print(
                f"Process {group.rank} of {group.size}: another process ended or cannot be reached,"
                " so this one ends.",
                file=sys.stderr,
            )
            return LEFT_ALONE
    return 0


def run_commands(group: ProcessGroup) -> None:
    """Those of the first process, one after the other."""
    from cpart_core.training.loop import Trainer

    trainer: Trainer | None = None
    while (word := Command(group.broadcast_number())) is not Command.END:
        if word is Command.RUN:
            trainer = Trainer(*receive_run(group), group)
        if word is Command.WHO:
            watch_the_first(processes_beside(group)[:1])
        if word in (Command.RUN, Command.WAIT, Command.WHO):
            continue
        assert trainer is not None, word
        match word:
            case Command.RESTORE:
                trainer.restore(*broadcast_state(group))
            case Command.COMPILE:
                trainer.state.cpu_kernels = trainer.state.cpu_kernels and (
                    all_compiled() or compiled_by_another(lambda: None)
                )
            case Command.SAVE:
                trainer.weights()
                trainer.state_tensors()
            case Command.STEP:
                try:
                    trainer.train_step()
                except NonFiniteLoss:
                    continue  # the first process met it too, and says so


def watch_the_first(first: list[tuple[int, int]]) -> None:
    """End this process when the first one is gone, also while it hangs in something that asks
    nobody. Nothing where it is elsewhere."""

    def watch(pid: int, began: int) -> None:
        while process_started(pid) == began:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        time.sleep(GRACE_SECONDS)  # for the way of ending that says why
        os._exit(LEFT_ALONE)

    for pid, began in first:
        threading.Thread(target=watch, args=(pid, began), daemon=True, name=f"watch {pid}").start()
