"""Figures to reach: planted numbers give planted verdicts, what is missing cannot be tested, and
twins are found by their settings."""

from __future__ import annotations

import json
import math

import pytest

from cpart_core.settings.run import Settings
from cpart_core.study.design import ceiling, design_of, designs
from cpart_core.study.outcome import FIRST, NAMES
from cpart_core.study.result import RESULTS, read_study, study_from_json
from cpart_core.study.targets.evidence import EVIDENCE, weigh
from cpart_core.study.verdict import FAILS, HOLDS, OPEN, UNTESTABLE
from tests.study.made import made_outcome, made_study

UNTRAINED, KEPT, TOLD, WORDS, SELECTIVE, CARVED = range(len(EVIDENCE))
GOOD = {
    "information_choice": 1.7, "information_choice_null": 0.1, "information_choice_null_high": 0.12, "given_token_choice": 0.5,
    "given_token_choice_null": 0.3, "given_token_choice_null_high": 0.32, "token_choice": 0.8, "selectivity": 4.0, "selective_share": 0.9,
    "selectivity_by_context": (4.0, 4.0), "selectivity_documents": 40.0, "keep_by_context": (0.004, 0.006), "keep_quarter": 0.005,
    "resident_context": "days", "resident_bytes": 9e6, "resident_carved_bytes": 6e6, "resident_cost": 0.004, "loss": 1.99,
}  # fmt: skip
CUTS = {"cut_random": 0.20, "cut_cocluster": 0.08, "cut_gradient": 0.07, "cut_shared": 0.15}
DIVIDED = Settings().with_values(
    {"num_segments": 16, "top_k": 4, "num_neurons": 512, "shared_neurons": 128}
)
ARMS = {
    "ours": DIVIDED,
    "chance": DIVIDED.with_values({"method": "random"}),
    "whole": DIVIDED.with_values({"execution": "dense"}),
    "small": DIVIDED.with_values({"execution": "dense", "num_neurons": 256}),
}


def study_with(
    ours=None, chance=None, whole=None, seeds=3, contexts=("days", "sums", "c", "d"), wiggle=1e-4
):
    """Three seeds a little apart. Rows by context are of two contexts, so that only those studies
    are stored whole."""
    outcomes = []
    for seed in range(seeds):
        for arm, values in (
            ("ours", {**GOOD, **(ours or {})}),
            (
                "chance",
                {
                    **GOOD,
                    "information_choice": 1.0,
                    "loss": 2.0,
                    "selectivity": 2.0,
                    **(chance or {}),
                },
            ),
            ("whole", {"loss": 1.995, **CUTS, **(whole or {})}),
        ):
            moved = {
                name: value * (1 + wiggle * seed) if isinstance(value, float) else value
                for name, value in values.items()
            }
            outcomes.append(made_outcome(arm, seed, **moved))
    return made_study(arms=ARMS, reference="ours", outcomes=tuple(outcomes), contexts=contexts)


def test_where_all_is_reached_all_holds():
    found = weigh(study_with())
    assert [entry.verdict for entry in found] == [HOLDS] * len(EVIDENCE)
    assert "85 % of the 2.00 bits" in found[TOLD].why
    ratio = found[UNTRAINED].findings[0]
    assert ratio.ours == pytest.approx(0.4, abs=1e-3) and ratio.value.n == 3


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (UNTRAINED, {"whole": {"cut_cocluster": 0.15}}),
        (KEPT, {"ours": {"keep_quarter": 0.02}}),
        (KEPT, {"ours": {"loss": 2.1}}),
        (TOLD, {"ours": {"information_choice": 1.4}}),
        (TOLD, {"chance": {"information_choice": 1.8}}),
        (TOLD, {"chance": {"loss": 1.9}}),
        (WORDS, {"ours": {"given_token_choice": 0.31}}),
        (SELECTIVE, {"ours": {"selectivity": 2.0}}),
        (CARVED, {"ours": {"resident_carved_bytes": 8e6}}),
        (CARVED, {"ours": {"resident_cost": 0.03}}),
    ],
    ids=str,
)
def test_one_planted_fault_is_found_and_no_other(number, changes):
    found = weigh(study_with(**changes))
    assert found[number].verdict == FAILS
    assert all(
        entry.verdict == HOLDS for place, entry in enumerate(found) if place not in (number, TOLD)
    )


def test_one_seed_and_seeds_that_disagree_decide_nothing():
    assert {entry.verdict for entry in weigh(study_with(seeds=1))} == {OPEN}
    apart = weigh(study_with(wiggle=0.8))
    assert [apart[number].verdict for number in (KEPT, SELECTIVE, CARVED)] == [OPEN] * 3


def test_the_ceiling_of_a_choice_is_known():
    """k of S evenly used segments, always the same k for a context: log2(S / k); never more than
    the contexts have."""
    study = study_with()
    assert ceiling(design_of(study, "ours")) == 2.0
    assert ceiling(design_of(study_with(contexts=("days", "sums")), "ours")) == 1.0
    few = weigh(study_with(contexts=("days", "sums")))[TOLD]
    assert few.verdict == UNTESTABLE and "out of reach" in few.why


def test_twins_are_found_by_their_settings():
    study = study_with()
    found = design_of(study, "ours")
    assert (found.random, found.dense) == ("chance", "whole") and designs(study) == (
        "ours",
        "chance",
    )
    assert design_of(study, "chance").random == ""


def test_what_a_study_lacks_is_said_and_nothing_breaks():
    bare = weigh(made_study())
    assert [entry.verdict for entry in bare] == [
        UNTESTABLE,
        FAILS,
        UNTESTABLE,
        UNTESTABLE,
        UNTESTABLE,
        UNTESTABLE,
    ]
    assert all("this study has" in entry.why for entry in bare if entry.verdict == UNTESTABLE)
    alone = made_study(outcomes=tuple(made_outcome("gradient", seed, **GOOD) for seed in range(3)))
    verdicts = [entry.verdict for entry in weigh(alone)]
    assert (
        verdicts[UNTRAINED] == verdicts[KEPT] == verdicts[TOLD] == UNTESTABLE
        and verdicts[CARVED] == HOLDS
    )


def test_studies_from_before_these_fields_are_read():
    data = json.loads(made_study().to_json())
    later = NAMES - FIRST
    assert len(later) > 20
    for outcome in data["outcomes"]:
        for name in later:
            del outcome[name]
    study = study_from_json(json.dumps(data))
    assert all(
        math.isnan(outcome["selectivity"]) and math.isnan(outcome["keep_quarter_worst"])
        for outcome in study.outcomes
    )
    for path in RESULTS.glob("*.json"):
        assert len(weigh(read_study(path))) == len(EVIDENCE)
