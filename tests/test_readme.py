"""What README.md and docs/ say works: commands parse, files and headings they name are there, their
Python runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source_files import ROOT, imports, modules

README = (ROOT / "README.md").read_text("utf-8")
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = {path: path.read_text("utf-8") for path in [ROOT / "README.md", *DOCS]}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [block for text in PAGES.values() for block in BLOCK.findall(text)]
LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
COMMANDS = [part.strip() for line in LINES for part in re.split(r"&&|\|\|", line)]
ENGINE = [command for command in COMMANDS if command.startswith("python -m cpart_core")]
SNIPPETS = [block for kind, block in BLOCKS if kind == "python"]
DATED = ("decisions.md", "experiments.md")


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
    lines = [
        line for kind, block in BLOCK.findall(README) if kind == "sh" for line in block.splitlines()
    ]
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


def test_readme_opens_with_the_app_at_work_and_is_short():
    assert README.startswith("![")
    assert len(README.encode()) <= 8000
    pictures = sorted((ROOT / "docs" / "screenshots").glob("*.png"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 250_000] == []


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
    assert done.stdout.strip() or "print" not in snippet


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_named_files_and_links_exist(path):
    text = PAGES[path]
    links = [
        target.partition("#")
        for target in re.findall(r"\]\(([^)]+)\)", text)
        if "://" not in target
    ]
    linked = [path.parent / file if file else path for file, _, _ in links]
    named = (
        []
        if path.name in DATED
        else re.findall(r"`((?:app|cpart_core|tests|sample_checkpoints)/[\w./]*)`", text)
    )
    there = [*linked, *(ROOT / name for name in named)]
    assert [str(file) for file in there if not file.exists() and not file.is_symlink()] == []
    anchors = [
        (file.resolve(), anchor)
        for file, (_, _, anchor) in zip(linked, links, strict=True)
        if anchor
    ]
    assert [
        (file.name, anchor) for file, anchor in anchors if anchor not in headings(PAGES[file])
    ] == []


def headings(text: str) -> list[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    outside = BLOCK.sub("", text)
    titles = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("name", DATED)
def test_what_is_dated_stands_newest_first_and_says_its_verdict(name):
    text = PAGES[ROOT / "docs" / name]
    dates = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert dates and dates == sorted(set(dates), reverse=True)
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) for date in dates)
    entries = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert len(entries) == len(set(entries))
    assert [entry for entry in entries if len(entry.split()) < 4] == []


def test_programs_of_docs_import_what_is_there():
    for path in (ROOT / "docs").glob("*.py"):
        names = {item.module for item in imports(path) if item.module.startswith("cpart_core")}
        assert names <= set(modules())
