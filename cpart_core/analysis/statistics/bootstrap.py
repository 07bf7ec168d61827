"""The one bootstrap over documents: as many are drawn again, with repeats, as there are, within
each stratum by itself. numpy only.

Documents and not tokens, since the tokens of one document are not independent. What the strata are
is said by whoever draws: all documents alike, those of each context, or those of each half of each
context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

INTERVAL = (2.5, 97.5)
"""Percentiles of what all draws gave: a 95 % interval."""
MOST_DRAWN = 2_000_000
"""Numbers of one drawing, so that a corpus of a million documents does not cost gigabytes."""


class Redrawn(NamedTuple):
    """Some draws of the documents of one stratum."""

    stratum: int
    draws: slice
    counts: np.ndarray
    """[draws, documents of the stratum] how often each was drawn; every row sums to their number."""


def redrawn(
    strata: Sequence[np.ndarray], draws: int, random: np.random.Generator
) -> Iterator[Redrawn]:
    """Stratum after stratum, all draws of one before the next. strata: the documents [m] of each;
    one without documents takes no chance."""
    for stratum, members in enumerate(strata):
        size = len(members)
        at_once = max(1, MOST_DRAWN // max(1, size))
        for first in range(0, draws if size else 0, at_once):
            some = slice(first, min(first + at_once, draws))
            counts = random.multinomial(size, np.full(size, 1 / size), size=some.stop - some.start)
            yield Redrawn(stratum, some, counts)


def counts_of(documents: int, draws: int, random: np.random.Generator) -> np.ndarray:
    """[draws, documents] of a single stratum: all documents alike."""
    drawn = redrawn([np.arange(documents)], draws, random)
    return np.concatenate([part.counts for part in drawn])


def strata_by(label_M: np.ndarray) -> list[np.ndarray]:
    """The documents of each label, labels rising."""
    return [np.flatnonzero(label_M == label) for label in np.unique(label_M)]


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of redrawn values [R, ...]; NaN where all are."""
    known = np.isfinite(values).any(axis=0)
    safe = np.where(known, values, 0.0)
    low, high = np.nanpercentile(safe, INTERVAL, axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)
