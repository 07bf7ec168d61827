"""Clocks that were set, and checkpoints that are whole without their records: entries 31 and 32."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from app.engine import jobs
from cpart_core.bench.kills import fingerprints
from cpart_core.runs.control import end_process
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import open_run
from tests.abuse.case import Look, case
from tests.abuse.place import HALF, Place, until
from tests.abuse.reliability_added import ended
from tests.abuse.reliability_disk import lock_database, lose_rows
from tests.abuse.reliability_ends import LONG, after
from tests.abuse.reliability_limits import DAY
from tests.runs.tiny import TINY


@case(
    "C31.1",
    "a stop dated in the future lies in the run's commands",
    "the resumed trainer goes on",
    quick=True,
)
def stop_from_the_future(place: Place) -> str:
    untouched = fingerprints(place.finished())
    run = place.stopped()
    write_row(
        run.folder, "INSERT INTO commands (time, name) VALUES (?, 'stop')", time.time() + 3600
    )
    return after(run, place, Look(), untouched)


@case(
    "C31.2",
    "a launch dated a day ahead",
    "does not read 'is being started' for a day; Resume works",
    quick=True,
)
def launch_from_the_future(place: Place) -> str:
    look = Look()
    run = place.stopped()
    write_row(
        run.folder,
        "INSERT INTO events (time, step, kind, message) VALUES (?, 0, 'launch', '')",
        time.time() + DAY,
    )
    now = run.state()
    look(now.phase != "starting", f"it is {now.state}, {now.phase or 'no phase'}")
    try:
        jobs.resume_training(run)
        until(lambda: run.state().step > HALF, "it should train", 60)
        look(True, "Resume works")
    except ValueError as error:
        look(False, f"Resume: {error}")
    return look.said()


@case(
    "C31.3",
    "the clock is set while a trainer is at work; then Kill",
    "it is found and ended",
    quick=True,
)
def clock_set_before_kill(place: Place) -> str:
    run = place.new_run(**LONG)
    trainer = place.fork_trainer(run)
    until(lambda: run.state().step > 5, "training should begin")
    real = Path.read_text

    def shifted(self: Path, *arguments: object, **named: object) -> str:
        text = real(self, *arguments, **named)  # type: ignore[arg-type]
        if str(self) != "/proc/stat":
            return text
        return "\n".join(
            f"btime {int(line.split()[1]) + 7200}" if line.startswith("btime ") else line
            for line in text.splitlines()
        )

    Path.read_text = shifted  # type: ignore[method-assign, assignment]
    time.time = (lambda now: lambda: now() + 7200)(time.time)
    look = Look()
    look(end_process(run.folder, 0.5), "no trainer is left")
    look(ended(trainer, 10), f"it ended with {trainer.code}")
    trainer.kill()
    return look.said()


@case(
    "C32.1",
    "the -wal is lost, or the records end before the checkpoint",
    "goes on from the newest whole checkpoint and says which records are missing, or makes those of"
    " one interval again",
    quick=True,
)
def records_lost(place: Place) -> str:
    untouched = fingerprints(place.finished())
    look = Look()
    for name, cut in {"records cut to step 23": 23, "all records but 5 lost": 5}.items():
        run = place.stopped()
        lose_rows(run, cut)
        trainer_goes_on(place, name, run, look)
    run = place.new_run()
    trainer = place.fork_trainer(run)
    until(lambda: 20 in run.checkpoint_steps(), "a checkpoint should be written", pause=0.001)
    trainer.kill()
    for ending in ("-wal", "-shm"):
        (run.folder / f"{DATABASE}{ending}").unlink(missing_ok=True)
    trainer_goes_on(place, "killed, and the -wal lost", run, look)
    weights = fingerprints(open_run(run.id))["model.safetensors"]
    look(
        weights == untouched["model.safetensors"], "the last weights are those of an untouched run"
    )
    return look.said()


def trainer_goes_on(place: Place, name: str, run: object, look: Look) -> None:
    newest = run.checkpoint_steps()[-1]
    first: list[int] = []
    note = place.root / "first.txt"
    trainer = place.fork_trainer(
        run,
        on_record=lambda record: (
            first.append(record.step)
            or (note.write_text(str(record.step)) if len(first) == 1 else 0)
        ),
    )
    code = trainer.wait()
    began = int(note.read_text()) if note.is_file() else 0
    note.unlink(missing_ok=True)
    said = [
        event.message
        for event in run.events()
        if "missing" in event.message or "record" in event.message.lower()
    ]
    whole = len(run.records(10**9).step) == run.state().step
    fits = began == newest + 1 or (whole and newest - TINY.training.checkpoint_every <= began)
    look(
        code == 0 and fits,
        f"{name}: exit code {code}, went on at step {began} from the checkpoint of"
        f" {newest}{', none missing' * whole}",
    )
    look(bool(said), f"{name}: says {said[-1:] or 'nothing'}")


@case("C32.2", "the database is locked for 3 s while a page looks", "not called damaged")
def short_lock(place: Place) -> str:
    run = place.finished()
    locker = lock_database(place, run, 3)
    seen = set()
    began = time.monotonic()
    while locker.poll() is None:
        seen.add(run.state().state)
    assert "damaged" not in seen, f"said to be {sorted(seen)}: {run.state().last_words}"
    return f"said to be {sorted(seen)} in {time.monotonic() - began:.1f} s"


def write_row(folder: Path, statement: str, when: float) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute(statement, (when,))
    connection.commit()
    connection.close()


CASES = (
    stop_from_the_future,
    launch_from_the_future,
    clock_set_before_kill,
    records_lost,
    short_lock,
)
