"""Where compiled CPU kernels are used: on a CPU, for as many numbers as make up for loading numba,
which nothing here does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

LEAST_NUMBERS = 1 << 12
"""Below it torch's operations take some ten microseconds too."""

FROM = ContextVar("from so many numbers on", default=LEAST_NUMBERS)


def uses_cpu_kernels(tensor: Tensor) -> bool:
    """Whether a compiled pass over this tensor is used here: not within compiled layers, whose
    compiler makes kernels of its own."""
    return not torch.compiler.is_compiling() and pays(tensor)


def pays(tensor: Tensor) -> bool:
    """Whether a compiled pass over this tensor makes up for its call."""
    return (
        tensor.device.type == "cpu"
        and tensor.dtype in (torch.bfloat16, torch.float32)
        and tensor.numel() >= FROM.get()
    )


def pay_for(device: torch.device, numbers: int) -> bool:
    """Whether compiled CPU kernels pay for steps in which a layer's input has so many numbers."""
    return device.type == "cpu" and numbers >= FROM.get()


@contextmanager
def cpu_kernels_from(least: int) -> Iterator[None]:
    """Within it CPU kernels are used from so many numbers on; 0 = always."""
    before = FROM.set(least)
    try:
        yield
    finally:
        FROM.reset(before)


def without_cpu_kernels() -> AbstractContextManager[None]:
    """Within it no kernel is used."""
    return cpu_kernels_from(sys.maxsize)
