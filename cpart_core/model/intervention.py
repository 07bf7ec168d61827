"""Change what segments or neurons do in a forward pass, and undo it: the causal side of looking
inside.

Knows the feed-forward layers alone. Before fusion is applied (a dense execution, or a step before
fusion_step) every weight is 1 and nothing is chosen: ablate and scale act on the rows of the
segment, forbid is ablate, and force is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from cpart_core.model.decoder import Decoder
from cpart_core.model.feedforward import Intervening, PartitionedFeedForward
from cpart_core.model.kernels.routing import first_greatest

KINDS = ("ablate", "force", "forbid", "scale")
SHARED = -1


@dataclass(frozen=True)
class Intervention:
    """What happens to one segment of one layer, at every token.

    ablate: its weighted output counts 0, everything else as it was. scale: its weight times
    `factor`, everything else as it was. forbid: it cannot be chosen and gets no fusion mass; alpha
    is renormalised over the others, and top-k chooses among the others. force: it is among the
    chosen of every token (the weakest chosen one makes room) at the weight of the strongest; with
    soft execution, where all are computed, only its weight rises. segment -1 is the shared one,
    which can be ablated or scaled.
    """

    layer: int
    segment: int
    kind: str
    factor: float = 1.0


@dataclass(frozen=True)
class NeuronAblation:
    """Neurons of one layer, by their own numbers (not rows), whose activations count 0."""

    layer: int
    neurons: tuple[int, ...]


def unchanged(changes: Sequence[Intervention | NeuronAblation]) -> list[Intervention]:
    """Changes of the same layers that change nothing. A changed layer is computed plainly; so is
    then what it is compared with, to the last bit."""
    return [
        Intervention(layer, 0, "scale", 1.0)
        for layer in sorted({change.layer for change in changes})
    ]


@contextmanager
def intervene(model: Decoder, changes: Sequence[Intervention | NeuronAblation]) -> Iterator[None]:
    """Within the block every forward of the model, generation included, obeys the changes. Blocks
    can be nested: the changes add up.

    Raises ValueError for a layer, segment, neuron or kind that does not exist, and for changes that
    contradict each other.
    """
    layers = model.feedforwards()
    for change in changes:
        if not 0 <= change.layer < len(layers):
            raise ValueError(
                f"There is no layer {change.layer}; this model has layers 0 to {len(layers) - 1}."
            )
    before = [layer.intervention for layer in layers]
    made: list[Intervening | None] = []
    for number, (layer, outer) in enumerate(zip(layers, before, strict=True)):
        mine = [change for change in changes if change.layer == number]
        assert outer is None or isinstance(outer, LayerIntervention)
        made.append(
            LayerIntervention(layer, [*(outer.changes if outer else ()), *mine]) if mine else outer
        )
    try:
        for layer, intervention in zip(layers, made, strict=True):
            layer.intervention = intervention
        yield
    finally:
        for layer, intervention in zip(layers, before, strict=True):
            layer.intervention = intervention


class LayerIntervention:
    """All changes of one layer, worked out once: forbid acts on alpha, force on the choice, ablate
    and scale on the weights."""

    def __init__(
        self, layer: PartitionedFeedForward, changes: Sequence[Intervention | NeuronAblation]
    ) -> None:
        self.changes = tuple(changes)
        self.layer = layer
        device = layer.neuron_id.device
        self.forbidden = torch.zeros(layer.num_segments, dtype=torch.bool, device=device)
        self.forced = torch.zeros_like(self.forbidden)
        self.factor_S = torch.ones(layer.num_segments, device=device)
        self.factor_N = torch.ones(len(layer.neuron_id), device=device)
        """Of the rows of the shared segment and of single neurons, which have no weight."""
        for change in changes:
            if isinstance(change, NeuronAblation):
                self.take_neurons(change)
            else:
                self.take(change)
        self.check()
        self.touches_rows = bool((self.factor_N != 1.0).any())

    def take(self, change: Intervention) -> None:
        check_intervention(self.layer, change)
        factor = 0.0 if change.kind == "ablate" else change.factor
        if change.segment == SHARED:
            self.factor_N[: self.layer.num_shared] *= factor
        elif change.kind == "force":
            self.forced[change.segment] = True
        elif change.kind == "forbid" and self.layer.fused:
            self.forbidden[change.segment] = True
        else:
            self.factor_S[change.segment] *= 0.0 if change.kind == "forbid" else factor

    def take_neurons(self, change: NeuronAblation) -> None:
        wrong = [neuron for neuron in change.neurons if not 0 <= neuron < len(self.layer.neuron_id)]
        if wrong:
            raise ValueError(
                f"There is no neuron {wrong[0]} in layer {change.layer}; neurons are 0 to"
                f" {len(self.layer.neuron_id) - 1}."
            )
        wanted = torch.tensor(change.neurons, dtype=torch.long, device=self.layer.neuron_id.device)
        self.factor_N[torch.isin(self.layer.neuron_id, wanted)] = 0.0

    def check(self) -> None:
        """Changes that are each possible but not together."""
        both = (self.forbidden & self.forced).nonzero().flatten().tolist()
        if both:
            raise ValueError(
                f"Segment {both[0]} cannot be both forced and forbidden; keep one of the two."
            )
        if self.forbidden.all():
            raise ValueError(
                "Every segment of a layer is forbidden, so none is left to choose; leave one, or"
                " ablate them instead."
            )
        forced = int(self.forced.sum())
        if self.layer.execution == "topk" and forced > self.layer.top_k:
            raise ValueError(
                f"{forced} segments of a layer are forced, but only {self.layer.top_k} are chosen;"
                " force at most that many."
            )

    def weights(self, alpha_BTS: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(alpha after forbidding [B, T, S], w [B, T, S], chosen [B, T, k]); k is smaller than
        usual where too few are allowed."""
        layer = self.layer
        if not layer.fused:
            return alpha_BTS, torch.ones_like(alpha_BTS) * self.factor_S, None
        alpha = renormalised(alpha_BTS, self.forbidden) if self.forbidden.any() else alpha_BTS
        strength = torch.where(self.forced, alpha.amax(dim=-1, keepdim=True), alpha)
        weight = strength * layer.weight_scale
        if layer.execution == "soft":
            return alpha, weight * self.factor_S, None
        rank = alpha.masked_fill(self.forced, torch.inf).masked_fill(self.forbidden, -torch.inf)
        chosen = first_greatest(rank, min(layer.top_k, int((~self.forbidden).sum())))
        mask = torch.zeros_like(alpha).scatter(-1, chosen, 1.0)
        return alpha, weight * mask * self.factor_S, chosen

    def activations(self, hidden: Tensor, first_row: int) -> Tensor:
        """Hidden activations [..., rows first_row..] as they count."""
        return (
            hidden * self.factor_N[first_row : first_row + hidden.shape[-1]].to(hidden.dtype)
            if self.touches_rows
            else hidden
        )


