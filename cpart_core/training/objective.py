"""What a step minimises and which numbers it moves. The default is the loss of the next token, with what draws fusion weights
to the gradient affinity and balances the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from cpart_core.corpus.tensors import TokenTensors
from cpart_core.model.decoder import Decoder
from cpart_core.training.device import autocast
from cpart_core.training.losses import affinity_loss, balance_loss
from cpart_core.training.moving import Part
from cpart_core.training.new_partition import learns_fusion
from cpart_core.training.state import TrainState

BALANCE_MEMORY = 0.99
"""Share of the running load kept at each step when balance is global."""


class Counted(NamedTuple):
    """A whole batch, of which a process may have a part: what its means are over."""

    tokens: int
    known: int
    """Tokens of known context."""


class StepLoss(NamedTuple):
    """The losses of some rows. Those without dimensions are these rows' shares of the batch's."""

    losses_BT: Tensor
    """Nats of each next token, detached: what records say."""
    total: Tensor
    """What is minimised."""
    affinity: Tensor
    """Detached, unweighted; 0 where off."""
    balance: Tensor
    """Detached, unweighted; 0 where off."""
    load: Tensor
    """[L, S] the state's running load from now on."""


class Objective(Protocol):
    """What a step minimises, and which numbers it moves for that."""

    @property
    def part(self) -> Part | None:
        """What moves of the model; None = all of it. With less than all, segments stay as they
        are and signatures are not measured."""

    def extra(self, model: Decoder) -> Mapping[str, nn.Parameter]:
        """Parameters that move beside it, on the model's device; asked once. They are the state's
        (`state.moving.extra`), and stored apart from the model's weights."""

    def loss(self, state: TrainState, tokens: TokenTensors, counted: Counted) -> StepLoss:
        """Of these rows of a batch. Nothing of the state is changed; every process calls it, on
        rows of its own."""


@dataclass(frozen=True)
class NextToken:
    """The mean loss of the next token, and the two regularisers where the settings ask for
    them."""

    part: Part | None = None

    def extra(self, model: Decoder) -> Mapping[str, nn.Parameter]:
        return {}

    def loss(self, state: TrainState, tokens: TokenTensors, counted: Counted) -> StepLoss:
        settings = state.settings.partition
        losses = token_losses_of(state, tokens)
        share = losses.numel() / counted.tokens
        total, load = losses.sum() / counted.tokens, state.load
        affinity = balance = total.new_zeros(())
        alphas = [
            layer.last_alpha for layer in state.model.feedforwards() if layer.last_alpha is not None
        ]
        learns = learns_fusion(state.settings)
        if state.targets is not None and settings.affinity_weight and learns:
            affinity = affinity_loss(alphas, state.targets, tokens.context, counted.known)
            total = total + settings.affinity_weight * affinity
        if settings.balance != "off" and learns and state.fused:
            now = measured_load(state, share)
            if settings.balance == "global":
                now = load = BALANCE_MEMORY * state.load + (1 - BALANCE_MEMORY) * now
            balance = balance_loss(alphas, now, counted.tokens)
            total = total + settings.balance_weight * balance
        return StepLoss(losses.detach(), total, affinity.detach(), balance.detach(), load)


def token_losses_of(state: TrainState, tokens: TokenTensors) -> Tensor:
    """[B, T] nats of each next token under the model in training, in its number format."""
    with autocast(state.device, state.precision):
        losses: Tensor = state.placement.module(
            tokens.inputs, tokens.start, context_BT=tokens.context, target_BT=tokens.targets
        )
    return losses


def measured_load(state: TrainState, share: float) -> Tensor:
    """[L, S] share of the computed (token, segment) choices of the newest forward, over all
    processes.

    share: of the batch's tokens that this process has.
    """
    weights = torch.stack(
        [layer.last_weight.detach().flatten(0, 1) for layer in state.model.feedforwards()]  # type: ignore[union-attr]
    )
    now = state.group.sum((weights > 0).float().mean(dim=1) * share)
    return now / now.sum(dim=1, keepdim=True)
