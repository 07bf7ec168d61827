"""Intervals over few seeds: they hold the mean, never leave what can be, cover as often as they
say, and are as wide as t makes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cpart_core.study.claims.paper import judge
from cpart_core.study.design import designs
from cpart_core.study.interval import (
    CHANGE,
    COSINE,
    POSITIVE,
    REAL,
    SHARE,
    Scale,
    how_little,
    interval,
)
from cpart_core.study.measures import MEASURE, MEASURES, scale_of
from cpart_core.study.result import RESULTS, read_study, study_from_json
from cpart_core.study.targets.evidence import weigh
from tests.study.made import made_outcome, made_study

SCALE_NAMES = {
    "real": REAL,
    "positive": POSITIVE,
    "share": SHARE,
    "change": CHANGE,
    "cosine": COSINE,
    "below 2": Scale(-math.inf, 2.0),
}


def drawn(scale: Scale, n: int, random: np.random.Generator) -> list[float]:
    """Values anywhere on the scale, its ends among them; some of one another's size, some not."""
    spread = 10.0 ** random.uniform(-6, 3)
    if math.isfinite(scale.low) and math.isfinite(scale.high):
        values = scale.low + (scale.high - scale.low) * random.beta(
            *(10.0 ** random.uniform(-2, 2, size=2)), size=n
        )
    elif math.isfinite(scale.low):
        values = scale.low + random.lognormal(0, min(spread, 8.0), size=n)
    elif math.isfinite(scale.high):
        values = scale.high - random.lognormal(0, min(spread, 8.0), size=n)
    else:
        values = random.normal(random.normal(), spread, size=n)
    ends = [end for end in (scale.low, scale.high) if math.isfinite(end)]
    return [
        float(random.choice(ends)) if ends and random.random() < 0.1 else float(value)
        for value in values
    ]


@pytest.mark.parametrize("scale", SCALE_NAMES.values(), ids=SCALE_NAMES)
def test_it_holds_the_mean_and_never_leaves_the_range(scale):
    random = np.random.default_rng(3)
    for _ in range(400):
        values = drawn(scale, int(random.integers(2, 12)), random)
        found = interval(values, scale)
        assert scale.low <= found.low <= found.mean <= found.high <= scale.high, values
        assert found.mean == pytest.approx(float(np.mean(values)), rel=1e-9, abs=1e-12)
        if np.ptp(values) > 1e-3 and math.isfinite(found.high):
            assert found.low < found.mean < found.high


@pytest.mark.parametrize(
    ("draw", "truth", "scale"),
    [
        (lambda random: random.normal(0.3, 1.0, size=3), 0.3, REAL),
        (lambda random: random.lognormal(0.0, 0.3, size=3), math.exp(0.045), POSITIVE),
        (lambda random: random.exponential(1.0, size=3), 1.0, POSITIVE),
        (lambda random: random.beta(9, 1, size=3), 0.9, SHARE),
        (lambda random: random.beta(2, 2, size=3), 0.5, SHARE),
        (lambda random: random.exponential(1.0, size=3) - 1.0, 0.0, CHANGE),
    ],
    ids=["normal", "lognormal", "exponential", "share near 1", "share in the middle", "change"],
)
def test_three_values_cover_the_truth_as_often_as_is_said(draw, truth, scale):
    """95 %, and nearer to it than Student's plain interval, which for a share near 1 covers 89 %
    and leaves the range half of the time."""
    random = np.random.default_rng(5)
    samples = [draw(random).tolist() for _ in range(3000)]
    ours, plain = ([interval(values, kind) for values in samples] for kind in (scale, REAL))
    covered, by_plain = (
        np.mean([found.low <= truth <= found.high for found in every]) for every in (ours, plain)
    )
    assert 0.935 <= covered <= 0.965
    assert abs(covered - 0.95) <= abs(by_plain - 0.95) + 0.005


def test_far_from_the_ends_it_is_students():
    values = [10_000.0, 10_001.0, 10_002.5]
    for end in ("low", "high"):
        assert getattr(interval(values, POSITIVE), end) == pytest.approx(
            getattr(interval(values, REAL), end), abs=1e-3
        )


def test_every_number_of_an_outcome_has_a_scale_and_stored_studies_keep_to_it():
    """What could be below 0 is said to be; all the rest are counts, bits, bytes and losses."""
    assert len(MEASURE) == len(MEASURES), "no name twice"
    assert (
        scale_of("accuracy") == scale_of("selective_share") == SHARE
        and scale_of("keep_quarter") == CHANGE
    )
    assert scale_of("selectivity") == scale_of("information_choice") == POSITIVE
    for path in sorted(RESULTS.glob("*.json")):
        study = read_study(path)
        for arm in designs(study):
            for finding in (
                found for entry in (*weigh(study, arm), *judge(study)) for found in entry.findings
            ):
                for found, scale in (
                    (finding.value, range_of(finding.unit)),
                    (finding.difference, CHANGE),
                    (finding.against_chance, CHANGE),
                ):
                    assert found is None or scale.low <= found.low <= found.high <= scale.high, (
                        path.name,
                        arm,
                        finding.label,
                    )


def range_of(unit: str) -> Scale:
    """The widest that a number of this unit can be."""
    return {"share": CHANGE, "times": POSITIVE}.get(unit, REAL)


def test_shares_of_stored_studies_are_shares():
    for path in sorted(RESULTS.glob("*.json")):
        study = read_study(path)
        found = [
            interval(list(study.values(arm, "selective_share").values()), SHARE)
            for arm in designs(study)
        ]
        assert found and all(0.0 <= one.low <= one.high <= 1.0 for one in found)


def test_a_number_that_cannot_be_is_refused():
    study = made_study(outcomes=(made_outcome("gradient", 0, accuracy=1.5),))
    with pytest.raises(ValueError, match="accuracy of an outcome is 1.5; it can be 0 to 1"):
        study_from_json(study.to_json())


def test_how_little_few_seeds_say():
    assert "no interval" in how_little(1) and how_little(10) == ""
    assert "Three seeds say little: an interval is 2.2 times as wide" in how_little(
        3
    ) and "more than 2.5 times that spread" in how_little(3)
