"""Look inside a forward pass: fusion weights, hidden activations, output contributions of every
layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from cpart_core.model.decoder import Decoder
from cpart_core.model.feedforward import PartitionedFeedForward


@dataclass
class LayerCapture:
    """What one layer did in the newest forward. The fields below are filled once the forward is
    done."""

    layer: PartitionedFeedForward
    blocks: list[tuple[int, Tensor, Tensor | None]] = field(default_factory=list)

    @property
    def alpha(self) -> Tensor:
        """[B, T, S]"""
        assert self.layer.last_alpha is not None
        return self.layer.last_alpha.detach()

    @property
    def weight(self) -> Tensor:
        """[B, T, S] weight at which each segment's output was summed; 0 where it was not
        computed."""
        assert self.layer.last_weight is not None
        return self.layer.last_weight.detach()

    @property
    def hidden(self) -> Tensor:
        """[B, T, N] activations in row order, before weighting; 0 where not computed. Detached."""
        return self.gather([(row, block.detach(), tokens) for row, block, tokens in self.blocks])

    @property
    def contribution(self) -> Tensor:
        """[B, T, N] |a dL/da| in row order, after backward: first-order change of the loss if
        the activation were removed."""
        blocks = []
        for row, block, tokens in self.blocks:
            assert block.grad is not None, "capture(gradients=True) and a backward pass are needed"
            blocks.append((row, (block.detach().float() * block.grad.float()).abs(), tokens))
        return self.gather(blocks)

    @property
    def norm(self) -> Tensor:
        """[B, T, S] norm of each segment's weighted output contribution."""
        return torch.stack(
            [self.output(s).norm(dim=-1) for s in range(self.layer.num_segments)], dim=-1
        )

    @property
    def shared_norm(self) -> Tensor:
        """[B, T] norm of the shared segment's contribution; 0 without one."""
        return self.output(-1).norm(dim=-1)

    def output(self, segment: int) -> Tensor:
        """[B, T, D] what one segment (-1 = the shared one) adds to the residual stream,
        weighted."""
        layer, rows = self.layer, self.layer.segment_of_row() == segment
        part = F.linear(self.hidden[..., rows].float(), layer.w_down.detach()[:, rows].float())
        return part if segment == -1 else part * self.weight[..., segment, None]

    def gather(self, blocks: list[tuple[int, Tensor, Tensor | None]]) -> Tensor:
        B, T = self.alpha.shape[:2]
        result = torch.zeros(B * T, len(self.layer.neuron_id), device=self.alpha.device)
        for row, block, tokens in blocks:
            columns = slice(row, row + block.shape[-1])
            if tokens is None:
                result[:, columns] = block.float().flatten(0, -2)
            else:
                result[:, columns] = result[:, columns].index_copy(0, tokens, block.float())
        return result.view(B, T, -1)


@dataclass
class HiddenKeeper:
    """A listener that keeps the activations of one forward."""

    capture: LayerCapture
    gradients: bool

    def hidden(self, first_row: int, hidden: Tensor, tokens: Tensor | None) -> None:
        if self.gradients:
            hidden.retain_grad()
        self.capture.blocks.append((first_row, hidden, tokens))


@contextmanager
def capture(model: Decoder, gradients: bool = False) -> Iterator[list[LayerCapture]]:
    """Within the block, a single forward of the model fills the returned captures, one a layer.

    gradients=True keeps what `contribution` needs after backward; otherwise run the forward under
    torch.no_grad().
    """
    layers = model.feedforwards()
    captures = [LayerCapture(layer) for layer in layers]
    before = [layer.listener for layer in layers]
    for layer, item in zip(layers, captures, strict=True):
        layer.listener = HiddenKeeper(item, gradients)
    try:
        yield captures
    finally:
        for layer, listener in zip(layers, before, strict=True):
            layer.listener = listener
