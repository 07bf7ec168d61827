"""What the comparison of two checkpoints, or of two snapshots, found: A (`run`, `step`) and B
(`other`, `other_step`). numpy only, no torch.

Every difference is B less A. L layers, S segments of A, Q of B, C contexts that both know, M
documents, P pieces of one text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cpart_core.records.trace import Trace


@dataclass(frozen=True)
class SegmentComparison:
    """The segments of two snapshots, matched."""

    run: str
    step: int
    other: str
    other_step: int
    seed: int
    """Of the shuffles."""
    method: str
    """neurons, fusion or signatures: what was matched; none where nothing can be."""
    why: str
    """A sentence: why this method, or why none."""
    same_neurons: bool
    """Both began with the very same neurons under the same numbers."""
    contexts: tuple[str, ...]
    similarity: np.ndarray
    """[L, S, Q] neurons in both segments (method neurons), else correlation of their profiles over
    contexts; empty for none."""
    match: np.ndarray
    """[L, S] B's segment for each of A's, -1 where none is left."""
    agreement: np.ndarray
    """[L + 1] share of the segments' neurons that lie in matched segments, or mean correlation of
    matched profiles; last, the mean."""
    null_mean: np.ndarray
    """[L + 1] the same with B's neurons (or contexts) shuffled, segments matched anew."""
    null_high: np.ndarray
    """[L + 1] 97.5 % of the shuffles gave less."""
    shuffles: int
    moved: np.ndarray
    """[L + 1] share of all neurons in another segment after matching; NaN where neurons are not the
    same."""
    strongest_by: str
    """fusion or signatures: by what the next two were chosen."""
    strongest: np.ndarray
    """[L, C] A's strongest segment of each context; -1 where none stands out."""
    other_strongest: np.ndarray
    """[L, C] B's, by its own numbers."""
    committee: np.ndarray
    """[2, L] committee share of A and B; NaN for a dense model."""
    dead: np.ndarray
    """[2, L] number of dead segments; NaN for a dense model."""

    @property
    def compared(self) -> np.ndarray:
        """[L, C] bool: a strongest segment is known on both sides."""
        if self.method == "none":
            return np.zeros(self.strongest.shape, dtype=bool)
        return np.asarray((self.strongest >= 0) & (self.other_strongest >= 0))

    @property
    def changed(self) -> np.ndarray:
        """[L, C] bool: the context's strongest segment is another one, after matching."""
        if self.method == "none":
            return np.zeros(self.strongest.shape, dtype=bool)
        expected = np.take_along_axis(self.match, np.maximum(self.strongest, 0), axis=1)
        return np.asarray(self.compared & (expected != self.other_strongest))

    @property
    def of_other(self) -> np.ndarray:
        """[L, Q] A's segment for each of B's, -1 where none is left: the inverse of `match`."""
        found = np.full((self.similarity.shape[0], self.similarity.shape[2]), -1, dtype=np.int64)
        layer, segment = np.nonzero(self.match >= 0)
        found[layer, self.match[layer, segment]] = segment
        return found


@dataclass(frozen=True)
class LossComparison:
    """Two checkpoints on the same held-out documents."""

    run: str
    step: int
    other: str
    other_step: int
    seed: int
    unit: str
    """nats per token; bits per byte where the tokenizers differ."""
    same_corpus: bool
    left_out: int
    """Validation documents of one run on which the other was trained: not read."""
    contexts: tuple[str, ...]
    titles: tuple[str, ...]
    """[M]"""
    texts: tuple[str, ...]
    """[M] how each begins."""
    context: np.ndarray
    """[M] -1 unknown."""
    loss: np.ndarray
    """[M] A's, per token or byte."""
    other_loss: np.ndarray
    length: np.ndarray
    """[M] tokens (or bytes) that A predicted."""
    loss_by_context: np.ndarray
    """[C + 1] A's; last, the mean over contexts."""
    other_by_context: np.ndarray
    low: np.ndarray
    """[C + 1] of the difference B - A: 95 % interval, documents of each context drawn anew, the
    same ones for both."""
    high: np.ndarray
    documents_by_context: np.ndarray
    """[C]"""
    resamples: int
    whole: bool = False
    """All validation rows of both, so that each side's numbers are its validation loss; else
    documents held out from both, each to a length."""

    @property
    def name(self) -> str:
        """What the losses are called: only the stated evaluation set gives a validation loss."""
        return "validation loss" if self.whole else "loss on text held out from both"

    @property
    def difference(self) -> np.ndarray:
        """[C + 1] B - A."""
        return np.asarray(self.other_by_context - self.loss_by_context)


@dataclass(frozen=True)
class TextComparison:
    """One text through both models, cut into pieces that begin and end at a token's edge in
    both."""

    run: str
    step: int
    other: str
    other_step: int
    first: Trace
    second: Trace
    same_tokens: bool
    """Both read the very same tokens, so that each piece is one token."""
    pieces: tuple[str, ...]
    """[P]"""
    first_end: np.ndarray
    """[P] number of A's tokens up to the end of each piece."""
    second_end: np.ndarray
    first_loss: np.ndarray
    """[P] nats with which A saw the piece coming; NaN where it holds a first token, which nobody
    predicts."""
    second_loss: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """[P] nats, B - A."""
        return np.asarray(self.second_loss - self.first_loss)
