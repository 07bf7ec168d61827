"""The command line end to end on a folder of text, its help, and how it says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cpart_core.__main__ import main
from cpart_core.runs.folder import list_runs, open_run
from cpart_core.service.answering import stored
from tests.runs.tiny import TINY, gathered
from tests.source_files import ROOT


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    for document in gathered().documents:
        (folder / document.context).mkdir(exist_ok=True)
        (folder / document.context / f"{document.title}.txt").write_text(document.text)
    return folder


@pytest.fixture
def settings_file(tmp_path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(TINY.to_json())
    return path


@pytest.fixture(autouse=True)
def own_root(tmp_path, monkeypatch):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path / "runs"))


def test_train_evaluate_analyze_generate(text_folder, settings_file, capsys):
    flags = [
        "--settings",
        str(settings_file),
        "--source",
        "folder",
        "--path",
        str(text_folder),
        "--steps",
        "20",
    ]
    assert (
        main(["train", "--id", "first", "--name", "A <b>name</b>", "--twins", "dense", *flags]) == 0
    )
    said = capsys.readouterr().out
    assert (
        "step 20/20  loss" in said
        and "tokens/s" in said
        and "finished at step 20 of 20" in said
        and "dense twin of first" in said
    )
    run = open_run("first")
    assert run.settings.training.steps == 20 and run.settings.model == TINY.model
    assert (
        stored(run, "profiles", {"run": "first", "step": 20}) is not None
    )  # looked inside at once

    assert main(["evaluate", "first", "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    kept = stored(run, "losses", {"run": "first", "step": 20})
    assert evaluated["loss"] == kept.loss and [
        entry["context"] for entry in evaluated["contexts"]
    ] == list(run.info.contexts)
    # all rows against the few of training
    assert np.isclose(evaluated["loss"], run.evaluations().loss[-1], atol=0.5)
    assert main(["evaluate", "first"]) == 0
    assert "bits per byte" in capsys.readouterr().out

    assert main(["analyze", "first", "--what", "neuron_map", "--method", "pca"]) == 0
    assert (
        stored(run, "neuron_map", {"run": "first", "method": "pca", "layer": -1, "seed": 0})
        is not None
    )
    capsys.readouterr()

    texts = []
    for _ in range(2):
        assert (
            main(["generate", "first", "--text", "1 + ", "--max-tokens", "8", "--seed", "3"]) == 0
        )
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and texts[0].startswith("1 + ")

    assert main(["runs", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["first"]["state"] == rows["first-dense"]["state"] == "finished"
    assert main(["resume", "latest"]) == 0  # nothing left to do is not a mistake


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["evaluate", "nothing-here"], "There is no run nothing-here"),
        (["evaluate", "../../etc"], "not the id of a run"),
        (["resume", "latest"], "no runs of your own"),
        (["train", "--preset", "quick", "--settings", "x.json"], "not both"),
        (["train", "--settings", "missing.json"], "no settings file"),
        (["train", "--width", "33"], "multiple of num_heads"),
        (["train", "--num-layers", "1000"], "allowed: 1 to 64"),
        (["train", "--source", "folder", "--path", "/nowhere/at/all"], "nowhere"),
        (["train", "--twins", "triplet"], "dense, random, router"),
        (["train", "--id", "../up"], "not allowed"),
        (["bench", "nonsense"], "known:"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence(words, sentence, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.startswith("error: ") and said.count("\n") == 1


def test_a_mistake_starts_no_run(capsys):
    main(["train", "--twins", "triplet"])
    main(["train", "--width", "33"])
    assert not [summary for summary in list_runs() if not summary.read_only]


@pytest.mark.parametrize(
    "words",
    [["--help"], ["train", "--help-all"], ["runs", "--help"], ["bench", "--help"], ["--version"]],
    ids=" ".join,
)
def test_help_needs_nothing_heavy(words):
    program = (
        f"import sys\nfrom cpart_core.__main__ import main\ntry:\n    main({words!r})\nexcept"
        " SystemExit as end:\n    assert not end.code\nheavy = {'torch', 'numpy', 'sklearn',"
        " 'safetensors'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
