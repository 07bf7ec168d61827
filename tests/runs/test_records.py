"""What was written is what is read: exactly, once, and also after a kill or a full disk."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from cpart_core.runs.commands import Commands
from cpart_core.runs.database import DATABASE, NETWORK_FILESYSTEMS, filesystem_of, seal
from cpart_core.runs.folder import open_run
from cpart_core.runs.private import make_private
from cpart_core.runs.record_writer import Heartbeat, RecordWriter
from tests.runs.made import (
    C,
    L,
    make_change,
    make_evaluation,
    make_record,
    make_run,
    make_snapshot,
    same,
    start_python,
)

COLUMNS = (
    "step",
    "tokens",
    "loss",
    "affinity_loss",
    "balance_loss",
    "gradient_norm",
    "learning_rate",
    "seconds",
    "memory_bytes",
)


def write(run, steps, **values):
    with RecordWriter(run.folder) as writer:
        for step in steps:
            writer.append(make_record(step, **values))


def test_records_come_back_exactly(root):
    run, generator = make_run(root), np.random.default_rng(0)
    odd = {
        "loss": float("nan"),
        "gradient_norm": float("inf"),
        "affinity_loss": np.float32(0.1),
        "tokens": np.int64(2**62),
    }
    records = [
        make_record(1),
        make_record(2, **odd),
        make_record(3, evaluation=make_evaluation(generator), change=make_change(True)),
    ]
    records.append(make_record(4, change=make_change(False), snapshot=make_snapshot(4, generator)))
    with RecordWriter(run.folder) as writer:
        for record in records:
            writer.append(record)
    table, evaluations, changes = run.records(), run.evaluations(), run.changes()
    for name in COLUMNS:
        assert np.array_equal(
            getattr(table, name), [getattr(record, name) for record in records], equal_nan=True
        ), name
    assert same(table.loss_by_context, np.stack([record.loss_by_context for record in records]))
    assert (table.stride, table.step.size) == (1, 4)
    assert evaluations.step.tolist() == [3] and evaluations.loss[0] == records[2].evaluation.loss
    assert same(evaluations.loss_by_context[0], records[2].evaluation.loss_by_context)
    assert same(evaluations.tokens_by_context[0], records[2].evaluation.tokens_by_context)
    assert changes.step.tolist() == [3, 4] and changes.frozen.tolist() == [False, True]
    assert same(changes.churn, np.stack([records[2].change.churn, records[3].change.churn]))
    assert run.snapshot_steps() == [4] and same(run.snapshot(4), records[3].snapshot)


def test_an_untouched_run_reads_as_empty(root):
    run = make_run(root)
    assert run.records().loss_by_context.shape == run.evaluations().loss_by_context.shape == (0, C)
    assert run.changes().churn.shape == (0, L) and run.events() == [] and run.snapshot_steps() == []
    assert run.state().state == "new"


def test_truncating_leaves_nothing_later_and_nothing_twice(root):
    run, generator = make_run(root), np.random.default_rng(1)
    with RecordWriter(run.folder) as writer:
        for step in range(1, 31):
            extras = {
                "evaluation": make_evaluation(generator),
                "change": make_change(step == 10),
                "snapshot": make_snapshot(step, generator),
            }
            writer.append(make_record(step, **(extras if step % 10 == 0 else {})))
        writer.truncate_after(19)
        assert run.records().step.tolist() == list(range(1, 20))
        assert (
            run.evaluations().step.tolist()
            == run.changes().step.tolist()
            == run.snapshot_steps()
            == [10]
        )
        writer.append(make_record(20))
        writer.append(make_record(20, loss=5.0))
    assert run.records().step.tolist() == list(range(1, 21)) and run.records().loss[-1] == 5.0


WRITER = """
import sys
from pathlib import Path
from cpart_core.runs.record_writer import RecordWriter
from tests.runs.made import make_record
writer = RecordWriter(Path(sys.argv[1]))
for step in range(1, 10**9):
    writer.append(make_record(step))
    if step % 7 == 0:
        assert writer.flush()
        print(step, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 3, 40])
def test_a_kill_loses_nothing_acknowledged(root, lines):
    run = make_run(root)
    process = start_python(WRITER, run.folder)
    for _ in range(lines):
        acknowledged = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = max(
        [acknowledged, *(int(line) for line in process.stdout.read().splitlines()[:-1])]
    )
    process.wait()
    process.stdout.close()
    process.stdin.close()
    table = run.records(max_points=10**6)
    assert len(table.step) >= acknowledged and table.step.tolist() == list(
        range(1, len(table.step) + 1)
    )
    with RecordWriter(run.folder) as writer:
        assert writer.flush()


def fill_disk(writer, full):
    """SQLite's own limit gives the very error of a full disk."""
    pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count = {pages if full else 10**9}")


def test_a_full_disk_stops_nothing_and_loses_nothing(root):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        writer.append(make_record(1))
        writer.flush()
        fill_disk(writer, full=True)
        for step in range(2, 3000):
            writer.append(make_record(step))
        assert not writer.flush() and "full" in writer.trouble
        assert run.records(10**6).step[-1] < 2999
        fill_disk(writer, full=False)
        assert writer.flush() and writer.trouble == ""
    assert run.records(10**6).step.tolist() == list(range(1, 3000))
    assert run.events() == []


