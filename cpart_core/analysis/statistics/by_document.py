"""Means over the tokens of a context, with intervals over its documents: tokens of one document are
not independent. numpy only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cpart_core.analysis.statistics.bootstrap import redrawn

RESAMPLES = 500
FOLDS = 2


class DocumentSums:
    """Sums of K values over the tokens of each document of a split. Documents of unknown context
    count nowhere."""

    def __init__(self, context_of: np.ndarray, num_contexts: int, num_values: int) -> None:
        """context_of [M]: context of each document, -1 unknown."""
        self.context_of = context_of.astype(np.int64)
        self.num_contexts = num_contexts
        self.sums = np.zeros((len(context_of), num_values))
        self.tokens = np.zeros(len(context_of), dtype=np.int64)

    def add(self, column: int, document: np.ndarray, value: np.ndarray) -> None:
        """Values of tokens (any shape) for one column; `count` is told the tokens once."""
        self.sums[:, column] += np.bincount(
            document.ravel(), weights=value.ravel(), minlength=len(self.tokens)
        )

    def count(self, document: np.ndarray) -> None:
        self.tokens += np.bincount(document.ravel(), minlength=len(self.tokens))

    @property
    def read(self) -> np.ndarray:
        """[M] bool: documents of a known context of which something was read."""
        return np.asarray((self.tokens > 0) & (self.context_of >= 0))

    @property
    def tokens_by_context(self) -> np.ndarray:
        return np.bincount(
            self.context_of[self.read], weights=self.tokens[self.read], minlength=self.num_contexts
        ).astype(np.int64)

    @property
    def documents_by_context(self) -> np.ndarray:
        return np.bincount(self.context_of[self.read], minlength=self.num_contexts)

    def folds(self, seed: int) -> np.ndarray:
        """[M] 0 or 1: the documents of every context dealt out into two halves."""
        fold = np.zeros(len(self.tokens), dtype=np.int64)
        random = np.random.default_rng([seed, 17])
        for context in range(self.num_contexts):
            members = random.permutation(np.flatnonzero(self.read & (self.context_of == context)))
            fold[members] = (np.arange(len(members)) + context) % FOLDS
        return fold

    def means(self, fold: np.ndarray) -> np.ndarray:
        """[F, C, K] mean over the tokens of each half of each context; NaN without any."""
        return divided(*self.summed(fold))

    def redrawn(
        self, fold: np.ndarray, seed: int, resamples: int = RESAMPLES
    ) -> tuple[np.ndarray, np.ndarray]:
        """(sums [R, F, C, K], tokens [R, F, C]) when the documents of each half of each context are
        drawn again, with repeats."""
        sums = np.zeros((resamples, FOLDS, self.num_contexts, self.sums.shape[1]), dtype=np.float32)
        tokens = np.zeros(sums.shape[:3])
        groups = list(self.groups(fold))
        strata = [members for _, _, members in groups]
        for stratum, some, count in redrawn(strata, resamples, np.random.default_rng([seed, 18])):
            half, context, members = groups[stratum]
            sums[some, half, context] = count @ self.sums[members]
            tokens[some, half, context] = count @ self.tokens[members]
        return sums, tokens

    def summed(self, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(sums [F, C, K], tokens [F, C]) of the documents of each half of each context."""
        sums = np.zeros((FOLDS, self.num_contexts, self.sums.shape[1]))
        tokens = np.zeros(sums.shape[:2])
        for half, context, members in self.groups(fold):
            sums[half, context], tokens[half, context] = (
                self.sums[members].sum(axis=0),
                self.tokens[members].sum(),
            )
        return sums, tokens

    def groups(self, fold: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """(half, context, its documents) of all that have some."""
        for half in range(FOLDS):
            for context in range(self.num_contexts):
                members = np.flatnonzero(self.read & (self.context_of == context) & (fold == half))
                if len(members):
                    yield half, context, members


def divided(sums: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """sums [..., K] / tokens [...]; NaN where there are none."""
    counts = np.broadcast_to(tokens[..., None], sums.shape)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
