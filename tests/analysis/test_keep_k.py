"""Keep k and carving: where segments are planted, keeping them costs nothing and chance costs; no
text both chooses and is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpart_core.analysis.keep import carving, footprint
from cpart_core.analysis.keep.keep_k import SelectionRequest, counts_of, keep_curve, texts_of
from cpart_core.analysis.losses.held_out import (
    DocumentLosses,
    fair_share,
    interval_of_rise,
    rows_of_documents,
    rows_of_text,
)
from cpart_core.corpus.store import load_corpus
from cpart_core.model.fusion.oracle import Oracle
from cpart_core.model.generate import generate
from cpart_core.model.intervention import Intervention, intervene
from cpart_core.model.next_token import token_losses
from cpart_core.records.keep import Footprint
from cpart_core.runs.checkpoint import load_model
from cpart_core.runs.folder import delete_run, open_run
from cpart_core.runs.origin import Carved
from cpart_core.runs.training_session import run_training
from cpart_core.service.answering import answer, stored
from cpart_core.service.registry import analysis_named
from tests.analysis.made import MODEL, made_corpus, made_run, made_source

PLANTED = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]])
"""Context letters works with segments 0 and 1, digits with 2 and 3."""
SELECTION = SelectionRequest(
    context="letters", text="", ranking="contribution", documents=4, seed=0
)
COST = Footprint(10, 20, 30, 40, 50, 60, 10, 1000.0, 100.0, 1)


@pytest.fixture(scope="module")
def planted():
    """A model whose oracle sends each context to segments of its own, trained for a moment, so that
    the wrong ones cost."""
    corpus = made_corpus(60)
    source = made_source(
        corpus,
        replace(
            MODEL, num_layers=1, fusion=Oracle(), execution="topk", num_neurons=64, shared_neurons=0
        ),
    )
    model = source.model
    for layer in model.layers:
        layer.attention.w_out.zero_()  # all that is learned is learned by segments
    for layer in model.feedforwards():
        layer.fusion.take_affinity(torch.from_numpy(PLANTED).float())
    learned = [
        getattr(layer, name).requires_grad_(True)
        for layer in model.feedforwards()
        for name in ("w_gate", "w_up", "w_down")
    ]
    optimizer = torch.optim.Adam(learned, lr=0.01)
    rows = rows_of_documents(corpus.train, np.arange(60), 32, 10_000)
    model.embedding.mul_(20.0)  # as large as in a trained model, so that logits can be sure
    for _ in range(8):
        for ids, real, context, _ in rows.batches():
            loss = (
                token_losses(model(ids[:, :-1], context_BT=context), ids[:, 1:]) * real
            ).sum() / real.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.requires_grad_(False)
    return corpus, source


@pytest.mark.parametrize("ranking", ["contribution", "effect"])
@pytest.mark.parametrize(("context", "own"), [("letters", {0, 1}), ("digits", {2, 3})])
def test_the_planted_segments_are_found_and_keeping_them_costs_nothing(
    planted, ranking, context, own
):
    corpus, source = planted
    curve = keep_curve(source, corpus, replace(SELECTION, context=context, ranking=ranking))
    assert curve.kept.tolist() == [4, 3, 2, 1]
    assert all(set(order[:2].tolist()) == own for order in curve.order)
    assert np.abs(curve.rise[:3]).max() < 1e-6 and curve.rise[3] != 0
    chance = curve.random_loss - curve.loss[0]
    assert chance.shape == (10, 4) and chance[:, 2].min() > -1e-6 and chance[:, 2].mean() > 0.1, (
        "as many segments by chance cost"
    )
    other = 1 - corpus.contexts.index(context)
    assert curve.rise_by_context[other, 2] > 0.05 and curve.low_by_context[other, 2] > 0, (
        "the other context pays"
    )
    assert curve.low[1] <= curve.rise[1] <= curve.high[1] and np.isnan(curve.rise).sum() == 0


def test_no_text_both_chooses_and_is_measured(planted):
    corpus, source = planted
    curve = keep_curve(source, corpus, SELECTION)
    assert curve.chosen_on and all(title.startswith("t") for title in curve.chosen_on)
    texts = texts_of(SELECTION, corpus, source.tokenizer, 32)
    for rows in (texts.measured, *texts.others):
        assert rows.titles and all(title.startswith("v") for title in rows.titles)
    train, validation = (
        {tuple(row) for row in texts_.ids.tolist()} for texts_ in (texts.choosing, texts.measured)
    )
    assert not train & validation
    text = " ".join(["abc bcd cde"] * 8 + ["12 345 67"] * 8)
    ids = source.tokenizer.encode(text)
    texts = texts_of(replace(SELECTION, context="", text=text), corpus, source.tokenizer, 32)
    first, second = (
        [token for row, n in zip(rows.ids, rows.length, strict=True) for token in row[:n]]
        for rows in (texts.choosing, texts.measured)
    )
    assert first == ids[: len(first)] and len(first) <= len(ids) // 2, "the first half chooses"
    assert second == ids[len(ids) // 2 :][: len(second)], "the second is measured"


def test_a_text_chooses_as_its_context_does_and_one_document_is_enough():
    corpus = made_corpus()
    source = made_source(corpus)
    text = source.tokenizer.decode(corpus.train.ids[: corpus.train.starts[1] - 1].tolist()) * 2
    curve = keep_curve(source, corpus, replace(SELECTION, context="", text=text))
    assert curve.context == "" and curve.text == text and curve.rise_by_context.shape == (2, 4)
    assert len(keep_curve(source, corpus, replace(SELECTION, documents=1)).chosen_on) == 1


def test_a_dense_execution_is_cut_without_further_training():
    corpus = made_corpus()
    curve = keep_curve(made_source(corpus, replace(MODEL, execution="dense")), corpus, SELECTION)
    assert (
        curve.execution == "dense"
        and np.isfinite(curve.loss).all()
        and (curve.importance > 0).all()
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"context": "nowhere"}, "there are: letters, digits"),
        ({"context": "", "text": "  "}, "a context or a text"),
        ({"text": "both"}, "not both"),
        ({"ranking": "magic"}, "contribution, effect"),
        ({"documents": 0}, "at least 1 document"),
        ({"context": "", "text": "abc"}, "at least 32"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(planted, change, said):
    corpus, source = planted
    with pytest.raises(ValueError, match=said):
        keep_curve(source, corpus, replace(SELECTION, **change))


def test_rows_hold_each_token_once_and_share_the_room_fairly():
    corpus = made_corpus()
    rows = rows_of_documents(corpus.validation, np.arange(12), 32, 10**9)
    lengths = np.diff(corpus.validation.starts)
    assert rows.tokens == (lengths - -(-lengths // 33)).sum(), (
        "the first token of a row is predicted by nobody"
    )
    assert fair_share(np.array([2, 10, 10]), 12) == 5 and fair_share(np.array([2, 3]), 100) == 3
    cut = rows_of_documents(corpus.validation, np.arange(12), 32, 120)
    assert cut.tokens <= 120 and np.bincount(cut.document).tolist() == [1] * 12
    assert rows_of_text(list(range(70)), 32, 1000).titles == ("passage 1", "passage 2", "passage 3")
    assert counts_of(3).tolist() == [3, 2, 1] and counts_of(64)[0] == 64 and counts_of(64)[-1] == 1


def test_the_interval_is_over_documents():
    before = DocumentLosses(np.array([10.0, 20.0]), np.array([10, 10]))
    assert interval_of_rise(before, replace(before, nats=before.nats + 5), 0) == (
        0.5,
        0.5,
    ), "alike in each document: no doubt"
    low, high = interval_of_rise(before, replace(before, nats=before.nats + [0, 10]), 0)
    assert (low, high) == (0.0, 1.0)
    assert all(np.isnan(interval_of_rise(*[DocumentLosses(np.ones(1), np.ones(1))] * 2, 0)))


@pytest.fixture
def carved(monkeypatch):
    """A run and the report of carving it: 2 of 4 segments for digits."""
    monkeypatch.setattr(
        carving,
        "measure_footprints",
        lambda checkpoints, repeats, progress: [COST] * len(checkpoints),
    )
    corpus = made_corpus()
    run = made_run(
        corpus,
        made_source(corpus, replace(MODEL, execution="topk")),
        f"carve-{np.random.default_rng().integers(10**9)}",
    )
    selection = {
        "context": "digits",
        "text": "",
        "ranking": "contribution",
        "documents": 4,
        "seed": 0,
    }
    return run, answer(
        "carve", {"run": run.id, "step": 10, **selection, "keep": 2, "name": "for digits"}
    )


def test_a_carved_run_comes_back_from_the_disk_as_the_whole_with_the_rest_forbidden(carved):
    run, report = carved
    small = open_run(report.carved)
    whole, smaller = load_model(run, 10).model, load_model(small, 10).model
    forbidden = [
        Intervention(layer, s, "forbid")
        for layer, kept in enumerate(report.kept)
        for s in range(4)
        if s not in kept
    ]
    ids = torch.randint(
        0, whole.vocabulary_size, (2, 30), generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad(), intervene(whole, forbidden):
        torch.testing.assert_close(smaller(ids), whole(ids), rtol=1e-4, atol=1e-5)
    assert len(list(generate(smaller, [1, 2], max_tokens=5))) == 5
    losses = answer("losses", {"run": small.id, "step": 10})
    assert np.isfinite(losses.loss_by_context).all()
    assert (
        small.info.name == "for digits"
        and isinstance(small.info.origin, Carved)
        and small.info.origin.run == run.id
        and small.info.origin.context == "digits"
    )
    assert small.info.origin.kept == tuple(
        map(tuple, report.kept.tolist())
    ) and small.info.fingerprint == run_corpus(run)
    assert small.info.num_parameters == sum(parameter.numel() for parameter in smaller.parameters())


def test_a_carved_run_has_what_pages_need_and_is_not_trained_on(carved):
    run, report = carved
    small = open_run(report.carved)
    snapshot, state = small.snapshot(10), small.state()
    assert (state.state, state.step, state.steps) == ("finished", 10, 10)
    assert snapshot.segment_of.shape == (2, 12) and set(np.unique(snapshot.segment_of)) == {
        -1,
        0,
        1,
    }
    assert len(small.evaluations().loss) == 1 and np.isnan(small.records().loss).all()
    assert stored(small, "carve", {"run": small.id}).carved == small.id
    with pytest.raises(ValueError, match="was carved from run"):
        run_training(small)
    assert open_run(small.id).state().state == "finished"
    assert analysis_named("carve").is_current(run, report)
    delete_run(small.id)
    assert not analysis_named("carve").is_current(run, report), (
        "the run is gone: asked again, it is carved again"
    )


def test_impossible_counts_leave_no_run_behind(carved):
    run, report = carved
    selection = {"context": "digits", "text": "", "ranking": "effect", "documents": 4, "seed": 0}
    for keep in (0, 5):
        with pytest.raises(ValueError, match="give 1 to 4"):
            answer("carve", {"run": run.id, "step": 10, **selection, "keep": keep, "name": ""})


def test_a_footprint_is_measured(carved, monkeypatch):
    run, _ = carved
    monkeypatch.setattr(footprint, "SECONDS", 0.01)
    found = footprint.middle_of([footprint.measure_here(run.id, 10)])
    assert (
        found.num_parameters == run_parameters(run) and found.file_bytes > 4 * found.num_parameters
    )
    assert (
        found.peak_bytes >= found.idle_bytes > 0
        and found.read_tokens_per_second > 0 < found.write_tokens_per_second
    )


def run_corpus(run) -> str:
    return load_corpus(run.folder / "corpus").fingerprint


def run_parameters(run) -> int:
    return sum(parameter.numel() for parameter in load_model(run, 10).model.parameters())
