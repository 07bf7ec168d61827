"""What training yields: plain numbers and numpy arrays, no tensors. Pages may import this file (no
torch).

L layers, N neurons, S segments, C contexts. Neurons are named by their index at initialisation,
which never changes, although training moves their rows in memory so that a segment is one
contiguous block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHARED = -1
"""The segment number of neurons in the shared segment."""


@dataclass(frozen=True)
class Evaluation:
    """Validation loss at one step, on the same rows at every step of a run."""

    loss: float
    """Nats per token, mean over contexts (each context counts the same)."""
    loss_by_context: np.ndarray
    """[C] nats per token; NaN where a context has no validation text."""
    tokens_by_context: np.ndarray
    """[C] number of validation tokens behind each loss."""


@dataclass(frozen=True)
class PartitionChange:
    """One (re)partition."""

    churn: np.ndarray
    """[L] share of the neurons that changed their segment, ids matched first; NaN at the first
    partition."""
    seconds: float
    """What collecting and clustering cost."""
    frozen: bool
    """True when segments will not change again."""


@dataclass(frozen=True)
class Snapshot:
    """What the pages show of one step."""

    step: int
    segment_of: np.ndarray
    """[L, N] int16: segment of each neuron, by the neuron's own number; SHARED = -1."""
    signature: np.ndarray
    """[L, N, C] float16: mean over tokens of |a * dL/da| for each context, scaled to a maximum
    of 1 in each layer (scale below)."""
    signature_scale: np.ndarray
    """[L] float32: multiply `signature` by this for nats per token."""
    signature_tokens: np.ndarray
    """[C] tokens behind the signature (decayed count)."""
    fusion_mass: np.ndarray
    """[L, C, S] mean fusion weight alpha on validation text of each context; rows sum to 1 over S;
    NaN without such text."""
    chosen_share: np.ndarray
    """[L, C, S] share of validation tokens for which the segment is among the computed ones (1
    everywhere when all are)."""
    fusion_tokens: np.ndarray
    """[C] validation tokens behind fusion_mass."""
    partitioned: bool
    """False before the first partition: then segments are only a numbering and fusion is
    uniform."""
    frozen: bool


@dataclass(frozen=True)
class Discovery:
    """Contexts found from gradients, for a corpus that came without labels."""

    train_context: np.ndarray
    """[documents of the training split] int16"""
    validation_context: np.ndarray
    """[documents of the validation split] int16"""


@dataclass(frozen=True)
class Record:
    """One training step."""

    step: int
    """Steps done, 1 after the first."""
    tokens: int
    """Training tokens seen so far."""
    loss: float
    """Nats per token on this batch: next-token loss alone, without the regularisers below."""
    loss_by_context: np.ndarray
    """[C] the same by context; NaN where the batch has no token of it."""
    affinity_loss: float
    """Unweighted; 0 where off."""
    balance_loss: float
    """Unweighted; 0 where off."""
    gradient_norm: float
    """Before clipping."""
    learning_rate: float
    seconds: float
    """Wall time of this step. Not part of 'same seed, same records'."""
    memory_bytes: int
    """Resident memory of the process (CPU), or peak allocated memory (GPU)."""
    seconds_to_compile: float = 0.0
    """Of this step, which compiled the layers before it used them; 0 in all others."""
    evaluation: Evaluation | None = None
    change: PartitionChange | None = None
    snapshot: Snapshot | None = None
    discovery: Discovery | None = None
