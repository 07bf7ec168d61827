"""Objectives that are not the default: what they bring along, and how they begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from cpart_core.corpus.tensors import TokenTensors
from cpart_core.model.decoder import Decoder
from cpart_core.training.moving import Nothing, Parameters, Segments
from cpart_core.training.objective import Counted, NextToken, Objective, StepLoss
from cpart_core.training.state import TrainState


@dataclass(frozen=True)
class Nudged(NextToken):
    """The next token's loss of a model whose layers read a learned vector more than was there."""

    def extra(self, model: Decoder) -> Mapping[str, nn.Parameter]:
        return {"nudge": nn.Parameter(torch.zeros_like(model.norm.weight))}

    def loss(self, state: TrainState, tokens: TokenTensors, counted: Counted) -> StepLoss:
        nudge = state.moving.extra["nudge"]
        first = state.model.layers[0]
        hook = first.register_forward_pre_hook(lambda _, given: (given[0] + nudge, *given[1:]))
        try:
            return super().loss(state, tokens, counted)
        finally:
            hook.remove()


OBJECTIVES: dict[str, Objective] = {
    "a segment": NextToken(Segments((1,))),
    "the shared segment": NextToken(Segments((-1,))),
    "fusion keys": NextToken(Parameters(("fusion.keys",))),
    "a vector": Nudged(Nothing()),
    "a segment and a vector": Nudged(Segments((0, 2))),
}
