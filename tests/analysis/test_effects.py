"""Interventions, ablation matrix and router audit on models whose answer is known because it was
built in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpart_core.analysis.effects.ablation import LEAST, ablation_matrix
from cpart_core.analysis.effects.router_audit import router_audit, spearman_of_rows
from cpart_core.analysis.effects.what_if import Question, changes_of, losses_of, report_intervention
from cpart_core.analysis.source import Source
from cpart_core.analysis.statistics.spread import rows_over_documents
from cpart_core.corpus.document import Corpus
from cpart_core.model.fusion.attention import Attention
from cpart_core.model.intervention import Intervention, intervene
from tests.analysis.made import MODEL, made_corpus, made_source


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return made_corpus(24)


def sides(corpus: Corpus) -> torch.Tensor:
    """[V] +1 for the tokens of the digits, -1 for those of the letters: what a planted model knows
    of a token."""
    split = corpus.validation
    context = split.context[np.repeat(np.arange(len(split.context)), np.diff(split.starts))]
    side = torch.zeros(300)
    for name, value in ((1, 1.0), (0, -1.0)):
        side[torch.from_numpy(split.ids[context == name].astype(np.int64)).unique()] += value
    return side  # 0 for what both have


def planted(corpus: Corpus, execution: str = "soft", routed: float = 0.0) -> Source:
    """Layer 1: segment 0 speaks for letters, segment 1 for digits, the others are silent; `routed`
    > 0: fusion chooses the right one."""
    source = made_source(
        corpus,
        replace(
            MODEL,
            execution=execution,
            top_k=1,
            fusion=Attention(pooling="token", fusion_temperature=0.2, fusion_width=8),
        ),
    )
    model = source.model
    model.embedding.mul_(15)
    model.embedding[:, 0] = 0.4 * sides(corpus)[: len(model.embedding)]
    for number, layer in enumerate(model.layers):
        layer.attention.w_out.zero_()
        ff = layer.feedforward
        ff.w_down.zero_()
        ff.fusion.w_query.zero_()
        ff.fusion.w_query[0, 0] = 1.0
        ff.fusion.keys.zero_()
        if number == 1:
            for segment, sign in ((0, -1.0), (1, 1.0)):
                rows = ff.segment_of_row() == segment
                ff.w_gate[rows] = 0.0
                ff.w_up[rows] = 0.0
                ff.w_gate[rows, 0] = 3.0 * sign
                ff.w_up[rows, 0] = 1.0
                ff.w_down[0, rows] = 0.15
                ff.fusion.keys[segment, 0] = routed * sign
    return source


def shuffled(corpus: Corpus, seed: int) -> Corpus:
    labels = np.random.default_rng(seed).permutation(corpus.validation.context)
    return replace(corpus, validation=replace(corpus.validation, context=labels))


def test_a_planted_segment_is_selective_and_shuffled_contexts_are_not(corpus: Corpus) -> None:
    found = ablation_matrix(planted(corpus), corpus, seed=0)
    assert found.segments.tolist() == [0, 1, 2, 3, -1] and found.change.shape == (2, 5, 2)
    assert found.own[1, :2].tolist() == [0, 1] and found.strongest.tolist() == [[1, 0], [1, 1]]
    assert (found.selectivity_low[1, :2] > 5).all() and (found.strongest_low > 5).all()
    # nothing is said there: a ratio of two nothings
    np.testing.assert_allclose(found.selectivity[0], 1.0)
    assert found.documents_by_context.tolist() == [12, 12] and found.tokens_by_context.min() > 100
    by_chance = [
        ablation_matrix(planted(corpus), shuffled(corpus, seed), seed=0) for seed in range(5)
    ]
    for one in by_chance:
        assert (one.selectivity_low[1, :2] <= 1).all() and (one.selectivity_high[1, :2] >= 1).all()
    assert 0.5 < np.median([one.selectivity[1, :2] for one in by_chance]) < 2


def test_the_matrix_is_what_interventions_give(corpus: Corpus) -> None:
    source = made_source(corpus)
    found = ablation_matrix(source, corpus, seed=3)
    batches = rows_over_documents(corpus, MODEL.context_length, 24_000, 3)
    context = np.concatenate([batch.context[:, :-1].ravel() for batch in batches])
    plain = np.concatenate([losses_of(source.model, batch).ravel() for batch in batches])
    for layer, column in ((0, 2), (1, 4), (0, 4)):
        with intervene(source.model, [Intervention(layer, int(found.segments[column]), "ablate")]):
            after = np.concatenate([losses_of(source.model, batch).ravel() for batch in batches])
        wanted = [(after - plain)[context == number].mean() for number in range(2)]
        np.testing.assert_allclose(found.change[layer, column], wanted, atol=2e-6)
        assert (found.low[layer, column] <= wanted).all() and (
            wanted <= found.high[layer, column]
        ).all()
    np.testing.assert_allclose(
        found.loss_by_context, [plain[context == number].mean() for number in range(2)], rtol=1e-5
    )
    assert found.least == LEAST


def test_text_of_unknown_context_is_refused_in_a_sentence(corpus: Corpus) -> None:
    unknown = replace(
        corpus,
        discovered=True,
        validation=replace(corpus.validation, context=np.full(24, -1, dtype=np.int16)),
    )
    with pytest.raises(ValueError, match="not known yet"):
        ablation_matrix(made_source(corpus), unknown, seed=0)


@pytest.mark.parametrize("execution", ["topk", "soft"])
def test_a_router_that_knows_is_better_than_chance_and_has_nothing_to_regret(
    corpus: Corpus, execution: str
) -> None:
    right, wrong = (
        router_audit(planted(corpus, execution, routed), corpus, seed=0) for routed in (1.0, -1.0)
    )
    assert right.random_low[1] > 0 and right.regret[1] < 0.3 * right.random_regret[1]
    assert (
        wrong.random_high[1] < 0
        and wrong.regret_low[1] > wrong.random_regret[1]
        and wrong.best_share[1] < right.best_share[1]
    )
    np.testing.assert_allclose([right.random_change[0], right.regret[0]], 0.0, atol=1e-6)
    assert (
        right.documents == 24
        and right.possible == (3 if execution == "topk" else 4)
        and right.chosen == (1 if execution == "topk" else 2)
    )
    if execution == "soft":
        assert right.rank_low[1] > 0.1 and wrong.rank_high[1] < -0.1
    else:
        assert np.isnan(right.rank_within).all()


def test_what_chooses_nothing_cannot_be_audited(corpus: Corpus) -> None:
    with pytest.raises(ValueError, match="no choice to audit"):
        router_audit(made_source(corpus, replace(MODEL, execution="dense")), corpus, seed=0)


def test_spearman_of_rows() -> None:
    one = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    found = spearman_of_rows(one, np.array([[10.0, 20.0, 90.0], [5.0, 1.0, 0.0], [1.0, 2.0, 3.0]]))
    np.testing.assert_allclose(found[:2], [1, -1])
    assert np.isnan(found[2])


def test_a_report_says_before_and_after(corpus: Corpus) -> None:
    source = planted(corpus)
    question = Question(
        "12 345 67 12", changes_of([[1, 1, "ablate", 1.0]], [[0, 3], [0, 5]]), 6, 0.0, 0
    )
    found = report_intervention(source, corpus, question, rows_seed=0)
    assert found.changes == ("segment 1 of layer 1 ablated", "2 neurons of layer 0 ablated")
    assert (
        found.change_low[1] > 0.05
        and np.abs(found.context_after[0] - found.context_before[0]) < 0.01
    )
    assert (
        len(found.tokens) == len(found.loss_before)
        and np.isnan(found.loss_before[0])
        and found.loss_after[1:].mean() > found.loss_before[1:].mean()
    )
    assert 10 <= len(found.next_tokens) <= 20 and (np.diff(found.next_before) <= 0).all()
    assert 1 <= len(found.continuation_before) <= 6 and all(
        layer.intervention is None for layer in source.model.feedforwards()
    )
    neutral = report_intervention(
        source,
        corpus,
        replace(question, changes=changes_of([[1, 1, "scale", 1.0]], [])),
        rows_seed=0,
    )
    assert (
        np.array_equal(neutral.context_before, neutral.context_after)
        and neutral.continuation_before == neutral.continuation_after
    )


@pytest.mark.parametrize(
    ("interventions", "neurons", "sentence"),
    [
        ([], [], "Nothing is changed"),
        ([[0, 1, "ablate"]], [], "layer, segment, kind, factor"),
        ([[0, True, "ablate", 1.0]], [], "An intervention is"),
        ([], [[0, "a"]], "two whole numbers"),
    ],
)
def test_requests_that_do_not_fit_are_refused_in_a_sentence(
    interventions: list, neurons: list, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        changes_of(interventions, neurons)


def test_rows_come_from_many_documents(corpus: Corpus) -> None:
    few = rows_over_documents(corpus, MODEL.context_length, 24 * MODEL.context_length, 0)
    documents = np.concatenate([batch.document[:, 0] for batch in few])
    assert len(documents) == 24 and len(np.unique(documents)) >= 20
    assert np.bincount(np.concatenate([batch.context[:, 0] for batch in few])).tolist() == [12, 12]
