"""Other users of the machine can read nothing of a run: not of a new one, nor of one from before,
nor of what processes of ours make."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cpart_core.runs import private
from cpart_core.runs.child import python_child
from cpart_core.runs.folder import open_run
from tests.runs.tiny import tiny_run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(root: Path) -> list[str]:
    """What others could list or read below a root, and itself."""
    return [
        str(path)
        for path in (root, *root.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]


def test_a_new_run_is_closed_and_so_is_its_root(root):
    assert root.stat().st_mode & 0o777 == 0o755
    run = tiny_run()
    assert open_to_others(root) == [] and run.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in run.folder.iterdir()} == {0o600}


def test_all_that_a_process_of_ours_writes_is_closed_also_in_a_run_from_before(root):
    run = tiny_run(steps=12)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    child = python_child("cpart_core", "resume", run.id)
    done = subprocess.run(
        child.command,
        env=child.environment,
        cwd=child.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and open_run(run.id).checkpoint_steps(), done.stderr
    assert open_to_others(root) == []


def test_links_lead_to_nothing_that_is_changed(root, tmp_path):
    outside, twice = tmp_path / "outside", tmp_path / "twice"
    outside.mkdir(mode=0o755)
    for path in (outside / "file", twice):
        path.write_text("x")
    run = tiny_run()
    (run.folder / "link").symlink_to(outside)
    (run.folder / "file link").symlink_to(outside / "file")
    (run.folder / "second name").hardlink_to(twice)
    os.mkfifo(run.folder / "pipe", 0o644)
    private.make_private(run.folder)
    assert {path.stat().st_mode & 0o777 for path in (outside / "file", twice)} == {
        0o644
    } and outside.stat().st_mode & 0o777 == 0o755


def test_a_root_that_holds_other_things_too_is_not_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home" / "me")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert private.is_for_runs(tmp_path / "runs") and private.is_for_runs(
        tmp_path / "home" / "me" / "runs"
    )
    assert not any(
        private.is_for_runs(kept)
        for kept in (
            tmp_path / "home" / "me",
            tmp_path / "home",
            shared,
            private.PROJECT,
            Path("/"),
        )
    )