def test_what_waits_for_a_full_disk_is_bounded_and_the_gap_is_said(root):
    run, generator = make_run(root), np.random.default_rng(2)
    with RecordWriter(run.folder, most_waiting=100) as writer:
        writer.flush()
        fill_disk(writer, full=True)
        for step in range(1, 5001):
            writer.append(
                make_record(
                    step, evaluation=make_evaluation(generator) if step % 1000 == 0 else None
                )
            )
            assert len(writer._rows) <= 102
        fill_disk(writer, full=False)
        writer.flush()
    assert run.evaluations().step.tolist() == [1000, 2000, 3000, 4000, 5000], "what is rare is kept"
    missing = 5000 - len(run.records(10**6).step)
    assert missing > 0 and [event.message.split()[0] for event in run.events()] == [str(missing)]


def test_the_heartbeat_is_read_while_the_writer_works(root):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        writer.append(make_record(1))
        writer.heartbeat(Heartbeat(1, "training", tokens_per_second=12.5, memory_bytes=99))
        state = run.state()
        assert (state.step, state.tokens_per_second, state.memory_bytes) == (1, 12.5, 99)
        assert np.isnan(state.eta_seconds) and 0 <= state.heartbeat_age < 5


NEIGHBOUR = """
import sys
from pathlib import Path
from cpart_core.runs.commands import send_command
from cpart_core.runs.database import reading
folder = Path(sys.argv[1])
send_command(folder, "pause")
print("sent", flush=True)
sys.stdin.readline()
with reading(folder) as connection:
    print(connection.execute("SELECT max(step) FROM steps").fetchone()[0], flush=True)
"""


def test_a_command_of_another_process_does_not_take_the_log_away_from_the_writer(root):
    """A process that closes any handle of the database lets go of its locks on it: nothing in a
    trainer may do so."""
    run = make_run(root)
    with RecordWriter(run.folder) as writer, closing(Commands(run.folder)) as commands:
        make_private(run.folder)
        writer.append(make_record(1))
        assert writer.flush()
        other = start_python(NEIGHBOUR, run.folder)
        assert other.stdout.readline() == "sent\n" and commands.read_new() == ["pause"]
        writer.append(make_record(2))
        assert writer.flush()
        assert other.communicate("read\n")[0] == "2\n"


def test_a_sealed_run_is_one_file_and_reading_it_makes_no_other(root):
    run = make_run(root.parent / "samples", "small-sample")
    write(run, range(1, 100))
    seal(run.folder)
    run = open_run("small-sample")
    assert run.read_only
    before = sorted(path.name for path in run.folder.iterdir())
    assert (
        run.records().step.size == 99
        and run.state().step == 99
        and run.evaluations().step.size == 0
    )
    assert (
        sorted(path.name for path in run.folder.iterdir())
        == before
        == ["records.sha256", DATABASE, "run.json"]
    )


@pytest.mark.parametrize(
    ("place", "network"),
    [
        ("/nfs/me/runs", True),
        ("/nfs2", False),
        ("/mnt/my disk/runs", True),
        ("/mnt/scratch", False),
        ("/data/runs", True),
        ("/data/fast", False),
    ],
)
def test_network_filesystems_are_told_from_local_ones(place, network):
    mounts = """overlay / overlay rw 0 0
server:/all /nfs nfs4 rw 0 0
//box/share /mnt/my\\040disk cifs rw 0 0
tmpfs /mnt/scratch tmpfs rw 0 0
me@far: /data fuse.sshfs rw 0 0
/dev/sdb /data/fast ext4 rw 0 0
"""
    assert filesystem_of(place, mounts).startswith(NETWORK_FILESYSTEMS) == network


def test_no_number_in_the_status_makes_the_state_raise(root):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        writer.heartbeat(Heartbeat(1, "training"))
    connection = sqlite3.connect(run.folder / DATABASE)
    connection.execute(
        "UPDATE status SET memory_bytes = 9e999, time = 'noon', eta_seconds = x'00', phase = NULL"
    )
    connection.commit()
    connection.close()
    assert run.state().memory_bytes == 0


def test_without_a_write_ahead_log_records_are_the_same(root, monkeypatch):
    monkeypatch.setattr("cpart_core.runs.database.on_network", lambda folder: True)
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        for step in range(1, 20):
            writer.append(make_record(step))
        assert writer.flush() and run.records().step.size == 19
        assert not (run.folder / f"{DATABASE}-wal").exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE steps SET loss_by_context = x'00' WHERE step = 2",
        "UPDATE steps SET loss = 'much' WHERE step = 2",
        "UPDATE steps SET tokens = NULL WHERE step = 2",
        "UPDATE steps SET loss_by_context = NULL",
        "DROP TABLE steps",
        "ALTER TABLE steps RENAME COLUMN seconds TO hours",
    ],
)
def test_a_damaged_database_is_a_clear_error(root, statement):
    run = make_run(root)
    write(run, range(1, 4))
    connection = sqlite3.connect(run.folder / DATABASE)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(ValueError, match=r"records\.sqlite"):
        run.records()
