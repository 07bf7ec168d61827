"""Verdicts are what the numbers say: planted advantages hold, planted losses do not, noise decides
nothing."""

from __future__ import annotations

import math

import pytest

from cpart_core.study.claims.paper import CLAIMS, judge
from cpart_core.study.interval import Interval
from cpart_core.study.verdict import FAILS, HOLDS, OPEN, UNTESTABLE, combined
from tests.study.made import made_outcome, made_study


def verdict_of(title, study):
    return next(entry for entry in judge(study) if entry.title == title)


@pytest.mark.parametrize(
    ("title", "measure", "planted", "wanted"),
    [
        ("Perplexity", "perplexity", (-0.5, -0.51, -0.52), HOLDS),
        ("Perplexity", "perplexity", (0.5, 0.51, 0.52), FAILS),
        ("Perplexity", "perplexity", (-0.5, 0.5, 0.1), OPEN),
        ("Accuracy", "accuracy", (0.05, 0.06, 0.05), HOLDS),
        ("Accuracy", "accuracy", (-0.05, -0.06, -0.05), FAILS),
        ("Training time", "seconds", (-10.0, -11.0, -12.0), HOLDS),
        ("Training time", "seconds", (3.0, -4.0, 1.0), OPEN),
    ],
)
def test_a_planted_difference_is_found(title, measure, planted, wanted):
    assert verdict_of(title, made_study({measure: planted})).verdict == wanted


def test_memory_needs_all_that_is_resident_and_active_parameters_do_not_count():
    fewer = (-300_000, -300_000, -300_000)
    only_active = verdict_of("Memory", made_study({"active_parameters": fewer}))
    assert only_active.verdict == FAILS
    assert [found.verdict for found in only_active.findings[:4]] == [FAILS, FAILS, FAILS, HOLDS]
    much = {
        "parameters": fewer,
        "optimizer_bytes": (-3_000_000,) * 3,
        "activation_bytes": (-9_000_000,) * 3,
    }
    assert verdict_of("Memory", made_study(much)).verdict == HOLDS
    assert (
        verdict_of("Memory", made_study({**much, "optimizer_bytes": (-1_500_000,) * 3})).verdict
        == FAILS
    )


def test_a_carved_model_must_be_small_and_good():
    assert (
        verdict_of(
            "Memory, carved", made_study({"keep_quarter": (-0.008, -0.0081, -0.0079)})
        ).verdict
        == HOLDS
    )
    assert (
        verdict_of("Memory, carved", made_study({"keep_quarter": (0.05, 0.05, 0.06)})).verdict
        == FAILS
    )
    assert (
        verdict_of("Memory, carved", made_study({"weight_bytes": (math.nan,) * 3})).verdict
        == UNTESTABLE
    )


def test_what_the_paper_does_not_define_is_never_decided():
    for study in (made_study(), made_study({"loss": (-1.0, -1.0, -1.1)})):
        assert verdict_of("Contextual coherence", study).verdict == UNTESTABLE
        assert verdict_of("Accuracy in translation", study).verdict == UNTESTABLE


def test_one_seed_decides_nothing_and_no_control_tests_nothing():
    one = made_study(
        outcomes=tuple(made_outcome(arm, 0) for arm in ("gradient", "dense", "random"))
    )
    assert verdict_of("Perplexity", one).verdict == OPEN
    alone = made_study(outcomes=tuple(made_outcome("gradient", seed) for seed in range(3)))
    assert verdict_of("Perplexity", alone).verdict == UNTESTABLE and len(judge(alone)) == len(
        CLAIMS
    )


def test_several_verdicts_are_as_good_as_the_worst():
    assert (
        combined([HOLDS, HOLDS]) == HOLDS
        and combined([HOLDS, OPEN]) == OPEN
        and combined([FAILS, OPEN, HOLDS]) == FAILS
    )
    assert str(Interval(0.1, -0.1, 0.3, 3)) == "+0.1000 [-0.1000, +0.3000] (n = 3)"
