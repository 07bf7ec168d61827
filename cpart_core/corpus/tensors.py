"""The one way from a batch to what a model reads. Torch is imported here alone in this room: pages
load the rest of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cpart_core.corpus.batches import Batch

CPU = torch.device("cpu")


class TokenTensors(NamedTuple):
    """B rows; T tokens of each predict the next one."""

    ids: Tensor
    """[B, T+1] int64."""
    start: Tensor
    """[B, T] int64: position at which the document of each predicting token begins."""
    context: Tensor
    """[B, T] int64: its context, -1 where not known."""

    @property
    def inputs(self) -> Tensor:
        """[B, T]"""
        return self.ids[:, :-1]

    @property
    def targets(self) -> Tensor:
        """[B, T]"""
        return self.ids[:, 1:]


def token_tensors(batch: Batch, device: torch.device = CPU) -> TokenTensors:
    """The whole batch on a device."""
    return TokenTensors(
        token_ids(batch, device),
        of_predicting(batch.start, device),
        of_predicting(batch.context, device),
    )


def token_ids(batch: Batch, device: torch.device = CPU) -> Tensor:
    """[B, T+1] int64: for models that read nothing else."""
    return torch.from_numpy(batch.ids).to(device, non_blocking=True)


def of_predicting(value: np.ndarray, device: torch.device = CPU) -> Tensor:
    """[B, T] int64 of the tokens that predict, from whole numbers [B, T+1] of all tokens: a batch's
    start, context or document."""
    return torch.from_numpy(value[:, :-1].astype(np.int64)).to(device, non_blocking=True)
