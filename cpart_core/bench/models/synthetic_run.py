"""A made run of any size for measuring the pages: real files in the real places, invented numbers,
no training. Says so in its name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cpart_core.records.training import Evaluation, PartitionChange, Record, Snapshot
from cpart_core.settings.run import Settings

if TYPE_CHECKING:
    from cpart_core.runs.folder import Run

LAYERS, NEURONS, SEGMENTS = 5, 1000, 8
CONTEXTS = ("prose", "code", "tests", "arithmetic", "records", "lists")
SNAPSHOTS = 40


def made_run(
    run_id: str,
    records: int,
    seed: int = 0,
    *,
    snapshots: int = SNAPSHOTS,
    evaluate_every: int = 0,
    ended: bool = True,
) -> Run:
    """A run of 5 x 1,000 neurons in the runs folder of this process, finished unless told
    otherwise.

    evaluate_every: steps between two validations; 0 = at each snapshot.
    """
    from cpart_core.runs.create import create_run
    from cpart_core.runs.folder import open_run
    from cpart_core.runs.info import write_info
    from cpart_core.runs.record_writer import RecordWriter

    every = records // snapshots
    shape = {
        "num_layers": LAYERS,
        "num_neurons": NEURONS,
        "num_segments": SEGMENTS,
        "shared_neurons": 0,
        "steps": records,
        "snapshot_every": every,
    }
    run = create_run(
        Settings().with_values(shape).check(),
        None,
        "Made for measuring: invented numbers",
        run_id=run_id,
    )
    write_info(
        run.folder,
        replace(
            run.info,
            contexts=CONTEXTS,
            fingerprint="0" * 64,
            vocabulary_size=1024,
            num_parameters=1,
        ),
    )
    random = np.random.default_rng(seed)
    with RecordWriter(run.folder) as writer:
        writer.event("start")
        for step in range(1, records + 1):
            record = made_record(step, random, snapshot=step % every == 0)
            if evaluate_every and step % evaluate_every == 0 and record.evaluation is None:
                record = replace(record, evaluation=made_evaluation(record.loss_by_context))
            writer.append(record)
        if ended:
            writer.event("finish", step=records)
    return open_run(run_id)


def made_record(step: int, random: np.random.Generator, snapshot: bool) -> Record:
    """A record with a falling, noisy loss; with a snapshot come an evaluation and a partition
    change."""
    by_context = 2.0 + 4.0 / (1 + step / 500) + random.normal(0, 0.1, len(CONTEXTS))
    return Record(
        step=step,
        tokens=step * 2048,
        loss=float(by_context.mean()),
        loss_by_context=by_context,
        affinity_loss=0.5,
        balance_loss=0.0,
        gradient_norm=1.0,
        learning_rate=1e-3,
        seconds=0.1,
        memory_bytes=500_000_000,
        evaluation=made_evaluation(by_context) if snapshot else None,
        change=PartitionChange(np.full(LAYERS, 0.1), 0.2, frozen=False) if snapshot else None,
        snapshot=made_snapshot(step, random) if snapshot else None,
    )


def made_evaluation(by_context: np.ndarray) -> Evaluation:
    return Evaluation(float(by_context.mean()), by_context, np.full(len(CONTEXTS), 1000))


def made_snapshot(step: int, random: np.random.Generator) -> Snapshot:
    """Segments of equal size, each with a context that its neurons lean to."""
    contexts = len(CONTEXTS)
    segment_of = np.stack(
        [random.permutation(np.arange(NEURONS) % SEGMENTS) for _ in range(LAYERS)]
    ).astype(np.int16)
    signature = random.gamma(1.0, 0.05, (LAYERS, NEURONS, contexts))
    np.put_along_axis(signature, (segment_of % contexts)[:, :, None].astype(np.int64), 0.6, axis=2)
    mass = random.dirichlet(np.ones(SEGMENTS), (LAYERS, contexts)).astype(np.float32)
    return Snapshot(
        step=step,
        segment_of=segment_of,
        signature=np.clip(signature, 0, 1).astype(np.float16),
        signature_scale=np.ones(LAYERS, np.float32),
        signature_tokens=np.full(contexts, 10_000.0),
        fusion_mass=mass,
        chosen_share=np.minimum(1, mass * 2),
        fusion_tokens=np.full(contexts, 1000),
        partitioned=True,
        frozen=False,
    )
