"""What every test shares: one thread for every numeric library, and a runs folder that is not the
project's own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# Before torch or numpy is imported anywhere: same results on every machine, and no fighting over
# two cores.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session", autouse=True)
def separate_runs_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the project's runs folder, not even by mistake."""
    before = os.environ.get("CPART_RUNS")
    os.environ["CPART_RUNS"] = str(tmp_path_factory.mktemp("runs"))
    yield
    if before is None:
        del os.environ["CPART_RUNS"]
    else:
        os.environ["CPART_RUNS"] = before
