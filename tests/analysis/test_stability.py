"""Segments of other seeds are matched by their contexts; what cannot be compared is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cpart_core.analysis.segments.stability import agreement, measure_stability
from cpart_core.analysis.segments.verdict import stability_verdict
from cpart_core.runs.create import create_run
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import write_info
from cpart_core.runs.snapshots import save_snapshot
from cpart_core.service.answering import answer, stored
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.run import Settings
from tests.analysis.made import planted_snapshot

CONTEXTS = tuple(f"context {number}" for number in range(8))
MODEL = ModelSettings(
    num_layers=2,
    width=16,
    num_heads=2,
    num_kv_heads=2,
    num_neurons=48,
    shared_neurons=0,
    num_segments=8,
)


@pytest.fixture(autouse=True)
def runs_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))


def seeded(seed: int, same: bool, fingerprint: str = "f", partitioned: bool = True) -> Run:
    """A run whose segments share contexts by one plan, numbered anew for each seed; or work on
    contexts at random."""
    settings = Settings(model=MODEL)
    corpus = replace(settings.corpus, vocabulary_size=512 if fingerprint == "f" else 600)
    settings = replace(settings, training=replace(settings.training, seed=seed), corpus=corpus)
    run = create_run(settings, None, run_id=f"20260101-000000-{fingerprint}{seed:03d}")
    write_info(run.folder, replace(run.info, contexts=CONTEXTS, fingerprint=fingerprint))
    random = np.random.default_rng(seed)
    mass = random.dirichlet(np.full(8, 0.3), (2, 8))
    if same:
        plan = np.random.default_rng(99).dirichlet(np.full(8, 0.3), 8)
        mass = np.stack([(0.9 * plan + 0.1 * layer)[:, random.permutation(8)] for layer in mass])
    made = planted_snapshot(10, num_contexts=8, partitioned=partitioned)
    save_snapshot(run.folder, replace(made, fusion_mass=mass))
    return open_run(run.id)


def test_the_same_segments_are_found_again_and_others_are_not():
    same = measure_stability([seeded(seed, True) for seed in range(3)], [10] * 3, 0)
    assert (
        (same.agreement > 0.95).all()
        and (same.agreement > same.null_high).all()
        and "beyond chance in all 2" in stability_verdict(same)
    )
    other = measure_stability([seeded(seed, False) for seed in range(10, 13)], [10] * 3, 0)
    assert (
        other.agreement[:2] <= other.null_high[:2]
    ).all() and "do not find" in stability_verdict(other)
    assert (other.lowest <= other.agreement).all() and (other.agreement <= other.highest).all()


def test_segments_of_one_context_each_prove_nothing():
    """Any numbering of the contexts would match as well."""
    profile = np.eye(8)
    assert (
        agreement(profile, profile[:, ::-1])[0]
        == agreement(profile, profile[np.random.default_rng(0).permutation(8)])[0]
        == 1.0
    )


def test_a_match_undoes_a_renumbering():
    profile = np.random.default_rng(0).dirichlet(np.ones(5), 7)
    order = np.array([3, 1, 4, 0, 2])
    found, match = agreement(profile, profile[:, order])
    assert found == pytest.approx(1.0) and (order[match] == np.arange(5)).all()
    runs = [seeded(seed, True) for seed in range(3)]
    result = measure_stability(runs, [10] * 3, 0)
    assert (result.match[0] == np.arange(8)).all() and np.abs(
        result.profile - result.profile[:1]
    ).max() < 0.1 + 1e-9


def test_it_is_asked_for_and_kept():
    runs = [seeded(seed, True) for seed in range(3)]
    request = {
        "run": runs[0].id,
        "runs": [run.id for run in runs],
        "steps": [10, 10, 10],
        "seed": 0,
    }
    result = answer("stability", request)
    runs[0].store_result("stability", request, result)
    assert stored(runs[0], "stability", request).seeds == (0, 1, 2)


def test_what_cannot_be_compared_is_said():
    good = [seeded(seed, True) for seed in range(2)]
    with pytest.raises(ValueError, match="choose 3 to 8"):
        measure_stability(good, [10, 10], 0)
    with pytest.raises(ValueError, match="another corpus"):
        measure_stability([*good, seeded(3, True, "g")], [10] * 3, 0)
    with pytest.raises(ValueError, match="no partition yet"):
        measure_stability([*good, seeded(4, True, partitioned=False)], [10] * 3, 0)
    with pytest.raises(ValueError, match="step of one"):
        measure_stability([*good, seeded(5, True)], [10, 10], 0)
