"""Votes: kept, counted whoever stood left, with an interval, and exported; damage passes over."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from cpart_core.runs import ratings
from cpart_core.runs.ratings import Vote, add_vote, as_csv, as_json, tallies, votes, wilson


def vote(left: str, right: str, choice: str) -> Vote:
    return Vote("2026-01-01T00:00:00+00:00", left, right, choice, "=a title", 0, "abc")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_votes_are_kept_and_counted_whoever_stood_left(root):
    assert votes() == []
    for left, right, choice in (
        ("a", "b", "left"),
        ("b", "a", "right"),
        ("b", "a", "left"),
        ("a", "b", "tie"),
        ("a", "c", "tie"),
    ):
        add_vote(vote(left, right, choice))
    with (root / ratings.FILE).open("ab") as file:
        file.write(b'{"half a\n[]\n{"time": 1}\n')
    first, second = tallies(votes())
    assert len(votes()) == 5 and (first.first, first.second) == ("a", "b")
    assert (first.first_won, first.second_won, first.ties) == (
        2,
        1,
        1,
    ) and first.low < first.share < first.high
    assert second.ties == 1 and math.isnan(second.share)
    with pytest.raises(ValueError, match="left, right, tie"):
        add_vote(vote("a", "b", "both"))


def test_the_interval_is_wilsons():
    share, low, high = wilson(8, 10)
    assert (share, round(low, 3), round(high, 3)) == (0.8, 0.490, 0.943)
    assert wilson(0, 5)[1] == pytest.approx(0.0) and wilson(5, 5)[2] == pytest.approx(1.0)


def test_exports_hold_all_and_run_nothing():
    add_vote(vote("=cmd()", "b", "left"))
    rows = list(csv.DictReader(io.StringIO(as_csv(votes()))))
    assert (
        rows[0]["left"] == "'=cmd()"
        and rows[0]["winner"] == "'=cmd()"
        and rows[0]["choice"] == "left"
    )
    data = json.loads(as_json([*votes(), vote("a", "b", "tie")]))
    assert len(data["votes"]) == 2 and data["tallies"][1]["share"] is None
