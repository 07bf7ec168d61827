"""The partitioned feed-forward layer: SwiGLU (arXiv 2002.05202) whose neurons lie in segments.

FFN(x) = sum_s w_s(x) W_down[:, s] (silu(W_gate[s] x) * W_up[s] x)   with w = S alpha                    (our reading of arXiv 2501.12901, eq. 2)

Soft: every segment is computed, so uniform alpha IS the dense layer. Top-k: only the k segments with the greatest alpha are computed,
at the same weights; the others count as w = 0. Rows are kept in the order shared segment, segment 0, segment 1, ...: a segment is one
contiguous block, and moving a neuron means moving its row (partition/permute.py). `neuron_id` says which neuron a row holds.
A carved model (model/carve.py) has fewer segments and keeps the S that it was trained with: weight_scale.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpart_core.config import ModelSettings
from cpart_core.model.cache import LayerCache
from cpart_core.model.fusion import FUSIONS


class HiddenListener(Protocol):
    """Told of every block of hidden activations that is computed, before weighting."""

    def hidden(self, first_row: int, hidden: Tensor, tokens: Tensor | None) -> None:
        """hidden [..., rows first_row..]; tokens: index of each among the B*T of this forward, None = all of them in order."""


class Intervening(Protocol):
    """Changes what this layer does (model/intervention.py)."""

    def weights(self, alpha_BTS: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(alpha, w, chosen segments or None where all are computed) instead of the layer's own."""

    def activations(self, hidden: Tensor, first_row: int) -> Tensor:
        """Hidden activations [..., rows first_row..] as they count."""


PADDED_ROWS = 128


