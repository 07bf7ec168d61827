"""Differences are paired, intervals are Student's, the JSON comes back as it was, and damaged files
are refused."""

from __future__ import annotations

import json
import math

import pytest
from scipy.stats import t

from cpart_core.study.interval import T_QUANTILES, interval
from cpart_core.study.result import read_study, save_study, study_files, study_from_json
from cpart_core.study.rows import arm_rows, context_rows, difference_rows, says
from tests.study.made import made_outcome, made_study


def test_the_quantiles_are_students():
    assert [round(float(t.ppf(0.975, n + 1)), 6) for n in range(30)] == pytest.approx(
        T_QUANTILES, abs=1e-6
    )


def test_a_known_interval():
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert math.isnan(interval([1.0]).low)


def test_differences_are_paired_by_seed():
    """Seeds differ by far more than arms; unpaired, nothing could be told."""
    outcomes = [
        made_outcome(arm, seed, loss=10.0 * seed + more)
        for seed in range(3)
        for arm, more in (("gradient", 1.0), ("dense", 1.1))
    ]
    found = made_study(outcomes=tuple(outcomes)).difference("gradient", "dense", "loss")
    assert (
        found is not None and found.mean == pytest.approx(-0.1) and found.high < 0 and found.n == 3
    )
    assert says(found, True) == "better" and says(found, False) == "worse"


def test_a_missing_seed_pairs_with_nothing():
    outcomes = (made_outcome("gradient", 0), made_outcome("gradient", 1), made_outcome("dense", 1))
    study = made_study(outcomes=outcomes)
    found = study.difference("gradient", "dense", "loss")
    assert found is not None and found.n == 1 and not study.complete
    assert study.difference("gradient", "random", "loss") is None


def test_the_file_comes_back_as_it_was(tmp_path):
    study = made_study(
        {"loss": (0.1, 0.2, 0.3)},
        outcomes=made_study().outcomes[:-1] + (made_outcome("gradient", 2, keep_quarter=math.nan),),
    )
    save_study(study, tmp_path / "a" / "s.json")
    again = read_study(tmp_path / "a" / "s.json")
    assert again.to_json() == study.to_json() and "NaN" not in study.to_json()
    assert again.arms == study.arms and math.isnan(again.outcomes[-1]["keep_quarter"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("seeds"),
        lambda data: data.update(format=9),
        lambda data: data.update(reference="nobody"),
        lambda data: data.update(outcomes=[{"arm": "x"}]),
        lambda data: data["outcomes"][0].update(loss="low"),
        lambda data: data["outcomes"][0].update(loss_by_context=[1.0]),
        lambda data: data["arms"].update(x={"model": {"width": -1}}),
        lambda data: data.update(contexts=[1, 2]),
    ],
)
def test_a_damaged_file_is_refused(spoil):
    data = json.loads(made_study().to_json())
    spoil(data)
    with pytest.raises(ValueError):
        study_from_json(json.dumps(data))


def test_stored_studies_can_be_read():
    """Whatever is committed as a result must be readable and complete."""
    for path in study_files():
        assert read_study(path).complete, path


def test_tables_have_every_arm_and_no_nan():
    study = made_study({"loss": (0.1, 0.2, 0.3), "information_mass": (0.0, 0.0, 0.0)})
    assert [row["arm"] for row in arm_rows(study)] == ["gradient", "dense", "random"]
    assert [row["context"] for row in context_rows(study)] == ["days", "sums"]
    rows = {(row["measure"], row["arm"]): row for row in difference_rows(study)}
    row = rows["validation loss", "dense - gradient"]
    assert row["difference"] == pytest.approx(-0.2) and row["n"] == 3
