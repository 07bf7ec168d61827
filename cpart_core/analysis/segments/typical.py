"""Typical tokens: those on which a segment's fusion weight, or a neuron's activation, is much
greater than elsewhere.

Sums over many batches, then a ranking. Knows nothing of models or files.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

FEWEST_SEEN = 5
"""Tokens seen less often are no evidence."""
TOKENS_OF_A_SEGMENT = 12
TOKENS_OF_A_NEURON = 4
MOST_NUMBERS = 64_000_000
"""Of the neurons' sums (256 MB); with more neurons x tokens, the most frequent tokens are looked
at."""


class Ranked(NamedTuple):
    """The typical tokens of one segment, greatest lift first."""

    ids: tuple[int, ...]
    lift: tuple[float, ...]
    counts: tuple[int, ...]


class TokenSums:
    """Sums of fusion weights [L, K, S] and of |activations| [L, K, N] over the K tokens of the
    vocabulary that are seen often enough."""

    def __init__(
        self, seen_V: np.ndarray, num_layers: int, num_segments: int, num_neurons: int
    ) -> None:
        """seen_V: how often each token occurs in the text to come."""
        often = np.flatnonzero(seen_V >= FEWEST_SEEN)
        most = max(1, MOST_NUMBERS // (num_layers * num_neurons))
        if len(often) > most:
            often = np.sort(often[np.argsort(-seen_V[often], kind="stable")[:most]])
        self.ids, self.count = often, seen_V[often]
        self.total = int(seen_V.sum())
        # Tokens not looked at go to one more row, so that no batch needs cutting.
        self.row_of = torch.full((len(seen_V),), len(often), dtype=torch.long)
        self.row_of[torch.from_numpy(often)] = torch.arange(len(often))
        self.alpha = torch.zeros(num_layers, len(often) + 1, num_segments, dtype=torch.float64)
        self.activation = torch.zeros(num_layers, len(often) + 1, num_neurons)

    def add(self, layer: int, ids: Tensor, alpha: Tensor, hidden: Tensor) -> None:
        """ids [tokens], alpha [tokens, S], hidden [tokens, N] of one layer."""
        rows = self.row_of[ids]
        self.alpha[layer].index_add_(0, rows, alpha.double())
        self.activation[layer].index_add_(0, rows, hidden.abs())

    def of_segments(self, layer: int) -> list[Ranked]:
        """For each segment the tokens with the greatest lift above 1: mean alpha on the token /
        mean alpha over all tokens."""
        sums = self.alpha[layer].numpy()
        overall = sums.sum(axis=0) / max(self.total, 1)
        mean = sums[:-1] / np.maximum(self.count, 1)[:, None]
        lift = np.divide(mean, overall, out=np.zeros_like(mean), where=overall > 0)
        found = []
        for segment in range(lift.shape[1]):
            best = np.argsort(-lift[:, segment], kind="stable")[:TOKENS_OF_A_SEGMENT]
            best = best[lift[best, segment] > 1.0 + 1e-6]
            found.append(
                Ranked(
                    tuple(int(self.ids[index]) for index in best),
                    tuple(float(lift[index, segment]) for index in best),
                    tuple(int(self.count[index]) for index in best),
                )
            )
        return found

    def of_rows(self, layer: int) -> np.ndarray:
        """[N, up to 4] token ids on which each row's mean |a| is greatest."""
        mean = self.activation[layer][:-1].numpy() / np.maximum(self.count, 1)[:, None]
        kept = min(TOKENS_OF_A_NEURON, len(self.ids))
        best = (
            np.argsort(-mean, axis=0, kind="stable")[:kept]
            if kept
            else np.zeros((0, mean.shape[1]), dtype=np.int64)
        )
        return self.ids[best].T