def renormalised(alpha_BTS: Tensor, forbidden_S: Tensor) -> Tensor:
    """alpha without the forbidden segments, each row summing to 1; even over the others where they
    had nothing at all."""
    kept = alpha_BTS.masked_fill(forbidden_S, 0.0)
    total = kept.sum(dim=-1, keepdim=True)
    even = (~forbidden_S).to(alpha_BTS.dtype) / (~forbidden_S).sum()
    return torch.where(total > 0, kept / total.clamp_min(torch.finfo(kept.dtype).tiny), even)


def check_intervention(layer: PartitionedFeedForward, change: Intervention) -> None:
    """ValueError when one change cannot be made to this layer."""
    if change.kind not in KINDS:
        raise ValueError(f"Unknown intervention {change.kind!r}; allowed: {', '.join(KINDS)}.")
    if not math.isfinite(change.factor):
        raise ValueError(
            f"The factor is {change.factor}; give a finite number, 1 leaves the segment as it is."
        )
    if change.segment == SHARED:
        if not layer.num_shared:
            raise ValueError("This model has no shared segment; choose one of the others.")
        if change.kind in ("force", "forbid"):
            raise ValueError(
                "The shared segment always counts and is never chosen, so it cannot be forced or"
                " forbidden; ablate or scale it."
            )
    elif not 0 <= change.segment < layer.num_segments:
        raise ValueError(
            f"There is no segment {change.segment}; segments are 0 to {layer.num_segments - 1}, and"
            " -1 is the shared one."
        )
    if change.kind == "force" and not layer.fused:
        raise ValueError(
            "Here every segment counts fully and none is chosen, so none can be forced; ablate,"
            " forbid or scale one instead."
        )
