"""Where compiled passes are used: on a CPU, for as many numbers as make up for loading numba, which nothing here does."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

LEAST_NUMBERS = 1 << 12
"""Below it torch's operations take some ten microseconds too."""
PASSES = "cpart_core.model.passes.numbers"


def compiled_passes(tensor: Tensor) -> bool:
    """Whether a compiled pass over this tensor is used here: not within compiled layers, whose compiler makes passes of its own."""
    return not torch.compiler.is_compiling() and pays(tensor)


def pays(tensor: Tensor) -> bool:
    """Whether a compiled pass over this tensor makes up for its call."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.bfloat16, torch.float32) and tensor.numel() >= LEAST_NUMBERS


def seconds_compiling() -> float:
    """Spent on compiling passes by this process so far; loading what was compiled before does not count."""
    numbers = sys.modules.get(PASSES)
    return 0.0 if numbers is None else float(numbers.seconds_compiling())
