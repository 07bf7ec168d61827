"""Rotary positions (RoPE, arXiv 2104.09864): the one place where keys and queries are rotated."""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_angles(length: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """cos and sin [length, head_width] of the positions 0, 1, ..."""
    return angles_at(torch.arange(length, dtype=torch.float64), head_width, base)


def angles_at(positions: Tensor, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """cos and sin [..., head_width] in fp32 of positions [...] (eq. 34), halves rotated together as
    Llama's public code does.

    Any real position has an angle: one past the trained context, between two tokens or below 0.
    """
    index = torch.arange(0, head_width, 2, dtype=torch.float64, device=positions.device)
    frequency = base ** (-index / head_width)
    angle = positions.double()[..., None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x_BHTd: Tensor, cos_Td: Tensor, sin_Td: Tensor) -> Tensor:
    """Rotate each pair (i, i + d/2) by its position's angle; with -sin, back again."""
    first, second = x_BHTd.chunk(2, dim=-1)
    return x_BHTd * cos_Td + torch.cat([-second, first], dim=-1) * sin_Td
