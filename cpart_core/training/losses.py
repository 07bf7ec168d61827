"""The regularisers that are added to the loss of the next token (model/next_token.py): affinity,
which draws fusion weights to the gradient affinity, and load balance."""

from __future__ import annotations

import torch
from torch import Tensor


def sum_by_group(value_BT: Tensor, group_BT: Tensor, num_groups: int) -> tuple[Tensor, Tensor]:
    """(sum [G] float64, count [G]) of a value over the tokens of each group; group -1 counts
    nowhere."""
    known = group_BT >= 0
    group, value = group_BT[known], value_BT[known].double()
    total = torch.zeros(num_groups, dtype=torch.float64, device=value.device).index_add_(
        0, group, value
    )
    return total, torch.bincount(group, minlength=num_groups)


def affinity_targets(
    signature_LNC: Tensor, segment_LN: Tensor, num_segments: int, sharpness: float
) -> Tensor:
    """What the fusion weights are drawn to: [L, C, S], rows sum to 1.

    A segment's share of the context's signature, relative to its mean share over contexts (so that
    an important segment does not become everyone's), raised to `sharpness` and normalised. Neurons
    of the shared segment (-1) do not count.
    """
    L, N, C = signature_LNC.shape
    share = torch.zeros(L, num_segments, C, device=signature_LNC.device)
    for number in range(L):
        divided = segment_LN[number] >= 0
        share[number].index_add_(0, segment_LN[number][divided], signature_LNC[number][divided])
    share = share / share.sum(dim=1, keepdim=True).clamp(min=1e-30)
    relative = share / share.mean(dim=2, keepdim=True).clamp(min=1e-30)
    sharp = relative**sharpness
    return (sharp / sharp.sum(dim=1, keepdim=True).clamp(min=1e-30)).transpose(1, 2)


def affinity_loss(
    alphas: list[Tensor], target_LCS: Tensor, context_BT: Tensor, num_known: int
) -> Tensor:
    """Mean over layers and tokens of known context of the cross-entropy between target and alpha,
    less the target's own entropy (so 0 is met).

    num_known: tokens of known context in the whole batch, of which these may be a part; without any
    it is 0.
    """
    known = context_BT >= 0
    context = context_BT[known]
    total = alphas[0].new_zeros(())
    for alpha, target in zip(alphas, target_LCS, strict=True):
        wanted = target[context]
        total = total + (
            wanted * (wanted.clamp(min=1e-9).log() - alpha[known].clamp(min=1e-9).log())
        ).sum(dim=-1).sum() / max(1, num_known)
    return total / len(alphas)


def balance_loss(alphas: list[Tensor], load_LS: Tensor, num_tokens: int) -> Tensor:
    """Switch's load balancing (arXiv 2101.03961, eq. 4): S * sum_s f_s P_s, 1 when even; load_LS
    [L, S] is f, the share of choices.

    num_tokens: in the whole batch, of which these may be a part.
    """
    total = alphas[0].new_zeros(())
    for alpha, load in zip(alphas, load_LS, strict=True):
        total = total + alpha.shape[-1] * (load * (alpha.sum(dim=(0, 1)) / num_tokens)).sum()
    return total / len(alphas)
