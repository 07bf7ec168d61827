"""Bytes that a peer's training step keeps between its forward and its backward pass; for ours the studies count the same."""

from __future__ import annotations

import torch
from torch import Tensor

from cpart_core.bench._against import PeerTrainer


def kept_by_peer(trainer: PeerTrainer) -> int:
    """Bytes that autograd keeps of one forward with its loss until the backward pass, each storage once, without the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in trainer.model.parameters()}
    seen: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage is freed and its address counted for another one

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        trainer.loss()
    return sum(seen.values())
