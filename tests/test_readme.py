"""What README.md says works: its commands parse, the files it names are there, its Python runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source_files import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    part.strip()
    for kind, block in BLOCKS
    if kind == "sh"
    for line in block.splitlines()
    for part in re.split(r"&&|\|\|", line)
]
ENGINE = [command for command in COMMANDS if command.startswith("python -m cpart_core")]
SNIPPETS = [block for kind, block in BLOCKS if kind == "python"]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CPART_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_both_promised_lines_are_there():
    lines = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    assert [
        line
        for line in lines
        if "pip install -r requirements.txt" in line and line.endswith("streamlit run app/main.py")
    ]
    assert [
        line
        for line in lines
        if "pip install -r requirements.txt" in line and line.endswith("python -m pytest")
    ]
    assert "python -m pytest" in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("command", sorted(set(ENGINE)))
def test_commands_parse(command, tmp_path):
    """Each command of the engine is understood: asked for its help, with its other words left as
    they are."""
    words = shlex.split(command)[1:]
    done = run([sys.executable, *words, *([] if "--help" in words else ["--help"])], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_python_snippets_run(snippet, tmp_path):
    done = run([sys.executable, "-c", snippet], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_named_files_and_links_exist():
    named = re.findall(r"`((?:app|cpart_core|tests|sample_checkpoints)/[\w./]*)`", README)
    linked = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    missing = [
        name
        for name in [*named, *linked]
        if not (ROOT / name).exists() and not (ROOT / name).is_symlink()
    ]
    assert not missing
