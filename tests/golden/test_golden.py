"""Run folders of each former release open with the numbers they were written with, and training
goes on in them."""

from __future__ import annotations

import json
import shutil

import pytest

from cpart_core.runs.folder import list_runs, open_run
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from tests.golden.make import EXPECTED, GOLDEN, facts

RELEASES = sorted(path.parent.name for path in GOLDEN.glob(f"*/{EXPECTED}"))


@pytest.fixture(params=RELEASES)
def golden(request, tmp_path, monkeypatch):
    """(run in a root of its own, what must be read from it)."""
    shutil.copytree(GOLDEN / request.param, tmp_path / "runs")
    monkeypatch.setenv("CPART_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CPART_SAMPLES", str(tmp_path / "samples"))
    return open_run("golden"), json.loads((GOLDEN / request.param / EXPECTED).read_text())


def test_it_opens_with_its_numbers_and_goes_on(golden):
    run, expected = golden
    assert facts(run) == expected
    assert [entry.state.state for entry in list_runs()] == ["stopped"]
    assert run_training(run) == ExitCode.DONE
    after = open_run("golden")
    assert after.state().state == "finished" and after.records().step.tolist() == list(range(1, 41))
    assert facts(after)["losses"][: expected["step"]] == expected["losses"], (
        "what was recorded stays"
    )


def test_there_is_one_of_this_release_and_one_of_the_first():
    assert len(RELEASES) >= 2
