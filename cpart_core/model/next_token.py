"""The loss of each next token, from hidden states instead of logits: a few rows of logits at a
time, forward and backward.

[T, V] in fp32, its softmax and its gradient would be the largest tensors of a step; kept are one
number a token. Logits are multiplied again in backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cpart_core.model.kernels.cpu.use import uses_cpu_kernels

LOGITS = {"cpu": 1 << 20, "cuda": 1 << 26}
"""At a time: what stays in a CPU's cache, and what keeps a GPU busy."""


def token_losses(logits_BTV: Tensor, target_BT: Tensor) -> Tensor:
    """[B, T] nats of each next token, from logits that are there."""
    B, T, V = logits_BTV.shape
    return F.cross_entropy(
        logits_BTV.reshape(B * T, V).float(), target_BT.reshape(-1), reduction="none"
    ).view(B, T)


def next_token_losses(hidden_BTD: Tensor, weight_VD: Tensor, target_BT: Tensor) -> Tensor:
    """[B, T] nats, float32. hidden in the number format of the product; logits, as everywhere, are
    rounded to it and summed in fp32."""
    device = hidden_BTD.device.type
    with torch.autocast(device, enabled=False):
        losses: Tensor = NextToken.apply(hidden_BTD.flatten(0, 1), weight_VD, target_BT.flatten())
    return losses.view(target_BT.shape)


class NextToken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
        matrix = weight.to(hidden.dtype)
        refuse_others(target, len(matrix))
        size = rows_at_once(hidden, weight)
        total = hidden.new_empty(len(hidden), dtype=torch.float32)
        losses = torch.empty_like(total)
        for rows, wanted, part, loss in zip(
            *(tensor.split(size) for tensor in (hidden, target, total, losses)), strict=True
        ):
            fill_losses(F.linear(rows, matrix), wanted, part, loss)
        ctx.save_for_backward(hidden, matrix, target, total)
        ctx.kept_as = weight.dtype
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_losses: Tensor) -> tuple[Tensor | None, ...]:
        d_losses = d_losses.contiguous()
        hidden, matrix, target, total = ctx.saved_tensors
        d_hidden = torch.empty_like(hidden)
        moves = ctx.needs_input_grad[1]
        d_weight = torch.zeros_like(matrix, dtype=ctx.kept_as) if moves else None
        size = rows_at_once(hidden, matrix)
        parts = (hidden, target, total, d_losses, d_hidden)
        for rows, wanted, part, d_loss, out in zip(
            *(tensor.split(size) for tensor in parts), strict=True
        ):
            d_logits = gradient(F.linear(rows, matrix), wanted, part, d_loss)
            torch.mm(d_logits, matrix, out=out)
            if d_weight is not None:
                d_weight += torch.mm(d_logits.T, rows)
        return d_hidden, d_weight, None


def refuse_others(target: Tensor, vocabulary: int) -> None:
    """IndexError for a token that is none: a kernel would read and write beside its row. A GPU
    checks by itself."""
    if (
        target.device.type == "cpu"
        and len(target)
        and not 0 <= int(target.amin()) <= int(target.amax()) < vocabulary
    ):
        raise IndexError(
            f"Tokens are {int(target.amin())} to {int(target.amax())}; this model's vocabulary has"
            f" 0 to {vocabulary - 1}."
        )


def fill_losses(logits: Tensor, target: Tensor, total: Tensor, losses: Tensor) -> None:
    """total [P], the log of the summed exp of logits [P, V], and losses [P] of target [P], both in
    fp32."""
    if uses_cpu_kernels(logits):
        # late: numba takes a moment to import
        from cpart_core.model.kernels.cpu import cross_entropy, numbers

        numbers.run(cross_entropy.forward, logits, target, total, losses)
        return
    logits = logits.float()
    torch.logsumexp(logits, dim=-1, out=total)
    torch.sub(total, logits.gather(1, target[:, None])[:, 0], out=losses)


def gradient(logits: Tensor, target: Tensor, total: Tensor, d_losses: Tensor) -> Tensor:
    """[P, V] of the logits, which are spent, in their number format."""
    if uses_cpu_kernels(logits):
        from cpart_core.model.kernels.cpu import cross_entropy, numbers

        numbers.run(cross_entropy.backward, logits, target, total, d_losses)
        return logits
    d_logits = logits.float().sub_(total[:, None]).exp_().mul_(d_losses[:, None])
    return d_logits.scatter_add_(1, target[:, None], -d_losses[:, None]).to(logits.dtype)


def rows_at_once(hidden: Tensor, weight: Tensor) -> int:
    return max(64, LOGITS.get(hidden.device.type, LOGITS["cuda"]) // len(weight))
