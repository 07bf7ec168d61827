"""Clocks that were set, checkpoints that are whole without their records, ends without last words,
leftovers: entries 31 to 34 and 38."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

from app.engine import jobs
from cpart_core.bench.kills import differences, fingerprints
from cpart_core.runs import status as state
from cpart_core.runs import training_session as session
from cpart_core.runs.control import end_process
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import open_run
from tests.abuse.case import Look, case
from tests.abuse.place import HALF, Place, Trainer, until
from tests.abuse.reliability_disk import fill, lock_database, lose_rows
from tests.abuse.reliability_ends import LONG, after
from tests.abuse.reliability_limits import DAY, limit_memory, with_settings
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


@case(
    "C33.1", "a disk that stays full to the end", "ends soon, failed, with words that name the disk"
)
def full_to_the_end(place: Place) -> str:
    look = Look()
    for left in (0, 200_000):
        disk = place.small_disk(8)
        run = place.new_run(steps=400_000, checkpoint_every=200)
        trainer = place.fork_trainer(
            run,
            on_record=lambda record, disk=disk, left=left: record.step == 50 and fill(disk, left),
        )
        began = time.monotonic()
        over = ended(trainer, 45)
        look(
            over,
            f"{left} bytes left: "
            + (
                f"ended after {time.monotonic() - began:.0f} s with {trainer.code}"
                if over
                else "trains on for 45 s"
            ),
        )
        trainer.kill()
        now = run.state()
        look(
            now.state == "failed" and any(word in now.last_words for word in ("disk", "space")),
            f"{left} bytes left: {now.state}, {now.last_words[-160:]!r}",
        )
    return look.said()


@case(
    "C33.2",
    "so little memory that torch cannot be imported",
    "failed, with words that name memory",
    limit=240,
)
def no_memory_for_torch(place: Place) -> str:
    look = Look()
    for megabytes in (350, 500, 800, 1200):
        run = place.new_run()
        jobs_environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        code, said = place.cli(
            "resume",
            run.id,
            preexec_fn=lambda size=megabytes: limit_memory(size << 20),
            env=jobs_environment,
        )
        now = run.state()
        if now.state == "finished":
            continue
        if now.state == "new":
            look(
                "Traceback" not in said and "emory" in said,
                f"{megabytes} MB: before its first word, {said.strip().splitlines()[-1:]}",
            )
        else:
            look(
                now.state == "failed" and "emory" in now.last_words,
                f"{megabytes} MB: exit code {code}, {now.state}, {now.last_words[-140:]!r}",
            )
    return look.said()


@case("C33.3", "SIGTERM while the corpus is built", "ends within 5 s with exit code 0", quick=True)
def told_to_end_while_building(place: Place) -> str:
    run = place.new_run()
    real = session.build_corpus

    def slow(*arguments: object) -> object:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            sum(range(10_000))
        return real(*arguments)

    trainer = place.fork_trainer(run, lambda: setattr(session, "build_corpus", slow))
    until(lambda: "corpus" in run.state().phase, "the corpus should be in work")
    trainer.signal(signal.SIGTERM)
    began = time.monotonic()
    over = ended(trainer, 8)
    trainer.kill()
    look = Look()
    look(over, f"ended after {time.monotonic() - began:.1f} s" if over else "builds on for 8 s")
    look(
        trainer.code == 0 and run.state().state == "stopped",
        f"exit code {trainer.code}, {run.state().state}",
    )
    return look.said()


@case(
    "C33.4",
    "SIGINT twice",
    "a checkpoint is there, and it is said to be stopped, not to have crashed",
    quick=True,
)
def interrupted_twice(place: Place) -> str:
    look = Look()
    for pause in (0.0, 0.03):
        run = place.new_run(**LONG)
        trainer = place.fork_trainer(run)
        until(lambda run=run: run.state().step > 20, "training should begin")
        trainer.signal(signal.SIGINT)
        time.sleep(pause)
        if trainer.ended() is None:
            trainer.signal(signal.SIGINT)
        trainer.wait(20)
        now = run.state()
        look(now.state == "stopped", f"{now.state} at step {now.step} (exit code {trainer.code})")
        look(bool(run.checkpoint_steps()), f"checkpoints of steps {run.checkpoint_steps()}")
    return look.said()


@case(
    "C33.5",
    "one of two processes hangs; then Kill",
    "said soon; Kill leaves none of them",
    limit=240,
)
def one_of_two_hangs(place: Place) -> str:
    from tests.training.pair import start_pair

    run = place.new_run(**LONG)
    pair = start_pair(["-m", "cpart_core", "resume", run.id])
    for process in pair:
        place.stack.callback(process.kill)
    until(lambda: run.state().step > 10, "training should begin", 90)
    pair[1].send_signal(signal.SIGSTOP)
    state.SILENT_SECONDS = 2.0
    look = Look()
    until(
        lambda: not run.state().responding or not run.state().alive,
        "it should be said not to respond",
        60,
    )
    look(True, f"{run.state().state}, {'' if run.state().responding else 'not '}responding")
    end_process(run.folder, 1.0)
    deadline = time.monotonic() + 15
    while any(process.poll() is None for process in pair) and time.monotonic() < deadline:
        time.sleep(0.1)
    codes = [process.poll() for process in pair]
    look(None not in codes, f"after Kill they ended with {codes}")
    return look.said()


@case(
    "C34.1",
    "the first training on a machine, with nothing compiled yet, and the second",
    "the same records to the bit",
    limit=400,
)
def first_and_second(place: Place) -> str:
    settings = {
        "width": 64,
        "num_neurons": 256,
        "context_length": 64,
        "batch_size": 32,
        "steps": 120,
        "checkpoint_every": 60,
    }
    cache = {**os.environ, "NUMBA_CACHE_DIR": str(place.root / "numba")}
    found = []
    for _ in range(2):
        run = place.new_run(**settings)
        code, said = place.cli("resume", run.id, env=cache, seconds=180)
        assert code == 0, said[-400:]
        found.append(fingerprints(open_run(run.id)))
    differing = differences(*found)
    assert not differing, f"differing: {', '.join(differing)}"
    return f"{settings['steps']} steps, with the CPU kernels compiled in the first: nothing differs"


@case(
    "C34.2",
    "a run made with device=cuda is resumed where there is no GPU",
    "resumed with a setting that says so",
)
def cuda_run_elsewhere(place: Place) -> str:
    run = with_settings(place.stopped(), device="cuda")
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    code, said = place.cli("resume", run.id, "--device", "cpu", env=hidden)
    assert code == 0 and run.state().state == "finished", (
        f"exit code {code}: {said.strip().splitlines()[-1:]}"
    )
    return f"resume --device cpu: {run.state().state}"


@case(
    "C38",
    "leftovers (.tmp-*) in snapshots and in the root",
    "cleared by the next session and the next run",
    quick=True,
)
def leftovers_are_cleared(place: Place) -> str:
    run = place.stopped()
    old = time.time() - 3 * DAY
    left = [
        run.folder / "snapshots" / ".tmp-0a-step-00000020.npz",
        place.runs / ".tmp-0b-gone-run" / "file",
        place.runs / ".tmp-0c-run" / "run.json",
    ]
    # in analysis/ they go with the next result
    left.append(run.folder / "corpus" / ".tmp-0d-corpus.npz")
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 1000)
        os.utime(path, (old, old))
        os.utime(path.parent, (old, old)) if path.parent.name.startswith(".tmp") else None
    place.fork_trainer(run).wait()
    another = place.new_run()
    place.fork_trainer(another).wait()
    look = Look()
    for path in left:
        look(
            not path.exists(),
            f"{path.relative_to(place.runs)} is"
            f" {'cleared' if not path.exists() else 'still there'}",
        )
    return look.said()


def ended(trainer: Trainer, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while trainer.ended() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return trainer.ended() is not None


def write_row(folder: Path, statement: str, when: float) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute(statement, (when,))
    connection.commit()
    connection.close()


CASES = (
    *(
        stop_from_the_future,
        launch_from_the_future,
        clock_set_before_kill,
        records_lost,
        short_lock,
        full_to_the_end,
    ),
    *(
        no_memory_for_torch,
        told_to_end_while_building,
        interrupted_twice,
        one_of_two_hangs,
        first_and_second,
    ),
    *(cuda_run_elsewhere, leftovers_are_cleared),
)
