"""Roots of their own for each test of the run folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's root of runs; samples are in `samples` beside it."""
    monkeypatch.setenv("CPART_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CPART_SAMPLES", str(tmp_path / "samples"))
    (tmp_path / "runs").mkdir()
    (tmp_path / "samples").mkdir()
    return tmp_path / "runs"
