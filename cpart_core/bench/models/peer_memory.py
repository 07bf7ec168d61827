"""Bytes that a peer's training step keeps between its forward and its backward pass; for ours the
studies count the same."""

from __future__ import annotations

from cpart_core.bench.models.peer_trainers import PeerTrainer
from cpart_core.model.saved_tensors import kept_until_backward


def kept_by_peer(trainer: PeerTrainer) -> int:
    """Bytes that autograd keeps of one forward with its loss until the backward pass, each storage
    once, without the weights."""
    return sum(kept_until_backward(trainer.loss, trainer.model.parameters()))
