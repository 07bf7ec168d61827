"""Coherence in studies: the judge is another seed's dense run, the second pass fills what is
missing and nothing twice, verdicts are the numbers'."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import pytest

from cpart_core.analysis.coherence import measure as meter
from cpart_core.cli.study import train_one
from cpart_core.records.coherence import Anchored
from cpart_core.runs.folder import open_run
from cpart_core.runs.independent_judge import relation
from cpart_core.study import coherence_scores as coherence
from cpart_core.study.cell import cell_run, outcome_file, read_outcome, train_cell, write_outcome
from cpart_core.study.claims.paper import judge
from cpart_core.study.coherence_scores import add_coherence, judge_arm, judges_of, lacks_coherence
from cpart_core.study.outcome import COHERENCE, is_complete, outcome_from, without_nan
from cpart_core.study.plan import read_plan
from cpart_core.study.run import StudyRunner
from cpart_core.study.verdict import FAILS, HOLDS, OPEN, UNTESTABLE
from tests.study.made import made_outcome, made_study, plan_file, text_folder

SEEDS = [0, 1, 2]


@pytest.fixture
def plan(tmp_path):
    values = {
        "source": "folder",
        "path": str(text_folder(tmp_path / "text")),
        "validation_share": 0.5,
    }
    return read_plan(plan_file(tmp_path / "tiny.json", seeds=SEEDS), values)


def finished(folder, *cells, **changes):
    for arm, seed in cells:
        write_outcome(folder, made_outcome(arm, seed, **changes))


def test_a_run_is_judged_by_the_dense_run_of_the_next_seed_and_never_by_itself(plan, folder):
    finished(folder, *plan.cells())
    assert judge_arm(plan) == "dense"
    assert [[judge.run for judge in judges_of(plan, folder, seed)] for seed in SEEDS] == [
        ["dense-1", "dense-2"], ["dense-2", "dense-0"], ["dense-0", "dense-1"]
    ]  # fmt: skip
    finished(folder, ("dense", 0), coherence_judge="dense-2")
    assert judges_of(plan, folder, 0)[0].run == "dense-2", "all arms of a seed have the same judge"
    assert lacks_coherence(plan, folder, "gradient", 0) and not lacks_coherence(
        plan, folder, "dense", 0
    )


def test_one_seed_or_no_dense_arm_means_no_judge(plan, folder):
    finished(folder, *plan.cells())
    assert not lacks_coherence(replace(plan, seeds=(0,)), folder, "gradient", 0)
    alone = replace(plan, arms={"gradient": plan.arms["gradient"]})
    assert judge_arm(alone) == "" and not lacks_coherence(alone, folder, "gradient", 0)
    small = replace(
        plan, arms={**alone.arms, "small": plan.arms["dense"].with_values({"num_neurons": 16})}
    )
    assert judge_arm(small) == "", "a smaller model is no dense twin"
    with pytest.raises(ValueError, match="Nobody can judge"):
        add_coherence(alone, folder, made_outcome("gradient", 0))


def test_older_outcomes_are_whole_without_coherence_and_get_it(plan, folder):
    data = without_nan(made_outcome("gradient", 0).to_data())
    older = {name: value for name, value in data.items() if name not in COHERENCE}
    assert is_complete(older) and is_complete(data) and not is_complete({**data, "more": 1})
    assert outcome_from(json.loads(json.dumps(older))).word("coherence_judge") == ""
    finished(folder, ("dense", 1))
    outcome_file(folder, "gradient", 0).write_text(json.dumps(older))
    assert read_outcome(folder, "gradient", 0) is not None and lacks_coherence(
        plan, folder, "gradient", 0
    )


def test_where_a_judge_has_seen_too_much_the_next_is_asked_and_the_answer_is_kept(
    plan, folder, monkeypatch
):
    finished(folder, *plan.cells())
    monkeypatch.setattr(coherence, "PROMPTS", 5)
    for seed in SEEDS:
        cell_run(plan, folder, "gradient", seed)
    asked = []

    def of(run, step, judge_run, judge_step, seed, prompts):
        asked.append((run, step, judge_run, seed, prompts))
        if judge_run == "dense-1":
            raise meter.TooFewDocuments("Only 2 held-out documents.")
        scale = Anchored(0.4, 0.6, 0.2, 0.5, 0.3, 0.7, 0.1, 0.6, 5)
        made = meter.Judge(judge_run, judge_step, "", "hidden states", False, True, "")
        return meter.Coherence(run, step, scale, replace(scale, score=math.nan), made, 5)

    monkeypatch.setattr(meter, "coherence_of", of)
    found = add_coherence(plan, folder, read_outcome(folder, "gradient", 0))
    assert asked == [("gradient-0", 100, "dense-1", 0, 5), ("gradient-0", 100, "dense-2", 0, 5)]
    assert (
        found["coherence_embedding"],
        found["coherence_similarity_human"],
        found.word("coherence_judge"),
    ) == (
        0.5,
        0.6,
        "dense-2",
    )
    stored = read_outcome(folder, "gradient", 0)
    assert (
        stored is not None
        and math.isnan(stored["coherence_order"])
        and stored["coherence_prompts"] == 5
        and stored["loss"] == 2.0
    )
    finished(folder, ("gradient", 0))
    nobody = add_coherence(replace(plan, seeds=(0, 1)), folder, made_outcome("gradient", 0))
    assert math.isnan(nobody["coherence_embedding"]) and nobody.word("coherence_judge") == "dense-1"
    assert nobody["coherence_prompts"] == 0 and not lacks_coherence(plan, folder, "gradient", 0), (
        "asked once"
    )


@pytest.mark.usefixtures("memory_not_measured")
def test_the_second_pass_measures_real_runs_in_processes_of_their_own(
    plan, folder, tmp_path, monkeypatch
):
    two = replace(plan, seeds=(0, 1))
    for arm, seed in (("dense", 1), ("gradient", 0)):
        train_cell(two, folder, arm, seed)
    assert relation(open_run("dense-1"), [open_run("gradient-0")])[0], (
        "nothing ties the judge to the run"
    )
    values = json.dumps(
        {"source": "folder", "path": str(tmp_path / "text"), "validation_share": 0.5}
    )
    monkeypatch.setattr(type(two), "cells", lambda self: [("gradient", 0), ("dense", 1)])
    stream = io.StringIO()
    runner = StudyRunner(
        two,
        [str(tmp_path / "tiny.json"), "--set", values, "--seeds", "0,1"],
        folder,
        1,
        stream,
        "study tiny.json",
    )
    study = runner.go()
    assert not runner.failed, stream.getvalue()
    assert "measuring the coherence of 1 runs" in stream.getvalue(), (
        "dense-1 has no judge: dense-0 is not there"
    )
    found = next(outcome for outcome in study.outcomes if outcome.arm == "gradient")
    assert (
        found.word("coherence_judge") == "dense-1"
        and found["coherence_prompts"] >= 4
        and -1 <= found["coherence_similarity"] <= 1
    )
    before = outcome_file(folder, "gradient", 0).read_text()
    assert (
        train_one(two, folder, "gradient-0") == 0
        and runner.go()
        and outcome_file(folder, "gradient", 0).read_text() == before
    )


def scored(gains, **changes):
    """Three seeds of gradient and dense with planted scores."""
    known = {
        "coherence_prompts": 20.0,
        "coherence_judge": "dense-1",
        "coherence_embedder": "<b>hidden</b> states",
        "coherence_similarity": 0.4,
    }
    outcomes = []
    for seed, gain in enumerate(gains):
        for arm, more in (("dense", 0.0), ("gradient", gain)):
            outcomes.append(
                made_outcome(
                    arm,
                    seed,
                    coherence_embedding=0.5 + more,
                    coherence_order=0.8 + more,
                    **{**known, **changes},
                )
            )
    return next(
        entry
        for entry in judge(made_study(outcomes=tuple(outcomes)))
        if entry.title == "Contextual coherence"
    )


@pytest.mark.parametrize(
    ("gains", "wanted"),
    [
        ((0.1, 0.11, 0.1), HOLDS),
        ((-0.1, -0.11, -0.1), FAILS),
        ((-0.1, 0.1, 0.0), OPEN),
        ((0.1,), OPEN),
    ],
)
def test_the_verdict_is_of_better_and_the_absolute_figure_is_never_decided(gains, wanted):
    entry = scored(gains)
    assert entry.verdict == wanted and [found.verdict for found in entry.findings[:2]] == [
        wanted,
        wanted,
    ]
    assert (
        entry.findings[-1].verdict == UNTESTABLE
        and "cannot be tested" in entry.why
        and "20 or more held-out documents" in entry.why
    )
    assert entry.findings[0].ours == pytest.approx(sum(gains) / len(gains))
    assert "hidden" not in entry.why, "what a stored file says of itself is shown in cells only"


def test_a_score_that_is_lacking_is_said():
    entry = scored((math.nan, math.nan, math.nan))
    assert entry.verdict == UNTESTABLE and "a score is lacking" in entry.why
