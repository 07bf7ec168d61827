"""What the segments of a checkpoint do on validation text. Plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Passage:
    """A piece of real validation text and how strongly one segment works on it."""

    document: str
    context: str
    tokens: tuple[str, ...]
    strength: np.ndarray
    """[tokens] the segment's alpha at each token."""


@dataclass(frozen=True)
class SegmentProfiles:
    """All segments of a checkpoint on validation text."""

    run: str
    step: int
    contexts: tuple[str, ...]
    tokens_by_context: np.ndarray
    """[C] validation tokens looked at: the n of everything here."""
    mass: np.ndarray
    """[L, C, S] mean alpha."""
    chosen: np.ndarray
    """[L, C, S] share of tokens for which the segment is computed."""
    contribution: np.ndarray
    """[L, C, S] mean norm of the segment's weighted output."""
    shared_contribution: np.ndarray
    """[L, C] the same for the shared segment; 0 without one."""
    size: np.ndarray
    """[L, S] neurons."""
    typical_tokens: tuple[tuple[tuple[str, ...], ...], ...]
    """[L][S] up to 12 tokens with the greatest lift: mean alpha on the token / mean alpha over all;
    tokens seen at least 5 times."""
    typical_lift: tuple[tuple[tuple[float, ...], ...], ...]
    """[L][S] the lift of each."""
    typical_count: tuple[tuple[tuple[int, ...], ...], ...]
    """[L][S] the n of each."""
    passages: tuple[tuple[tuple[Passage, ...], ...], ...]
    """[L][S] up to 3 passages of about 40 tokens, from different documents, where mean alpha is
    greatest."""
    neuron_tokens: tuple[tuple[tuple[str, ...], ...], ...]
    """[L][N] the 4 tokens on which each neuron's mean |a| is greatest (seen at least 5 times)."""
    dead: np.ndarray
    """[L, S] bool: mass below 0.1 / S in every context."""
    present: np.ndarray
    """[L, S] bool: ever-present, among the strongest k (top_k, or 2) in every context."""
