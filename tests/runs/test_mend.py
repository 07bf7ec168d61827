"""Whatever becomes of the records: weights and state that are whole are gone on from, and what is
missing is said."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from cpart_core.bench.kills import differences, fingerprints
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from tests.runs.test_session import send_at
from tests.runs.tiny import tiny_run


@pytest.fixture(scope="module")
def untouched() -> dict[str, str]:
    run = tiny_run()
    run_training(run)
    return fingerprints(open_run(run.id))


def stopped_at_25() -> Run:
    run = tiny_run()
    run_training(run, send_at(run, (25, "stop")))
    return run


def delete_steps(run: Run, where: str) -> None:
    with closing(sqlite3.connect(run.folder / DATABASE)) as connection, connection:
        connection.execute(f"DELETE FROM steps WHERE {where}")


def lose_wal(run: Run) -> None:
    """As a copy without it, or a power cut: what is left is a database without a table."""
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (run.folder / name).unlink(missing_ok=True)
    with closing(sqlite3.connect(run.folder / DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def cut(run: Run) -> None:
    path = run.folder / DATABASE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(run: Run) -> None:
    (run.folder / DATABASE).write_bytes(b"no database at all" * 500)


def remove(run: Run) -> None:
    (run.folder / DATABASE).unlink()


@pytest.mark.parametrize(
    "spoil", [lose_wal, cut, overwrite, remove, lambda run: delete_steps(run, "step > 5")]
)
def test_training_goes_on_from_the_checkpoint_without_its_records(spoil, untouched):
    run = stopped_at_25()
    spoil(run)
    assert run.state().state in ("stopped", "damaged")
    seen: list[int] = []
    assert run_training(run, lambda record: seen.append(record.step)) == ExitCode.DONE
    assert (
        seen == list(range(26, 41)) and run.state().state == "finished" and run.state().step == 40
    )
    said = [event.message for event in run.events() if event.kind == "note"]
    assert any("are lost" in message and "25" in message for message in said), said
    changed = differences(untouched, fingerprints(open_run(run.id)))
    # weights, state, optimizer and snapshots are as if nothing had been
    assert set(changed) <= {"records", "evaluations", "changes"}


def test_damaged_records_are_set_aside_and_what_can_be_read_is_kept():
    run = tiny_run(steps=400, checkpoint_every=200, evaluate_every=200, snapshot_every=200)
    run_training(run)
    path = run.folder / DATABASE
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    data = bytearray(path.read_bytes())
    middle = (pages // 2) * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    assert run_training(run) == ExitCode.DONE
    assert (run.folder / "damaged-1.sqlite").read_bytes() == bytes(data)
    notes = " ".join(event.message for event in run.events() if event.kind == "note")
    assert "set aside as damaged-1.sqlite" in notes
    total = run.records(10**9).step.size
    assert 0 < total < 400 and run.state().state == "finished"
    missing = 400 - total
    assert f"{missing} of 400 steps" in notes


def test_what_is_missing_is_said_once():
    run = stopped_at_25()
    delete_steps(run, "step IN (3, 4, 9)")
    for _ in range(2):
        run_training(run, send_at(run, (30, "stop")))
    said = [event.message for event in run.events() if "lost" in event.message]
    assert (
        len(said) >= 1
        and "3 to 4, 9" in said[0]
        and len({message for message in said}) == len(said)
    )


def test_a_run_that_lost_the_records_of_its_last_step_has_finished():
    run = tiny_run()
    run_training(run)
    lose_wal(run)
    assert run_training(run) == ExitCode.DONE
    assert run.state().state == "finished" and run.state().step == 40


def test_an_older_checkpoint_is_taken_only_where_that_costs_no_more_than_an_interval():
    run = tiny_run(keep_checkpoints=10)
    run_training(run, send_at(run, (35, "stop")))
    delete_steps(run, "step > 12")
    seen: list[int] = []
    run_training(run, lambda record: seen.append(record.step))
    assert seen[0] == 36
