"""What a terminal may be and what a checkpoint may be: any encoding, a full context, damaged
weights. Each is said, and nothing breaks off."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cpart_core.__main__ import main
from cpart_core.model.context_window import early_end, fit
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.manifest import write_manifest
from cpart_core.runs.training_session import run_training
from tests.runs.tiny import tiny_run
from tests.source_files import ROOT

FOREIGN = "na\u00efve \u2013 \u6f22\u5b57 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Run:
    """A finished run with checkpoints of two steps, whose name and texts are in no old encoding."""
    folder = tmp_path_factory.mktemp("terminal")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CPART_RUNS", str(folder / "runs"))
        patch.setenv("CPART_SAMPLES", str(folder / "none"))
        run = tiny_run(keep_checkpoints=2)
        run_training(run)
    return run


@pytest.fixture(autouse=True)
def roots(trained, monkeypatch):
    monkeypatch.setenv("CPART_RUNS", str(trained.folder.parent))
    monkeypatch.setenv("CPART_SAMPLES", str(trained.folder.parent / "none"))


def commands(run: Run) -> dict[str, list[str]]:
    return {
        "runs": ["runs"],
        "evaluate": ["evaluate", run.id],
        "generate": ["generate", run.id, "--text", FOREIGN, "--max-tokens", "4"],
        "carve": ["carve", run.id, "--context", "days"],
        "analyze": ["analyze", run.id, "--what", "losses"],
        "error": ["analyze", run.id, "--what", FOREIGN],
    }


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("name", ["runs", "evaluate", "generate", "carve", "analyze", "error"])
def test_no_encoding_of_a_terminal_ends_a_command(trained, encoding, name, monkeypatch):
    """What it has no sign for is a question mark; exit code and last line are there."""
    from cpart_core.runs.folder import rename_run

    rename_run(trained.id, FOREIGN)
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    for stream, place in zip(streams, ("stdout", "stderr"), strict=True):
        monkeypatch.setattr(sys, place, stream)
    code = main(commands(trained)[name])
    for stream in streams:
        stream.flush()
    said = b"".join(stream.buffer.getvalue() for stream in streams).decode(encoding)
    assert code == (2 if name == "error" else 0), said
    assert said.endswith("\n")
    if name in ("runs", "generate", "error"):
        assert "na" in said and "??" in said


def test_a_process_without_utf8_prints_to_the_end(trained):
    """A real one: the C locale, and Python told to leave it so."""
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "LANG": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cpart_core", "runs"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    assert (
        done.returncode == 0
        and trained.id.encode() in done.stdout
        and b"Traceback" not in done.stderr
    )


def test_a_continuation_says_what_did_not_fit_and_where_it_ends(trained, capsys):
    """The context has 16 tokens: of a long text its last 8 are read, and the context is full after
    8 more."""
    text = "monday follows friday. " * 10
    assert (
        main(["generate", trained.id, "--text", text, "--max-tokens", "50", "--temperature", "0"])
        == 0
    )
    said = capsys.readouterr()
    assert said.out.startswith(text)
    assert "room for 16 tokens, new ones included, so only the text's last 8 were read" in said.err
    assert (
        "It ends after 8 of 50 tokens, where the model's context of 16 tokens is full." in said.err
        or "ended the text itself" in said.err
    )
    assert main(["generate", trained.id, "--text", "1 + ", "--max-tokens", "2"]) == 0
    assert capsys.readouterr().err == ""


def test_the_terminal_and_the_page_share_one_rule(trained):
    """Whatever the lengths: something is read, something follows where it can, and nothing is
    beyond the context."""
    for length in range(1, 40):
        for asked in range(1, 40):
            room = fit(list(range(length)), asked, 16)
            assert (
                room.ids == list(range(length))[room.left_out :]
                and 1 <= len(room.ids)
                and len(room.ids) + room.count <= 16
            )
            assert room.count == asked or len(room.ids) + room.count == 16
            assert not room.left_out or len(room.ids) >= 8
    assert early_end(8, 8, 8, 16) == "" and "itself" in early_end(4, 3, 8, 16)
    from cpart_core.analysis.source import Sources
    from cpart_core.analysis.text.trace import Sampling, trace_continuation

    source = Sources().source(open_run(trained.id), 40)
    read = trace_continuation(source, "monday follows friday. " * 10, Sampling(50, 0.0, 0, 1.0, 0))
    assert read.prompt_tokens == 8


def flip(path: Path) -> bytes:
    """One byte in the middle; returns what was there."""
    before = path.read_bytes()
    place = len(before) // 2
    path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
    return before


@pytest.fixture
def damaged(trained):
    """Its newest checkpoint has a flipped byte, which is put right afterwards."""
    weights = trained.checkpoint_folder(40) / "model.safetensors"
    before = flip(weights)
    yield trained
    weights.write_bytes(before)


@pytest.mark.parametrize("name", ["evaluate", "generate", "carve", "analyze"])
def test_a_damaged_newest_checkpoint_is_passed_over_and_said(damaged, name, capsys):
    assert main(commands(damaged)[name]) == 0
    said = capsys.readouterr().err
    assert (
        "The checkpoint of step 40 is passed over: model.safetensors" in said
        and "Step 30 is used instead." in said
    )


@pytest.mark.parametrize("name", ["evaluate", "generate", "carve", "analyze"])
def test_a_damaged_one_that_was_asked_for_names_the_good_one(damaged, name, capsys):
    assert main([*commands(damaged)[name], "--step", "40"]) == 2
    said = capsys.readouterr().err
    assert "is damaged" in said and "Undamaged: step 30" in said and "--step 30" in said


def test_where_none_can_be_used_that_is_said(trained, capsys):
    """Nothing is deleted, and whole manifests are believed again."""
    kept = [
        (trained.checkpoint_folder(step) / "config.json", step)
        for step in trained.checkpoint_steps()
    ]
    before = [flip(path) for path, _ in kept]
    assert main(["evaluate", trained.id]) == 2
    assert "None of the 2 checkpoints" in capsys.readouterr().err
    for (path, step), data in zip(kept, before, strict=True):
        path.write_bytes(data)
        write_manifest(trained.checkpoint_folder(step))
    assert main(["evaluate", trained.id]) == 0
