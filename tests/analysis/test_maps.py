"""Maps keep planted structure, share one layout over the steps, and bear degenerate input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpart_core.analysis.maps.document_map import map_documents, read_documents
from cpart_core.analysis.maps.neuron_map import choose_steps, map_neurons, sample_neurons
from cpart_core.analysis.maps.plane import lay_out, log_features, neighbour_overlap
from cpart_core.analysis.progress import silent
from cpart_core.analysis.segments.flow import flow
from cpart_core.model.signatures import SignatureSums
from tests.analysis.made import MODEL, made_corpus, made_source, planted_snapshot

FOUR = ("a", "b", "c", "d")


def separation(position: np.ndarray, group: np.ndarray) -> float:
    """Smallest distance between centres of groups / greatest mean distance of a group's points from
    its centre."""
    centres = np.stack([position[group == g].mean(axis=0) for g in np.unique(group)])
    within = max(
        np.linalg.norm(position[group == g] - centre, axis=1).mean()
        for g, centre in zip(np.unique(group), centres, strict=True)
    )
    between = min(np.linalg.norm(a - b) for i, a in enumerate(centres) for b in centres[:i])
    return between / within


def test_planted_signatures_come_apart_and_stay_in_place():
    snapshots = [planted_snapshot(step, num_contexts=3, num_neurons=48) for step in (100, 200, 300)]
    found = map_neurons("made", FOUR[:3], snapshots, "pca", -1, 0)
    assert (
        found.steps == (100, 200, 300)
        and found.position.shape == (3, 96, 2)
        and found.sampled == found.total == 96
    )
    for k in range(3):
        assert separation(found.position[k], found.segment[k]) > 5
        np.testing.assert_array_equal(found.strongest_context[k], found.segment[k])
    # Three contexts, rows centred: two dimensions hold everything, so the plane is faithful and
    # earlier steps lie where they are.
    assert found.faithfulness > 0.99 and found.parameters["explained_variance"] == pytest.approx(
        1.0, abs=1e-3
    )
    spread = found.position[2].std()
    assert np.linalg.norm(found.position[0] - found.position[2], axis=1).mean() < spread / 2
    np.testing.assert_array_equal(
        map_neurons("made", FOUR[:3], snapshots, "pca", -1, 0).position, found.position
    )
    one = map_neurons("made", FOUR[:3], snapshots, "pca", 1, 0)
    assert set(one.layer) == {1} and one.total == 48


def test_umap_separates_anchors_and_repeats():
    """The only test that runs UMAP: it compiles for about 10 s."""
    snapshots = [planted_snapshot(step, num_layers=1, num_neurons=60) for step in (100, 200)]
    found = map_neurons("made", FOUR, snapshots, "umap", 0, 0)
    assert (
        found.method == "umap"
        and np.isfinite(found.position).all()
        and found.faithfulness > 2 * 15 / 59
    )
    for k in range(2):
        assert separation(found.position[k], found.segment[k]) > 2
    centres = [
        np.stack([found.position[k][found.segment[k] == s].mean(axis=0) for s in range(4)])
        for k in range(2)
    ]
    assert np.abs(centres[0] - centres[1]).max() < found.position[1].std()
    np.testing.assert_array_equal(
        map_neurons("made", FOUR, snapshots, "umap", 0, 0).position, found.position
    )
    flat = lay_out([np.zeros((12, 3), dtype=np.float32)], "umap", 0)
    assert np.isfinite(flat.position).all()


def test_degenerate_input():
    few = lay_out([np.random.default_rng(0).normal(size=(5, 3))], "umap", 0)
    assert (
        few.method == "pca"
        and "too few" in str(few.parameters["note"])
        and np.isfinite(few.faithfulness)
    )
    for features in (
        np.zeros((20, 3)),
        np.ones((1, 4)),
        np.zeros((2, 1)),
        np.arange(30.0)[:, None],
    ):
        plane = lay_out([features, features], "pca", 0)
        assert plane.position.shape == (2, len(features), 2) and np.isfinite(plane.position).all()
    wrong = np.array([[np.nan, 1.0], [np.inf, -1.0], [0.0, 0.0]])
    assert np.isfinite(log_features(wrong)).all() and np.allclose(
        log_features(wrong).sum(axis=1), 0, atol=1e-6
    )
    snapshot = planted_snapshot(1)
    signature = snapshot.signature.copy()
    signature[0, 3], signature[1, 5], signature[:, :, 2] = np.nan, 0.0, 0.0
    broken = replace(snapshot, signature=signature, signature_tokens=np.array([9.0, 9.0, 0.0, 9.0]))
    found = map_neurons("made", FOUR, [broken], "pca", -1, 0)
    assert (
        np.isfinite(found.position).all()
        and found.strongest_context[0, 3] == found.strongest_context[0, 48 + 5] == -1
    )
    with pytest.raises(ValueError, match="no snapshot"):
        map_neurons("made", FOUR, [], "pca", -1, 0)
    with pytest.raises(ValueError, match="0 to 1"):
        map_neurons("made", FOUR, [snapshot], "pca", 2, 0)
    with pytest.raises(ValueError, match="pca, umap"):
        map_neurons("made", FOUR, [snapshot], "tsne", 0, 0)


def test_overlap_by_hand():
    line = np.arange(6.0)[:, None] * np.array([[1.0, 0.0]])
    assert neighbour_overlap(line, line * 3, 2) == 1.0
    shuffled = line[[3, 0, 4, 1, 5, 2]]
    assert neighbour_overlap(line, shuffled, 2) < 0.7
    assert np.isnan(neighbour_overlap(line[:2], line[:2]))


def test_steps_are_first_partition_to_last():
    steps = list(range(0, 1050, 50))
    chosen = choose_steps(steps, lambda step: step >= 200)
    assert (
        chosen[0] == 200
        and chosen[-1] == 1000
        and len(chosen) == 8
        and max(np.diff(chosen)) - min(np.diff(chosen)) <= 50
    )
    assert (
        choose_steps([5], lambda step: False) == [5] and choose_steps([], lambda step: True) == []
    )
    assert choose_steps([0, 50, 100], lambda step: False) == [0, 50, 100]


def test_sample_keeps_every_stratum_in_its_share():
    segment_of = np.repeat(np.arange(4), [400, 300, 200, 100])[None].repeat(3, axis=0)
    layer, neuron = sample_neurons(segment_of, np.arange(3), 300, seed=1)
    assert len(layer) == 300 == len(set(zip(layer.tolist(), neuron.tolist(), strict=True)))
    for number in range(3):
        counts = np.bincount(segment_of[number][neuron[layer == number]], minlength=4)
        assert np.abs(counts - [40, 30, 20, 10]).max() <= 1
    assert not np.array_equal(neuron, sample_neurons(segment_of, np.arange(3), 300, seed=2)[1])


@pytest.mark.parametrize("execution", ["topk", "soft", "dense"])
def test_documents_of_one_context_lie_together(execution):
    corpus = made_corpus()
    source = made_source(corpus, replace(MODEL, execution=execution))
    found = map_documents(source, corpus, "pca", 0)
    assert (
        found.position.shape == (12, 2)
        and found.title == corpus.validation.titles
        and found.parameters["sampled"] == 12
    )
    assert separation(found.position, found.context) > 1.5, (
        "letters and digits share no token: their gradients differ"
    )
    split = corpus.validation
    text = source.tokenizer.decode(split.ids[split.starts[2] : split.starts[3]].tolist())
    assert found.excerpt[2] == text[:80]
    assert not source.model.embedding.requires_grad and all(
        parameter.grad is None for parameter in source.model.parameters()
    )


def test_document_sums_are_those_of_each_document_alone():
    """Documents in one batch, the shorter filled up, do not touch each other: the same numbers as
    one by one."""
    corpus = made_corpus()
    source = made_source(corpus)
    split = corpus.validation
    starts = split.starts.copy()
    starts[5] = starts[4] + 12  # document 4 is short
    cut = replace(split, starts=starts)
    sums = read_documents(source, cut, np.array([1, 4, 7]), silent)
    for position, number in enumerate((1, 4, 7)):
        given = torch.from_numpy(
            cut.ids[cut.starts[number] : cut.starts[number + 1]].astype(np.int64)
        )[None, : MODEL.context_length + 1]
        alone = SignatureSums(MODEL.num_layers, MODEL.num_neurons, 1, 1.0, torch.device("cpu"))
        source.model.requires_grad_(True)
        with alone.measure(source.model, torch.zeros_like(given[:, :-1])):
            loss = torch.nn.functional.cross_entropy(source.model(given[:, :-1])[0], given[0, 1:])
            loss.backward()
        assert sums.tokens[position] == given.shape[1] - 1
        assert sums.loss[position] / sums.tokens[position] == pytest.approx(loss.item(), rel=1e-4)
        assert alone.total.max() > 0
        np.testing.assert_allclose(
            sums.signature[:, :, position], alone.total[:, :, 0].numpy(), rtol=1e-3, atol=1e-5
        )
        alpha = source.model.feedforwards()[1].last_alpha[0].sum(dim=0).detach().numpy()
        np.testing.assert_allclose(sums.alpha[1, position], alpha, rtol=1e-4)


def test_flow_by_hand():
    before, after = (
        planted_snapshot(1, num_layers=1, num_neurons=8),
        planted_snapshot(2, num_layers=1, num_neurons=8),
    )
    first = replace(before, segment_of=np.array([[-1, 0, 0, 1, 1, 2, 3, 3]], dtype=np.int16))
    second = replace(after, segment_of=np.array([[-1, 0, 1, 1, 0, 2, 3, -1]], dtype=np.int16))
    found = flow(first, second)
    assert (found.from_step, found.to_step) == (1, 2)
    assert found.moved.tolist() == [[[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]]
    assert found.churn.tolist() == [3 / 8]
    with pytest.raises(ValueError, match="one model"):
        flow(first, planted_snapshot(2, num_layers=2))
