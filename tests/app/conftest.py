"""Each test of the pages has its own roots, and caches that remember nothing of the test before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import streamlit as st


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Locks of made-up trainers."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs, and no sample."""
    monkeypatch.setenv("CPART_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CPART_SAMPLES", str(tmp_path / "samples"))
    (tmp_path / "runs").mkdir()
    (tmp_path / "samples").mkdir()
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path / "runs"
