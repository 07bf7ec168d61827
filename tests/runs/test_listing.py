"""The list reads again what has changed, and nothing else; runs are found, ordered and told
apart."""

from __future__ import annotations

import os
import time
from contextlib import suppress

import pytest

from cpart_core.runs import folder, search
from cpart_core.runs.control import RunLock
from cpart_core.runs.folder import list_runs, rename_run
from cpart_core.runs.info import read_info
from cpart_core.runs.listing import FILES
from cpart_core.runs.record_writer import RecordWriter
from tests.runs.made import make_record, make_run


@pytest.fixture
def reads(monkeypatch):
    """Ids of the runs that are read, in order."""
    read = []
    before = folder.summary
    monkeypatch.setattr(
        folder,
        "summary",
        lambda place, read_only: read.append(place.name) or before(place, read_only),
    )
    return read


def ended(
    root, number: int, name: str = "a run", end: str = "finish", steps: int = 3, message: str = ""
) -> str:
    run = make_run(root, f"20260102-030405-r{number:03d}", name=name)
    with RecordWriter(run.folder) as writer:
        writer.event("start")
        for step in range(1, steps + 1):
            writer.append(make_record(step))
        writer.event(end, message, steps)
    age(run.folder)
    return run.id


def age(place) -> None:
    """Make its files look as if nothing had happened for a while."""
    for name in FILES:
        with suppress(FileNotFoundError):
            os.utime(place / name, (time.time() - 100, time.time() - 100))


def test_what_does_not_change_is_read_once(root, reads, monkeypatch):
    # a change of dates is itself a change of today
    monkeypatch.setattr("cpart_core.runs.listing.young", lambda dates: False)
    ids = [ended(root, number) for number in range(3)]
    first = list_runs()
    assert sorted(reads) == ids
    assert list_runs() == first and len(reads) == 3
    rename_run(ids[1], "Another")
    assert {entry.id: entry.name for entry in list_runs()}[ids[1]] == "Another" and reads[3:] == [
        ids[1]
    ]


def test_a_run_that_is_taken_up_again_is_seen_at_once_and_while_it_lives(root, reads, monkeypatch):
    monkeypatch.setattr("cpart_core.runs.listing.young", lambda dates: False)
    run_id = ended(root, 0, end="stop")
    assert [entry.state.state for entry in list_runs()] == ["stopped"]
    with RunLock(root / run_id), RecordWriter(root / run_id) as writer:
        writer.event("start")
        writer.flush()
        assert [entry.state.state for entry in list_runs()] == ["running"]
        before = len(reads)
        list_runs()
        assert len(reads) == before + 1
    assert [entry.state.state for entry in list_runs()] == ["crashed"]


def test_a_change_of_a_moment_ago_is_not_trusted(root, reads):
    """Another one could carry the same date."""
    make_run(root)
    list_runs()
    list_runs()
    assert len(reads) == 2


def test_search_and_order(root):
    one, two, three = (
        ended(root, number, name, steps=number + 1)
        for number, name in enumerate(("Straße b", "alpha", "STRASSE a"))
    )
    listed = list_runs()
    assert {entry.id for entry in search.search(listed, "strasse")} == {one, three}
    assert [entry.id for entry in search.search(listed, "strasse prose r002")] == [three]
    assert search.search(listed, "strasse nothing") == [] and search.search(listed, " ") == listed
    assert [entry.id for entry in search.in_order(listed, "name")] == [two, three, one]
    assert [entry.id for entry in search.in_order(listed, "steps")] == [three, two, one]
    with pytest.raises(ValueError, match="allowed: newest, oldest"):
        search.in_order(listed, "size")


def test_two_of_one_name_are_told_apart(root):
    one, two, three = (
        ended(root, number, name) for number, name in enumerate(("Same", "same", "Other"))
    )
    assert search.told_apart(list_runs()) == {
        one: f"Same ({one})",
        two: f"same ({two})",
        three: "Other",
    }


def test_failed_starts_say_why_and_go_at_once_with_nothing_else(root):
    failed = ended(root, 0, end="fail", steps=0, message="There is too little text.")
    later = ended(root, 1, end="fail", steps=2, message="The loss is not a number.")
    good = ended(root, 2)
    reasons = {entry.id: search.reason(entry) for entry in list_runs()}
    assert reasons == {
        failed: "There is too little text.",
        later: "The loss is not a number.",
        good: "",
    }
    assert search.clear_failed_starts() == [failed]
    assert {entry.id for entry in list_runs()} == {later, good} and read_info(
        root / good
    ).id == good
