"""One optimizer step: forward, backward, clip, step, each process on its rows of the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cpart_core.corpus.batches import Batch
from cpart_core.corpus.tensors import TokenTensors, token_tensors
from cpart_core.training.compile_layers import as_written
from cpart_core.training.failure import NonFiniteLoss
from cpart_core.training.losses import sum_by_group
from cpart_core.training.objective import Counted, Objective
from cpart_core.training.schedule import signature_due
from cpart_core.training.state import TrainState


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step found, over all processes; floats but for the tensors [C] by
    context."""

    loss: float
    affinity: float
    balance: float
    norm: float
    """Of the gradient, before clipping."""
    total_by_context: Tensor
    tokens_by_context: Tensor


def optimizer_step(state: TrainState, objective: Objective, batch: Batch) -> StepResult:
    """Weights, signatures and the running load change; what counts steps does not. NonFiniteLoss
    before a weight is spoiled."""
    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    tokens = token_tensors(batch.rows(state.group.share(len(batch.ids))), state.device)
    counted = Counted(batch.ids.size - len(batch.ids), int((batch.context[:, :-1] >= 0).sum()))
    if signatures_due(state):
        with (
            as_written(state.compiled),
            state.signatures.measure(
                state.model, tokens.context, counted.tokens / state.group.size
            ),
        ):
            sums = forward_backward(state, objective, tokens, counted)
    else:
        sums = forward_backward(state, objective, tokens, counted)
    clip = state.settings.training.gradient_clip
    norm = state.placement.whole(
        torch.nn.utils.clip_grad_norm_(state.moving.parameters, clip or float("inf"))
    )
    # the one time in a step that the host waits for the device
    found = torch.cat([sums, norm.double().reshape(1)]).cpu()
    total, loss, affinity, balance = found[:4].tolist()
    if not np.isfinite(total):
        raise NonFiniteLoss(state.step + 1, "loss")
    if not torch.isfinite(found[-1]):
        raise NonFiniteLoss(state.step + 1, "gradient")
    state.optimizer.step()
    by_context, count = found[4:-1].view(2, -1)
    return StepResult(loss, affinity, balance, float(found[-1]), by_context, count)


def forward_backward(
    state: TrainState, objective: Objective, tokens: TokenTensors, counted: Counted
) -> Tensor:
    """Gradients, and the running load. Float64 sums over all processes: total loss with its
    regularisers, loss, affinity, balance, [C] loss, [C] tokens."""
    found = objective.loss(state, tokens, counted)
    state.load = found.load
    losses = found.losses_BT
    share = losses.numel() / counted.tokens
    by_context, count = sum_by_group(losses, tokens.context, len(state.contexts))
    few = torch.stack(
        [
            found.total.detach().double(),
            losses.mean().double() * share,
            found.affinity.double(),
            found.balance.double(),
        ]
    )
    sums = torch.cat([few, by_context, count.double()])
    if not found.total.requires_grad:
        raise ValueError(
            f"Nothing that this run moves takes part in what step {state.step + 1} minimises."
        )
    pending = state.group.sum_later(sums)
    # DDP and FSDP2 divide gradients by the number of processes
    (found.total * state.group.size).backward()
    pending.wait()
    state.moving.cut_gradients()
    if not state.group.alone:
        average_extra_gradients(state)
    return sums


def average_extra_gradients(state: TrainState) -> None:
    """As DDP does with the model's: what an objective brings along is not the model's."""
    for parameter in state.moving.extra.values():
        if parameter.grad is not None:
            state.group.sum(parameter.grad).div_(state.group.size)


def signatures_due(state: TrainState) -> bool:
    """Whether the next step measures signatures: they need the gradient of every activation."""
    return state.moving.all_of_model and signature_due(state.step, state.settings.partition)
