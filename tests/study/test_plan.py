"""Plans: what ships is sound, arms mean what the list of twins says, and mistakes are one
sentence."""

from __future__ import annotations

import json

import pytest

from cpart_core.runs.twins import TWINS, twin_settings
from cpart_core.settings.presets import preset
from cpart_core.settings.run import Settings
from cpart_core.study.plan import PLANS, find_plan, make_plan, read_plan


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.json")))
def test_shipped_plans_are_sound(name):
    plan = read_plan(find_plan(name))
    assert (
        plan.name == name
        and len(plan.seeds) >= 3
        and "dense" in plan.arms
        and "random" in plan.arms
    )
    assert plan.base.corpus.source == "builtin", "a path is given on the command line"
    shared = [
        (plan.settings(arm, 1).corpus, plan.settings(arm, 1).training.batch_size)
        for arm in plan.arms
    ]
    assert all(entry == shared[0] for entry in shared)


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("base", [Settings(), preset("quick")], ids=["default", "quick"])
def test_every_twin_shares_text_and_batches(kind, base):
    twin = twin_settings(base, kind)
    assert twin.corpus == base.corpus and twin.training == base.training
    assert twin.model.context_length == base.model.context_length


def test_the_active_size_is_what_top_k_computes():
    twin = twin_settings(Settings(), "dense-active")
    assert twin.model.num_neurons == 128 + 2 * (512 - 128) // 8 and twin.model.execution == "dense"


def test_arms_are_twins_or_settings():
    plan = make_plan(
        {
            "name": "x",
            "preset": "quick",
            "arms": {"a": {"num_segments": 4}, "b": "random"},
            "seeds": [3],
        }
    )
    assert plan.reference == "a" and plan.kinds == {"b": "random"}
    assert (
        plan.settings("a", 3).model.num_segments == 4
        and plan.settings("b", 3).partition.method.name == "random"
    )
    assert plan.settings("b", 3).training.seed == 3 and plan.cells() == [("a", 3), ("b", 3)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"arms": {}}, "no arms"),
        ({"arms": {"a": "nothing"}}, "Arm a: Unknown twin nothing"),
        ({"arms": {"a": {"batch_size": 3}}}, "all arms share"),
        ({"arms": {"a": {"widht": 3}}}, "Unknown setting widht"),
        ({"arms": {"a": {"steps": "many"}}}, "must be int"),
        ({"arms": {"../a": {}}}, "not allowed"),
        ({"arms": []}, "JSON object"),
        ({"reference": "c"}, "is no arm"),
        ({"seeds": [1, 1]}, "differ"),
        ({"seeds": [-1]}, "whole numbers"),
        ({"seeds": 3}, "whole numbers"),
        ({"preset": "none"}, "no preset"),
        ({"name": "../x"}, "name"),
        ({"colour": 1}, "no colour"),
    ],
    ids=str,
)
def test_a_mistake_is_said(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_plan({"name": "x", "arms": {"a": {}}, "seeds": [0], **changes})


def test_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="default, domains"):
        find_plan("nonsense")
    for text, sentence in (
        ("{", "not valid JSON"),
        ("[1]", "JSON object"),
        (json.dumps({"settings": 3, "arms": {"a": {}}}), "settings"),
    ):
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(ValueError, match=sentence):
            read_plan(tmp_path / "p.json")
