"""The results of keeping k segments a layer, and of carving. Plain data that pages draw; no torch
here.

L layers, S segments, C contexts, K counts of kept segments, R random draws. Losses are nats per
token. "Rise" is the loss of the smaller model less that of the whole one on the very same
documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class KeepCurve:
    """Loss on a sample of held-out text against the number of segments kept in each layer, for
    segments chosen for one context or text."""

    run: str
    step: int
    seed: int
    """Of the choosing documents, the random draws and the bootstrap."""
    context: str
    """What the segments were chosen for; empty when it was a text."""
    text: str
    """The text they were chosen for, as far as it was read; empty when it was a context."""
    ranking: str
    """How segments were ranked: contribution or effect (see analysis/keep/ranking.py)."""
    execution: str
    """Of the model: dense, soft or topk; dense also where fusion had not begun at this step."""
    importance: np.ndarray
    """[L, S] what they were ranked by, on the choosing text."""
    order: np.ndarray
    """[L, S] segment numbers, the most important first: keeping k keeps the first k."""
    chosen_on: tuple[str, ...]
    """Titles of the choosing documents: training documents, or the first half of the text."""
    chosen_tokens: int
    kept: np.ndarray
    """[K] segments kept in each layer, falling from S to 1."""
    loss: np.ndarray
    """[K] on the held-out documents of the context, or on the second half of the text."""
    rise: np.ndarray
    """[K] over the whole model."""
    low: np.ndarray
    high: np.ndarray
    """[K] 95 % interval of the rise, bootstrap over documents (over passages for a text); NaN with
    fewer than 2."""
    documents: int
    """Held-out documents (passages of a text) that were measured."""
    tokens: int
    """Predicted tokens of them."""
    random_loss: np.ndarray
    """[R, K] when as many segments are kept by chance, drawn anew in each layer."""
    contexts: tuple[str, ...]
    loss_by_context: np.ndarray
    """[C, K] on held-out documents of each context, with the same segments kept."""
    rise_by_context: np.ndarray
    low_by_context: np.ndarray
    high_by_context: np.ndarray
    documents_by_context: np.ndarray
    tokens_by_context: np.ndarray
    """[C]"""


@dataclass(frozen=True)
class Footprint:
    """What a checkpoint costs, measured in fresh processes of its own: medians over `repeats` of
    them."""

    num_parameters: int
    neurons: int
    """Of each layer."""
    file_bytes: int
    """model.safetensors on the disk."""
    checkpoint_bytes: int
    """All that loading it reads: weights, config, tokenizer."""
    loaded_bytes: int
    """Growth of the resident memory of the process from before the weights were read to after the
    first forward."""
    peak_bytes: int
    """Greatest resident memory of the process: Python and torch are in it."""
    idle_bytes: int
    """Resident memory just before the weights were read: what Python and torch alone need."""
    read_tokens_per_second: float
    """Per second of CPU time, one thread: one row of context_length tokens after another."""
    write_tokens_per_second: float
    """Per second of CPU time, one thread: generation with the cache."""
    repeats: int


@dataclass(frozen=True)
class CarveReport:
    """A model before and after carving, on all validation text; the segments were chosen on
    training documents."""

    run: str
    step: int
    carved: str
    """Id of the new run."""
    context: str
    text: str
    ranking: str
    seed: int
    keep: int
    kept: np.ndarray
    """[L, keep] the segments that stayed, by their numbers in the whole model."""
    before: Footprint
    after: Footprint
    contexts: tuple[str, ...]
    loss_before: np.ndarray
    loss_after: np.ndarray
    """[C]"""
    low: np.ndarray
    high: np.ndarray
    """[C] 95 % interval of the rise, bootstrap over documents."""
    documents_by_context: np.ndarray
    tokens_by_context: np.ndarray
    text_before: float
    text_after: float
    """Loss on the second half of the text; NaN when a context was chosen for."""
    text_tokens: int
    machine: dict[str, str]
    load: float
    """Processes that were waiting for the machine's cores (load average of the last minute) when it
    was measured; NaN where not known."""
