"""How kernels read and write numbers: bf16 as its 16 bits, fp32 as it is, and arithmetic in
fp32."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cpart_core.model.kernels.cpu.compiled_mark import folder, kept_in

os.environ["NUMBA_CACHE_DIR"] = str(kept_in())  # read when numba is imported

import numba
from numba import njit, types

# for kernels: whoever imports numba before this file has it keep its code elsewhere
from numba import prange as prange
from numba.core import event
from numba.extending import overload

REORDERED = {"contract", "reassoc", "nsz", "arcp"}
"""Sums may be taken in any order; infinities and not-a-number mean what they mean."""
threads_of_torch = torch.get_num_threads()
# starts numba's threads, which where they are OpenMP's tells torch how many to use
MOST_THREADS = numba.get_num_threads()
torch.set_num_threads(threads_of_torch)
STARTED_IN = os.getpid()
COMPILING = event.TimingListener()
event.register("numba:compile", COMPILING)
ONE_AT_A_TIME = threading.Lock()
"""Some of numba's threading layers cannot be entered twice."""
one = np.float32(1)
LOG2_E, HALF, LN2_HIGH, LN2_LOW = (
    np.float32(1.44269504),
    np.float32(0.5),
    np.float32(0.693359375),
    np.float32(2.12194440e-4),
)
LEAST, MOST = np.float32(-87), np.float32(88)
TERMS = tuple(
    np.float32(term)
    for term in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        0.5,
    )
)
"""Of exp on [-ln 2 / 2, ln 2 / 2], least error (Cephes, expf)."""


def compiled(function: Callable[..., Any]) -> Any:
    """A pass: its rows are shared among torch's number of threads (`run`), its machine code is kept
    for the next start."""
    return kept(function, parallel=True)


def kept(function: Callable[..., Any], parallel: bool = False) -> Any:
    """A pass that is done in its order by one thread, unless parallel."""
    how = partial(njit, parallel=parallel, fastmath=REORDERED, error_model="numpy")
    settings: Any = numba.config
    others, settings.CACHE_DIR = settings.CACHE_DIR, str(folder())
    try:
        return how(cache=True)(function)
    except RuntimeError:  # no folder in which it could be kept
        return how()(function)
    finally:
        settings.CACHE_DIR = others


def inlined(function: Callable[..., Any]) -> Any:
    """A part of CPU kernels."""
    return njit(inline="always", fastmath=REORDERED, error_model="numpy")(function)


def run(kernel: Any, *given: Tensor | int | float) -> None:
    """The pass on tensors of a CPU, in place: contiguous ones, or it compiles anew."""
    assert os.getpid() == STARTED_IN, (
        "numba's threads do not survive a fork: a kernel would do nothing, and say so on stderr alone"
    )
    arrays = [bits(item) if isinstance(item, Tensor) else item for item in given]
    with ONE_AT_A_TIME:
        threads = min(torch.get_num_threads(), MOST_THREADS)
        if numba.get_num_threads() != threads:
            numba.set_num_threads(threads)
        kernel(*arrays)


def alone() -> AbstractContextManager[object]:
    """Within it other numba code may run on a thread of its own: kernels wait where numba's threads
    cannot serve both."""
    return ONE_AT_A_TIME if numba.threading_layer() == "workqueue" else nullcontext()


def bits(tensor: Tensor) -> np.ndarray:
    """What numba sees of it."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    return tensor.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def seconds_compiling() -> float:
    """Spent on compiling by this process so far."""
    return float(COMPILING.duration) if COMPILING.done else 0.0


def widened(kept: Any) -> Any:
    """fp32 of an array's number. A name for kernels alone: numba puts the code below in its
    place."""
    raise NotImplementedError("Only compiled CPU kernels can widen a number.")


@overload(widened, inline="always")
def _widened(kept: Any) -> Any:
    def shifted(kept: Any) -> Any:
        return np.uint32(np.uint32(kept) << np.uint32(16)).view(np.float32)

    def plain(kept: Any) -> Any:
        return kept

    return shifted if kept == types.uint16 else plain


def put(array: Any, place: Any, value: Any) -> None:
    """array[place] = value, rounded to the nearest (ties to even) where the array is bf16. For
    kernels alone, too."""
    raise NotImplementedError("Only compiled CPU kernels can put a number.")


@overload(put, inline="always")
def _put(array: Any, place: Any, value: Any) -> Any:
    def rounded(array: Any, place: Any, value: Any) -> None:
        whole = np.float32(value).view(np.uint32)
        array[place] = np.uint16(
            (whole + np.uint32(0x7FFF) + ((whole >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        )

    def plain(array: Any, place: Any, value: Any) -> None:
        array[place] = value

    return rounded if array.dtype == types.uint16 else plain


@inlined
def exponential(x: Any) -> Any:
    """exp to 2 units in the last place; numba's own is not made for vectors."""
    x = LEAST if x < LEAST else x  # in this order what is not a number stays none
    x = MOST if x > MOST else x
    whole = np.floor(x * LOG2_E + HALF)
    rest = x - whole * LN2_HIGH + whole * LN2_LOW
    p = TERMS[0]
    p = p * rest + TERMS[1]
    p = p * rest + TERMS[2]
    p = p * rest + TERMS[3]
    p = p * rest + TERMS[4]
    p = p * rest + TERMS[5]
    p = p * rest * rest + rest + one
    return p * np.uint32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def greatest(row: Any) -> Any:
    """Of a row. Compared as whole numbers, for which there are vectors; one that is not a number
    may be overlooked."""
    most = np.int32(-(2**31))
    for i in range(len(row)):
        whole = in_order(np.float32(widened(row[i])).view(np.int32))
        most = whole if whole > most else most
    return in_order(most).view(np.float32)


@inlined
def in_order(whole: Any) -> Any:
    """A float's bits so that greater is greater, below zero too; its own inverse."""
    return np.int32(whole ^ (np.int32(whole >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@inlined
def sigmoid(x: Any) -> Any:
    return one / (one + exponential(-x))
