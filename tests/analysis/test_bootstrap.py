"""The one bootstrap: strata keep their sizes, pieces make the same whole, and no draw changed when
the four that there were became one."""

from __future__ import annotations

import numpy as np
import pytest

from cpart_core.analysis.losses.held_out import DocumentLosses, interval_of_rise
from cpart_core.analysis.statistics import bootstrap
from cpart_core.analysis.statistics.anchored import anchored
from cpart_core.analysis.statistics.bootstrap import counts_of, interval, redrawn, strata_by
from cpart_core.analysis.statistics.by_document import DocumentSums, divided
from tests.source_files import files

ANCHORED = (0.5351486375526051, 0.4437081248508303, 0.6364416421608581)
RISE = (0.26047584380548455, 0.47240389497836865)
HALVES = (1.476970403409722, 2.928211442096851)
"""Of `test_the_draws_are_those_of_before`, by the code with four bootstraps."""


def test_every_stratum_is_drawn_as_often_as_it_has_documents():
    strata = [np.array([4, 5, 6]), np.array([], dtype=int), np.array([1])]
    drawn = list(redrawn(strata, 50, np.random.default_rng(0)))
    assert [part.stratum for part in drawn] == [0, 2]
    for part in drawn:
        assert part.draws == slice(0, 50) and part.counts.shape == (50, len(strata[part.stratum]))
        assert (part.counts.sum(axis=1) == len(strata[part.stratum])).all()
    assert (drawn[0].counts.std(axis=0) > 0).all() and (drawn[1].counts == 1).all()


def test_pieces_make_the_same_whole(monkeypatch):
    whole = counts_of(7, 100, np.random.default_rng(3))
    monkeypatch.setattr(bootstrap, "MOST_DRAWN", 30)
    parts = list(redrawn([np.arange(7)], 100, np.random.default_rng(3)))
    assert len(parts) == 25 and parts[-1].draws == slice(96, 100)
    assert np.array_equal(np.concatenate([part.counts for part in parts]), whole)


def test_strata_by_label():
    found = strata_by(np.array([2, 0, 2, -1]))
    assert [members.tolist() for members in found] == [[3], [1], [0, 2]]


def test_an_interval_leaves_unknown_draws_out():
    values = np.stack([np.arange(101.0), np.full(101, np.nan)], axis=1)
    low, high = interval(values)
    assert (low[0], high[0]) == (2.5, 97.5) and np.isnan([low[1], high[1]]).all()


def test_the_draws_are_those_of_before():
    """Numbers of the code with four bootstraps, 2026-11-28; a study or a stored result that is
    measured again must not differ."""
    random = np.random.default_rng(5)
    model, human, chance = (random.normal(mean, 0.3, 40) for mean in (0.6, 1.0, 0.0))
    found = anchored(model, human, chance, 7)
    assert [found.score, found.low, found.high] == pytest.approx(ANCHORED, rel=1e-12)
    nats, tokens = random.gamma(2.0, 30.0, 40), random.integers(1, 40, 40)
    rise = interval_of_rise(DocumentLosses(nats, tokens), DocumentLosses(nats * 1.1, tokens), 11)
    assert rise == pytest.approx(RISE, rel=1e-12)
    sums = DocumentSums(np.arange(40) % 3 - 1, 2, 1)
    sums.sums[:, 0], sums.tokens[:] = nats, tokens
    low, high = interval(divided(*sums.redrawn(sums.folds(2), 2)))
    assert [low[0, 0, 0], high[1, 1, 0]] == pytest.approx(HALVES, rel=1e-6)


def test_nobody_else_draws_documents():
    drawing = [
        path.name
        for path in files("cpart_core", "app")
        if "random.multinomial(" in path.read_text("utf-8")
    ]
    assert drawing == ["bootstrap.py"]
