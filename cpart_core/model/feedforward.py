"""The partitioned feed-forward layer: SwiGLU (arXiv 2002.05202) whose neurons lie in segments.

FFN(x) = sum_s w_s(x) W_down[:, s] (silu(W_gate[s] x) * W_up[s] x)   with w = S alpha                    (our reading of arXiv 2501.12901, eq. 2)

Soft: every segment is computed, so uniform alpha IS the dense layer. Top-k: only the k segments
with the greatest alpha are computed, at the same weights; the others count as w = 0. Rows are kept
in the order shared segment, segment 0, segment 1, ...: a segment is one contiguous block, and
moving a neuron means moving its row (model/permute.py). `neuron_id` says which neuron a row
holds. A carved model (model/carve.py) has fewer segments and keeps the S that it was trained with:
weight_scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from cpart_core.model.cache import LayerCache
from cpart_core.model.fusion.layer import FusionLayer
from cpart_core.model.kernels.dispatch import fastest
from cpart_core.model.kernels.reference import reference
from cpart_core.model.kernels.routing import choose
from cpart_core.model.kernels.work import Layout, Work
from cpart_core.settings.model import ModelSettings


class HiddenListener(Protocol):
    """Told of every block of hidden activations that is computed, before weighting."""

    def hidden(self, first_row: int, hidden: Tensor, tokens: Tensor | None) -> None:
        """hidden [..., rows first_row..]; tokens: index of each among the B*T of this forward, None
        = all of them in order."""


@runtime_checkable
class ContributionListener(HiddenListener, Protocol):
    """One to whom |a dL/da| is enough: the fast executions have it at hand in backward, and need
    no hidden activation kept for it."""

    def contribution(self, first_row: int, contribution: Tensor, tokens: Tensor | None) -> None:
        """contribution [tokens, rows first_row..], told in backward."""


class Intervening(Protocol):
    """Changes what this layer does (model/intervention.py)."""

    def weights(self, alpha_BTS: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(alpha, w, chosen segments or None where all are computed) instead of the layer's own."""

    def activations(self, hidden: Tensor, first_row: int) -> Tensor:
        """Hidden activations [..., rows first_row..] as they count."""


class PartitionedFeedForward(nn.Module):
    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.num_segments, self.top_k = settings.num_segments, settings.top_k
        self.num_shared = settings.shared_neurons
        self.weight_scale = settings.weight_scale or settings.num_segments
        self.segment_size = (
            settings.num_neurons - settings.shared_neurons
        ) // settings.num_segments
        self.layout = Layout(self.num_shared, self.num_segments, self.segment_size)
        self.execution = settings.execution
        self.w_gate = nn.Parameter(torch.empty(settings.num_neurons, settings.width))
        self.w_up = nn.Parameter(torch.empty(settings.num_neurons, settings.width))
        self.w_down = nn.Parameter(torch.empty(settings.width, settings.num_neurons))
        self.register_buffer("neuron_id", torch.arange(settings.num_neurons))
        self.neuron_id: Tensor
        self.fusion = FusionLayer(settings.fusion, settings.num_segments, settings.width)
        self.fused = settings.execution != "dense"
        """False until the run's fusion_step: then every neuron counts fully, whatever alpha
        says."""
        self.compute: Callable[[Work, bool], Tensor] = fastest
        """(work, is backward to follow?) -> output. A measurement that compares executions sets its
        own, and compiled layers keep it out of what is compiled."""
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
        return torch.where(
            rows < self.num_shared, -1, (rows - self.num_shared) // self.segment_size
        )

    def forward(
        self,
        x_BTD: Tensor,
        start_BT: Tensor | None = None,
        cache: LayerCache | None = None,
        read: int = 0,
    ) -> Tensor:
        # every neuron counts fully, so the baseline does not pay for weights that nothing reads
        if self.execution == "dense":
            alpha = x_BTD.new_full(
                (*x_BTD.shape[:2], self.num_segments), 1.0 / self.num_segments, dtype=torch.float32
            )
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
        dense = not self.fused and self.intervention is None
        chosen = chosen.flatten(0, 1) if chosen is not None else None
        work = Work(
            x_BTD.flatten(0, 1),
            None if dense else weight.flatten(0, 1),
            chosen,
            self.w_gate,
            self.w_up,
            self.w_down,
            self.layout,
        )
        if self.intervention is not None or not (
            self.listener is None or isinstance(self.listener, ContributionListener)
        ):
            y = reference(work, self.seen)
        else:
            y = self.computed(work)
        return y.view(x_BTD.shape)

    def computed(self, work: Work) -> Tensor:
        """[T, D] by the execution that is fastest here; products in the number format of
        autocast."""
        device = work.x.device.type
        gradient = torch.is_grad_enabled()
        told = (
            self.listener.contribution
            if gradient and isinstance(self.listener, ContributionListener)
            else None
        )
        precision = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else work.w_gate.dtype
        )
        work = replace(work, x=work.x.to(precision), contribution=told)
        with torch.autocast(device, enabled=False):
            if torch.compiler.is_compiling() and work.chosen is None:
                return reference(work)  # the compiler makes of it what `weighted` is by hand
            return self.compute(work, gradient)

    def weights(self, alpha_BTS: Tensor) -> tuple[Tensor, Tensor | None]:
        """(w [B, T, S], chosen segments [B, T, k] for top-k): w = S alpha, 0 where a segment is not
        computed, 1 before fusion is applied."""
        if not self.fused:
            return torch.ones_like(alpha_BTS), None
        if self.execution == "soft":
            return alpha_BTS * self.weight_scale, None
        return choose(alpha_BTS, self.top_k, float(self.weight_scale))

    def seen(self, hidden: Tensor, first_row: int, tokens: Tensor | None) -> Tensor:
        """Hidden activations [tokens, rows first_row..] as they count; whoever listens is told."""
        if self.intervention is not None:
            hidden = self.intervention.activations(hidden, first_row)
        if self.listener is not None:
            self.listener.hidden(first_row, hidden, tokens)
        return hidden
