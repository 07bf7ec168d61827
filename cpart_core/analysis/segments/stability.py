"""Do other seeds find the same segments? Segments of several runs on one corpus, matched by the
contexts they work on. No torch.

From one snapshot of each run. Neurons cannot be matched: other seeds begin with other neurons. What
agrees is which contexts share a segment: where every segment has one context of its own, any
numbering of the contexts matches as well, and chance says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.statistics.bootstrap import INTERVAL
from cpart_core.partition.partition import assign
from cpart_core.records.specialization import Stability
from cpart_core.runs.folder import Run, open_run

FEWEST_RUNS, MOST_RUNS = 3, 8
SHUFFLES = 200


def measure_stability(
    runs: Sequence[Run], steps: Sequence[int], seed: int, progress: Progress = silent
) -> Stability:
    """The first run is the one that the others are matched to; steps: a snapshot of each.
    ValueError when they cannot be compared."""
    check_comparable(runs)
    if len(steps) != len(runs) or not all(type(step) is int for step in steps):
        raise ValueError(
            f"Each of the {len(runs)} runs needs the step of one of its snapshots; given:"
            f" {str(list(steps))[:80]}."
        )
    progress(0.0, "Reading snapshots")
    snapshots = [run.snapshot(step) for run, step in zip(runs, steps, strict=True)]
    unready = [
        run.id for run, snapshot in zip(runs, snapshots, strict=True) if not snapshot.partitioned
    ]
    if unready:
        raise ValueError(
            f"Run {unready[0]} has no partition yet, so its segments are only a numbering. Wait for"
            " it, or leave it out."
        )
    mass = np.stack([snapshot.fusion_mass.astype(np.float64) for snapshot in snapshots])
    known = ~np.isnan(mass).any(axis=(0, 1, 3))
    if known.sum() < 3:
        raise ValueError(
            "Profiles are compared over contexts, at least 3 of them; these runs share"
            f" {int(known.sum())} with validation text."
        )
    profiles = mass[:, :, known]
    pairs = [
        (first, second) for first in range(len(runs)) for second in range(first + 1, len(runs))
    ]
    agreed = np.array(
        [
            [agreement(a, b)[0] for a, b in zip(profiles[i], profiles[j], strict=True)]
            for i, j in pairs
        ]
    )
    agreed = with_mean(agreed)
    chance = chance_of(profiles, pairs, seed, progress)
    match = np.array(
        [
            [agreement(a, b)[1] for a, b in zip(profiles[0], other, strict=True)]
            for other in profiles
        ]
    )
    return Stability(
        run=runs[0].id,
        runs=tuple(run.id for run in runs),
        steps=tuple(int(snapshot.step) for snapshot in snapshots),
        seeds=tuple(run.settings.training.seed for run in runs),
        contexts=runs[0].info.contexts,
        match=match,
        agreement=agreed.mean(axis=0),
        lowest=agreed.min(axis=0),
        highest=agreed.max(axis=0),
        null_mean=chance.mean(axis=0),
        null_high=np.percentile(chance, INTERVAL[1], axis=0),
        shuffles=SHUFFLES,
        same_text=all(same_text(run, runs[0]) for run in runs),
        profile=np.take_along_axis(mass, match[:, :, None, :], axis=3),
    )


def check_comparable(runs: Sequence[Run]) -> None:
    """ValueError that says which runs do not belong together."""
    if not FEWEST_RUNS <= len(runs) <= MOST_RUNS or len({run.id for run in runs}) < len(runs):
        raise ValueError(
            f"{len(runs)} runs were given; choose {FEWEST_RUNS} to {MOST_RUNS} different ones, on"
            " one corpus with other seeds."
        )
    first = runs[0]
    for run in runs:
        model, wanted = run.settings.model, first.settings.model
        if run.info.discovered:
            raise ValueError(
                f"Run {run.id} found its contexts by itself, so they are not those of another run."
                " Choose runs with labels."
            )
        if (
            not run.info.fingerprint
            or run.info.contexts != first.info.contexts
            or not (same_text(run, first) or same_sources(run, first))
        ):
            raise ValueError(
                f"Run {run.id} has another corpus than run {first.id}; segments are matched over"
                " the same contexts."
            )
        if (model.num_layers, model.num_segments) != (wanted.num_layers, wanted.num_segments):
            raise ValueError(
                f"Run {run.id} has {model.num_layers} layers of {model.num_segments} segments and"
                f" run {first.id} {wanted.num_layers} of {wanted.num_segments}; choose runs of one"
                " shape."
            )


def same_text(run: Run, other: Run) -> bool:
    """Both read the very same documents."""
    return run.info.fingerprint == other.info.fingerprint


def same_sources(run: Run, other: Run) -> bool:
    """Both draw their documents from the same sources, each by its own seed."""
    return run.settings.corpus == other.settings.corpus


def chance_of(
    profiles_RLCS: np.ndarray, pairs: Sequence[tuple[int, int]], seed: int, progress: Progress
) -> np.ndarray:
    """[shuffles, L + 1] mean agreement over pairs, when each run's contexts are shuffled on their
    own: a match is found there, too."""
    random = np.random.default_rng(seed)
    num_contexts = profiles_RLCS.shape[2]
    found = []
    for number in range(SHUFFLES):
        progress(number / SHUFFLES, f"Contexts shuffled, {number + 1} of {SHUFFLES} times")
        shuffled = np.stack([run[:, random.permutation(num_contexts)] for run in profiles_RLCS])
        values = [
            [agreement(a, b)[0] for a, b in zip(shuffled[i], shuffled[j], strict=True)]
            for i, j in pairs
        ]
        found.append(np.mean(values, axis=0))
    return with_mean(np.array(found))


def agreement(first_CS: np.ndarray, second_CS: np.ndarray) -> tuple[float, np.ndarray]:
    """(mean correlation of matched segments, [S] the second's segment for each of the first's), by
    Hungarian assignment."""
    similarity = unit(first_CS).T @ unit(second_CS)
    match = assign(similarity)
    return float(similarity[np.arange(len(match)), match].mean()), match


def unit(profile_CS: np.ndarray) -> np.ndarray:
    """Each segment's profile minus its mean over contexts, at length 1, so that products are
    correlations; 0 for a flat one."""
    centred = profile_CS - profile_CS.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9)


def with_mean(values_XL: np.ndarray) -> np.ndarray:
    """[..., L + 1]: the mean over layers at the end."""
    return np.concatenate([values_XL, values_XL.mean(axis=-1, keepdims=True)], axis=-1)


def answer(asked: Asked) -> Stability:
    """The request `stability`: of the runs it names."""
    values = asked.values
    runs = [open_run(run_id) for run_id in values["runs"]]
    return measure_stability(runs, values["steps"], values["seed"], asked.progress)
