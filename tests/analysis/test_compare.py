"""Laws of comparing: a run is like itself, a renumbering changes nothing, swapping the sides swaps
the signs; other texts and tokenizers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cpart_core.__main__ import main
from cpart_core.analysis.compare.aligned_text import align, compare_text
from cpart_core.analysis.compare.differences import (
    difference_rows,
    differences,
    match_words,
    recorded_losses,
    settings_that_differ,
)
from cpart_core.analysis.compare.loss_pairs import compare_losses
from cpart_core.analysis.compare.match import Side, compare_segments, same_neurons
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.model.decoder import Decoder
from cpart_core.records.training import Snapshot
from cpart_core.runs.folder import Run
from cpart_core.runs.info import RunInfo
from cpart_core.service.answering import answer, stored
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.run import Settings
from tests.analysis.made import CONTEXTS, MODEL, made_corpus, made_run, made_source, split_of

NAMES = tuple(f"context {number}" for number in range(6))
WIDE = ModelSettings(
    num_layers=2,
    width=16,
    num_heads=2,
    num_kv_heads=2,
    num_neurons=64,
    shared_neurons=0,
    num_segments=8,
)


def a_run(name: str, tmp_path, **values: object) -> Run:
    settings = replace(Settings(), model=WIDE).with_values(values)
    info = RunInfo(
        name,
        name,
        "2026-01-01T00:00:00+00:00",
        settings,
        contexts=NAMES,
        fingerprint="f",
        vocabulary_size=300,
    )
    return Run(tmp_path / name, info, False)


def a_snapshot(seed: int, step: int = 10, partitioned: bool = True) -> Snapshot:
    rng = np.random.default_rng(seed)
    return Snapshot(
        step=step,
        segment_of=np.stack([rng.permutation(np.repeat(np.arange(8), 8)) for _ in range(2)]).astype(
            np.int16
        ),
        signature=rng.uniform(0.1, 1.0, (2, 64, 6)).astype(np.float16),
        signature_scale=np.ones(2, np.float32),
        signature_tokens=np.full(6, 100.0),
        fusion_mass=rng.dirichlet(np.full(8, 0.4), (2, 6)),
        chosen_share=np.ones((2, 6, 8)),
        fusion_tokens=np.full(6, 100),
        partitioned=partitioned,
        frozen=True,
    )


def renumbered(snapshot: Snapshot, order: np.ndarray) -> Snapshot:
    """Segment s is called order[s] now."""
    inverse = np.argsort(order)
    return replace(
        snapshot,
        segment_of=order[snapshot.segment_of.astype(int)].astype(np.int16),
        fusion_mass=snapshot.fusion_mass[:, :, inverse],
    )


@pytest.mark.parametrize("method", ["neurons", "fusion", "signatures"])
def test_a_snapshot_is_like_itself(method, tmp_path):
    side = Side(a_run("a", tmp_path), a_snapshot(0))
    result = compare_segments(side, side, method, 0)
    assert result.method == method and (result.match == np.arange(8)).all()
    assert result.agreement == pytest.approx(1.0) and (result.agreement > result.null_high).all()
    assert (result.moved == 0).all() and result.compared.any() and not result.changed.any()
    assert not differences(side.run, side.run, result, None, None) and not settings_that_differ(
        side.run.settings, side.run.settings
    )


@pytest.mark.parametrize("method", ["neurons", "fusion", "signatures"])
def test_renumbering_one_side_changes_nothing_after_matching(method, tmp_path):
    order = np.random.default_rng(5).permutation(8)
    first, second = Side(a_run("a", tmp_path), a_snapshot(0)), a_snapshot(1)
    plain = compare_segments(first, Side(first.run, second), method, 0)
    other = compare_segments(first, Side(first.run, renumbered(second, order)), method, 0)
    assert other.agreement == pytest.approx(plain.agreement) and other.null_mean == pytest.approx(
        plain.null_mean
    )
    assert (order[plain.match] == other.match).all()
    assert (plain.changed == other.changed).all() and other.moved == pytest.approx(plain.moved)


def test_chance_is_found_to_be_chance(tmp_path):
    first, second = (
        Side(a_run("a", tmp_path), a_snapshot(0)),
        Side(a_run("b", tmp_path, seed=1), a_snapshot(1)),
    )
    for method in ("fusion", "signatures"):
        result = compare_segments(first, second, method, 0)
        assert (
            abs(result.agreement[-1] - result.null_mean[-1]) < 0.2 and np.isnan(result.moved).all()
        )
    neurons = compare_segments(first, Side(first.run, a_snapshot(1)), "neurons", 0)
    assert (
        abs(neurons.agreement[-1] - neurons.null_mean[-1]) < 0.1
        and 0.1 < neurons.null_mean[-1] < 0.5
    )


def test_which_matching_is_taken_and_why(tmp_path):
    one, other_seed, dense = (
        a_run("a", tmp_path),
        a_run("b", tmp_path, seed=1),
        a_run("c", tmp_path, execution="dense"),
    )
    assert (
        same_neurons(one, dense)
        and not same_neurons(one, other_seed)
        and not same_neurons(one, a_run("d", tmp_path, num_layers=3))
    )
    shown = a_snapshot(0)
    assert compare_segments(Side(one, shown), Side(dense, shown), "auto", 0).method == "neurons"
    assert compare_segments(Side(one, shown), Side(other_seed, shown), "auto", 0).method == "fusion"
    assert np.isnan(
        compare_segments(Side(one, shown), Side(dense, shown), "auto", 0).committee[1]
    ).all()
    for refused in (("fusion", dense), ("neurons", other_seed)):
        result = compare_segments(Side(one, shown), Side(refused[1], shown), refused[0], 0)
        assert (
            result.method == "none"
            and "instead" in match_words(result)
            and not result.changed.any()
        )
    early = compare_segments(
        Side(one, shown), Side(one, a_snapshot(0, 1, partitioned=False)), "auto", 0
    )
    assert early.method == "none" and "before its first partition" in early.why
    with pytest.raises(ValueError, match="allowed: auto"):
        compare_segments(Side(one, shown), Side(one, shown), "guess", 0)


def test_other_numbers_of_segments_leave_some_unmatched(tmp_path):
    few = replace(a_snapshot(3), fusion_mass=np.random.default_rng(3).dirichlet(np.ones(5), (2, 6)))
    run = a_run("a", tmp_path)
    result = compare_segments(
        Side(run, a_snapshot(0)), Side(a_run("b", tmp_path, seed=1), few), "fusion", 0
    )
    assert ((result.match < 0).sum(axis=1) == 3).all() and (
        np.sort(result.of_other, axis=1)[:, 0] >= 0
    ).all()


@pytest.fixture(scope="module")
def sides():
    """Two models on one corpus, and one on another corpus with another tokenizer."""
    corpus = made_corpus()
    first = made_source(corpus)
    second = first._replace(
        run="second",
        model=Decoder(MODEL, first.tokenizer.vocabulary_size, seed=7).eval().requires_grad_(False),
    )
    tokenizer = Tokenizer.train(["abc abc bcd 12 345 valid train"], 262)
    texts, labels = ["bcd bcd abc cde bcd abc", "345 12 12 67 345 67 12"] * 2, [0, 1, 0, 1]
    own = [f"{text} {number}" for number, text in enumerate(texts)]
    other = replace(
        corpus,
        train=split_of(tokenizer, ["67 67 67 abc"], [1], "t"),
        validation=split_of(tokenizer, own, labels, "w"),
        tokenizer_json=tokenizer.to_json(),
        fingerprint="other",
    )
    small = Decoder(MODEL, tokenizer.vocabulary_size, seed=1).eval().requires_grad_(False)
    return (
        corpus,
        first,
        second,
        other,
        first._replace(run="third", model=small, tokenizer=tokenizer),
    )


def test_losses_of_a_model_beside_itself_are_equal_and_swapping_swaps_signs(sides):
    corpus, first, second, _, _ = sides
    alone = compare_losses(first, first, (corpus, corpus), True, 0)
    assert (
        not alone.difference.any()
        and not alone.low.any()
        and not alone.high.any()
        and (alone.loss == alone.other_loss).all()
    )
    there = compare_losses(first, second, (corpus, corpus), True, 0)
    back = compare_losses(second, first, (corpus, corpus), True, 0)
    assert there.contexts == CONTEXTS and there.difference == pytest.approx(-back.difference)
    assert (
        there.low == pytest.approx(-back.high, abs=1e-5)
        and (there.low <= there.difference).all()
        and (there.difference <= there.high).all()
    )
    in_a = float(
        (there.loss * there.length)[there.context == 0].sum()
        / there.length[there.context == 0].sum()
    )
    assert there.loss_by_context[0] == pytest.approx(in_a)


def test_other_tokenizers_are_compared_in_bits_per_byte_on_what_both_were_not_trained_on(sides):
    corpus, first, _, other, third = sides
    trained = replace(
        other, train=split_of(third.tokenizer, ["bcd bcd abc cde bcd abc 0"], [0], "t")
    )
    there = compare_losses(first, third, (corpus, trained), True, 0)
    back = compare_losses(third, first, (trained, corpus), True, 0)
    assert (
        there.unit == "bits per byte"
        and there.left_out == 1
        and "w0" not in there.titles
        and "w1" in there.titles
    )
    assert there.titles == back.titles and there.difference == pytest.approx(-back.difference)
    assert compare_losses(first, third, (corpus, other), False, 0).contexts == ("all text",)
    leaked = replace(
        other,
        train=corpus.validation,
        validation=other.train,
        tokenizer_json=corpus.tokenizer_json,
        fingerprint="x",
    )
    with pytest.raises(ValueError, match="held out from both"):
        compare_losses(first, first, (replace(corpus, train=leaked.validation), leaked), True, 0)


def test_pieces_end_where_tokens_of_both_end():
    pieces = align([1, 2, 3, 1], [3, 1, 2, 1])
    assert pieces.first_end.tolist() == [2, 3, 4] and pieces.second_end.tolist() == [1, 3, 4]
    assert align([2, 2], [1, 2]).first_end.tolist() == []


def test_one_text_through_both(sides):
    _, first, second, _, third = sides
    same = compare_text(first, second, "abc bcd 12 cde")
    assert (
        same.same_tokens
        and len(same.pieces) == len(same.first.tokens)
        and np.isnan(same.difference[0])
    )
    assert np.nansum(same.difference) == pytest.approx(
        np.nansum(same.second.loss) - np.nansum(same.first.loss), abs=1e-4
    )
    assert (np.nan_to_num(compare_text(first, first, "abc bcd").difference) == 0).all()
    other = compare_text(first, third, "abc bcd 12 cde é")
    assert not other.same_tokens and "".join(other.pieces) == "".join(other.first.tokens)
    assert other.first_end[-1] == len(other.first.tokens) and other.second_end[-1] == len(
        other.second.tokens
    )


def test_the_list_says_the_largest_first_and_what_chance_can_do_last(sides, tmp_path):
    corpus, first, second, _, _ = sides
    run = a_run("a", tmp_path)
    there = compare_losses(first, second, (corpus, corpus), True, 0)
    low, high = there.low.copy(), there.high.copy()
    low[0], high[0] = -1.0, 1.0
    found = differences(run, run, None, replace(there, low=low, high=high), None)
    assert (
        found[-1].what == "loss on text held out from both of letters"
        and "chance alone" in found[-1].words
    )
    assert [one.size for one in found[:-1]] == sorted(
        (one.size for one in found[:-1]), reverse=True
    )
    assert {row["told_apart"] for row in difference_rows(found)} <= {
        "beyond chance",
        "within chance",
    }


def test_it_is_asked_for_kept_and_said_in_the_terminal(monkeypatch, tmp_path, capsys, sides):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    corpus, first, second, _, _ = sides
    a, b = (
        made_run(corpus, source, f"side-{name}") for name, source in (("a", first), ("b", second))
    )
    request = {"run": a.id, "step": 10, "other": b.id, "other_step": 10, "text": "abc 12"}
    a.store_result("compare_text", request, answer("compare_text", request))
    assert stored(a, "compare_text", request).pieces
    assert main(["analyze", a.id, "--what", "compare", "--other", b.id]) == 0
    said = capsys.readouterr().out
    assert (
        "B less A" in said
        and "All settings are the same" in said
        and "validation loss of digits" in said
    )
    assert not recorded_losses(a, 10, b, 10), "no validation was recorded"
    assert (
        main(["analyze", a.id, "--what", "compare"]) != 0 and "--other" in capsys.readouterr().err
    )
