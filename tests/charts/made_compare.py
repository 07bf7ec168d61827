"""Made comparisons with known structure: B's segments are A's renumbered, one context goes
elsewhere, one token differs most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cpart_core.records.comparison import LossComparison, SegmentComparison, TextComparison
from tests.charts import made

ORDER = np.array([2, 0, 3, 1])
"""B's number of each of A's segments."""


def segments(method: str = "neurons") -> SegmentComparison:
    similarity = np.zeros((made.LAYERS, made.SEGMENTS, made.SEGMENTS))
    similarity[:, np.arange(made.SEGMENTS), ORDER] = 6.0
    strongest = np.array([[0, 1, 2], [1, 2, 3]])
    other = ORDER[strongest]
    other[0, 2] = ORDER[3]
    return SegmentComparison(
        run="a",
        step=100,
        other="b",
        other_step=100,
        seed=0,
        method=method,
        why=(
            "Both sides began with the same neurons, so these are counted."
            if method != "none"
            else "They cannot be matched."
        ),
        same_neurons=True,
        contexts=made.CONTEXTS,
        similarity=similarity if method != "none" else np.zeros((made.LAYERS, made.SEGMENTS, 0)),
        match=(
            np.tile(ORDER, (made.LAYERS, 1))
            if method != "none"
            else np.full((made.LAYERS, made.SEGMENTS), -1)
        ),
        agreement=np.ones(made.LAYERS + 1),
        null_mean=np.full(made.LAYERS + 1, 0.4),
        null_high=np.full(made.LAYERS + 1, 0.6),
        shuffles=200,
        moved=np.full(made.LAYERS + 1, 0.125),
        strongest_by="fusion",
        strongest=strongest,
        other_strongest=other,
        committee=np.full((2, made.LAYERS), 0.5),
        dead=np.zeros((2, made.LAYERS)),
    )


def losses(apart: float = 0.1) -> LossComparison:
    first = np.array([2.0, 3.0, 4.0, 3.0])
    second = first + apart * np.array([1.0, -0.5, 2.0, 2.5 / 3])
    documents = np.array([2.0, 3.0, 4.0])
    return LossComparison(
        run="a",
        step=100,
        other="b",
        other_step=100,
        seed=0,
        unit="nats per token",
        same_corpus=True,
        left_out=0,
        contexts=made.CONTEXTS,
        titles=("first.py", "second.txt", f"third {made.HOSTILE}"),
        texts=("def run(", "Once upon a time", f"some {made.HOSTILE} text"),
        context=np.array([0, 1, 2]),
        loss=documents,
        other_loss=documents + apart * np.array([1.0, -0.5, 2.0]),
        length=np.array([50.0, 60.0, 70.0]),
        loss_by_context=first,
        other_by_context=second,
        low=second - first - 0.06,
        high=second - first + 0.06,
        documents_by_context=np.array([1, 1, 1]),
        resamples=500,
    )


def text() -> TextComparison:
    first = made.trace()
    loss = first.loss.astype(float)
    other = loss + np.array([0.0, 0.5, -0.5, 3.0, 0.25])
    ends = np.arange(1, len(first.tokens) + 1)
    return TextComparison(
        run="a",
        step=100,
        other="b",
        other_step=100,
        first=first,
        second=replace(first, loss=other.astype(np.float32)),
        same_tokens=True,
        pieces=first.tokens,
        first_end=ends,
        second_end=ends,
        first_loss=loss,
        second_loss=other,
    )
