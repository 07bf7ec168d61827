"""Where compiled passes are used: on a CPU, for as many numbers as make up for loading numba, which nothing here does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

LEAST_NUMBERS = 1 << 12
"""Below it torch's operations take some ten microseconds too."""

FROM = ContextVar("from so many numbers on", default=LEAST_NUMBERS)


def compiled_passes(tensor: Tensor) -> bool:
    """Whether a compiled pass over this tensor is used here: not within compiled layers, whose compiler makes passes of its own."""
    return not torch.compiler.is_compiling() and pays(tensor)


def pays(tensor: Tensor) -> bool:
    """Whether a compiled pass over this tensor makes up for its call."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.bfloat16, torch.float32) and tensor.numel() >= FROM.get()


@contextmanager
def passes_from(least: int) -> Iterator[None]:
    """Within it passes are used from so many numbers on: 0 = always, sys.maxsize = never."""
    before = FROM.set(least)
    try:
        yield
    finally:
        FROM.reset(before)
