"""What changing segments does: the results of interventions, the ablation matrix and the router
audit. Plain data, no torch.

L layers, Z columns (the segments 0..S-1, then -1 for the shared one where there is one), C
contexts, T tokens. Changes of loss are in nats per token, after minus before: above 0 means that
the model got worse. Intervals are 95 %, over documents, never over tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InterventionReport:
    """A model before and after some changes: on one text, and on a fixed sample of validation
    text."""

    run: str
    step: int
    text: str
    """What was read: of a text too long to leave room for the continuation, the end."""
    changes: tuple[str, ...]
    """In words."""
    tokens: tuple[str, ...]
    loss_before: np.ndarray
    """[T] nats at which each token was seen coming; NaN for the first."""
    loss_after: np.ndarray
    next_tokens: tuple[str, ...]
    """The 10 most probable next tokens before and the 10 after, each once, by their probability
    before."""
    next_before: np.ndarray
    next_after: np.ndarray
    continuation_before: tuple[str, ...]
    continuation_after: tuple[str, ...]
    temperature: float
    seed: int
    contexts: tuple[str, ...]
    context_before: np.ndarray
    """[C] loss on validation rows; NaN for a context without text."""
    context_after: np.ndarray
    change_low: np.ndarray
    """[C] interval of the change, over documents."""
    change_high: np.ndarray
    tokens_by_context: np.ndarray
    documents_by_context: np.ndarray


@dataclass(frozen=True)
class AblationMatrix:
    """Every segment taken away alone, on validation text.

    Selectivity: change on the segment's own context / mean change on the others. Own is the context
    on which the change is greatest; it is chosen on one half of the documents and measured on the
    other, and the other way round, so that chance gives about 1. A change below `least` counts as
    `least`. NaN where a context has too few documents.
    """

    run: str
    step: int
    seed: int
    contexts: tuple[str, ...]
    segments: np.ndarray
    """[Z]"""
    loss_by_context: np.ndarray
    """[C] without any change."""
    change: np.ndarray
    """[L, Z, C]"""
    low: np.ndarray
    high: np.ndarray
    own: np.ndarray
    """[L, Z] the context with the greatest change, over all documents; -1 where there is none."""
    selectivity: np.ndarray
    """[L, Z]"""
    selectivity_low: np.ndarray
    selectivity_high: np.ndarray
    strongest: np.ndarray
    """[C, 2] layer and column of the segment that matters most to this context; the shared segment
    does not take part."""
    strongest_selectivity: np.ndarray
    """[C] change on this context / mean change on the others, of the strongest segment; chosen and
    measured on different halves."""
    strongest_low: np.ndarray
    strongest_high: np.ndarray
    least: float
    tokens_by_context: np.ndarray
    documents_by_context: np.ndarray
    resamples: int


@dataclass(frozen=True)
class RouterAudit:
    """The segments that fusion chose against others that it could have chosen, for one token in one
    layer at a time.

    An alternative lets one chosen segment and one other exchange their weights. The random choice
    deals all weights out at random. Every number is the mean over the sampled tokens, [L].
    """

    run: str
    step: int
    seed: int
    execution: str
    chosen: int
    """k: segments that count as chosen (top_k; the 2 strongest where all are computed)."""
    alternatives: int
    """Alternatives tried for each token and layer, the same ones for all tokens."""
    possible: int
    """Alternatives there are."""
    draws: int
    """Random choices for each token and layer."""
    loss: float
    random_change: np.ndarray
    """Change of the token's loss with the random choice: above 0 the router is better than
    chance."""
    random_low: np.ndarray
    random_high: np.ndarray
    regret: np.ndarray
    """What the best alternative would have saved, in hindsight; 0 where none is better."""
    regret_low: np.ndarray
    regret_high: np.ndarray
    random_regret: np.ndarray
    """The same of the random choice."""
    best_share: np.ndarray
    """Share of the tokens for which no alternative is better; by chance it would be 1 /
    (alternatives + 1)."""
    rank_correlation: np.ndarray
    """Spearman of weight and benefit over all computed segments of all tokens; benefit = change of
    the token's loss when the segment is ablated."""
    rank_within: np.ndarray
    """Mean over tokens of Spearman within the token; NaN where only one segment is computed."""
    rank_low: np.ndarray
    rank_high: np.ndarray
    tokens: int
    documents: int
    resamples: int
