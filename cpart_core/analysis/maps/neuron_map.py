"""Neuron signatures on a plane: one layout for all steps of a run. From snapshots alone: no model,
no torch.

Layout is `plane.py`'s; this file chooses steps and neurons and makes comparable numbers of their
signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.maps.plane import lay_out, log_features
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.records.maps import NeuronMap
from cpart_core.records.training import Snapshot

MOST_STEPS = 8
MOST_NEURONS = 20_000


def choose_steps(
    steps: Sequence[int], partitioned: Callable[[int], bool], most: int = MOST_STEPS
) -> list[int]:
    """At most `most` of the snapshot steps (ascending), evenly chosen, with the first that has a
    partition and the last.

    Without any partition: over all steps. `partitioned` is asked only about log2(steps) times: a
    partition once made stays.
    """
    if not steps:
        return []
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if partitioned(steps[middle]) else (middle + 1, high)
    candidates = list(steps[low:]) or list(steps)
    chosen = np.unique(
        np.linspace(0, len(candidates) - 1, min(most, len(candidates))).round().astype(int)
    )
    return [candidates[index] for index in chosen]


def map_neurons(
    run: str,
    contexts: tuple[str, ...],
    snapshots: Sequence[Snapshot],
    method: str,
    layer: int,
    seed: int,
    progress: Progress = silent,
) -> NeuronMap:
    """The map of one layer (or of all: layer -1) over the given snapshots, the last of which fixes
    the layout."""
    if not snapshots:
        raise ValueError(
            f"Run {run} has no snapshot yet, so there are no signatures to map. Wait for its first"
            " one."
        )
    last = snapshots[-1]
    num_layers = last.segment_of.shape[0]
    if not -1 <= layer < num_layers:
        raise ValueError(
            f"The layer is {layer}; allowed: 0 to {num_layers - 1}, or -1 for all layers."
        )
    layers = np.arange(num_layers) if layer < 0 else np.array([layer])
    layer_P, neuron_P = sample_neurons(last.segment_of, layers, MOST_NEURONS, seed)
    progress(0.02, f"Reading the signatures of {len(layer_P):,} neurons at {len(snapshots)} steps")
    relative = [relative_signature(snapshot)[layer_P, neuron_P] for snapshot in snapshots]
    measured = (
        last.signature_tokens > 0
        if np.any(last.signature_tokens > 0)
        else np.ones(len(last.signature_tokens), dtype=bool)
    )
    plane = lay_out(
        [log_features(values[:, measured]) for values in relative],
        method,
        seed,
        part_of(progress, 0.05, 0.98),
    )
    return NeuronMap(
        run=run,
        method=plane.method,
        steps=tuple(int(snapshot.step) for snapshot in snapshots),
        layer=layer_P,
        neuron=neuron_P,
        position=plane.position,
        segment=np.stack([snapshot.segment_of[layer_P, neuron_P] for snapshot in snapshots]).astype(
            np.int16
        ),
        strongest_context=np.stack([strongest(values) for values in relative]),
        contexts=contexts,
        sampled=len(layer_P),
        total=len(layers) * last.segment_of.shape[1],
        seed=seed,
        parameters=plane.parameters,
        faithfulness=plane.faithfulness,
    )


def relative_signature(snapshot: Snapshot) -> np.ndarray:
    """Signatures in units of their layer's mean for the context: 1 is an ordinary neuron of that
    layer. -> [L, N, C] float32

    Layers, contexts and steps become comparable: the size of gradients differs between all of them.
    NaN counts as 0.
    """
    signature = np.nan_to_num(
        snapshot.signature.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0
    )
    mean = signature.mean(axis=1, keepdims=True)
    return np.divide(signature, mean, out=np.zeros_like(signature), where=mean > 0)


def strongest(relative_PxC: np.ndarray) -> np.ndarray:
    """[P] int16: the context with the greatest relative signature, -1 for a neuron without any."""
    if relative_PxC.shape[1] == 0:
        return np.full(len(relative_PxC), -1, dtype=np.int16)
    return np.where(relative_PxC.max(axis=1) > 0, relative_PxC.argmax(axis=1), -1).astype(np.int16)


def sample_neurons(
    segment_of: np.ndarray, layers: np.ndarray, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` neurons of the layers, every layer and segment in its share. -> (layer [P],
    neuron [P]), ordered; seeded."""
    layer, neuron = (
        index.reshape(-1)
        for index in np.meshgrid(layers, np.arange(segment_of.shape[1]), indexing="ij")
    )
    if len(layer) <= most:
        return layer, neuron
    order = np.random.default_rng(seed).permutation(len(layer))
    # Shuffle, sort by stratum, take evenly spaced ones: every stratum gets its share, give or take
    # one neuron.
    order = order[np.lexsort((segment_of[layer[order], neuron[order]], layer[order]))]
    kept = np.sort(order[np.linspace(0, len(order) - 1, most).round().astype(int)])
    return layer[kept], neuron[kept]


def answer(asked: Asked) -> NeuronMap:
    """The request `neuron_map`: of all snapshots there are."""
    run, values = asked.run, asked.values
    asked.progress(0.0, "Reading snapshots")
    steps = choose_steps(run.snapshot_steps(), lambda step: run.snapshot(step).partitioned)
    return map_neurons(
        run.id,
        run.info.contexts,
        [run.snapshot(step) for step in steps],
        values["method"],
        values["layer"],
        values["seed"],
        asked.progress,
    )
