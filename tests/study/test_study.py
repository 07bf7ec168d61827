"""A study end to end: same text for all arms of a seed, one table, resumed after a kill, nothing
done twice."""

from __future__ import annotations

import io
import json
import math
import shlex

import pytest

from cpart_core.__main__ import main
from cpart_core.corpus.store import load_corpus
from cpart_core.runs.folder import open_run
from cpart_core.study.cell import cell_run, outcome_file, prepare_corpus, read_outcome, train_cell
from cpart_core.study.plan import read_plan
from cpart_core.study.result import read_study
from cpart_core.study.run import StudyRunner
from tests.study.made import plan_file, text_folder


@pytest.fixture
def text(tmp_path):
    return text_folder(tmp_path / "text")


def test_the_command_trains_compares_and_skips_what_is_done(tmp_path, folder, text, capsys):
    plan = plan_file(tmp_path / "tiny.json", seeds=[0])
    words = ["study", str(plan), "--corpus", str(text), "--out", str(folder)]
    planted = folder / "secrets.py"
    planted.write_text("raise SystemExit('a file of the study folder was run')")
    assert main([*words, "--jobs", "2"]) == 0
    planted.unlink()
    said = capsys.readouterr().out
    assert (
        "2 runs (2 arms x 1 seeds), 0 done" in said
        and "paired differences" in said
        and "dense - gradient" in said
        and "cannot be tested" in said
    )
    study = read_study(folder / "tiny.json")
    assert study.complete and study.contexts == ("days", "sums") and study.jobs == 2
    assert len({outcome.fingerprint for outcome in study.outcomes}) == 1, (
        "all arms of a seed have the same text"
    )
    assert open_run("dense-0").info.twin_of == "gradient-0" and str(tmp_path) not in study.to_json()
    assert shlex.split(study.command)[3:] == [
        "study",
        "tiny.json",
        "--corpus",
        "text",
        "--jobs",
        "2",
    ]
    dense, ours = (
        next(entry for entry in study.outcomes if entry.arm == arm) for arm in ("dense", "gradient")
    )
    assert (
        dense["active_parameters"] == dense["parameters"] < ours["parameters"]
        and ours["active_parameters"] < dense["parameters"]
    )
    assert dense["information_mass"] == 0.0 < ours["information_choice"]
    # AdamW keeps two moments of each parameter, and its step count.
    assert 8 * dense["parameters"] <= dense["optimizer_bytes"] <= 8 * dense["parameters"] + 1000
    assert (
        dense["weight_bytes"]
        == 4 * open_run("dense-0").info.num_parameters
        > dense["carved_bytes"]
        > 0
    )
    assert dense["keep_quarter"] > 0.0  # a dense model misses what is taken from it
    assert 0 < dense["activation_bytes"] < 2e6 < dense["peak_memory_bytes"]
    assert all(
        cost > -0.5
        for cost in (
            dense["cut_random"],
            dense["cut_cocluster"],
            dense["cut_gradient"],
            dense["cut_weights"],
            dense["cut_shared"],
        )
    )
    assert (
        math.isnan(ours["cut_random"])
        and len(ours.row("keep_by_context")) == 2
        and ours["keep_quarter_worst"] >= ours["keep_quarter"]
    )
    assert (
        ours.word("resident_context") == "days"
        and ours["resident_bytes"] > 0
        and ours["resident_cost"] == ours.row("keep_by_context")[0]
    )
    assert (
        ours["information_choice_null"] <= ours["information_choice_null_high"]
        and dense["given_token_choice"] == 0.0
    )
    assert ours["selectivity"] > 0 and ours["selectivity_documents"] > 2
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "dense-0",
        "gradient-0",
        "tiny.json",
    }, "no carved run"
    when = dense.finished
    assert main(words) == 0 and "2 done" in capsys.readouterr().out
    assert read_outcome(folder, "dense", 0).finished == when


@pytest.mark.usefixtures("memory_not_measured")
def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not(tmp_path, folder, text):
    plan = read_plan(
        plan_file(tmp_path / "tiny.json", seeds=[0, 1]), {"source": "folder", "path": str(text)}
    )

    def stop_at_13(record):
        if record.step == 13:
            open_run("gradient-0").send("stop")

    assert (
        train_cell(plan, folder, "gradient", 0, stop_at_13) is None
        and read_outcome(folder, "gradient", 0) is None
    )
    assert open_run("gradient-0").state().step == 13
    resumed = train_cell(plan, folder, "gradient", 0)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CPART_RUNS", str(other))
        whole = train_cell(plan, other, "gradient", 0)
    assert (
        resumed is not None
        and whole is not None
        and resumed.row("loss_by_context") == whole.row("loss_by_context")
    )
    assert whole.fingerprint != load_corpus(prepare_corpus(plan, folder, 1)).fingerprint, (
        "another seed is another split"
    )
    old = json.loads(outcome_file(folder, "gradient", 0).read_text())
    del old["selectivity"]
    # of an older version: the run is not trained again, only measured
    outcome_file(folder, "gradient", 0).write_text(json.dumps(old))
    assert read_outcome(folder, "gradient", 0) is None


def test_a_folder_of_another_study_is_refused(tmp_path, folder, text):
    values = {"source": "folder", "path": str(text)}
    cell_run(read_plan(plan_file(tmp_path / "tiny.json"), values), folder, "dense", 0)
    changed = read_plan(plan_file(tmp_path / "tiny.json"), {**values, "steps": 30})
    with pytest.raises(ValueError, match="other settings"):
        cell_run(changed, folder, "dense", 0)


def test_a_run_that_fails_is_said_and_the_next_one_is_begun(tmp_path, folder, text):
    plan = read_plan(
        plan_file(tmp_path / "tiny.json", seeds=[0]), {"source": "folder", "path": str(text)}
    )
    stream = io.StringIO()
    runner = StudyRunner(
        plan, ["no-such-plan"], folder, 1, stream, "python -m cpart_core study tiny.json"
    )
    assert runner.go().outcomes == () and runner.failed == plan.cells()
    assert "gradient-0 failed (exit code 2): error: There is no study file" in stream.getvalue()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nonsense"], "no study file"),
        (["default", "--corpus", "/nowhere/at/all"], "nothing at"),
        (["default", "--set", "{"], "not valid JSON"),
        (["default", "--set", '{"widht": 1}'], "Unknown setting widht"),
        (["default", "--jobs", "0"], "allowed: 1 to 64"),
        (["default", "--seeds", "0,x"], "whole numbers"),
        (["default", "--only", "nobody-0"], "no run"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence(folder, words, sentence, capsys):
    assert main(["study", *words]) == 2
    assert sentence in capsys.readouterr().err
