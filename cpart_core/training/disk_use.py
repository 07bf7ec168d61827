"""What a run will take of the disk, computed from its settings. No torch: said before anything is
started."""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.settings.run import Settings
from cpart_core.training.estimate import estimate

BYTES_OF_A_STEP = 130
"""Of records.sqlite for each step with six contexts; measured: 143 kB for 1,200 steps."""
FIXED_BYTES = 1_000_000
"""Logs, results and the pages of an empty database."""
SHARE_OF_TEXT = 0.6
"""Bytes of the stored corpus for each byte of its text; measured: 0.4 to 0.5."""


@dataclass(frozen=True)
class DiskNeed:
    """Bytes."""

    checkpoint: int
    """Weights and two optimizer moments in fp32."""
    whole: int
    """Corpus, all checkpoints kept and one being written, all snapshots, records."""


def disk_need(settings: Settings, num_contexts: int, text_bytes: int) -> DiskNeed:
    """For a run of all its steps. An estimate: compression, and snapshots at repartitions, are
    counted roughly."""
    model, training, partition = settings.model, settings.training, settings.partition
    checkpoint = 12 * estimate(settings).num_parameters + 100_000
    kept = min(training.keep_checkpoints, -(-training.steps // training.checkpoint_every)) + 1
    C, L, N, S = num_contexts, model.num_layers, model.num_neurons, model.num_segments
    snapshot = L * N * (2 * C + 2) + 16 * L * C * S + 2_000
    changes = (
        (partition.freeze_step - partition.first_step) // partition.every if partition.every else 0
    )
    snapshots = training.steps // training.snapshot_every + max(0, min(changes, training.steps)) + 2
    records = training.steps * (BYTES_OF_A_STEP + 8 * max(0, C - 6))
    return DiskNeed(
        checkpoint,
        int(SHARE_OF_TEXT * text_bytes)
        + kept * checkpoint
        + snapshots * snapshot
        + records
        + FIXED_BYTES,
    )
