"""Nothing that lies in a folder of runs is ever imported by a process of ours, whoever put it
there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.engine.analysis_client import Worker
from app.engine.jobs import launch
from cpart_core.analysis.keep.footprint import in_fresh_process
from cpart_core.runs.child import python_child
from tests.runs.tiny import tiny_run
from tests.source_files import ROOT, files, module_name, tree

PLANTED = (
    "cpart_core/__init__.py",
    "secrets.py",
    "numpy.py",
    "torch.py",
    "sitecustomize.py",
    "streamlit.py",
)


@pytest.fixture
def traps(tmp_path):
    """Call it with a folder to lay modules there that leave a mark when they are imported; the list
    of marks must stay empty."""
    marks = tmp_path / "marks"
    marks.mkdir()

    def lay(folder: Path) -> None:
        for name in PLANTED:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(
                f"open({str(marks)!r} + '/' + __name__, 'w').close()\nraise SystemExit('a planted"
                " file was run')\n"
            )

    yield lay
    assert sorted(path.name for path in marks.iterdir()) == []


def test_trainer_worker_and_measurement_run_nothing_of_a_run_folder(
    root, traps, tmp_path, monkeypatch
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(["", ".", "nowhere", str(root), str(root / "deeper")])
    )
    run = tiny_run(steps=2)
    for folder in (here, root, root / "deeper", run.folder):
        traps(folder)
    launch(run, [])
    deadline = time.monotonic() + 90
    while run.state().state in ("new", "running"):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    assert run.state().state == "finished", run.state().last_words
    worker = Worker()
    try:
        assert worker.ask("losses", {"run": run.id, "step": 2}, timeout=90).is_file()
    finally:
        worker.close()
    assert in_fresh_process(run, 2)["num_parameters"] > 0


def test_a_person_in_such_a_folder_runs_nothing_of_it_either(traps, tmp_path):
    """Where CPart is on the path; only a folder's own `cpart_core` cannot be told from ours before
    anything of ours runs."""
    traps(tmp_path)
    (tmp_path / "cpart_core" / "__init__.py").unlink()
    (tmp_path / "cpart_core").rmdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cpart_core", "train", "--steps", "0"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "steps" in done.stderr


def test_only_whole_paths_outside_the_runs_are_handed_on(root, monkeypatch, tmp_path):
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join(
            ["", ".", "relative", str(root), str(root / "a"), str(tmp_path / "own"), str(ROOT)]
        ),
    )
    child = python_child("cpart_core", "runs", changes={"CPART_RUNS": "elsewhere"})
    assert child.environment["PYTHONPATH"].split(os.pathsep) == [str(ROOT), str(tmp_path / "own")]
    assert child.command[1:] == ["-P", "-m", "cpart_core", "runs"] and child.folder == ROOT
    assert child.environment["CPART_RUNS"] == "elsewhere" and child.environment[
        "CPART_SAMPLES"
    ] == str(root.parent / "samples")


def test_every_process_is_started_that_way():
    """Python is named in one place; the other names it to replace itself."""
    places = {"cpart_core.runs.child", "cpart_core.cli.huge_pages"}
    for path in files("cpart_core", "app"):
        names = {
            ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)
        }
        assert "sys.executable" not in names or module_name(path) in places, (
            f"{path.name} starts a Python of its own"
        )
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "subprocess.Popen",
                "subprocess.run",
            ):
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert (
                    given.get("cwd") == "child.folder" and given.get("env") == "child.environment"
                ), f"{path.name}:{node.lineno}"
