"""The results that pages draw: one dataclass each, numpy inside. No torch here, so pages may import it.

L layers, N neurons, S segments, C contexts, T tokens of one text, V vocabulary, M documents, P points of a map.
Segment numbers are 0..S-1; -1 is the shared segment. Every result says where it is from: run, step, n, seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Trace:
    """One text through the model: fusion weights at every token and layer."""

    run: str
    step: int
    text: str
    tokens: tuple[str, ...]
    """[T] the text of each token; bytes that are no whole character are shown as hex such as `<0xC3>`."""
    token_ids: np.ndarray
    """[T]"""
    prompt_tokens: int
    """How many of the tokens are the given text; the rest was generated."""
    alpha: np.ndarray
    """[L, T, S] fusion weights; sum to 1 over S."""
    weight: np.ndarray
    """[L, T, S] the factor (so called on every screen) of each segment's output: S * alpha, 0 where not computed, 1 where execution is dense."""
    norm: np.ndarray
    """[L, T, S] norm of each segment's weighted output contribution."""
    shared_norm: np.ndarray
    """[L, T] norm of the shared segment's contribution; 0 without one."""
    entropy: np.ndarray
    """[L, T] bits, of alpha."""
    loss: np.ndarray
    """[T] nats at which the model saw this token coming; NaN for the first."""


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
    """[L][S] up to 12 tokens with the greatest lift: mean alpha on the token / mean alpha over all; tokens seen at least 5 times."""
    typical_lift: tuple[tuple[tuple[float, ...], ...], ...]
    """[L][S] the lift of each."""
    typical_count: tuple[tuple[tuple[int, ...], ...], ...]
    """[L][S] the n of each."""
    passages: tuple[tuple[tuple[Passage, ...], ...], ...]
    """[L][S] up to 3 passages of about 40 tokens, from different documents, where mean alpha is greatest."""
    neuron_tokens: tuple[tuple[tuple[str, ...], ...], ...]
    """[L][N] the 4 tokens on which each neuron's mean |a| is greatest (seen at least 5 times)."""
    dead: np.ndarray
    """[L, S] bool: mass below 0.1 / S in every context."""
    present: np.ndarray
    """[L, S] bool: ever-present, among the strongest k (top_k, or 2) in every context."""


@dataclass(frozen=True)
class NeuronMap:
    """Neuron signatures on a plane: one layout for all steps of the run.

    The layout is fitted on the last step's signatures; those of earlier steps are placed into it, so that positions can be compared.
    """

    run: str
    method: str
    """pca or umap"""
    steps: tuple[int, ...]
    """K snapshot steps."""
    layer: np.ndarray
    """[P] layer of each point."""
    neuron: np.ndarray
    """[P] its number in that layer."""
    position: np.ndarray
    """[K, P, 2] float32."""
    segment: np.ndarray
    """[K, P] int16."""
    strongest_context: np.ndarray
    """[K, P] int16: the context in which the neuron's signature is greatest relative to the layer's mean."""
    contexts: tuple[str, ...]
    sampled: int
    """P."""
    total: int
    """Neurons the sample is drawn from (stratified by layer and segment)."""
    seed: int
    parameters: dict[str, float | int | str]
    """n_neighbors, min_dist, metric, explained variance (pca), seconds."""
    faithfulness: float
    """Mean share of each point's 15 nearest neighbours in signature space that are among its 15 nearest on the plane, last step."""


@dataclass(frozen=True)
class DocumentMap:
    """Gradients of validation documents on a plane, at one checkpoint."""

    run: str
    step: int
    method: str
    position: np.ndarray
    """[M, 2]"""
    title: tuple[str, ...]
    excerpt: tuple[str, ...]
    """[M] first 80 characters."""
    context: np.ndarray
    """[M] int16"""
    contexts: tuple[str, ...]
    strongest_segment: np.ndarray
    """[L, M] int16: the segment of each layer with the greatest mean alpha on the document."""
    loss: np.ndarray
    """[M] nats per token"""
    tokens: np.ndarray
    """[M] n"""
    seed: int
    parameters: dict[str, float | int | str]
    faithfulness: float


