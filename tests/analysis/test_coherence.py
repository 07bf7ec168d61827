"""Coherence meters on texts whose answer is known: human 1, random 0, a loop repeats, a judge that
knows nothing finds no order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpart_core.analysis.coherence import embedder
from cpart_core.analysis.coherence import measure as coherence
from cpart_core.analysis.coherence.judging import nats_of
from cpart_core.analysis.coherence.measure import (
    Question,
    coherence_of,
    measure_coherence,
    order_of,
)
from cpart_core.analysis.coherence.prompts import (
    choose_prompts,
    distinct,
    other_of_each,
    repetition,
    sentences,
    windows,
)
from cpart_core.analysis.coherence.writers import load_candidates
from cpart_core.analysis.source import Sources
from cpart_core.analysis.statistics.anchored import anchored
from cpart_core.model.generate import generate, generate_rows
from cpart_core.runs.independent_judge import relation
from cpart_core.runs.origin import Trained
from cpart_core.runs.result_files import load_result, save_result
from cpart_core.service.answering import answer
from tests.analysis.made import CONTEXTS, made_corpus, made_run, made_source


@pytest.fixture(scope="module")
def source():
    return made_source(made_corpus())


@pytest.fixture
def two_runs(tmp_path, monkeypatch):
    """Two untrained runs on one made corpus, and no sentence embedder."""
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    monkeypatch.setattr(coherence, "embedder_for", embedder.HiddenStates)
    corpus = made_corpus()
    source = made_source(corpus)
    return made_run(corpus, source, "one"), made_run(corpus, source, "two")


def test_human_text_scores_one_and_random_text_zero():
    rng = np.random.default_rng(0)
    human, random = rng.normal(0.8, 0.1, 24), rng.normal(0.2, 0.1, 24)
    assert anchored(human, human, random, 0).score == 1.0
    assert anchored(random, human, random, 0).score == 0.0
    half = anchored((human + random) / 2, human, random, 0)
    assert half.low < 0.5 < half.high and half.score == pytest.approx(0.5) and half.n == 24


def test_there_is_no_score_where_human_and_random_text_look_alike():
    rng = np.random.default_rng(0)
    same = anchored(*rng.normal(0.5, 0.1, (3, 24)), 0)
    assert np.isnan(same.score) and np.isnan(same.low) and same.gap_low < 0 < same.gap_high


def test_the_interval_covers_the_truth():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(60):
        own = rng.normal(0, 0.1, 30)
        found = anchored(
            0.5 + own + rng.normal(0, 0.1, 30), 0.8 + own, 0.2 + rng.normal(0, 0.1, 30), seed
        )
        held += found.low <= 0.5 <= found.high
    assert held >= 52


def test_a_loop_repeats_and_fresh_text_does_not():
    assert repetition([1, 2, 3] * 40) > 0.95 and distinct([1, 2, 3] * 40) < 0.05
    assert repetition(list(range(100))) == 0.0 and distinct(list(range(100))) == 1.0
    assert np.isnan(repetition([1, 2, 3])) and np.isnan(distinct([1]))


def test_sentences_and_windows_lose_nothing_but_a_cut_end():
    text = (
        "The first one stands here. And the second one follows.\nA third line is here too.\nThe"
        " last is cut sh"
    )
    assert "".join(sentences(text)) == text[: text.rindex("The last")] and len(sentences(text)) == 3
    assert "".join(windows("abcdefgh" * 4)) == "abcdefgh" * 4 and windows("short") == []
    assert sentences("") == [] and sentences("12 * 3 = 36\n" * 9)[0].count("\n") == 2


def test_random_text_is_always_another_documents():
    for count in (2, 5, 24):
        other = other_of_each(count, 3)
        assert sorted(other) == list(range(count)) and not np.any(other == np.arange(count))


def test_order_is_half_for_a_judge_that_knows_nothing_and_for_a_loop(source):
    rng = np.random.default_rng(0)
    words = np.array(["abc", "bcd", "cde", "12", "345"])
    texts = [[" ".join(rng.choice(words, 6)) + ". " for _ in range(7)] for _ in range(20)]
    share, pairs = order_of(source, ["abc "] * 20, texts, 0)
    assert pairs.sum() == 120 and abs(share.mean() - 0.5) < 4 * 0.5 / np.sqrt(120)
    loop, _ = order_of(source, ["abc "] * 4, [["abc bcd. "] * 6] * 4, 0)
    assert np.all(loop == 0.5)


def test_order_is_found_by_a_judge_that_knows(source, monkeypatch):
    """A planted judge: a sentence is likely where its own document's number stands before it."""

    def planted(judge, pairs, progress=None):
        return np.array(
            [0.0 if before[:1] == text[:1] else 1.0 for before, text in pairs]
        ), np.ones(len(pairs), dtype=np.int64)

    monkeypatch.setattr(coherence, "nats_of", planted)
    texts = [[f"{number} says {place}. " for place in range(5)] for number in range(8)]
    share, _ = order_of(source, [f"{number} " for number in range(8)], texts, 0)
    assert np.all(share == 1.0)
    mixed = [[texts[(number + place) % 8][place] for place in range(5)] for number in range(8)]
    assert order_of(source, [f"{number} " for number in range(8)], mixed, 0)[0].mean() < 0.5


