"""I(S;C), I(S;T) and I(S;C given T) of segments, contexts and tokens, with what chance gives and an
interval over documents. numpy only.

Chance for contexts: the labels of whole documents are shuffled, so that what a document has in
common with itself counts for nothing. Chance for tokens: tokens are shuffled over all positions.
Interval: documents are drawn again, with repeats, within each context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.statistics.bootstrap import INTERVAL, interval, redrawn, strata_by
from cpart_core.analysis.statistics.information import grouped, mutual_information
from cpart_core.records.specialization import Information


@dataclass(frozen=True)
class Reading:
    """K tokens as the segments met them. Columns of `share` are layers (or any other measures side
    by side)."""

    share: np.ndarray
    """[K, L, S] float32: how each token is divided over the segments; sums to 1 over S."""
    context: np.ndarray
    """[K] int64"""
    document: np.ndarray
    """[K] int64; all tokens of a document have one context."""
    token: np.ndarray
    """[K] int64"""


class Effort(NamedTuple):
    """How often chance is tried."""

    shuffles: int = 200
    token_shuffles: int = 100
    resamples: int = 200


class Informations(NamedTuple):
    """[L] bits each, with chance and interval; the last entry of each is the mean over the columns
    that belong together."""

    context: Information
    token: Information
    context_given_token: Information


class Estimates(NamedTuple):
    """[..., L] bits."""

    context: np.ndarray
    token: np.ndarray
    context_given_token: np.ndarray


class Tables:
    """The sums from which all estimates are made: by document [M, L, S], and by document and
    frequent token [P, L, S]."""

    def __init__(self, reading: Reading, fewest_seen: int) -> None:
        """Only tokens seen at least `fewest_seen` times count where T is asked about."""
        documents, self.document = np.unique(reading.document, return_inverse=True)
        self.num_contexts = int(reading.context.max()) + 1
        self.context_of = np.zeros(len(documents), dtype=np.int64)
        self.context_of[self.document] = reading.context
        self.by_document = grouped(reading.share.astype(np.float64), self.document, len(documents))
        seen = np.bincount(reading.token)
        self.covered = seen[reading.token] >= fewest_seen
        self.positions = np.ascontiguousarray(reading.share[self.covered])
        """[K', L, S]"""
        kinds, self.token = np.unique(reading.token[self.covered], return_inverse=True)
        self.num_kinds = len(kinds)
        pairs, pair_of = np.unique(
            self.token * len(documents) + self.document[self.covered], return_inverse=True
        )
        self.by_pair = grouped(self.positions, pair_of, len(pairs))
        self.pair_token, self.pair_document = np.divmod(pairs, len(documents))

    def estimates(self, context_of: np.ndarray, weight_M: np.ndarray | None = None) -> Estimates:
        """All three, when documents have these contexts and count this often (None: once)."""
        joint = grouped(self.by_document, context_of, self.num_contexts, weight_M)
        both, group = np.unique(
            self.pair_token * self.num_contexts + context_of[self.pair_document],
            return_inverse=True,
        )
        weight_P = None if weight_M is None else weight_M[self.pair_document]
        by_both = grouped(self.by_pair, group, len(both), weight_P)
        of_token = mutual_information(grouped(by_both, both // self.num_contexts, self.num_kinds))
        return Estimates(
            mutual_information(joint),
            of_token,
            np.maximum(mutual_information(by_both) - of_token, 0.0),
        )

    def token_by_chance(self, random: np.random.Generator) -> np.ndarray:
        """[L] I(S;T) when every position has the token of another one."""
        return mutual_information(
            grouped(self.positions, random.permutation(self.token), self.num_kinds)
        )

    def redrawn(self, random: np.random.Generator) -> np.ndarray:
        """[M] how often each document counts when as many are drawn, with repeats, from each
        context as it has."""
        weight = np.zeros(len(self.context_of))
        strata = strata_by(self.context_of)
        for stratum, _, counts in redrawn(strata, 1, random):
            weight[strata[stratum]] = counts[0]
        return weight


def informations(
    tables: Tables,
    groups: tuple[slice, ...],
    seed: int,
    effort: Effort,
    progress: Progress = silent,
) -> tuple[Informations, ...]:
    """Informations of each group of columns: value, interval and chance by layer, and their mean
    over the group's layers."""
    random = np.random.default_rng(seed)
    value = tables.estimates(tables.context_of)
    total = effort.shuffles + effort.token_shuffles + effort.resamples
    by_label, by_draw, by_token = [], [], []
    for number in range(effort.shuffles):
        progress(
            number / total,
            f"Contexts shuffled over documents, {number + 1} of {effort.shuffles} times",
        )
        by_label.append(tables.estimates(random.permutation(tables.context_of)))
    for number in range(effort.resamples):
        progress(
            (effort.shuffles + number) / total,
            f"Documents drawn again, {number + 1} of {effort.resamples} times",
        )
        by_draw.append(tables.estimates(tables.context_of, tables.redrawn(random)))
    for number in range(effort.token_shuffles):
        progress(
            (total - effort.token_shuffles + number) / total,
            f"Tokens shuffled, {number + 1} of {effort.token_shuffles} times",
        )
        by_token.append(tables.token_by_chance(random))
    chance = Estimates(
        np.array([found.context for found in by_label]),
        np.array(by_token),
        np.array([found.context_given_token for found in by_label]),
    )
    drawn = Estimates(*(np.array(kind) for kind in zip(*by_draw, strict=True)))
    return tuple(
        Informations(
            *(
                summed_up(value[kind][group], drawn[kind][:, group], chance[kind][:, group])
                for kind in range(3)
            )
        )
        for group in groups
    )


def summed_up(value_L: np.ndarray, drawn_RL: np.ndarray, chance_RL: np.ndarray) -> Information:
    """Value, interval and chance of each layer and of the mean over layers.

    Drawing documents with repeats makes them more alike than they are, which raises every plug-in
    estimate by about its bias: so the interval has the spread of the draws around the value, not
    their own middle.
    """
    value, drawn, chance = (
        np.concatenate([part, part.mean(axis=-1, keepdims=True)], axis=-1)
        for part in (value_L, drawn_RL, chance_RL)
    )
    low, high = interval(drawn - drawn.mean(axis=0))
    return Information(
        value=value,
        low=np.maximum(value + low, 0.0),
        high=value + high,
        null_mean=chance.mean(axis=0),
        null_high=np.percentile(chance, INTERVAL[1], axis=0),
    )
