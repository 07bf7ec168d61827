"""What segments tell of contexts, beside chance, and over seeds. Plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Information:
    """A mutual information in bits: [L + 1], one of each layer and, last, their mean. `value` is as
    counted: chance is part of it."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    """95 % interval over documents, around the value."""
    null_mean: np.ndarray
    """What chance gives; value - null_mean is the value with the counting bias taken off."""
    null_high: np.ndarray
    """97.5 % of the shuffles gave less."""

    @property
    def above_chance(self) -> np.ndarray:
        """[L + 1] what is more than chance gives on average."""
        return np.asarray(self.value - self.null_mean)

    @property
    def beyond_chance(self) -> np.ndarray:
        """[L + 1] bool: the whole interval lies above 97.5 % of the shuffles (by more than
        rounding)."""
        return np.asarray(self.low > self.null_high + 1e-4)


@dataclass(frozen=True)
class SegmentUse:
    """What one way of dividing a token over the segments says: by its fusion weights, or 1/k to
    each of the k strongest."""

    segment_entropy: np.ndarray
    """[L] bits, H(S): log2 S when all segments are used alike."""
    context: Information
    """I(S;C)"""
    token: Information
    """I(S;T), over tokens seen at least `fewest_seen` times."""
    context_given_token: Information
    """I(S;C given T), over the same tokens."""
    load: np.ndarray
    """[L, S] share of all tokens; sums to 1 over S."""

    @property
    def imbalance(self) -> np.ndarray:
        """[L] greatest load / mean load: 1 when even, S when one segment takes all."""
        return np.asarray(self.load.max(axis=1) * self.load.shape[1])


@dataclass(frozen=True)
class Specialization:
    """Whether segments mean anything, on validation text alone."""

    run: str
    step: int
    seed: int
    """Of the rows read, the shuffles and the draws."""
    contexts: tuple[str, ...]
    documents_by_context: np.ndarray
    tokens_by_context: np.ndarray
    context_entropy: float
    """Bits, H(C) over the tokens read: the most that I(S;C) could be."""
    token_entropy: float
    """Bits, H(T) over the tokens that count for T."""
    fewest_seen: int
    """A token counts for T when it is seen at least this often."""
    token_kinds: int
    """Different tokens that count for T."""
    token_share: float
    """Share of all positions that they are."""
    top_k: int
    execution: str
    """Where it is not topk, all segments are computed, and the choice is the one top-k would
    make."""
    shuffles: int
    token_shuffles: int
    resamples: int
    mass: SegmentUse
    choice: SegmentUse
    mass_by_context: np.ndarray
    """[L, C, S] mean alpha; NaN for a context without text."""
    committee: np.ndarray
    """[L] committee share: the smallest share of the segments that together hold at least 60 % of
    the mass in every context."""
    dead: np.ndarray
    """[L, S] bool, as in SegmentProfiles."""
    present: np.ndarray
    """[L, S] bool, as in SegmentProfiles."""
    pairs: np.ndarray
    """[L, S, S] share of tokens for which both are among the chosen; NaN on the diagonal."""
    pairs_by_chance: np.ndarray
    """[L, S, S] what it would be if segments were chosen independently, as often as they are; NaN
    on the diagonal."""


@dataclass(frozen=True)
class Stability:
    """Whether other seeds find the same segments: runs on one corpus, segments matched by the
    contexts they work on."""

    run: str
    """The run that the others are matched to."""
    runs: tuple[str, ...]
    """R runs, `run` first."""
    steps: tuple[int, ...]
    """[R] the snapshot of each."""
    seeds: tuple[int, ...]
    """[R] training seed of each."""
    contexts: tuple[str, ...]
    match: np.ndarray
    """[R, L, S] the segment of each run that is matched with segment s of the first."""
    agreement: np.ndarray
    """[L + 1] mean correlation of matched context profiles, over all pairs of runs; last, the mean
    over layers."""
    lowest: np.ndarray
    """[L + 1] the pair that agrees least."""
    highest: np.ndarray
    """[L + 1] the pair that agrees most."""
    null_mean: np.ndarray
    """[L + 1] the same with the contexts of each other run shuffled, segments matched anew."""
    null_high: np.ndarray
    """[L + 1] 97.5 % of the shuffles gave less."""
    shuffles: int
    same_text: bool
    """False: the runs drew their documents from the same sources, each by its own seed."""
    profile: np.ndarray
    """[R, L, C, S] mean fusion mass, segments in the order of the match."""
