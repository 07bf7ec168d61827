"""A made result of the specialization meter and of the comparison of seeds, for charts and
pages."""

from __future__ import annotations

import numpy as np

from cpart_core.records.specialization import Information, SegmentUse, Specialization, Stability
from tests.charts.made import CONTEXTS, LAYERS, SEGMENTS


def information(value: float, chance: float) -> Information:
    values = np.full(LAYERS + 1, value)
    return Information(
        values,
        values - 0.1,
        values + 0.1,
        np.full(LAYERS + 1, chance / 2),
        np.full(LAYERS + 1, chance),
    )


def use(context: float, given: float) -> SegmentUse:
    load = np.full((LAYERS, SEGMENTS), 1 / SEGMENTS)
    entropy = np.full(LAYERS, np.log2(SEGMENTS))
    return SegmentUse(
        entropy, information(context, 0.2), information(0.5, 0.01), information(given, 0.15), load
    )


def specialization(
    context: float = 0.9, given: float = 0.4, top_k: int = 2, step: int = 100
) -> Specialization:
    """Chance is 0.2 for I(S;C) and 0.15 for I(S;C given T); intervals are 0.1 to either side."""
    pairs = np.full((LAYERS, SEGMENTS, SEGMENTS), 1 / 6)
    pairs[:, 0, 1] = pairs[:, 1, 0] = 0.5
    pairs[:, np.eye(SEGMENTS, dtype=bool)] = np.nan
    return Specialization(
        run="made",
        step=step,
        seed=0,
        contexts=CONTEXTS,
        documents_by_context=np.array([3, 8, 9]),
        tokens_by_context=np.array([300, 400, 500]),
        context_entropy=1.55,
        token_entropy=6.0,
        fewest_seen=20,
        token_kinds=50,
        token_share=0.9,
        top_k=top_k,
        execution="topk",
        shuffles=200,
        token_shuffles=100,
        resamples=200,
        mass=use(context / 2, given / 2),
        choice=use(context, given),
        mass_by_context=np.full((LAYERS, 3, SEGMENTS), 1 / SEGMENTS),
        committee=np.full(LAYERS, 0.75),
        dead=np.zeros((LAYERS, SEGMENTS), bool),
        present=np.zeros((LAYERS, SEGMENTS), bool),
        pairs=pairs,
        pairs_by_chance=np.where(np.isnan(pairs), np.nan, 1 / 6),
    )


def stability(agreement: float = 0.9) -> Stability:
    values = np.full(LAYERS + 1, agreement)
    return Stability(
        run="made",
        runs=("made", "other", "third"),
        steps=(100, 100, 100),
        seeds=(0, 1, 2),
        contexts=CONTEXTS,
        match=np.tile(np.arange(SEGMENTS), (3, LAYERS, 1)),
        agreement=values,
        lowest=values - 0.1,
        highest=values + 0.05,
        null_mean=np.full(LAYERS + 1, 0.4),
        null_high=np.full(LAYERS + 1, 0.6),
        shuffles=200,
        same_text=True,
        profile=np.full((3, LAYERS, 3, SEGMENTS), 1 / SEGMENTS),
    )
