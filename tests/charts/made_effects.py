"""Made results of interventions, for the tests of charts and pages: small, seeded, and with hostile
names."""

from __future__ import annotations

import numpy as np

from cpart_core.records.effects import AblationMatrix, InterventionReport, RouterAudit
from tests.charts.made import CONTEXTS, HOSTILE, LAYERS, SEGMENTS


def report() -> InterventionReport:
    """Ablating hurts prose alone."""
    loss = np.array([np.nan, 2.0, 3.0, 1.0])
    before = np.array([2.0, 3.0, 4.0])
    return InterventionReport(
        run="made",
        step=100,
        text="def run(",
        changes=("segment 1 of layer 0 ablated",),
        tokens=("def", " run", "(", HOSTILE),
        loss_before=loss,
        loss_after=loss + np.array([0.0, 0.1, 0.5, -0.1]),
        next_tokens=("a", HOSTILE, "\n"),
        next_before=np.array([0.5, 0.3, 0.1]),
        next_after=np.array([0.2, 0.6, 0.1]),
        continuation_before=("x", "y"),
        continuation_after=(HOSTILE,),
        temperature=0.8,
        seed=0,
        contexts=CONTEXTS,
        context_before=before,
        context_after=before + np.array([0.0, 0.4, 0.01]),
        change_low=np.array([-0.01, 0.3, -0.02]),
        change_high=np.array([0.01, 0.5, 0.04]),
        tokens_by_context=np.array([1000, 2000, 3000]),
        documents_by_context=np.array([4, 5, 6]),
    )


def matrix() -> AblationMatrix:
    """Segment s of layer 0 matters to context s % 3 alone; the last context has too few documents
    to say whose it is."""
    columns = SEGMENTS + 1
    change = np.full((LAYERS, columns, 3), 0.01)
    change[0, np.arange(SEGMENTS), np.arange(SEGMENTS) % 3] = 0.5
    selectivity = np.full((LAYERS, columns), 1.0)
    selectivity[0, :SEGMENTS] = [50.0, 500.0, np.nan, 50.0]
    return AblationMatrix(
        run="made",
        step=100,
        seed=0,
        contexts=CONTEXTS,
        segments=np.array([*range(SEGMENTS), -1]),
        loss_by_context=np.array([2.0, 3.0, 4.0]),
        change=change,
        low=change - 0.005,
        high=change + 0.005,
        own=np.tile(np.arange(columns) % 3, (LAYERS, 1)),
        selectivity=selectivity,
        selectivity_low=selectivity / 2,
        selectivity_high=selectivity * 2,
        strongest=np.array([[0, 0], [0, 1], [0, 2]]),
        strongest_selectivity=np.array([50.0, 2.0, np.nan]),
        strongest_low=np.array([25.0, 1.5, np.nan]),
        strongest_high=np.array([100.0, 4.0, np.nan]),
        least=0.001,
        tokens_by_context=np.array([1000, 2000, 3000]),
        documents_by_context=np.array([6, 5, 1]),
        resamples=500,
    )


def audit() -> RouterAudit:
    """Layer 1 chooses well, layer 0 no better than chance."""
    random = np.array([0.01, 0.4])
    return RouterAudit(
        run="made",
        step=100,
        seed=0,
        execution="topk",
        chosen=2,
        alternatives=4,
        possible=4,
        draws=4,
        loss=3.0,
        random_change=random,
        random_low=random - 0.05,
        random_high=random + 0.05,
        regret=np.array([0.2, 0.1]),
        regret_low=np.array([0.15, 0.05]),
        regret_high=np.array([0.25, 0.15]),
        random_regret=np.array([0.2, 0.5]),
        best_share=np.array([0.2, 0.6]),
        rank_correlation=np.array([0.0, 0.5]),
        rank_within=np.array([np.nan, 0.4]),
        rank_low=np.array([np.nan, 0.3]),
        rank_high=np.array([np.nan, 0.5]),
        tokens=4000,
        documents=20,
        resamples=500,
    )
