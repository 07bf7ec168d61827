"""Neurons and documents on a plane. Plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NeuronMap:
    """Neuron signatures on a plane: one layout for all steps of the run.

    The layout is fitted on the last step's signatures; those of earlier steps are placed into it,
    so that positions can be compared.
    """

    run: str
    method: str
    """pca or umap"""
    steps: tuple[int, ...]
    """K snapshot steps."""
    layer: np.ndarray
    """[P] layer of each point."""
    neuron: np.ndarray
    """[P] its number in that layer."""
    position: np.ndarray
    """[K, P, 2] float32."""
    segment: np.ndarray
    """[K, P] int16."""
    strongest_context: np.ndarray
    """[K, P] int16: the context in which the neuron's signature is greatest relative to the layer's
    mean."""
    contexts: tuple[str, ...]
    sampled: int
    """P."""
    total: int
    """Neurons the sample is drawn from (stratified by layer and segment)."""
    seed: int
    parameters: dict[str, float | int | str]
    """n_neighbors, min_dist, metric, explained variance (pca), seconds."""
    faithfulness: float
    """Mean share of each point's 15 nearest neighbours in signature space that are among its 15
    nearest on the plane, last step."""


@dataclass(frozen=True)
class DocumentMap:
    """Gradients of validation documents on a plane, at one checkpoint."""

    run: str
    step: int
    method: str
    position: np.ndarray
    """[M, 2]"""
    title: tuple[str, ...]
    excerpt: tuple[str, ...]
    """[M] first 80 characters."""
    context: np.ndarray
    """[M] int16"""
    contexts: tuple[str, ...]
    strongest_segment: np.ndarray
    """[L, M] int16: the segment of each layer with the greatest mean alpha on the document."""
    loss: np.ndarray
    """[M] nats per token"""
    tokens: np.ndarray
    """[M] n"""
    seed: int
    parameters: dict[str, float | int | str]
    faithfulness: float
