"""Gradient signatures: how much each neuron contributes to the loss of each context (or document).

signature[j, c] = mean over the tokens of c of |a_j dL/da_j|, with a_j the hidden activation and L the summed loss of the batch in nats. To
first order that is how much the loss changes when the neuron is removed at that token; it includes
what the activation does to later tokens.
One elementwise product in backward and one small matrix product: nothing per sample is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from cpart_core.model.decoder import Decoder


class SignatureSums:
    """Decayed sums over measurements. total [L, N, G] by neuron number, count [G] tokens; G groups
    (contexts or documents)."""

    def __init__(
        self, num_layers: int, num_neurons: int, num_groups: int, decay: float, device: torch.device
    ) -> None:
        self.decay = decay
        self.total = torch.zeros(num_layers, num_neurons, num_groups, device=device)
        self.count = torch.zeros(num_groups, device=device)

    @contextmanager
    def measure(
        self, model: Decoder, group_BT: Tensor, divisor: float | None = None
    ) -> Iterator[None]:
        """Within the block, one forward and backward of the MEAN token loss adds to the sums. group
        -1 = counts nowhere.

        divisor: what the summed loss was divided by, where that is not the number of these tokens
        (a part of a batch).
        """
        group = group_BT.reshape(-1)
        one_hot = torch.zeros(self.total.shape[2], group.numel(), device=group.device)
        known = group >= 0
        # the loss is a mean: back to nats per token
        one_hot[group[known], known.nonzero().squeeze(-1)] = divisor or float(group.numel())
        self.total *= self.decay
        self.count = self.count * self.decay + torch.bincount(
            group[known], minlength=len(self.count)
        )
        layers = model.feedforwards()
        for number, layer in enumerate(layers):
            layer.listener = ContributionAdder(self.total[number], layer.neuron_id, one_hot)
        try:
            yield
        finally:
            for layer in layers:
                layer.listener = None

    def mean(self) -> np.ndarray:
        """[L, N, G] nats per token; 0 where a group has no token yet."""
        return (self.total / self.count.clamp(min=1e-9)).cpu().numpy()


class ContributionAdder:
    """A listener that adds |a dL/da| of one layer to its sums while the backward pass runs."""

    def __init__(self, total_NG: Tensor, neuron_id: Tensor, one_hot: Tensor) -> None:
        self.total_NG, self.neuron_id, self.one_hot = total_NG, neuron_id, one_hot

    def hidden(self, first_row: int, hidden: Tensor, tokens: Tensor | None) -> None:
        if not hidden.requires_grad:
            return
        kept = hidden.detach()

        def add(gradient: Tensor) -> None:
            self.contribution(
                first_row, (kept.float() * gradient.float()).abs_().flatten(0, -2), tokens
            )

        hidden.register_hook(add)

    def contribution(self, first_row: int, contribution: Tensor, tokens: Tensor | None) -> None:
        one_hot = self.one_hot if tokens is None else self.one_hot.index_select(1, tokens)
        neurons = self.neuron_id[first_row : first_row + contribution.shape[-1]]
        self.total_NG.index_add_(0, neurons, (one_hot @ contribution.float()).T)