def test_nats_are_the_models_own_and_padding_changes_nothing(source):
    pairs = [("abc bcd", " cde abc"), ("12", " 345 67 12 345"), ("abc", "")]
    nats, tokens = nats_of(source, pairs)
    alone = [nats_of(source, [pair])[0][0] for pair in pairs[:2]]
    ids = source.tokenizer.encode("12") + source.tokenizer.encode(" 345 67 12 345")
    losses = torch.nn.functional.cross_entropy(
        source.model(torch.tensor([ids]))[0, :-1], torch.tensor(ids[1:]), reduction="none"
    )
    assert nats[:2] == pytest.approx(alone, abs=1e-5) and np.isnan(nats[2]) and tokens[2] == 0
    assert nats[1] == pytest.approx(float(losses[-tokens[1] :].mean()), abs=1e-5)


def test_rows_at_once_are_the_rows_one_by_one(source):
    rows = [source.tokenizer.encode(text)[:3] for text in ("abc bcd cde", "12 345 67 12")]
    both = generate_rows(source.model, rows, max_tokens=12, temperature=0.8, seeds=[5, 6])
    for row, seed, made in zip(rows, (5, 6), both, strict=True):
        assert made == list(generate(source.model, row, max_tokens=12, temperature=0.8, seed=seed))
    end = source.tokenizer.end
    long = generate_rows(
        source.model, rows, max_tokens=80, temperature=2.0, seeds=[0, 1], never=end
    )
    assert all(len(made) == 80 and end not in made for made in long)


def test_prompts_are_heads_of_documents_that_nobody_was_trained_on():
    corpus = made_corpus()
    tokenizer = made_source(corpus).tokenizer
    prompts, passed = choose_prompts(corpus, tokenizer, 8, 16, 6, 0)
    whole = [
        tokenizer.decode(corpus.validation.ids[a:b].tolist())
        for a, b in zip(corpus.validation.starts, corpus.validation.starts[1:], strict=False)
    ]
    assert (
        passed == 0
        and len(prompts) == 6
        and {prompt.context for prompt in prompts} == set(CONTEXTS)
    )
    assert all(
        any(text.startswith(prompt.text + prompt.rest) for text in whole) for prompt in prompts
    )
    kept, passed = choose_prompts(
        corpus, tokenizer, 8, 16, 6, 0, [prompts[0].rest + prompts[1].rest]
    )
    assert passed == 2 and prompts[0] not in kept


def test_a_report_measures_writers_beside_both_anchors(two_runs, tmp_path):
    run, judge = two_runs
    sources = Sources()
    step = run.checkpoint_steps()[-1]
    candidates = load_candidates(
        [[run.id, step, []], [run.id, step, [[0, 1, "ablate", 1.0]]]], sources
    )
    report = measure_coherence(
        candidates, judge, sources.source(judge, step), Question(4, 0, 0.8), sources
    )
    assert (
        len(report.texts) == 4
        and report.similarity.shape == (4, 4)
        and report.drift.shape[:2] == (4, 4)
    )
    assert (
        report.writers[1].changes == ("segment 1 of layer 0 ablated",)
        and report.writers[0].changes == ()
    )
    for column in zip(*report.texts, strict=True):
        assert len({len(text) for text in column}) == 1
    assert not report.judge.embedder_installed and "hidden states" in report.judge.embedder
    save_result(tmp_path / "x.npz", "coherence", report)
    assert load_result(tmp_path / "x.npz", "coherence", type(report)).texts == report.texts
    again = coherence_of(run.id, step, judge.id, step, 0, prompts=4)
    assert again.prompts == 4 and again.embedding.human == pytest.approx(
        report.embedding_score[0].human, nan_ok=True
    )


def test_side_by_side_is_the_same_prompt_and_seed_for_all(two_runs):
    run, judge = two_runs
    step = run.checkpoint_steps()[-1]
    request = {
        "run": run.id,
        "step": step,
        "interventions": [],
        "others": [[judge.id, step, []]],
        "judge": judge.id,
        "judge_step": step,
    }
    start = {
        "text": "abc bcd",
        "title": "",
        "rest": "",
        "random": "",
        "max_tokens": 12,
        "temperature": 0.8,
        "seed": 3,
    }
    found = answer("side_by_side", {**request, **start})
    assert len(found.traces) == len(found.measures) == 2 and not found.judge.independent
    assert found.measures[0].text == found.measures[1].text, "two copies of one model, one seed"
    anchors = answer(
        "side_by_side",
        {**request, **start, "rest": " cde abc bcd abc", "random": " 12 345 67 12 345"},
    )
    assert len(anchors.measures) == 4 and len(anchors.measures[2].text) <= len(
        anchors.measures[0].text
    )
    with pytest.raises(ValueError, match="allowed are 1 to 4"):
        answer("side_by_side", {**request, **start, "others": [[judge.id, step, []]] * 4})
    with pytest.raises(ValueError, match="A writer is"):
        answer("side_by_side", {**request, **start, "others": [[judge.id]]})


def test_who_is_independent_of_whom(two_runs):
    one, two = two_runs
    other = replace(two.settings, training=replace(two.settings.training, seed=9))
    stranger = replace(two, info=replace(two.info, settings=other))
    assert relation(stranger, [one])[0]
    assert not relation(one, [one])[0] and "itself" in relation(one, [one])[1]
    twin = replace(stranger, info=replace(stranger.info, origin=Trained(one.id, "dense")))
    assert not relation(twin, [one])[0] and "same batches" in relation(twin, [one])[1]
    assert not relation(two, [one])[0], "same text and seed are the same batches"


def test_the_packaged_embedder_gives_its_published_similarities():
    """The example of the model's own documentation, where the extra is installed."""
    folder = embedder.package_folder()
    if folder is None:
        pytest.skip("the extra `coherence` is not installed")
    vectors = embedder.SentenceEmbedder(folder).embed(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    assert vectors @ vectors.T == pytest.approx(
        np.array([[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]), abs=1e-3
    )
