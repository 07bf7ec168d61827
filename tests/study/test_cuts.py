"""Cuts of a dense model: planted neurons that do nothing can be cut for nothing, and the same
choice is made as when the model keeps segments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpart_core.analysis.keep.ranking import by_effect
from cpart_core.model.permute import apply_partition, partition_of
from cpart_core.partition.partition import contiguous_partition
from cpart_core.study.cuts import cut_by, neuron_effects, segment_effects, shuffled_outside
from cpart_core.study.keep_quarter import context_texts, keep_quarter
from tests.analysis.made import MODEL, made_corpus, made_source

DENSE = replace(MODEL, execution="dense", num_neurons=36, num_segments=8)
"""4 shared neurons and 8 segments of 4: a quarter is 2 segments."""
WORKING = 8


@pytest.fixture
def planted():
    """(source, corpus, texts): in each layer only the shared segment and the first two segments of
    the plain numbering do anything."""
    corpus = made_corpus()
    source = made_source(corpus, DENSE)
    apply_partition(source.model, contiguous_partition(2, 36, 8, 4))
    for layer in source.model.feedforwards():
        layer.w_down.data *= 20.0
        layer.w_down.data[:, 4 + WORKING :] = 0.0
    return source, corpus, context_texts(source, corpus, 0)


def test_what_does_nothing_is_cut_for_nothing_and_by_chance_it_is_not(planted):
    source, _, texts = planted
    plain = partition_of(source.model)
    effects = [neuron_effects(source.model, entry.texts.choosing) for entry in texts]
    assert len(texts) == 2 and all(
        (segment_effects(effect, plain)[:, 2:] == 0).all() for effect in effects
    )
    free = cut_by(source.model, plain, texts, effects)
    by_chance = cut_by(source.model, shuffled_outside(plain, 5), texts, effects)
    assert free.nats == pytest.approx(0.0, abs=1e-5) and abs(by_chance.nats) > 1e-3
    assert by_chance.share * np.mean([entry.whole for entry in texts]) == pytest.approx(
        by_chance.nats, rel=0.2
    )


def test_it_is_what_keeping_a_quarter_of_the_own_segments_costs(planted):
    """Two ways to the same number: rank segments in the model as it lies, or neurons once and then
    any partition."""
    source, corpus, texts = planted
    mixed = shuffled_outside(partition_of(source.model), 3)
    apply_partition(source.model, mixed)
    effects = [neuron_effects(source.model, entry.texts.choosing) for entry in texts]
    assert np.allclose(
        segment_effects(effects[0], mixed),
        by_effect(source.model, texts[0].texts.choosing),
        rtol=1e-4,
    )
    kept = keep_quarter(source, len(corpus.contexts), texts, 0)
    assert kept is not None and kept.cost == pytest.approx(
        cut_by(source.model, mixed, texts, effects).share, abs=1e-6
    )
    assert kept.by_context[0] != kept.by_context[1] and {
        rows.shape for rows in kept.kept.values()
    } == {(2, 2)}


def test_dividing_anew_changes_no_dense_model_and_spares_the_shared_segment(planted):
    source, _, texts = planted
    before = source.model(torch.zeros(1, 8, dtype=torch.int64))
    plain = partition_of(source.model)
    mixed = shuffled_outside(plain, 1).check(4)
    assert ((mixed.segment_of == -1) == (plain.segment_of == -1)).all() and (
        mixed.segment_of != plain.segment_of
    ).any()
    apply_partition(source.model, mixed)
    assert torch.allclose(source.model(torch.zeros(1, 8, dtype=torch.int64)), before, atol=1e-5)
