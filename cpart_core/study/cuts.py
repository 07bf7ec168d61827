"""Cut without further training: a dense model's neurons are divided by several methods, and a
quarter of the segments is kept.

A dense model computes the same however its neurons are divided, so one finished run tells of every
method. Signatures are of training text, the segments are chosen for each context on training
documents, and the losses are of held-out ones. All partitions have the same sizes; the shared
segment is always kept.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import numpy as np

from cpart_core.analysis.keep.ranking import effects_by_row
from cpart_core.analysis.losses.held_out import Rows, document_losses
from cpart_core.model.carve import carve
from cpart_core.model.decoder import Decoder
from cpart_core.model.permute import apply_partition, partition_of
from cpart_core.partition.make import make_partition
from cpart_core.partition.methods import METHODS
from cpart_core.partition.partition import Partition
from cpart_core.records.training import SHARED
from cpart_core.study.keep_quarter import ContextText, quarter_of
from cpart_core.training.measured_evidence import as_evidence
from cpart_core.training.new_partition import measured_for
from cpart_core.training.state import TrainState

CUT_METHODS = ("gradient", "cocluster", "coactivation", "weights")
CUT_DRAWS = 3
"""Partitions by chance, of which the mean is said."""
SAME_SHARED_AS = "cocluster"


class Cut(NamedTuple):
    """Rise of the loss, mean over contexts."""

    share: float
    """Of the whole model's loss."""
    nats: float


class Cuts(NamedTuple):
    """Of one dense model."""

    gradient: Cut
    cocluster: Cut
    coactivation: Cut
    weights: Cut
    random: Cut
    shared: Cut
    """By chance, but for the shared segment, which is cocluster's: what dividing the other neurons
    well is worth."""


def untrained_cuts(state: TrainState, model: Decoder, texts: list[ContextText]) -> Cuts | None:
    """The cuts of a finished dense run; None where there is nothing to leave out. Neither state
    nor model is changed.

    state: restored from the newest checkpoint. model: the same weights on the CPU.
    """
    if model.settings.num_segments < 2 or not texts:
        return None
    model = deepcopy(model)
    seed = state.settings.training.seed
    partitions = {name: [made_by(name, state, seed)] for name in CUT_METHODS}
    partitions["random"] = [
        made_by("random", state, seed + 1000 * draw) for draw in range(CUT_DRAWS)
    ]
    partitions["shared"] = [
        shuffled_outside(partitions[SAME_SHARED_AS][0], seed + 1000 * draw)
        for draw in range(CUT_DRAWS)
    ]
    effects = [neuron_effects(model, entry.texts.choosing) for entry in texts]
    found = {}
    for name, several in partitions.items():
        each = [cut_by(model, partition, texts, effects) for partition in several]
        found[name] = Cut(*np.mean(each, axis=0).tolist())
    return Cuts(**found)


def made_by(name: str, state: TrainState, seed: int) -> Partition:
    """The partition that this method would make of the finished weights, with the run's own
    settings."""
    method, settings = METHODS[name](), state.settings.model
    evidence = as_evidence(method.needs, measured_for(state, method.needs), settings.num_layers)
    return make_partition(
        method, evidence, partition_of(state.model), settings.shared_neurons, True, seed
    )


def shuffled_outside(partition: Partition, seed: int) -> Partition:
    """The same shared segment; all other neurons change places by chance."""
    segment_of = partition.segment_of.copy()
    for number, row in enumerate(segment_of):
        others = np.flatnonzero(row != SHARED)
        row[others] = np.random.default_rng([seed, number]).permutation(row[others])
    return Partition(segment_of, partition.num_segments)


def neuron_effects(model: Decoder, rows: Rows) -> np.ndarray:
    """[L, N] mean over tokens of |a dL/da| by neuron number: what analysis/keep/ranking.py's
    effect sums over a segment."""
    by_row = effects_by_row(model, rows)
    by_neuron = np.empty_like(by_row)
    for number, layer in enumerate(model.feedforwards()):
        by_neuron[number, layer.neuron_id.numpy()] = by_row[number]
    return by_neuron


def cut_by(
    model: Decoder, partition: Partition, texts: list[ContextText], effects: list[np.ndarray]
) -> Cut:
    """Keep a quarter of this partition's segments for each context in turn."""
    apply_partition(model, partition)
    keep = quarter_of(partition.num_segments)
    found = []
    for entry, effect_LN in zip(texts, effects, strict=True):
        order = np.argsort(-segment_effects(effect_LN, partition), axis=1, kind="stable")
        rise = (
            document_losses(carve(model, order[:, :keep]), entry.texts.measured).mean()
            - entry.whole
        )
        found.append((rise / entry.whole, rise))
    return Cut(*np.mean(found, axis=0).tolist())


def segment_effects(effect_LN: np.ndarray, partition: Partition) -> np.ndarray:
    """[L, S] sums over the neurons of each segment; the shared one does not take part."""
    pairs = zip(effect_LN, partition.segment_of, strict=True)
    return np.stack(
        [
            np.bincount(row[row >= 0], effect[row >= 0], partition.num_segments)
            for effect, row in pairs
        ]
    )
