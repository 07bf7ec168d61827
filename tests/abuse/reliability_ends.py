"""Trainers that are killed, told to end, or frozen."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

from cpart_core.bench.kills import SMALL, differences, fingerprints, measure, unfinished
from cpart_core.files.plain import TEMPORARY
from cpart_core.runs import atomic, checkpoint
from cpart_core.runs import status as state
from cpart_core.runs.control import end_process
from cpart_core.runs.folder import Run, open_run
from tests.abuse.case import Look, case
from tests.abuse.place import Place, is_stopped, until

LONG = {"steps": 100_000, "checkpoint_every": 50_000}


@case(
    "1",
    "kill -9 at random times",
    "final weights and all records bit-identical to a run that was never killed",
    limit=3600,
)
def killed_at_random(place: Place) -> str:
    found = measure(SMALL.check(), place.options.kills, random.Random(0))
    said = (
        f"{found['kills']} kills in {found['runs']} runs, {found['equal_runs']} equal;"
        f" {found['kills_by_phase']}"
    )
    assert found["equal_runs"] == found["runs"], f"{said}; {found['differences']}"
    return said


@case(
    "2",
    "kill -9 during start-up, resume and checkpoint writing",
    "goes on as if nothing had been",
    quick=True,
)
def killed_at_chosen_moments(place: Place) -> str:
    untouched = fingerprints(place.finished())
    run = place.new_run()
    moments: dict[str, Callable[[], bool]] = {
        "at start-up": lambda: run.state().alive,
        "while writing a checkpoint": lambda: unfinished(run.folder / "checkpoints"),
        "while resuming": lambda: run.state().alive,
        "in training": lambda: run.state().step >= 23,
    }
    look = Look()
    for name, reached in moments.items():
        trainer = place.fork_trainer(run)
        until(
            lambda reached=reached, trainer=trainer: reached() or trainer.ended() is not None,
            name,
            pause=0.0005,
        )
        trainer.kill()
        look(run.state().state == "crashed", f"killed {name}, it is said to be {told(run)}")
    return after(run, place, look, untouched)


@case(
    "3",
    "kill -9 between rename and prune",
    "the new checkpoint stands, and .tmp-* are cleared by the next session",
    quick=True,
)
def killed_between_rename_and_prune(place: Place) -> str:
    untouched = fingerprints(place.finished())
    run = place.new_run(checkpoint_every=5)
    look = Look()
    moments: dict[str, Callable[[], None]] = {
        "before the rename": lambda: setattr(atomic, "sync_tree", die),
        "between rename and prune": lambda: setattr(checkpoint, "remove_folder", die),
        "within the prune": lambda: setattr(atomic.shutil, "rmtree", die),
    }
    for name, arm in moments.items():
        before = max(run.checkpoint_steps(), default=0)
        code = place.fork_trainer(run, arm).wait()
        look(
            code == -signal.SIGKILL and run.state().state == "crashed",
            f"killed {name}, from the checkpoint of step {before}",
        )
    look(bool(leftovers(run)), f"left behind: {len(leftovers(run))} .tmp-*")
    return after(run, place, look, untouched)


@case("9", "SIGTERM to a trainer", "at most 5 s, exit code 0, a checkpoint of the last step")
def told_to_end(place: Place) -> str:
    run = place.new_run(**LONG)
    process = place.start("resume", run.id)
    until(lambda: run.state().step > 20, "training should begin")
    process.terminate()
    seconds = until(lambda: process.poll() is not None, "it should end", 30)
    look = Look()
    look(seconds <= 5, f"ended after {seconds:.1f} s")
    look(process.returncode == 0, f"exit code {process.returncode}")
    ended_well(run, look)
    return look.said()


@case("10", "SIGTERM twice, SIGINT, SIGHUP", "each finishes the step and saves", quick=True)
def told_in_other_ways(place: Place) -> str:
    look = Look()
    for names in (("SIGTERM", "SIGTERM"), ("SIGINT",), ("SIGHUP",)):
        run = place.new_run(**LONG)
        trainer = place.fork_trainer(run)
        until(lambda run=run: run.state().step > 5, "training should begin")
        for name in names:
            trainer.signal(getattr(signal, name))
        code = trainer.wait(30)
        look(code == 0, f"{' and '.join(names)}: exit code {code}")
        ended_well(run, look)
    return look.said()


@case(
    "18",
    "the laptop sleeps (the trainer is frozen)",
    "said not to respond, then goes on, and nothing differs",
    quick=True,
)
def frozen(place: Place) -> str:
    untouched = fingerprints(place.finished())
    state.SILENT_SECONDS = 0.5
    run = place.new_run(steps=40)
    look = Look()
    trainer = place.fork_trainer(
        run, on_record=lambda record: record.step == 15 and os.kill(os.getpid(), signal.SIGSTOP)
    )
    until(lambda: is_stopped(trainer.pid), "it should be frozen")
    until(
        lambda: run.state().alive and not run.state().responding, "it should be said not to respond"
    )
    look(True, f"frozen at step {run.state().step}: {run.state().state}, not responding")
    trainer.signal(signal.SIGCONT)
    look(trainer.wait() == 0, f"woken, it ended with {trainer.code}")
    return after(run, place, look, untouched)


@case(
    "22",
    "the trainer hangs",
    "said not to respond; Kill ends it, and it goes on from its checkpoint",
    quick=True,
)
def hung(place: Place) -> str:
    untouched = fingerprints(place.finished())
    state.SILENT_SECONDS = 0.5
    run = place.new_run()
    look = Look()
    deaf_now = place.root / "deaf"

    def deaf(record: object) -> None:
        if record.step == 15:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            deaf_now.touch()
            while True:
                signal.pause()

    trainer = place.fork_trainer(run, on_record=deaf)
    until(deaf_now.exists, "it should hang")
    until(
        lambda: run.state().alive and not run.state().responding, "it should be said not to respond"
    )
    look(True, "not responding")
    look(end_process(run.folder, patience_seconds=0.3), "Kill leaves no trainer")
    look(trainer.wait(10) == -signal.SIGKILL, f"it ended with {trainer.code}")
    return after(run, place, look, untouched)


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leftovers(run: Run) -> list[str]:
    return [str(path.relative_to(run.folder)) for path in run.folder.rglob(f"{TEMPORARY}*")]


def told(run: Run) -> str:
    """State, step and the end of the last words."""
    now = run.state()
    return f"{now.state} at step {now.step}" + (
        f" ({now.last_words[-200:]})" if now.last_words else ""
    )


def ended_well(run: Run, look: Look) -> None:
    now = run.state()
    look(now.state == "stopped", f"it is said to be {now.state}")
    look(
        run.checkpoint_steps()[-1:] == [now.step],
        f"checkpoint of step {run.checkpoint_steps()[-1:]}, records to step {now.step}",
    )


def after(run: Run, place: Place, look: Look, untouched: dict[str, str]) -> str:
    """Train to the end and compare with the run that nothing was done to."""
    code = place.fork_trainer(run).wait()
    look(code == 0, f"then trained on: exit code {code}, {told(run)}")
    if code == 0:
        differing = differences(untouched, fingerprints(open_run(run.id)))
        look(not differing, f"differing from an untouched run: {', '.join(differing) or 'nothing'}")
        look(not leftovers(run), f"left over: {', '.join(leftovers(run)) or 'nothing'}")
    return look.said()


CASES = (
    killed_at_random,
    killed_at_chosen_moments,
    killed_between_rename_and_prune,
    told_to_end,
    told_in_other_ways,
    frozen,
    hung,
)
