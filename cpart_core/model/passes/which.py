"""Where compiled passes are used: on a CPU, for as many numbers as make up for loading them."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_NUMBERS = 1 << 12
"""Below it torch's operations take some ten microseconds too, and a process that computes nothing larger never loads numba."""


def compiled_passes(tensor: Tensor) -> bool:
    """Whether a compiled pass over this tensor pays."""
    if torch.compiler.is_compiling():
        return False
    return tensor.device.type == "cpu" and tensor.dtype in (torch.bfloat16, torch.float32) and tensor.numel() >= LEAST_NUMBERS
