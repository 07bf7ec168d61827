"""Snapshots are written beside the training, and are on the disk before the rows that came with
them and before `flush` returns."""

from __future__ import annotations

import threading

import numpy as np

from cpart_core.runs import record_writer as records
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.snapshots import save_snapshot, snapshot_steps
from tests.runs.made import make_record, make_run, make_snapshot


def test_training_does_not_wait_for_a_snapshot_and_no_reader_sees_its_step_without_it(
    root, monkeypatch
):
    leave, writers = threading.Event(), []

    def slow(folder, snapshot):
        writers.append(threading.current_thread())
        assert leave.wait(60)
        save_snapshot(folder, snapshot)

    monkeypatch.setattr(records, "save_snapshot", slow)
    run, generator = make_run(root), np.random.default_rng(0)
    with RecordWriter(run.folder, commit_seconds=0.0) as writer:
        writer.append(make_record(1))
        for step in (2, 3):
            writer.append(make_record(step, snapshot=make_snapshot(step, generator)))
        writer.append(make_record(4))
        assert run.records().step.tolist() == [1] and snapshot_steps(run.folder) == []
        leave.set()
        assert writer.flush()
        assert run.records().step.tolist() == [1, 2, 3, 4] and snapshot_steps(run.folder) == [2, 3]
    assert threading.main_thread() not in writers


def test_a_disk_that_refuses_a_snapshot_keeps_it_waiting_in_order(root, monkeypatch):
    full = [True]

    def refuse(folder, snapshot):
        if full[0]:
            raise OSError("no space left")
        save_snapshot(folder, snapshot)

    monkeypatch.setattr(records, "save_snapshot", refuse)
    run, generator = make_run(root), np.random.default_rng(0)
    with RecordWriter(run.folder) as writer:
        for step in (1, 2):
            writer.append(make_record(step, snapshot=make_snapshot(step, generator)))
        assert not writer.flush() and "no space" in writer.trouble
        assert len(run.records().step) == 0
        full[0] = False
        assert writer.flush()
        assert snapshot_steps(run.folder) == [1, 2] and run.records().step.tolist() == [1, 2]