@dataclass(frozen=True)
class Flow:
    """Neurons that moved between two snapshots."""

    from_step: int
    to_step: int
    moved: np.ndarray
    """[L, S, S] neurons in segment i at the first and in segment j at the second."""
    churn: np.ndarray
    """[L] share off the diagonal."""


@dataclass(frozen=True)
class LossReport:
    """What `evaluate` says of a checkpoint: all validation text."""

    run: str
    step: int
    contexts: tuple[str, ...]
    loss_by_context: np.ndarray
    """[C] nats per token"""
    tokens_by_context: np.ndarray
    documents_by_context: np.ndarray
    loss: float
    """Mean over contexts."""
    accuracy_by_context: np.ndarray
    """[C] share of next tokens that are the model's first choice."""
    bits_per_byte: float
    """Comparable between vocabularies: nats summed / ln 2 / bytes of text, over all contexts."""
    low: float = math.nan
    """95 % interval of `loss`, documents drawn anew; NaN with fewer than two, and in reports from before it was measured."""
    high: float = math.nan
    low_by_context: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """[C], or nothing in reports from before it was measured; so are all below."""
    high_by_context: np.ndarray = field(default_factory=lambda: np.zeros(0))
    nats: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """[M] summed over the predicted tokens of each validation document."""
    tokens: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """[M] how many they are."""

    @property
    def num_tokens(self) -> int:
        return int(self.tokens.sum()) if len(self.tokens) else int(self.tokens_by_context.sum())

    @property
    def num_documents(self) -> int:
        """That something was read of."""
        return int((self.tokens > 0).sum()) if len(self.tokens) else int(self.documents_by_context.sum())


@dataclass(frozen=True)
class Information:
    """A mutual information in bits: [L + 1], one of each layer and, last, their mean. `value` is as counted: chance is part of it."""

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
        """[L + 1] bool: the whole interval lies above 97.5 % of the shuffles (by more than rounding)."""
        return np.asarray(self.low > self.null_high + 1e-4)


@dataclass(frozen=True)
class SegmentUse:
    """What one way of dividing a token over the segments says: by its fusion weights, or 1/k to each of the k strongest."""

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
    """Where it is not topk, all segments are computed, and the choice is the one top-k would make."""
    shuffles: int
    token_shuffles: int
    resamples: int
    mass: SegmentUse
    choice: SegmentUse
    mass_by_context: np.ndarray
    """[L, C, S] mean alpha; NaN for a context without text."""
    committee: np.ndarray
    """[L] committee share: the smallest share of the segments that together hold at least 60 % of the mass in every context."""
    dead: np.ndarray
    """[L, S] bool, as in SegmentProfiles."""
    present: np.ndarray
    """[L, S] bool, as in SegmentProfiles."""
    pairs: np.ndarray
    """[L, S, S] share of tokens for which both are among the chosen; NaN on the diagonal."""
    pairs_by_chance: np.ndarray
    """[L, S, S] what it would be if segments were chosen independently, as often as they are; NaN on the diagonal."""


@dataclass(frozen=True)
class Saturation:
    """How early segments came to mean what they mean in the end: from snapshots alone, so from means over contexts, not over tokens."""

    steps: tuple[int, ...]
    """K snapshots with a partition."""
    context_information: np.ndarray
    """[K, L] bits, I(S;C) of the mean fusion mass; no null: snapshots know no documents."""
    agreement: np.ndarray
    """[K, L] mean over contexts of what the choice has in common with the last step's: 1 = the same, 0 = no segment in common."""
    churn: np.ndarray
    """[K, L] share of neurons in another segment than at the snapshot before; NaN at the first."""


@dataclass(frozen=True)
class Stability:
    """Whether other seeds find the same segments: runs on one corpus, segments matched by the contexts they work on."""

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
    """[L + 1] mean correlation of matched context profiles, over all pairs of runs; last, the mean over layers."""
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