def pad_tokens(tokens: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Token numbers, padded with 0 where that is faster: oneDNN compiles a bf16 product for every new shape, so there must be few shapes."""
    if device.type != "cpu" or dtype != torch.bfloat16:
        return tokens
    return F.pad(tokens, (0, -len(tokens) % PADDED_ROWS))


class PartitionedFeedForward(nn.Module):
    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.num_segments, self.top_k = settings.num_segments, settings.top_k
        self.num_shared = settings.shared_neurons
        self.weight_scale = settings.weight_scale or settings.num_segments
        self.segment_size = (settings.num_neurons - settings.shared_neurons) // settings.num_segments
        self.execution = settings.execution
        self.w_gate = nn.Parameter(torch.empty(settings.num_neurons, settings.width))
        self.w_up = nn.Parameter(torch.empty(settings.num_neurons, settings.width))
        self.w_down = nn.Parameter(torch.empty(settings.width, settings.num_neurons))
        self.register_buffer("neuron_id", torch.arange(settings.num_neurons))
        self.neuron_id: Tensor
        self.fusion = FUSIONS[settings.fusion](settings)
        self.fused = settings.execution != "dense"
        """False until the run's fusion_step: then every neuron counts fully, whatever alpha says."""
        self.listener: HiddenListener | None = None
        self.intervention: Intervening | None = None
        """Set only within `intervene(...)`; None, as always in training, costs nothing."""
        self.last_alpha: Tensor | None = None
        """[B, T, S] of the newest forward: losses on alpha and telemetry read it here."""
        self.last_weight: Tensor | None = None
        """[B, T, S] at which the segments' outputs were summed in the newest forward."""

    def segment_of_row(self) -> Tensor:
        """[N] segment of each row, -1 for the shared segment."""
        rows = torch.arange(len(self.neuron_id), device=self.neuron_id.device)
        return torch.where(rows < self.num_shared, -1, (rows - self.num_shared) // self.segment_size)

    def forward(self, x_BTD: Tensor, start_BT: Tensor | None = None, cache: LayerCache | None = None, read: int = 0) -> Tensor:
        if self.execution == "dense":  # every neuron counts fully, so the baseline does not pay for weights that nothing reads
            alpha = x_BTD.new_full((*x_BTD.shape[:2], self.num_segments), 1.0 / self.num_segments, dtype=torch.float32)
        else:
            alpha = self.fusion(x_BTD, start_BT, cache, read)
        return self.summed(x_BTD, alpha)

    def summed(self, x_BTD: Tensor, alpha: Tensor) -> Tensor:
        """The segments' outputs, summed as alpha [B, T, S] and the execution say."""
        if self.intervention is None:
            weight, chosen = self.weights(alpha)
        else:
            alpha, weight, chosen = self.intervention.weights(alpha)
        self.last_alpha, self.last_weight = alpha, weight
        if not self.fused and self.intervention is None:
            return self.block(x_BTD, slice(None))
        if not self.fused or self.execution == "soft":
            return self.soft(x_BTD, weight)
        return self.chosen_only(x_BTD, weight, chosen)

    def weights(self, alpha_BTS: Tensor) -> tuple[Tensor, Tensor | None]:
        """(w [B, T, S], chosen segments [B, T, k] for top-k): w = S alpha, 0 where a segment is not computed, 1 before fusion is applied."""
        if not self.fused:
            return torch.ones_like(alpha_BTS), None
        if self.execution == "soft":
            return alpha_BTS * self.weight_scale, None
        chosen = alpha_BTS.topk(self.top_k, dim=-1).indices
        mask = torch.zeros_like(alpha_BTS).scatter(-1, chosen, 1.0)
        return alpha_BTS * mask * self.weight_scale, chosen

    def activate(self, x: Tensor, rows: slice, tokens: Tensor | None = None) -> Tensor:
        """Hidden activations of some rows, [..., rows]."""
        hidden = F.silu(F.linear(x, self.w_gate[rows])) * F.linear(x, self.w_up[rows])
        if self.intervention is not None:
            hidden = self.intervention.activations(hidden, rows.start or 0)
        if self.listener is not None:
            self.listener.hidden(rows.start or 0, hidden, tokens)
        return hidden

    def block(self, x: Tensor, rows: slice) -> Tensor:
        """The output of some rows at weight 1."""
        return F.linear(self.activate(x, rows), self.w_down[:, rows])

    def soft(self, x_BTD: Tensor, weight_BTS: Tensor) -> Tensor:
        """All segments in one product: the hidden activations are scaled by their segment's weight."""
        hidden = self.activate(x_BTD, slice(None))
        B, T, _ = x_BTD.shape
        weight = weight_BTS.to(hidden.dtype)
        divided = hidden[..., self.num_shared :].view(B, T, self.num_segments, self.segment_size) * weight[..., None]
        scaled = divided.view(B, T, -1)
        if self.num_shared:
            scaled = torch.cat([hidden[..., : self.num_shared], scaled], dim=-1)
        return F.linear(scaled, self.w_down)

    def chosen_only(self, x_BTD: Tensor, weight_BTS: Tensor, chosen_BTk: Tensor | None) -> Tensor:
        """Each segment on the tokens that chose it, and on no others: tokens sorted by segment, one set of products a segment."""
        assert chosen_BTk is not None
        B, T, D = x_BTD.shape
        x = x_BTD.reshape(B * T, D)
        weight = weight_BTS.view(B * T, -1)
        y = self.block(x, slice(0, self.num_shared)) if self.num_shared else None
        k = chosen_BTk.shape[-1]
        order = chosen_BTk.reshape(-1).argsort(stable=True)
        counts = torch.bincount(chosen_BTk.reshape(-1), minlength=self.num_segments).tolist()
        outputs, token_lists = [], (order // k).split(counts)
        blocks = zip(*(self.by_segment(w, axis) for w, axis in ((self.w_gate, 0), (self.w_up, 0), (self.w_down, 1))), strict=True)
        for s, ((gate, up, down), tokens) in enumerate(zip(blocks, token_lists, strict=True)):
            given = len(tokens)
            chosen_x = x.index_select(0, pad_tokens(tokens, x.device, gate.dtype))
            hidden = F.silu(F.linear(chosen_x, gate)) * F.linear(chosen_x, up)
            if self.intervention is not None:
                hidden = self.intervention.activations(hidden, self.num_shared + s * self.segment_size)
            scale = F.pad(weight[:, s].index_select(0, tokens), (0, len(chosen_x) - given))[:, None].to(hidden.dtype)
            if self.listener is not None:
                real = hidden[:given]
                self.listener.hidden(self.num_shared + s * self.segment_size, real, tokens)
                hidden = torch.cat([real, hidden[given:]])  # the listener hooks `real`, so the output must come from it
            outputs.append(F.linear(hidden * scale, down)[:given])
        output = torch.cat(outputs)
        if y is None:
            y = output.new_zeros(B * T, D)
        return y.index_add(0, order // k, output.to(y.dtype)).view(B, T, D)

    def by_segment(self, weight: Tensor, axis: int) -> tuple[Tensor, ...]:
        """The rows (axis 0) or columns (axis 1) of each segment. One cast and one unbind for all, so that backward is one copy, not S."""
        if torch.is_autocast_enabled(weight.device.type):
            weight = weight.to(torch.get_autocast_dtype(weight.device.type))
        divided = weight.narrow(axis, self.num_shared, self.num_segments * self.segment_size)
        return divided.unflatten(axis, (self.num_segments, self.segment_size)).unbind(axis)
