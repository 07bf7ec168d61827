"""Compiled code has one place that stays, is nobody else's, and leaves nothing behind among
temporary files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cpart_core.files.cache_folder import OLD_SECONDS, clear_old
from tests.source_files import ROOT

ASK = (
    "from cpart_core.model.kernels.cpu.compiled_mark import folder, kept_in; print(kept_in());"
    " print(folder())"
)


def place(tmp_path: Path, **environment: str) -> Path:
    """Where a process of its own keeps numba's code; TMPDIR is `temporary`, and neither home nor
    runs need exist."""
    (tmp_path / "temporary").mkdir(exist_ok=True)
    given = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NUMBA_CACHE_DIR", "CPART_CACHE")
    }
    given |= {
        "HOME": str(tmp_path / "home"),
        "CPART_RUNS": str(tmp_path / "runs"),
        "TMPDIR": str(tmp_path / "temporary"),
    }
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        env=given | environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    kept, folder = map(Path, asked.stdout.splitlines())
    assert folder.parent == kept
    return kept


def test_the_first_place_that_can_be_written_is_taken(tmp_path):
    temporary = tmp_path / "temporary"
    own = temporary / f"cpart-{os.getuid()}"
    assert place(tmp_path) == place(tmp_path) == own / "numba"
    assert (
        list(temporary.iterdir()) == [own]
        and not (tmp_path / "home").exists()
        and not (tmp_path / "runs").exists()
    )
    (tmp_path / "runs").mkdir()
    assert place(tmp_path) == tmp_path / "runs" / ".cache" / "compiled" / "numba"
    (tmp_path / "home").mkdir()
    assert place(tmp_path) == tmp_path / "home" / ".cache" / "cpart" / "numba"
    assert place(tmp_path, CPART_CACHE=str(tmp_path / "mine")) == tmp_path / "mine" / "numba"
    assert place(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "numbas")) == tmp_path / "numbas"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="another way of permissions")
def test_what_others_may_write_or_cannot_be_a_folder_is_passed_over(tmp_path):
    """numba unpickles what it finds there."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert (
        place(tmp_path, CPART_CACHE=str(shared), NUMBA_CACHE_DIR=str(shared)).parent.name
        == f"cpart-{os.getuid()}"
    )
    (tmp_path / "home").write_text("no folder")
    assert place(tmp_path).parent.name == f"cpart-{os.getuid()}"


def test_without_any_place_nothing_is_left_behind(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    taken = temporary / f"cpart-{os.getuid()}"
    taken.write_text("somebody else's")
    assert not place(tmp_path).exists()
    assert list(temporary.iterdir()) == [taken]


def test_what_nobody_has_used_for_long_is_cleared(tmp_path):
    for name, age in (
        ("passes-old", 2 * OLD_SECONDS),
        ("passes-new", 0.0),
        ("other-old", 2 * OLD_SECONDS),
    ):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    clear_old(tmp_path, "passes-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other-old", "passes-new"]
