"""The other processes of a run: they have no folder, take settings, text and state from the first, and do step by step what it says.

The first process (`session`, `drive`) tells them one word before everything that all must do together.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpart_core.config import Settings
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.store import load_corpus
from cpart_core.runs.open_labels import without_found_labels
from cpart_core.runs.orders import handled_by
from cpart_core.training.distributed import Team, lost_another
from cpart_core.training.failure import NonFiniteLoss

if TYPE_CHECKING:
    from torch import Tensor

    from cpart_core.training.loop import Trainer

CORPUS_FILES = ("corpus.json", "corpus.npz", "tokenizer.json")
LEFT_ALONE = 3
"""Exit code of a process whose first is gone."""


class Word(IntEnum):
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


State = tuple[dict[str, "Tensor"], dict[str, "Tensor"], dict[str, Any]]
"""Weights, other tensors, numbers, as Trainer.restore takes them."""


def tell(team: Team, word: Word) -> None:
    """What the first process says before it does the same itself; nothing when it is alone."""
    team.share_number(word)


def share_run(team: Team, settings: Settings, corpus: Path) -> None:
    """From the first process, after RUN: nobody else need see its disk."""
    if not team.alone:
        tell(team, Word.RUN)
        team.share_bytes(settings.to_json().encode())
        for name in CORPUS_FILES:
            team.share_bytes((corpus / name).read_bytes())


def receive_run(team: Team) -> tuple[Settings, Corpus]:
    settings = Settings.from_json(team.share_bytes().decode())
    with tempfile.TemporaryDirectory(prefix="cpart-") as folder:
        for name in CORPUS_FILES:
            (Path(folder) / name).write_bytes(team.share_bytes())
        return settings, without_found_labels(load_corpus(Path(folder)))


def share_state(team: Team, state: State | None = None) -> State:
    """The first process's state, in all of them."""
    weights, tensors, numbers = state or ({}, {}, {})
    told = team.share_bytes(json.dumps(numbers).encode())
    return team.share_tensors(weights), team.share_tensors(tensors), json.loads(told)


def follow(team: Team) -> int:
    """All runs of the first process, until it says END. Returns the exit code."""
    # Signals go to all processes at once, but the first must save before it ends, and needs the others for that.
    with handled_by(signal.SIG_IGN):
        try:
            obey(team)
        except RuntimeError as error:
            if not lost_another(error):
                raise
            print(f"Process {team.rank} of {team.size}: another process ended or cannot be reached, so this one ends.", file=sys.stderr)
            return LEFT_ALONE
    return 0


def obey(team: Team) -> None:
    """Hear and do."""
    from cpart_core.training.loop import Trainer

    trainer: Trainer | None = None
    while (word := Word(team.share_number())) is not Word.END:
        if word is Word.RUN:
            trainer = Trainer(*receive_run(team), team)
        if word in (Word.RUN, Word.WAIT):
            continue
        assert trainer is not None, word
        match word:
            case Word.RESTORE:
                trainer.restore(*share_state(team))
            case Word.SAVE:
                trainer.weights()
                trainer.state_tensors()
            case Word.STEP:
                try:
                    trainer.train_step()
                except NonFiniteLoss:
                    continue  # the first process met it too, and says so
