"""A flipped bit anywhere in a run that has ended is noticed, or nothing that is read is another for
it.

By hand, with as many flips as wanted of each file:  python -m tests.runs.test_flips 500
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpart_core.corpus.store import load_corpus, load_held_out
from cpart_core.runs.checkpoint import load_checkpoint
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.training_session import run_training
from tests.runs.made import same
from tests.runs.tiny import tiny_run

FLIPS = 24
"""Of each file."""


def what_is_read(run_id: str) -> dict[str, Callable[[], Any]]:
    """All that is read of a run, by name."""
    run = open_run(run_id)
    step = run.checkpoint_steps()[-1]
    return {
        "info": lambda: run.info,
        "state": lambda: state_of(run),
        "records": run.records,
        "evaluations": run.evaluations,
        "changes": run.changes,
        "events": lambda: tuple(run.events()),
        "snapshot": lambda: run.snapshot(run.snapshot_steps()[-1]),
        "corpus": lambda: load_corpus(run.folder / "corpus"),
        "held out": lambda: load_held_out(run.folder / "corpus"),
        "checkpoint": lambda: tensors_of(load_checkpoint(run.checkpoint_folder(step))),
    }


def state_of(run: Run) -> tuple[str, int, str]:
    """ValueError where the state itself is that the run is damaged."""
    state = run.state()
    if state.state == "damaged":
        raise ValueError(state.last_words)
    return state.state, state.step, state.last_words


def tensors_of(checkpoint: Any) -> Any:
    """A checkpoint in types that can be compared."""
    tensors = {
        name: tensor.numpy()
        for name, tensor in sorted({**checkpoint.weights, **checkpoint.tensors}.items())
    }
    return (repr(checkpoint.config), tensors, repr(checkpoint.numbers), checkpoint.tokenizer_json)


def files_of(run: Run) -> list[Path]:
    """One of each kind; the lock and the log hold nothing of what was measured."""
    newest = run.checkpoint_folder(run.checkpoint_steps()[-1])
    snapshot = max((run.folder / "snapshots").iterdir())
    kept = [run.folder / name for name in ("run.json", "records.sqlite", "records.sha256")]
    return [*kept, *sorted((run.folder / "corpus").iterdir()), *sorted(newest.iterdir()), snapshot]


def unnoticed(run: Run, flips: int) -> Iterator[tuple[str, int, str]]:
    """(file, bit, what is read otherwise) of every flip that nothing noticed."""
    sound = {name: read() for name, read in what_is_read(run.id).items()}
    generator = np.random.default_rng(0)
    for path in files_of(run):
        whole = path.read_bytes()
        for bit in sorted(
            generator.choice(8 * len(whole), min(flips, 8 * len(whole)), replace=False).tolist()
        ):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            try:
                for name, read in what_is_read(run.id).items():
                    if not same_or_refused(read, sound[name]):
                        yield path.name, bit, name
            except ValueError:
                continue  # run.json itself
            finally:
                path.write_bytes(whole)


def same_or_refused(read: Callable[[], Any], sound: Any) -> bool:
    try:
        return same(read(), sound)
    except (ValueError, OSError):
        return True


@pytest.fixture
def ended(root):
    run = tiny_run(steps=12, checkpoint_every=6)
    run_training(run)
    return open_run(run.id)


def test_every_flip_is_noticed_or_harmless(ended):
    assert list(unnoticed(ended, FLIPS)) == []


def test_a_run_that_is_written_again_has_no_sum_until_it_ends_again(ended):
    from cpart_core.runs.database import open_for_writing

    assert (ended.folder / "records.sha256").is_file()
    connection = open_for_writing(ended.folder)
    try:
        assert not (ended.folder / "records.sha256").exists() and ended.state().state == "finished"
    finally:
        connection.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        os.environ["CPART_RUNS"], os.environ["CPART_SAMPLES"] = f"{place}/runs", f"{place}/samples"
        trained = tiny_run(steps=12, checkpoint_every=6)
        run_training(trained)
        found = list(unnoticed(open_run(trained.id), int(sys.argv[1])))
        print(
            f"{len(files_of(trained)) * int(sys.argv[1])} flips, not noticed and not harmless:"
            f" {len(found)}"
        )
        print(*found, sep="\n")
