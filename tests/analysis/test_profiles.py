"""Profiles and losses are plain means over validation text, and contributions add up to what the
layer gives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cpart_core.analysis.losses.evaluation import report_losses
from cpart_core.analysis.segments.passages import Window, Windows, pieces
from cpart_core.analysis.segments.profiles import (
    dead_segments,
    present_segments,
    profile_segments,
    segment_norms,
)
from cpart_core.analysis.segments.typical import TokenSums
from cpart_core.analysis.source import validation_batches
from cpart_core.model.capture import capture
from tests.analysis.made import MODEL, made_corpus, made_source


@pytest.fixture(scope="module")
def corpus():
    return made_corpus()


@pytest.fixture(scope="module")
def profiles(corpus):
    return profile_segments(made_source(corpus), corpus, seed=0)


def test_contributions_add_up_to_the_layer(corpus):
    source = made_source(corpus)
    given = {}
    layer = source.model.feedforwards()[1]
    hook = layer.register_forward_hook(lambda module, inputs, output: given.update(output=output))
    with torch.no_grad(), capture(source.model) as items:
        source.model(torch.tensor([source.tokenizer.encode("abc bcd 12")]))
        total = sum(items[1].output(segment) for segment in range(-1, MODEL.num_segments))
        norm, shared = segment_norms(items[1], items[1].hidden, items[1].weight)
        torch.testing.assert_close(total, given["output"])
        torch.testing.assert_close(norm, items[1].norm)
        torch.testing.assert_close(shared, items[1].shared_norm)
    hook.remove()


def test_means_are_those_of_the_model(corpus, profiles):
    source = made_source(corpus)
    mass, losses, right, count, nats, num_bytes = (
        np.zeros((2, 4)),
        np.zeros(2),
        np.zeros(2),
        np.zeros(2),
        0.0,
        0,
    )
    for batch in validation_batches(corpus, MODEL.context_length, None, 0):
        for row in range(len(batch.ids)):
            ids = torch.from_numpy(batch.ids[row : row + 1])
            context = int(batch.context[row, 0])
            with torch.no_grad():
                logits = source.model(
                    ids[:, :-1], torch.from_numpy(batch.start[row : row + 1, :-1]).long()
                )[0]
            loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
            mass[context] += source.model.feedforwards()[0].last_alpha[0].sum(dim=0).numpy()
            losses[context] += loss
            right[context] += (logits.argmax(dim=-1) == ids[0, 1:]).sum().item()
            count[context] += ids.shape[1] - 1
            nats, num_bytes = (
                nats + loss,
                num_bytes + len(source.tokenizer.decode(ids[0, 1:].tolist()).encode()),
            )
    np.testing.assert_allclose(profiles.mass[0], mass / count[:, None], rtol=1e-5)
    np.testing.assert_array_equal(profiles.tokens_by_context, count)
    report = report_losses(source, corpus, seed=0)
    np.testing.assert_allclose(report.loss_by_context, losses / count, rtol=1e-5)
    np.testing.assert_allclose(report.accuracy_by_context, right / count)
    np.testing.assert_array_equal(report.tokens_by_context, count)
    np.testing.assert_array_equal(report.documents_by_context, [6, 6])
    assert report.loss == pytest.approx(
        (losses / count).mean()
    ) and report.bits_per_byte == pytest.approx(nats / math.log(2) / num_bytes)


def test_profile_adds_up(profiles):
    np.testing.assert_allclose(profiles.mass.sum(axis=2), 1.0, rtol=1e-5)
    np.testing.assert_allclose(profiles.chosen.sum(axis=2), MODEL.top_k, rtol=1e-5)
    assert np.all(profiles.contribution >= 0) and np.all(profiles.shared_contribution > 0)
    assert profiles.size.tolist() == [[4] * 4] * 2
    assert len(profiles.neuron_tokens[0]) == MODEL.num_neurons and all(
        len(tokens) == 4 for tokens in profiles.neuron_tokens[1]
    )
    assert all(
        count >= 5 for layer in profiles.typical_count for counts in layer for count in counts
    )
    assert all(
        list(lifts) == sorted(lifts, reverse=True)
        for layer in profiles.typical_lift
        for lifts in layer
    )


def test_passages_are_validation_text_of_different_documents(corpus, profiles):
    tokenizer = made_source(corpus).tokenizer
    split = corpus.validation
    for layer in profiles.passages:
        for passages in layer:
            assert len(passages) == 3 and len({passage.document for passage in passages}) == 3
            means = [passage.strength.mean() for passage in passages]
            assert means == sorted(means, reverse=True)
            for passage in passages:
                number = split.titles.index(passage.document)
                document = [
                    tokenizer.token_text(int(token))
                    for token in split.ids[split.starts[number] : split.starts[number + 1]]
                ]
                assert "\x00".join(passage.tokens) in "\x00".join(document)
                assert passage.context == corpus.contexts[split.context[number]] and len(
                    passage.tokens
                ) == len(passage.strength)


def test_passage_pieces_stay_in_a_document():
    assert pieces(np.array([3] * 50 + [4] * 5 + [5] * 9)) == [(0, 40), (10, 50), (55, 64)]
    assert pieces(np.array([3] * 80 + [4] * 40)) == [(0, 40), (40, 80), (80, 120)]


def test_full_passages_come_before_scraps():
    """The mean of few tokens is the more extreme one; a passage is to be read."""
    windows = Windows()
    windows.places = [
        Window(0, 0, 0, 8, document=0),
        Window(0, 1, 0, 40, document=1),
        Window(0, 2, 0, 40, document=2),
    ]
    best = windows.best(np.array([0, 2, 1]))
    assert [place.document for place in best] == [2, 1, 0]


def test_neurons_answer_to_their_own_numbers(corpus):
    """A neuron whose row fires on one token only is said to like that token, wherever its row
    lies."""
    source = made_source(corpus)
    layer = source.model.feedforwards()[0]
    row, token = 0, source.tokenizer.encode("1")[0]
    wanted = torch.nn.functional.rms_norm(source.model.embedding[token], (MODEL.width,))
    # row 0 is of the shared segment: always computed
    layer.w_gate[row], layer.w_up[row] = 50 * wanted, 50 * wanted
    source.model.layers[0].attention.w_out.zero_()
    found = profile_segments(source, corpus, seed=0).neuron_tokens[0][int(layer.neuron_id[row])]
    assert found[0] == "1"


def test_typical_tokens_of_a_planted_fusion():
    ids = torch.tensor([0, 1, 2] * 10 + [3])
    alpha = torch.tensor([[0.8, 0.2], [0.2, 0.8], [0.5, 0.5]] * 10 + [[1.0, 0.0]])
    sums = TokenSums(np.bincount(ids.numpy(), minlength=5), 1, 2, 3)
    sums.add(0, ids, alpha, torch.zeros(31, 3))
    first, second = sums.of_segments(0)
    # token 3 has the greatest lift, but was seen once
    assert first.ids == (0,) and second.ids == (1, 2) and first.counts == (10,)
    assert first.lift[0] == pytest.approx(0.8 / ((8 + 2 + 5 + 1) / 31))


def test_dead_and_present():
    mass = np.array([[[0.01, 0.5, 0.29, 0.2], [0.02, 0.4, 0.18, 0.4], [np.nan] * 4]])
    assert dead_segments(mass).tolist() == [[True, False, False, False]]
    assert present_segments(mass, 2).tolist() == [[False, True, False, False]]
    uniform = np.full((1, 2, 4), 0.25)
    assert not dead_segments(uniform).any() and not present_segments(uniform, 2).any()
    nothing = np.full((1, 2, 4), np.nan)
    assert not dead_segments(nothing).any() and not present_segments(nothing, 2).any()


def test_text_without_contexts_yet_is_still_profiled(corpus):
    unknown = replace(
        corpus,
        discovered=True,
        validation=replace(corpus.validation, context=np.full(12, -1, dtype=np.int16)),
    )
    source = made_source(corpus)
    profiles = profile_segments(source, unknown, seed=0)
    assert (
        np.isnan(profiles.mass).all()
        and profiles.tokens_by_context.sum() == 0
        and profiles.passages[0][0][0].context == ""
    )
    report = report_losses(source, unknown, seed=0)
    assert np.isnan(report.loss_by_context).all() and report.loss > 0 and report.bits_per_byte > 0
