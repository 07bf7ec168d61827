"""The specialization meter on made data where the answer is known, and its parts against numbers
computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cpart_core.__main__ import main
from cpart_core.analysis.segments.saturation import agreement, information_of_means, saturation
from cpart_core.analysis.segments.specialization import (
    FEWEST_SEEN,
    chosen_pairs,
    committee_share,
    measure_specialization,
)
from cpart_core.analysis.segments.verdict import headline, most_possible, rows, verdict
from cpart_core.analysis.statistics.information import entropy, mutual_information
from cpart_core.analysis.statistics.nulls import Effort, Informations, Reading, Tables, informations
from cpart_core.service.answering import answer, stored
from tests.analysis.made import CONTEXTS, made_corpus, made_run, made_source, planted_snapshot

FEW = Effort(shuffles=60, token_shuffles=40, resamples=60)
C, M, PER_DOCUMENT, V = 4, 80, 50, 12


def made_reading(segment_of, seed: int = 0) -> Reading:
    """M documents of C contexts in turn, every token alike often; segment_of(context, document,
    token, random) -> [K] segments of 4."""
    random = np.random.default_rng(seed)
    document = np.repeat(np.arange(M), PER_DOCUMENT)
    context, token = document % C, random.integers(0, V, M * PER_DOCUMENT)
    segment = segment_of(context, document, token, random)
    return Reading(np.eye(4, dtype=np.float32)[segment][:, None], context, document, token)


def measured(reading: Reading, effort: Effort = FEW) -> Informations:
    return informations(Tables(reading, FEWEST_SEEN), (slice(0, 1),), 0, effort)[0]


def test_two_by_two_by_hand():
    joint = np.array([[3.0, 1.0], [1.0, 3.0]])[:, None, :]
    assert mutual_information(joint)[0] == pytest.approx(1 - (0.75 * np.log2(4 / 3) + 0.25 * 2))
    assert mutual_information(np.array([[2.0, 2.0], [4.0, 4.0]])[:, None])[0] == pytest.approx(
        0.0, abs=1e-12
    )
    assert entropy(np.array([1, 1, 2, 0])) == pytest.approx(1.5)
    assert mutual_information(np.zeros((2, 1, 2)))[0] == 0 and entropy(np.zeros(3)) == 0


def test_planted_segments_reach_the_maximum():
    found = measured(made_reading(lambda context, *_: context))
    assert found.context.value[0] == pytest.approx(2.0) and found.context.beyond_chance.all()
    assert (
        found.context_given_token.value[0] == pytest.approx(2.0, abs=0.01)
        and found.context_given_token.beyond_chance.all()
    )
    assert found.token.value[0] < 0.03
    assert found.context.low[0] <= found.context.value[0] <= found.context.high[0]


@pytest.mark.parametrize("seed", range(4))
def test_segments_by_document_without_regard_to_context_are_inside_the_null(seed):
    """Each document keeps to one segment, drawn at random: over tokens that would look like a
    finding."""
    segment = np.random.default_rng(seed).integers(0, 4, M)
    found = measured(made_reading(lambda _, document, *__: segment[document], seed))
    assert (
        not found.context.beyond_chance.any() and not found.context_given_token.beyond_chance.any()
    )
    assert found.context.value[0] > 0.01 and abs(found.context.above_chance[0]) < 0.1


def test_segments_at_random_are_inside_every_null():
    found = measured(
        made_reading(lambda context, _, __, random: random.integers(0, 4, len(context)))
    )
    assert not any(part.beyond_chance.any() for part in found)


def test_lexical_routing_says_the_token_and_nothing_more():
    found = measured(made_reading(lambda _, __, token, ___: token % 4))
    assert found.token.value[0] == pytest.approx(2.0, abs=0.01) and found.token.beyond_chance.all()
    assert found.context_given_token.value[0] <= found.context_given_token.null_high[0] + 1e-4


def test_words_that_follow_contexts_are_told_from_contexts():
    """Every context has its own words and segments follow words: I(S;C) is high, and I(S;C given T)
    says why."""
    reading = made_reading(lambda context, *_: context)
    lexical = replace(reading, token=reading.context * 3 + reading.token % 3)
    found = measured(lexical)
    assert found.context.value[0] == pytest.approx(2.0) and found.token.value[0] == pytest.approx(
        2.0
    )
    assert (
        found.context_given_token.value[0] == pytest.approx(0.0, abs=1e-4)
        and not found.context_given_token.beyond_chance.any()
    )


def test_intervals_over_documents_are_wider_than_over_tokens_for_clumped_documents():
    segment = np.random.default_rng(1).integers(0, 4, M)

    def clumped(context, document, _, random):
        return np.where(random.random(len(context)) < 0.5, context, segment[document])

    reading = made_reading(clumped)
    by_document = measured(reading).context
    by_token = measured(replace(reading, document=np.arange(len(reading.token)))).context
    assert by_document.high[0] - by_document.low[0] > 2 * (by_token.high[0] - by_token.low[0])
    assert by_document.value[0] == pytest.approx(by_token.value[0])


def test_committee_pairs_and_agreement_by_hand():
    even = np.full((1, 3, 10), 0.1)
    own = np.eye(4)[None]
    standing = np.array([[[0.5, 0.3, 0.1, 0.1], [0.3, 0.5, 0.1, 0.1]]])
    assert (
        committee_share(even)[0] == 0.6
        and committee_share(own)[0] == 1.0
        and committee_share(standing)[0] == 0.5
    )
    wide = np.full((1, 2, 40), 0.01)
    wide[:, :, 0] = 0.61
    assert committee_share(wide)[0] == 1 / 40
    choice = (
        np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=np.float32)[
            :, None
        ]
        / 2
    )
    pairs, chance = chosen_pairs(choice, 2)
    assert (
        pairs[0, 0, 1] == 0.5
        and pairs[0, 0, 2] == 0
        and chance[0, 0, 1] == chance[0, 0, 2] == pytest.approx(2 / 12)
    )
    assert np.nansum(pairs) == pytest.approx(np.nansum(chance)) == 2.0


def test_saturation_is_read_from_snapshots():
    own = np.tile(np.eye(4) * 0.6 + 0.1, (2, 1, 1))
    early, late = (
        planted_snapshot(5),
        replace(planted_snapshot(10), fusion_mass=own, chosen_share=np.tile(np.eye(4), (2, 1, 1))),
    )
    assert information_of_means(early).max() < 1e-9
    assert information_of_means(late)[0] == pytest.approx(
        2 - entropy(np.array([0.7, 0.1, 0.1, 0.1]))
    )
    assert agreement(early, late)[0] == pytest.approx(0.25) and agreement(late, late)[0] == 1.0
    found = saturation([early, late])
    assert (
        found.steps == (5, 10)
        and found.agreement.shape == (2, 2)
        and np.isnan(found.churn[0]).all()
        and (found.churn[1] == 0).all()
    )
    with pytest.raises(ValueError, match="no snapshot"):
        saturation([])


@pytest.fixture(scope="module")
def corpus():
    return made_corpus()


def test_a_model_is_read_as_it_is(corpus):
    result = measure_specialization(made_source(corpus), corpus, 0, effort=Effort(5, 5, 5))
    assert result.documents_by_context.tolist() == [6, 6]
    assert result.context_entropy == pytest.approx(float(entropy(result.tokens_by_context)))
    for use in (result.mass, result.choice):
        np.testing.assert_allclose(use.load.sum(axis=1), 1.0, rtol=1e-5)
        assert len(use.context.value) == 3 and use.context.value[2] == pytest.approx(
            use.context.value[:2].mean()
        )
        assert (use.segment_entropy <= 2).all() and (
            use.context.value <= np.append(use.segment_entropy, 2) + 1e-9
        ).all()
    np.testing.assert_allclose(result.mass_by_context.sum(axis=2), 1.0, rtol=1e-5)
    assert (
        most_possible(result, result.mass) == result.context_entropy
        and most_possible(result, result.choice) <= 1.0
    )
    assert verdict(result, headline(result)) and len(rows(result)) == 2 * 3 * 3
    again = measure_specialization(made_source(corpus), corpus, 0, effort=Effort(5, 5, 5))
    np.testing.assert_array_equal(again.choice.context.null_high, result.choice.context.null_high)


def test_one_context_and_none_are_said(corpus):
    validation = corpus.validation
    unknown = replace(
        corpus, validation=replace(validation, context=np.full_like(validation.context, -1))
    )
    with pytest.raises(ValueError, match="No validation text has a context yet"):
        measure_specialization(made_source(corpus), unknown, 0, effort=Effort(2, 2, 2))
    one = replace(corpus, validation=replace(validation, context=np.zeros_like(validation.context)))
    result = measure_specialization(made_source(corpus), one, 0, effort=Effort(2, 2, 2))
    assert "Only one context" in verdict(result, headline(result))


def test_it_is_computed_stored_and_printed_from_the_terminal(corpus, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    run = made_run(corpus, made_source(corpus), "20260101-000000-spec")
    assert main(["analyze", run.id, "--what", "specialization", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert (
        "I(S;C given T)" in printed
        and "null_high" in printed
        and "OLMoE" in printed
        and "12 validation documents" in printed
    )
    back = stored(run, "specialization", {"run": run.id, "step": 10, "seed": 3})
    assert back.contexts == CONTEXTS and back.seed == 3 and verdict(back, headline(back)) in printed
    again = answer("specialization", {"run": run.id, "step": 10, "seed": 3})
    np.testing.assert_array_equal(again.choice.context.low, back.choice.context.low)
