"""Laws of the partition methods: every neuron once, equal sizes, seeded, and what is planted is
found."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cpart_core.partition import balanced
from cpart_core.partition.balanced import balanced_assignment, balanced_kmeans
from cpart_core.partition.evidence import Evidence
from cpart_core.partition.make import make_partition
from cpart_core.partition.methods import METHODS
from cpart_core.partition.partition import SHARED, churn, contiguous_partition, match_ids
from cpart_core.partition.spectral import discover_contexts
from cpart_core.settings.run import Settings

N, S, SHARED_NEURONS = 70, 6, 10


def evidence(seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    return Evidence(
        by_context=rng.gamma(1.0, size=(N, 5)),
        by_document=rng.gamma(1.0, size=(N, 20)),
        activation=rng.normal(size=(N, 40)),
        weight=rng.normal(size=(N, 16)),
    )


def test_every_method_that_can_be_chosen_is_listed() -> None:
    known = {item.name: item for _, item, _ in Settings().items()}
    assert known["method"].choices == tuple(METHODS)
    for name in METHODS:
        assert Settings().with_values({"method": name}).check().partition.method == METHODS[name]()


def test_asking_a_method_loads_the_standard_library_alone() -> None:
    said = (
        "import sys, cpart_core.settings.run;"
        "print({'torch', 'numpy', 'sklearn', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", METHODS)
def test_each_method_covers_all_neurons_in_equal_segments_and_repeats(name: str) -> None:
    old = contiguous_partition(2, N, S, SHARED_NEURONS)
    made = [
        make_partition(
            METHODS[name](), [evidence(), evidence(1)], old, SHARED_NEURONS, first=True, seed=4
        )
        for _ in range(2)
    ]
    assert (made[0].segment_of == made[1].segment_of).all()
    assert (made[0].sizes() == (N - SHARED_NEURONS) // S).all()
    assert ((made[0].segment_of == SHARED).sum(axis=1) == SHARED_NEURONS).all()
    warm = make_partition(
        METHODS[name](), [evidence(), evidence(1)], made[0], SHARED_NEURONS, first=False, seed=4
    )
    if METHODS[name].reclusters:
        assert churn(warm.segment_of, made[0].segment_of).max() < 0.35, (
            "the same evidence must not shuffle the segments"
        )


@pytest.mark.parametrize(
    ("name", "field"),
    [("gradient", "by_context"), ("cocluster", "by_document"), ("coactivation", "activation")],
)
def test_planted_segments_are_found(name: str, field: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(4), 16))
    columns = np.repeat(np.arange(4), 6)
    planted = (
        (1.0 + 9.0 * (truth[:, None] == columns))
        * rng.uniform(0.7, 1.3, size=(64, 24))
        * rng.gamma(2.0, size=(64, 1))
    )
    found = METHODS[name]().assign(Evidence(**{field: planted}), 64, 4, 0, None, seed=0)
    assert (match_ids(found, truth.astype(np.int16), 4) == truth).all()


def test_planted_contexts_are_found_from_document_signatures() -> None:
    rng = np.random.default_rng(1)
    truth = rng.permutation(np.repeat(np.arange(3), [30, 20, 10]))
    preference = rng.integers(0, 3, size=(2, 80, 1))
    signature = (
        (1.0 + 6.0 * (preference == truth))
        * rng.gamma(5.0, size=(2, 80, 60))
        * rng.gamma(2.0, size=(1, 1, 60))
    )
    assert (discover_contexts(signature, 3, seed=0) == truth).all(), (
        "numbered from the largest to the smallest"
    )
    with pytest.raises(ValueError, match="60 documents cannot be divided into 61 contexts"):
        discover_contexts(signature, 61, seed=0)


def test_matching_renames_so_that_fewest_move() -> None:
    old = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, SHARED], dtype=np.int16)
    new = np.array([2, 2, 2, 0, 0, 1, 1, 1, 0, SHARED], dtype=np.int16)
    matched = match_ids(new, old, 3)
    assert matched.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 1, SHARED]
    assert churn(matched[None], old[None]) == pytest.approx([0.2])


def test_balanced_assignment_is_within_a_per_cent_of_the_exact_one() -> None:
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(2)
    cost = ((rng.normal(size=(240, 1, 3)) - rng.normal(size=(1, 8, 3))) ** 2).sum(-1)
    segment = balanced_assignment(cost)
    assert (np.bincount(segment) == 30).all()
    exact = np.repeat(cost, 30, axis=1)
    best = exact[linear_sum_assignment(exact)].sum()
    assert best <= cost[np.arange(240), segment].sum() <= 1.01 * best


def test_degenerate_features_still_give_equal_segments() -> None:
    for features in (np.zeros((24, 3)), np.ones((24, 1)), np.eye(24)):
        assert (np.bincount(balanced_kmeans(features, 4, seed=0), minlength=4) == 6).all()


def test_a_large_problem_is_cut_as_well_as_one_that_sees_every_neuron_at_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sampled first centroids and greedy steps: the same spread within 1 %, sizes exact, the same
    again by the same seed."""
    rng = np.random.default_rng(3)
    centres, lean = (
        rng.normal(size=(16, 12)),
        rng.choice(16, 8192, p=rng.dirichlet(np.full(16, 3.0))),
    )
    for features in (rng.normal(size=(8192, 12)), centres[lean] + rng.normal(size=(8192, 12))):
        monkeypatch.setattr(balanced, "SMALL", 1 << 30)
        thorough = balanced_kmeans(features, 16, seed=0)
        monkeypatch.setattr(balanced, "SMALL", 0)
        quick = balanced_kmeans(features, 16, seed=0)
        assert (np.bincount(quick) == 512).all() and (
            quick == balanced_kmeans(features, 16, seed=0)
        ).all()
        assert spread(features, quick) <= 1.01 * spread(features, thorough)


def spread(features: np.ndarray, segment: np.ndarray) -> float:
    """Sum of squared distances from the segments' means."""
    return sum(
        float(np.square(features[segment == s] - features[segment == s].mean(axis=0)).sum())
        for s in np.unique(segment)
    )


def test_warm_starts_of_large_problems_move_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced, "SMALL", 0)
    rng = np.random.default_rng(4)
    features = rng.normal(size=(8, 6))[np.repeat(np.arange(8), 128)] * 3 + rng.normal(
        size=(1024, 6)
    )
    once = balanced_kmeans(features, 8, seed=0)
    again = balanced_kmeans(
        features + 0.01 * rng.normal(size=features.shape), 8, seed=1, previous=once
    )
    assert (again != once).mean() < 0.05
