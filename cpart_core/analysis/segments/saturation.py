"""How early the segments came to mean what they mean at the end. numpy only, from snapshots: cheap
enough for a page to call itself.

Snapshots hold means over the validation text of each context, not tokens and not documents: so no
null and no interval here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpart_core.analysis.segments.flow import flow
from cpart_core.analysis.statistics.information import mutual_information
from cpart_core.records.change import Saturation
from cpart_core.records.training import Snapshot


def saturation(snapshots: Sequence[Snapshot]) -> Saturation:
    """Over snapshots of one run in rising order of steps, all with a partition. ValueError without
    any."""
    if not snapshots:
        raise ValueError("There is no snapshot with a partition yet, so nothing can have settled.")
    num_layers = len(snapshots[0].segment_of)
    churn = [np.full(num_layers, np.nan)] + [
        flow(first, second).churn for first, second in zip(snapshots, snapshots[1:], strict=False)
    ]
    return Saturation(
        steps=tuple(int(snapshot.step) for snapshot in snapshots),
        context_information=np.stack([information_of_means(snapshot) for snapshot in snapshots]),
        agreement=np.stack([agreement(snapshot, snapshots[-1]) for snapshot in snapshots]),
        churn=np.stack(churn),
    )


def information_of_means(snapshot: Snapshot) -> np.ndarray:
    """[L] bits, I(S;C) of the fusion mass, contexts weighted by their tokens."""
    tokens = np.nan_to_num(snapshot.fusion_tokens.astype(np.float64))
    counts = np.nan_to_num(snapshot.fusion_mass.astype(np.float64)) * tokens[None, :, None]
    return mutual_information(counts.transpose(1, 0, 2))


def agreement(snapshot: Snapshot, final: Snapshot) -> np.ndarray:
    """[L] mean over contexts of sum_s min(use now, use at the end); use = share of the choices, or
    of the mass where all are computed."""
    now, then = use(snapshot), use(final)
    common = np.minimum(now, then).sum(axis=2)
    known = ~np.isnan(common).any(axis=0)
    return common[:, known].mean(axis=1) if known.any() else np.full(len(common), np.nan)


def use(snapshot: Snapshot) -> np.ndarray:
    """[L, C, S] how a context's tokens are divided over the segments; sums to 1 over S."""
    chosen = snapshot.chosen_share.astype(np.float64)
    if np.nanmin(chosen) >= 1.0:
        return snapshot.fusion_mass.astype(np.float64)
    total = chosen.sum(axis=2, keepdims=True)
    return np.divide(chosen, total, out=np.full_like(chosen, np.nan), where=total > 0)
