"""Bytes that one training step keeps between its forward and its backward pass: what decides the peak of a step beside weights and their state."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cpart_core.bench._against import PeerTrainer
from cpart_core.training.loop import Trainer


def kept_by_trainer(trainer: Trainer) -> int:
    ids, start, context = trainer.on_device(trainer.batches.batch(trainer.step))
    trainer.model.train()
    return kept_bytes(trainer.model, lambda: trainer.forward(ids, start, context)[1])


def kept_by_peer(trainer: PeerTrainer) -> int:
    return kept_bytes(trainer.model, trainer.loss)


def kept_bytes(model: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps of one forward until the backward pass, each storage once, without the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    seen: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage is freed and its address counted for another one

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(seen.values())
