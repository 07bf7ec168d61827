"""What the pages show of one step, from the state of training and a validation."""

from __future__ import annotations

import numpy as np

from cpart_core.model.permute import partition_of
from cpart_core.records.training import Snapshot
from cpart_core.training.schedule import is_frozen
from cpart_core.training.state import TrainState
from cpart_core.training.validation import Validation


def make_snapshot(state: TrainState, validation: Validation) -> Snapshot:
    """All processes must call it."""
    signatures = state.signatures_of_all()
    signature = signatures.mean()
    scale = np.maximum(signature.max(axis=(1, 2)), 1e-30).astype(np.float32)
    settings = state.settings.partition
    return Snapshot(
        step=state.step,
        segment_of=partition_of(state.model).segment_of,
        signature=(signature / scale[:, None, None]).astype(np.float16),
        signature_scale=scale,
        signature_tokens=signatures.count.cpu().numpy(),
        fusion_mass=validation.fusion_mass,
        chosen_share=validation.chosen_share,
        fusion_tokens=validation.evaluation.tokens_by_context,
        partitioned=state.step >= settings.first_step,
        frozen=is_frozen(state.step, settings),
    )
