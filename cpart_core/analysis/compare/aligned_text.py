"""The same text through two models, aligned by its bytes: tokens where the tokenizers agree, else
the pieces between common token edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.analysis.text.trace import trace_text
from cpart_core.records.comparison import TextComparison
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import open_run


class Pieces(NamedTuple):
    """P pieces: how many tokens of each side end with them."""

    first_end: np.ndarray
    second_end: np.ndarray


def compare_text(
    first: Source, second: Source, text: str, progress: Progress = silent
) -> TextComparison:
    """Both models on the text, of which each reads what fits its context; the pieces end where the
    shorter reading ends.

    ValueError for an empty text, and for a model that cannot read free text (oracle fusion).
    """
    a = trace_text(first, text, part_of(progress, 0.0, 0.5))
    b = trace_text(second, text, part_of(progress, 0.5, 1.0))
    pieces = align(sizes(first, a), sizes(second, b))
    same = first.tokenizer.to_json() == second.tokenizer.to_json()
    starts = np.concatenate([[0], pieces.first_end[:-1]]).astype(np.int64)
    return TextComparison(
        run=first.run,
        step=first.step,
        other=second.run,
        other_step=second.step,
        first=a,
        second=b,
        same_tokens=same,
        pieces=tuple(
            "".join(a.tokens[start:end])
            for start, end in zip(starts.tolist(), pieces.first_end.tolist(), strict=True)
        ),
        first_end=pieces.first_end,
        second_end=pieces.second_end,
        first_loss=summed(a.loss, pieces.first_end),
        second_loss=summed(b.loss, pieces.second_end),
    )


def sizes(source: Source, trace: Trace) -> list[int]:
    """Bytes of each token read."""
    return [len(source.tokenizer.token_bytes[token]) for token in trace.token_ids.tolist()]


def align(first: Sequence[int], second: Sequence[int]) -> Pieces:
    """Sizes in bytes of both sides' tokens of one text -> the smallest pieces that both divide
    alike; the longer reading's rest is left."""
    ends = [np.cumsum(np.array(part, dtype=np.int64)) for part in (first, second)]
    common = np.intersect1d(ends[0], ends[1])
    return Pieces(
        np.searchsorted(ends[0], common, side="right"),
        np.searchsorted(ends[1], common, side="right"),
    )


def summed(loss_T: np.ndarray, end_P: np.ndarray) -> np.ndarray:
    """[P] nats of the tokens of each piece; NaN where it holds one that was not predicted."""
    starts = np.concatenate([[0], end_P[:-1]]).astype(np.int64)
    return np.array(
        [
            loss_T[start:end].astype(np.float64).sum()
            for start, end in zip(starts.tolist(), end_P.tolist(), strict=True)
        ]
    )


def answer(asked: Asked) -> TextComparison:
    """The request `compare_text`."""
    values, sources = asked.values, asked.sources
    asked.progress(0.0, "Loading both models")
    first = sources.source(asked.run, values["step"])
    second = sources.source(open_run(values["other"]), values["other_step"])
    return compare_text(first, second, values["text"], asked.progress)
