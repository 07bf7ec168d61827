"""Run folders as somebody might send them: each function makes one strange thing in a sound run.
And what opening each costs, by hand:

python -m tests.runs.strange        a line a folder: MB of memory and seconds of CPU that pages' reading takes
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import socket
import sqlite3
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cpart_core.corpus.build import build_corpus
from cpart_core.corpus.store import load_held_out, save_corpus
from cpart_core.records.losses import LossReport
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import Run, list_runs, open_run
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.result_files import result_file
from cpart_core.runs.signed import SUM_FILE
from cpart_core.runs.snapshots import save_snapshot, snapshot_path
from tests.runs.made import make_record, make_run, make_snapshot
from tests.runs.tiny import TINY, gathered

RESULT = ("losses", {"step": 1}, LossReport)
SNAPSHOT = f"snapshots/{snapshot_path(Path(), 1).name}"
FILES = (
    "lock",
    "log.txt",
    "run.json",
    DATABASE,
    f"{DATABASE}-wal",
    SNAPSHOT,
    "corpus/corpus.json",
    f"analysis/{result_file(*RESULT[:2])}",
)
MANY = 60 << 20
"""Bytes, more than a page may spend on a run."""


def sound_run(root: Path, run_id: str) -> Run:
    """A run that has begun, with one of everything that pages read."""
    run = make_run(root, run_id)
    with RecordWriter(run.folder) as writer:
        writer.event("start")
        writer.append(make_record(1))
    save_snapshot(run.folder, make_snapshot(1, np.random.default_rng(0)))
    save_corpus(build_corpus(gathered(), TINY.corpus, 0), run.folder / "corpus")
    (run.folder / "analysis").mkdir()
    for name in ("log.txt", "lock"):
        (run.folder / name).write_text("{}")
    return run


def in_place_of(name: str, make: Callable[[str], object]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(str(folder / name))

    return plant


def put_socket(path: str) -> None:
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # the path of a socket may have no more than 107 bytes
    try:
        with closing(socket.socket(socket.AF_UNIX)) as end:
            end.bind(os.path.basename(path))
    finally:
        os.chdir(here)


def sql(script: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        with closing(sqlite3.connect(folder / DATABASE)) as connection:
            connection.executescript(script)

    return plant


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def hole(name: str, size: int) -> Callable[[Path], None]:
    """A file of `size` bytes that takes no place on the disk."""
    return lambda folder: os.truncate(os.open(folder / name, os.O_RDWR | os.O_CREAT), size)


def archive(
    name: str, method: int = zipfile.ZIP_DEFLATED, members: int = 1, size: int = MANY
) -> Callable[[Path], None]:
    """Zeros, as an array: a small file that unpacks to `size` bytes."""

    def plant(folder: Path) -> None:
        with zipfile.ZipFile(folder / name, "w", method) as packed:
            for number in range(members):
                with packed.open(f"validation_{number}.npy", "w") as file:
                    np.lib.format.write_array_header_1_0(
                        file, {"descr": "|u1", "fortran_order": False, "shape": (size,)}
                    )
                    for _ in range(0, size, 1 << 20):
                        file.write(bytes(min(size, 1 << 20)))

    return plant


def fewer_contexts(folder: Path) -> None:
    data = json.loads((folder / "run.json").read_text())
    del data["sha256"]
    (folder / "run.json").write_text(json.dumps({**data, "contexts": ["one"]}))


ENDLESS = (
    "WITH RECURSIVE more(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM more) SELECT id, 0 AS time,"
    " 'x' AS kind, '' AS message FROM more"
)
WIDE = "[" + "[]," * 10_000_000 + "0]"
STRANGE: dict[str, Callable[[Path], None]] = {
    **{f"a pipe named {name}": in_place_of(name, os.mkfifo) for name in FILES},
    **{
        f"a link to a device named {name}": in_place_of(
            name, lambda path: os.symlink("/dev/zero", path)
        )
        for name in FILES
    },
    **{f"a folder named {name}": in_place_of(name, os.mkdir) for name in FILES},
    **{f"a socket named {name}": in_place_of(name, put_socket) for name in ("lock", DATABASE)},
    "a view without end": sql(f"DROP TABLE events; CREATE VIEW events AS {ENDLESS}"),
    "a trigger": sql("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM steps; END"),
    "a computed column": sql(
        "DROP TABLE commands; CREATE TABLE commands (id INTEGER PRIMARY KEY, name AS"
        " (hex(zeroblob(1000000))))"
    ),
    "steps that are no key": sql(
        "DROP TABLE steps; CREATE TABLE steps (step INTEGER, tokens INTEGER)"
    ),
    "a message of 60 MB": sql(
        f"INSERT INTO events VALUES (NULL, 0, 0, 'fail', CAST(zeroblob({MANY}) AS TEXT))"
    ),
    "many long rows": sql(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 90) "
        "INSERT INTO steps SELECT i, 1, 1, 1, 1, 1, 1, 1, 1, zeroblob(900000) FROM n"
    ),
    "many events": sql(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 700000) INSERT"
        " INTO events SELECT i, 0, 0, 'note', 'x' FROM n"
    ),
    "values of other types": sql(
        "UPDATE events SET time = 'x', step = 'y', message = 7; UPDATE steps SET loss = 'x', tokens"
        " = 'y';INSERT INTO status VALUES (1, 'x', x'ff', 'y', 'z', 'z', 'z', 7, 'x')"
    ),
    "a log of 9 GB of records": hole(f"{DATABASE}-wal", 9 << 30),
    "records of 9 GB of nothing": hole(DATABASE, 9 << 30),
    "a log.txt of 9 GB": hole("log.txt", 9 << 30),
    "a lock of 9 GB": hole("lock", 9 << 30),
    "a deep lock": text("lock", "[" * 4000),
    "a lock of other types": text(
        "lock",
        '{"pid": [], "began": {}, "after": 1e400, "boot": 1, "others": 5, "ended": 1,'
        ' "message": 1}',
    ),
    "a deep run.json": text("run.json", "[" * 390_000),
    "a wide run.json": text("run.json", "[" + "[]," * 130_000 + "0]"),
    "a large run.json": text("run.json", "x" * 5_000_000),
    "a run.json of other types": text(
        "run.json", '{"format": 1, "id": 5, "settings": [], "contexts": {}, "carved": 1}'
    ),
    "too few contexts": fewer_contexts,
    "a snapshot that unpacks to 60 MB": archive(SNAPSHOT),
    "a snapshot of many members": archive(SNAPSHOT, members=5000, size=0),
    "a snapshot packed otherwise": archive(SNAPSHOT, zipfile.ZIP_LZMA, size=1 << 20),
    "a corpus that unpacks to 60 MB": archive("corpus/corpus.npz"),
    "a wide corpus.json": text("corpus/corpus.json", WIDE),
    "a corpus.json of 9 GB": hole("corpus/corpus.json", 9 << 30),
}


class Cost(NamedTuple):
    megabytes: float
    seconds: float
    """Of CPU."""


def read_all(run_id: str) -> None:
    """What pages read of a run; all that may come of it is a ValueError."""
    try:
        run = open_run(run_id)
    except ValueError:
        return
    held_out = run.folder / "corpus"
    for read in (
        *(
            run.state,
            run.records,
            run.evaluations,
            run.changes,
            run.events,
            run.snapshot_steps,
            run.checkpoint_steps,
        ),
        *(
            lambda: run.snapshot(1),
            lambda: run.result(*RESULT),
            lambda: load_held_out(held_out),
            lambda: run.send("stop"),
        ),
    ):
        try:
            read()
        except ValueError as error:
            assert len(str(error)) < 600, str(error)


def cost(task: Callable[[], object]) -> Cost:
    """Memory is the process's peak above what it had before; Linux counts it anew from a write to
    clear_refs."""
    gc.collect()
    # else what was freed before would be used again, and not be seen
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory("VmRSS"), time.process_time()
    task()
    return Cost((memory("VmHWM") - before) / 1e6, time.process_time() - began)


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def costs(root: Path) -> dict[str, Cost]:
    """Of each strange folder, alone in the list with a sound one."""
    found = {}
    sound = sound_run(root, "sound")
    read_all(sound.id)
    for what, plant in STRANGE.items():
        run = sound_run(root, "strange")
        # whoever sends such a folder does not give it away by that
        (run.folder / SUM_FILE).unlink()
        plant(run.folder)
        found[what] = cost(lambda: (list_runs(), read_all("strange")))
        assert {entry.id: entry.state.state for entry in list_runs()}["sound"] == "crashed", (
            f"{what} reaches another run"
        )
        os.rename(run.folder, root.parent / f"was-{len(found)}")
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        os.environ["CPART_RUNS"], os.environ["CPART_SAMPLES"] = f"{place}/runs", f"{place}/samples"
        for kind, taken in costs(Path(place) / "runs").items():
            print(f"{taken.megabytes:7.1f} MB {taken.seconds:7.3f} s  {kind}")
    sys.exit(0)
