"""Made results with known structure, for the charts' tests: small, seeded, and with hostile
names."""

from __future__ import annotations

import numpy as np

from cpart_core.records.maps import DocumentMap, NeuronMap
from cpart_core.records.profiles import Passage, SegmentProfiles
from cpart_core.records.trace import Trace
from cpart_core.records.training import Snapshot

HOSTILE = "<a href='http://evil'>x</a>"
CONTEXTS = ("code", "prose", HOSTILE)
LAYERS, NEURONS, SEGMENTS = 2, 24, 4


def snapshot(step: int = 100, seed: int = 0, partitioned: bool = True) -> Snapshot:
    """2 layers of 24 neurons in 4 equal segments; segment s works mostly on context s % 3."""
    rng = np.random.default_rng(seed)
    segment_of = np.stack(
        [
            rng.permutation(np.repeat(np.arange(SEGMENTS), NEURONS // SEGMENTS))
            for _ in range(LAYERS)
        ]
    ).astype(np.int16)
    signature = rng.uniform(0.05, 0.1, (LAYERS, NEURONS, 3))
    for layer in range(LAYERS):
        signature[layer, np.arange(NEURONS), segment_of[layer] % 3] = rng.uniform(0.5, 1.0, NEURONS)
    mass = rng.dirichlet(np.ones(SEGMENTS), (LAYERS, 3))
    return Snapshot(
        step=step,
        segment_of=segment_of,
        signature=signature.astype(np.float16),
        signature_scale=np.ones(LAYERS, np.float32),
        signature_tokens=np.array([100, 200, 300]),
        fusion_mass=mass.astype(np.float32),
        chosen_share=(mass > 0.2).astype(np.float32),
        fusion_tokens=np.array([1000, 2000, 3000]),
        partitioned=partitioned,
        frozen=False,
    )


def trace(
    tokens: tuple[str, ...] = ("def", " run", "(", HOSTILE, "\n"), prompt_tokens: int = 4
) -> Trace:
    rng = np.random.default_rng(1)
    count = len(tokens)
    alpha = rng.dirichlet(np.ones(SEGMENTS), (LAYERS, count)).astype(np.float32)
    loss = rng.uniform(0, 5, count)
    loss[0] = np.nan
    return Trace(
        run="made",
        step=100,
        text="".join(tokens),
        tokens=tokens,
        token_ids=np.arange(count),
        prompt_tokens=prompt_tokens,
        alpha=alpha,
        weight=alpha * SEGMENTS,
        norm=rng.uniform(0, 2, alpha.shape).astype(np.float32),
        shared_norm=np.zeros((LAYERS, count), np.float32),
        entropy=-(alpha * np.log2(alpha)).sum(axis=2),
        loss=loss,
    )


def neuron_map(points: int = LAYERS * NEURONS, steps: tuple[int, ...] = (50, 100)) -> NeuronMap:
    rng = np.random.default_rng(2)
    return NeuronMap(
        run="made",
        method="pca",
        steps=steps,
        layer=np.arange(points) % LAYERS,
        neuron=np.arange(points) // LAYERS,
        position=rng.normal(size=(len(steps), points, 2)).astype(np.float32),
        segment=rng.integers(0, SEGMENTS, (len(steps), points)).astype(np.int16),
        strongest_context=rng.integers(0, 3, (len(steps), points)).astype(np.int16),
        contexts=CONTEXTS,
        sampled=points,
        total=points,
        seed=0,
        parameters={"explained_variance": 0.8},
        faithfulness=0.5,
    )


def document_map(count: int = 30) -> DocumentMap:
    rng = np.random.default_rng(3)
    return DocumentMap(
        run="made",
        step=100,
        method="pca",
        position=rng.normal(size=(count, 2)).astype(np.float32),
        title=tuple(f"document {number}" for number in range(count)),
        excerpt=(HOSTILE,) * count,
        context=(np.arange(count) % 3).astype(np.int16),
        contexts=CONTEXTS,
        strongest_segment=rng.integers(0, SEGMENTS, (LAYERS, count)).astype(np.int16),
        loss=rng.uniform(1, 4, count),
        tokens=rng.integers(20, 200, count),
        seed=0,
        parameters={},
        faithfulness=0.4,
    )


def profiles() -> SegmentProfiles:
    """Profiles that fit `snapshot()`; tokens and documents have hostile names."""
    rng = np.random.default_rng(4)
    shape = (LAYERS, 3, SEGMENTS)
    passage = Passage(
        document=HOSTILE,
        context="prose",
        tokens=("a", HOSTILE, "\n"),
        strength=np.array([0.1, 0.5, 0.4], np.float32),
    )
    return SegmentProfiles(
        run="made",
        step=100,
        contexts=CONTEXTS,
        tokens_by_context=np.array([1000, 2000, 3000]),
        mass=rng.dirichlet(np.ones(SEGMENTS), shape[:2]),
        chosen=np.ones(shape),
        contribution=rng.uniform(0, 3, shape),
        shared_contribution=np.zeros(shape[:2]),
        size=np.full((LAYERS, SEGMENTS), NEURONS // SEGMENTS),
        typical_tokens=((("=", HOSTILE),) * SEGMENTS,) * LAYERS,
        typical_lift=(((2.0, 1.5),) * SEGMENTS,) * LAYERS,
        typical_count=(((10, 7),) * SEGMENTS,) * LAYERS,
        passages=(((passage,),) * SEGMENTS,) * LAYERS,
        neuron_tokens=((("=", HOSTILE),) * NEURONS,) * LAYERS,
        dead=np.zeros((LAYERS, SEGMENTS), bool),
        present=np.zeros((LAYERS, SEGMENTS), bool),
    )
