"""What telemetry and snapshots cost, counted by themselves: a cost far below the noise of whole
training steps can be seen only so."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cpart_core.records.training import Record
from cpart_core.runs.record_writer import Heartbeat, RecordWriter

if TYPE_CHECKING:
    from cpart_core.training.loop import Trainer


def seconds_of_telemetry(
    trainer: Trainer, writer: RecordWriter, steps: int, repeats: int
) -> list[tuple[float, float]]:
    """(wall, CPU) seconds of what a run does beside a block of steps: memory read, records,
    heartbeats, one evaluation and one snapshot stored.

    An upper bound of the wall time: it waits for the disk, which training leaves to another thread.
    The fusion weights that a snapshot shows come from reading the validation rows, which is counted
    as validation.
    """
    from cpart_core.training.snapshot import make_snapshot

    seen = trainer.validate()
    plain = trainer.train_step()
    found = []
    for _ in range(repeats):
        began, cpu_began = time.perf_counter(), time.process_time()
        for number in range(steps):
            record = replace(
                plain, memory_bytes=trainer.memory_bytes(), evaluation=None, snapshot=None
            )
            if number == 0:
                record = replace(
                    record, evaluation=seen.evaluation, snapshot=make_snapshot(trainer.state, seen)
                )
            take_down(writer, record)
        writer.flush()
        found.append((time.perf_counter() - began, time.process_time() - cpu_began))
    return found


def take_down(writer: RecordWriter, record: Record) -> None:
    """As a run does after every step."""
    writer.append(record)
    writer.heartbeat(
        Heartbeat(step=record.step, phase="training", memory_bytes=record.memory_bytes)
    )
