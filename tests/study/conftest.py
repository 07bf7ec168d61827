"""Fixtures of the studies: a folder for their runs, and the memory of a loaded model not
measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpart_core.study.resident import Resident


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs that is the study's."""
    monkeypatch.setenv("CPART_RUNS", str(tmp_path / "study"))
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


@pytest.fixture
def memory_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring it takes processes of their own, and seconds."""
    monkeypatch.setattr("cpart_core.study.resident.measure_resident", lambda *_: Resident(2, 1))
