"""The validation loss of a checkpoint, over all validation text. Plain data, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


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
    """95 % interval of `loss`, documents drawn anew; NaN with fewer than two, and in reports from
    before it was measured."""
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
        return (
            int((self.tokens > 0).sum())
            if len(self.tokens)
            else int(self.documents_by_context.sum())
        )
