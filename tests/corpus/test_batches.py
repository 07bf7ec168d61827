"""Batches are pure in (seed, step), balanced, and show every token where it is."""

from __future__ import annotations

import numpy as np
import pytest

from cpart_core.corpus.batches import TrainingBatches, validation_rows
from cpart_core.corpus.document import Split


def make_split(lengths: list[int], contexts: list[int]) -> Split:
    """Every token has its own id, so that a token tells where it is from."""
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Split(
        np.arange(starts[-1], dtype=np.uint16),
        starts,
        np.array(contexts, np.int16),
        tuple(f"d{n}" for n in range(len(lengths))),
    )


LENGTHS = [5, 40, 3, 17, 100, 9, 2, 31, 64, 8, 21, 4]
CONTEXTS = [0, 1, 2, 0, 1, 2, 0, 1, 0, 1, 0, 2]
SPLIT = make_split(LENGTHS, CONTEXTS)
WIDTH = 12


def fields(batch):
    return (batch.ids, batch.context, batch.document, batch.start)


def check_rows(batch, split):
    """Ids, contexts, documents and starts agree with the split, token by token."""
    assert [array.dtype for array in fields(batch)] == [np.int64, np.int16, np.int32, np.int32]
    offset = batch.ids - split.starts[batch.document]
    assert np.all((offset >= 0) & (batch.ids < split.starts[batch.document + 1]))
    np.testing.assert_array_equal(batch.context, split.context[batch.document])
    position = np.arange(batch.ids.shape[1])
    np.testing.assert_array_equal(batch.start, np.maximum(position - offset, 0))
    follows = batch.ids[:, 1:] == batch.ids[:, :-1] + 1
    ends = batch.ids[:, :-1] == split.starts[batch.document[:, :-1] + 1] - 1
    assert np.all(follows | ends), "a document is read on to its end before the next one begins"


def test_a_batch_depends_on_seed_and_step_alone():
    batches = TrainingBatches(SPLIT, 3, 7, WIDTH, seed=4)
    forward = [batches.batch(step) for step in range(40)]
    for step in (39, 3, 17, 0):
        for kept, now, new in zip(
            fields(forward[step]),
            fields(batches.batch(step)),
            fields(TrainingBatches(SPLIT, 3, 7, WIDTH, 4).batch(step)),
            strict=True,
        ):
            np.testing.assert_array_equal(kept, now)
            np.testing.assert_array_equal(kept, new)
    assert any(
        np.any(batch.ids != TrainingBatches(SPLIT, 3, 7, WIDTH, 5).batch(step).ids)
        for step, batch in enumerate(forward[:3])
    )


def test_rows_hold_one_context_and_contexts_take_turns():
    batches = TrainingBatches(SPLIT, 3, 7, WIDTH, seed=0)
    rows = np.concatenate([batches.batch(step).context for step in range(30)])
    assert np.all(rows == rows[:, :1])
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(rows)) % 3)
    for step in range(30):
        check_rows(batches.batch(step), SPLIT)


def test_every_token_is_a_target_once_in_an_epoch():
    split = make_split([10, 14, 24], [0, 0, 0])
    batches = TrainingBatches(split, 1, 1, WIDTH, seed=0)
    for epoch in range(3):
        targets = np.concatenate([batches.batch(epoch * 4 + step).ids[0, 1:] for step in range(4)])
        inputs = np.concatenate([batches.batch(epoch * 4 + step).ids[0, :-1] for step in range(4)])
        np.testing.assert_array_equal(np.sort(inputs), np.arange(48))
        assert len(np.unique(targets)) >= 47, (
            "the very first token of an epoch is a target of the epoch before"
        )


def test_found_labels_do_not_change_the_batches():
    unknown = make_split(LENGTHS, [-1] * len(LENGTHS))
    before, after = (
        TrainingBatches(split, 3, 4, WIDTH, seed=1, balanced=False) for split in (unknown, SPLIT)
    )
    rows = [
        validation_rows(split, 3, WIDTH, 2, seed=1, balanced=False) for split in (unknown, SPLIT)
    ]
    for one, other in [(before.batch(5), after.batch(5)), *zip(*rows, strict=True)]:
        np.testing.assert_array_equal(one.ids, other.ids)
        assert np.all(one.context == -1)
        check_rows(other, SPLIT)


def test_validation_shows_every_token_at_most_once():
    batches = validation_rows(SPLIT, 3, WIDTH, None, seed=0, batch_size=4)
    seen = np.concatenate([batch.ids.ravel() for batch in batches])
    assert len(np.unique(seen)) == len(seen)
    for batch in batches:
        check_rows(batch, SPLIT)
    for context in range(3):
        tokens = sum(
            length for length, label in zip(LENGTHS, CONTEXTS, strict=True) if label == context
        )
        assert sum(int((batch.context == context).sum()) for batch in batches) == tokens // (
            WIDTH + 1
        ) * (WIDTH + 1)
    few = validation_rows(SPLIT, 3, WIDTH, 1, seed=0)
    assert sum(len(batch.ids) for batch in few) == 3
    np.testing.assert_array_equal(few[0].ids, validation_rows(SPLIT, 3, WIDTH, 1, seed=0)[0].ids)


def test_a_context_shorter_than_a_row_still_gives_its_tokens():
    split = make_split([50, 5, 4, 1], [0, 1, 1, 2])
    batches = validation_rows(split, 4, WIDTH, 2, seed=0)
    assert [batch.ids.shape for batch in batches] == [(2, WIDTH + 1), (1, 9)]
    check_rows(batches[1], split)
    assert set(batches[1].ids[0]) == set(range(50, 59))


def test_text_much_shorter_than_a_row_is_repeated_and_none_is_refused():
    batch = TrainingBatches(make_split([3, 2], [0, 1]), 2, 2, 64, seed=0).batch(9)
    assert (
        batch.ids.shape == (2, 65)
        and set(batch.ids[0]) == {0, 1, 2}
        and set(batch.ids[1]) == {3, 4}
    )
    with pytest.raises(ValueError, match="no training text"):
        TrainingBatches(make_split([], []), 2, 2, 8, seed=0)
