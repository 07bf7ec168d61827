"""`runs`: find, order, rename, delete and clear away, with a question before anything is
deleted."""

from __future__ import annotations

import json

import pytest

from cpart_core.__main__ import main
from cpart_core.cli import runs
from cpart_core.runs.folder import list_runs
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.search import SORTS
from tests.runs.made import make_record, make_run


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Two finished runs and a start that failed."""
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    monkeypatch.setenv("CPART_SAMPLES", str(tmp_path / "none"))
    for run_id, name, end in (
        ("one", "First try", "finish"),
        ("two", "Second try", "finish"),
        ("three", "Broken", "fail"),
    ):
        with RecordWriter(make_run(tmp_path, run_id, name=name).folder) as writer:
            writer.event("start")
            if end == "finish":
                writer.append(make_record(1))
            writer.event(end, "There is too little text." if end == "fail" else "")
    return tmp_path


def ids() -> set[str]:
    return {entry.id for entry in list_runs()}


def test_search_order_and_reasons(made, capsys):
    assert main(["runs", "--search", "TRY", "--sort", "name", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["one", "two"]
    assert main(["runs"]) == 0
    assert "three: There is too little text." in capsys.readouterr().out
    assert main(["runs", "--search", "nowhere"]) == 0
    assert "None of 3 runs" in capsys.readouterr().out
    assert tuple(SORTS) == runs.ORDERS


def test_rename(made, capsys):
    assert main(["runs", "rename", "one", "Best so far"]) == 0
    assert "Best so far" in {entry.name for entry in list_runs()}


def test_delete_asks_and_is_all_or_nothing(made, capsys, monkeypatch):
    assert main(["runs", "delete", "one"]) == 2 and "say --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert main(["runs", "delete", "one"]) == 1 and ids() == {"one", "two", "three"}
    assert main(["runs", "delete", "one", "missing", "--yes"]) == 2 and ids() == {
        "one",
        "two",
        "three",
    }
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert main(["runs", "delete", "one"]) == 0 and ids() == {"two", "three"}


def test_clear_takes_failed_starts_alone(made, capsys):
    assert main(["runs", "clear", "--yes"]) == 0
    assert ids() == {"one", "two"}
