"""Damaged checkpoints, disks that are full, folders that cannot be written or go away, databases
that are locked or lost."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from app.engine import jobs
from cpart_core.bench.kills import differences, fingerprints
from cpart_core.runs import database
from cpart_core.runs.checkpoint import load_latest
from cpart_core.runs.database import DATABASE, filesystem_of
from cpart_core.runs.folder import Run, list_runs, open_run
from tests.abuse.case import Look, case
from tests.abuse.place import HALF, Place, until
from tests.abuse.reliability_ends import LONG, after

DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "emptied": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "first byte flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "middle byte flipped": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
    "last byte flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "removed": lambda data: None,
}
MOUNTS = (
    "none / ext4 rw 0 0\nserver:/export /mnt/nfs nfs4 rw 0 0\n//server/share /mnt/smb cifs rw 0"
    " 0\nhost /mnt/box fuse.sshfs rw 0 0\n"
)


@case(
    "4",
    "each file of a checkpoint emptied, cut, flipped, removed",
    "noticed; the one before is used; an event says so",
    quick=True,
)
def damaged_checkpoint(place: Place) -> str:
    untouched = fingerprints(place.finished())
    run = place.stopped()
    newest = run.checkpoint_folder(HALF)
    missed, tried = [], 0
    for path in sorted(newest.iterdir()):
        whole = path.read_bytes()
        for name, damage in DAMAGES.items():
            write(path, damage(whole))
            latest = load_latest(run.folder / "checkpoints")
            tried += 1
            if (
                latest.checkpoint is None
                or latest.checkpoint.config.step != 20
                or latest.damaged[0].step != HALF
            ):
                missed.append(f"{path.name} {name}")
        path.write_bytes(whole)
    look = Look()
    look(
        not missed,
        f"{tried - len(missed)} of {tried} damages were noticed"
        + (f", not {missed}" if missed else ""),
    )
    write(
        newest / "model.safetensors",
        DAMAGES["middle byte flipped"]((newest / "model.safetensors").read_bytes()),
    )
    place.fork_trainer(run).wait()
    said = [
        event.message for event in run.events() if f"step {HALF} was passed over" in event.message
    ]
    look(bool(said), f"the run says: {said[:1]}")
    look(
        not differences(untouched, fingerprints(open_run(run.id))),
        "trained to its end from step 20, nothing differs",
    )
    return look.said()


@case(
    "5", "all checkpoints damaged", "a clear message, restart offered, nothing deleted", quick=True
)
def all_damaged(place: Place) -> str:
    untouched = fingerprints(place.finished())
    run = place.stopped()
    for step in run.checkpoint_steps():
        write(run.checkpoint_folder(step) / "state.json", b"{}")
    before = sorted(
        path for path in run.folder.rglob("*") if path.parent.parent.name == "checkpoints"
    )
    look = Look()
    look(place.fork_trainer(run).wait() == 2, "refused")
    words = run.state().last_words
    look("--restart" in words and "\n" not in words, f"said: {words}")
    look(
        before
        == sorted(
            path for path in run.folder.rglob("*") if path.parent.parent.name == "checkpoints"
        ),
        "nothing was deleted",
    )
    look(len(run.records().step) == HALF, f"{len(run.records().step)} records are kept")
    look(place.fork_trainer(run, restart=True).wait() == 0, "with restart it trains")
    look(not differences(untouched, fingerprints(open_run(run.id))), "nothing differs")
    return look.said()


@case(
    "11",
    "disk full during telemetry, checkpoint and log file",
    "training goes on, and everything is there when there is space again",
)
def full_for_a_while(place: Place) -> str:
    longer = {"steps": 1500, "checkpoint_every": 300, "snapshot_every": 250, "evaluate_every": 250}
    free = place.new_run(**longer)
    place.fork_trainer(free).wait()
    wanted = fingerprints(open_run(free.id))
    shutil.rmtree(place.runs)
    disk = place.small_disk(12)
    run = place.new_run(**longer)
    look = Look()
    jobs.launch(run, [])
    until(lambda: run.state().step > 100, "training should begin")
    fill(disk)
    full_at = run.state().step
    time.sleep(4)
    look(run.state().alive, f"full at step {full_at}; after 4 s the trainer is {run.state().state}")
    (disk / "filler").unlink()
    until(lambda: not run.state().alive, "it should end", 120)
    now = run.state()
    look(
        now.state == "finished",
        f"with space again it ended {now.state} at step {now.step} {now.last_words[-300:]}",
    )
    if now.state == "finished":
        differing = differences(wanted, fingerprints(open_run(run.id)))
        look(not differing, f"differing: {', '.join(differing) or 'nothing'}")
        notes = [event.message for event in run.events() if event.kind == "note"]
        look(True, f"notes: {notes[:2]}")
    return look.said()


@case(
    "12",
    "the run's folder is read-only; is deleted; is moved while training",
    "said, in a sentence; the trainer ends by itself; nothing is made anew",
)
def folder_goes(place: Place) -> str:
    look = Look()
    for name, act in {
        "deleted": shutil.rmtree,
        "moved": lambda folder: folder.rename(place.root / "moved"),
    }.items():
        run = place.new_run(**LONG)
        trainer = place.fork_trainer(run)
        until(lambda run=run: run.state().step > 10, "training should begin")
        act(run.folder)
        deadline = time.monotonic() + 20
        while trainer.ended() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        look(
            trainer.code not in (None, 0),
            f"folder {name}: the trainer "
            + (f"ended with {trainer.code}" if trainer.code is not None else "trains on for 20 s"),
        )
        trainer.kill()
        look(not run.folder.exists(), f"folder {name}: not made anew")
        look(all(entry.id != run.id for entry in list_runs()), f"folder {name}: not listed")
    run = place.stopped()
    place.make_read_only(run.folder)
    code, said = place.cli("resume", run.id)
    lines = [line for line in said.splitlines() if "error" in line.lower()]
    look(
        code == 2 and "Traceback" not in said and bool(lines),
        f"read-only: exit code {code}, {lines[-1:]}",
    )
    look(
        len(open_run(run.id).records().step) == HALF,
        f"read-only: it is {open_run(run.id).state().state} and can be looked at",
    )
    return look.said()


LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA locking_mode = {sys.argv[3]}")
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


@case(
    "20",
    "the database is locked for 10 s; its -wal is deleted; it is overwritten",
    "training waits and goes on; what is lost is said",
)
def database_troubles(place: Place) -> str:
    untouched = fingerprints(place.finished())
    look = Look()
    run = place.new_run(**LONG)
    trainer = place.fork_trainer(run)
    until(lambda: run.state().step > 20, "training should begin")
    locker = lock_database(place, run, 10, "NORMAL")
    locker.wait()
    look(trainer.ended() is None, "locked for 10 s, the trainer lives")
    run.send("stop")
    trainer.wait()
    now = run.state()
    records = run.records(10**9)
    look(
        now.state == "stopped" and now.step == len(records.step),
        f"then {now.state} with {len(records.step)} records of {now.step} steps",
    )
    run = place.stopped()
    for ending in ("-wal", "-shm"):
        (run.folder / f"{DATABASE}{ending}").unlink(missing_ok=True)
    after(run, place, look, untouched)
    run = place.stopped()
    (run.folder / DATABASE).write_bytes(
        b"no database at all, but long enough to be looked at" * 100
    )
    now = run.state()
    look(
        now.state == "damaged" and DATABASE in now.last_words,
        f"overwritten: {now.state}, {now.last_words!r}",
    )
    code = place.fork_trainer(run).wait()
    said = [event.message for event in run.events() if "set aside" in event.message]
    look(
        code == 0 and bool(said) and len(run.checkpoint_steps()) == 3,
        f"resume goes on (exit code {code}): {said}",
    )
    return look.said()


@case(
    "21",
    "a network filesystem",
    "recognised from the system's table of mounts; trained without a write-ahead log",
    quick=True,
)
def network_filesystem(place: Place) -> str:
    look = Look()
    for folder, kind in (
        ("/mnt/nfs/runs", "nfs4"),
        ("/mnt/smb/runs", "cifs"),
        ("/mnt/box/runs", "fuse.sshfs"),
        ("/data/runs", "ext4"),
    ):
        look(filesystem_of(folder, MOUNTS) == kind, f"{folder} lies on {kind}")
    untouched = fingerprints(place.finished())
    database.on_network = lambda folder: True
    run = place.new_run()
    trainer = place.fork_trainer(run)
    until(lambda: run.state().step > 5, "training should begin")
    look(not (run.folder / f"{DATABASE}-wal").exists(), "no -wal")
    look(
        trainer.wait() == 0 and not differences(untouched, fingerprints(open_run(run.id))),
        "trained to its end, nothing differs",
    )
    return look.said()


def write(path: Path, data: bytes | None) -> None:
    """Write the bytes; None removes the file."""
    if data is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(data)


def fill(disk: Path, leave_bytes: int = 0) -> None:
    """Take all space of a disk but some."""
    with open(disk / "filler", "ab") as file:
        for size in (1 << 20, 1 << 12):
            try:
                while shutil.disk_usage(disk).free > leave_bytes:
                    file.write(b"\0" * size)
                    file.flush()
            except OSError:
                continue
    with open(disk / "filler", "rb+") as file:
        if leave_bytes:
            file.truncate(max(0, (disk / "filler").stat().st_size - leave_bytes))


def lock_database(
    place: Place, run: Run, seconds: float, mode: str = "EXCLUSIVE"
) -> subprocess.Popen[str]:
    """Another process that holds the database for itself; returns when it does. mode: NORMAL leaves
    readers in, for where somebody has it open: SQLite then grants no more."""
    command = [sys.executable, "-c", LOCKER, str(run.folder / DATABASE), str(seconds), mode]
    for _ in range(20):
        locker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert locker.stdout is not None
        if locker.stdout.readline() == "locked\n":
            place.stack.callback(locker.kill)
            return locker
        locker.wait()
    raise AssertionError("the database could not be locked")


def lose_rows(run: Run, step: int) -> None:
    """Forget the records after a step, as when power was cut before they reached the disk."""
    with sqlite3.connect(run.folder / DATABASE) as connection:
        connection.execute("DELETE FROM steps WHERE step > ?", (step,))
    connection.close()


CASES = (
    damaged_checkpoint,
    all_damaged,
    full_for_a_while,
    folder_goes,
    database_troubles,
    network_filesystem,
)
