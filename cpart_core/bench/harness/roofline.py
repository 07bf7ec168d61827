"""The measured roof over a feed-forward layer (roofline: Williams, Waterman, Patterson 2009), and
what share of it a layer reaches.

Nothing here is a data sheet's number: the roof is the best rate that `torch.mm` gets at the layer's
own shapes and the rate of a large copy, in turns with the layers. A layer can take no less than the
time of its products at the one or of its bytes at the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cpart_core.bench.harness.turns import Times
from cpart_core.bench.models.layers import SEGMENTS, TOP_K, Shape
from cpart_core.bench.report.save import spread

COPIED_BYTES = 1 << 28
"""Of one copy, more than any cache holds; read and written, it moves twice as many."""
ROOF, COPY = "roof: ", "copy"
AT_ONCE = {"cpu": 1, "cuda": 20}
"""Products or copies between two looks at the clock: a GPU is waited for once for all of them."""
NEURONS_COMPUTED = {"dense": 1.0, "ideal": TOP_K / SEGMENTS, "top-2": TOP_K / SEGMENTS}
"""Whose share is told, and the share of the neurons that it computes."""


@dataclass(frozen=True)
class Rates:
    """By one clock."""

    flops: float
    """Operations a second of the best product; a multiplication and its addition are two."""
    bytes: float
    """Moved a second by the copy, read and written."""


def roof_runs(
    shape: Shape, precision: torch.dtype, device: torch.device
) -> dict[str, Callable[[], object]]:
    """What takes turns with the layers. The copy, which empties all caches, has none of the layers
    for a neighbour."""
    first, *others = products(shape, precision, device).items()
    named = dict([first, (COPY, copy(device)), *others])
    return {f"{ROOF}{name}": repeated(run, AT_ONCE[device.type]) for name, run in named.items()}


def rates_of(
    times: dict[str, Times], shape: Shape, device: torch.device
) -> tuple[dict[str, Rates], dict[str, Any]]:
    """(rates by the wall and by CPU time, JSON-able: GFLOP/s of each product and GB/s of the copy).
    The best of the repetitions counts."""
    flops, moved = (
        work * AT_ONCE[device.type]
        for work in (2.0 * shape.tokens * shape.width * shape.neurons, 2.0 * COPIED_BYTES)
    )
    own = {name.removeprefix(ROOF): item for name, item in times.items() if name.startswith(ROOF)}
    rates = {}
    found: dict[str, Any] = {"gflops": {}, "copy_gb": {}}
    for clock in ("wall", "cpu") if device.type == "cpu" else ("wall",):
        least = {name: min(getattr(item, clock)) for name, item in own.items()}
        bandwidth = moved / least.pop(COPY)
        rates[clock] = Rates(flops / min(least.values()), bandwidth)
        found["gflops"][clock] = {name: flops / seconds / 1e9 for name, seconds in least.items()}
        found["copy_gb"][clock] = bandwidth / 1e9
    return rates, found


def products(
    shape: Shape, precision: torch.dtype, device: torch.device
) -> dict[str, Callable[[], object]]:
    """The three kinds of product of which forward and backward are made, into memory that is
    there."""

    def filled(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, device=device).to(precision)

    T, D, N = shape.tokens, shape.width, shape.neurons
    x, hidden, weight = filled(T, D), filled(T, N), filled(N, D)
    into_hidden, into_x, into_weight = (
        torch.empty_like(hidden),
        torch.empty_like(x),
        torch.empty_like(weight),
    )
    return {
        "x W^T": lambda: torch.mm(x, weight.T, out=into_hidden),
        "h W": lambda: torch.mm(hidden, weight, out=into_x),
        "h^T x": lambda: torch.mm(hidden.T, x, out=into_weight),
    }


def copy(device: torch.device) -> Callable[[], object]:
    source = torch.ones(COPIED_BYTES // 4, device=device)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)


def repeated(run: Callable[[], object], often: int) -> Callable[[], object]:
    def many() -> None:
        for _ in range(often):
            run()

    return many


def least_work(shape: Shape, precision: torch.dtype, computed: float) -> tuple[float, float]:
    """(operations, bytes) without which no forward and backward of the layer can be.

    Three products forward and six backward over the neurons computed. Moved: x twice, its gradient,
    the output and its gradient once each in the precision of the products; the fp32 weights read
    twice and their gradients written. Hidden activations are not counted, nor the router.
    """
    tokens = shape.tokens * shape.width
    operations = 9 * 2.0 * tokens * shape.neurons * computed
    weights = 3 * shape.neurons * shape.width
    return operations, 5.0 * tokens * precision.itemsize + 3.0 * weights * 4


def shares(
    times: dict[str, Times], rates: dict[str, Rates], shape: Shape, precision: torch.dtype
) -> dict[str, Any]:
    """Of each layer: the least time under the roof / the time taken, with its spread, and which of
    the two roofs is the lower one."""
    found: dict[str, Any] = {}
    for name, computed in NEURONS_COMPUTED.items():
        operations, moved = least_work(shape, precision, computed)
        found[name] = {
            "bound_by": (
                "products"
                if operations / rates["wall"].flops > moved / rates["wall"].bytes
                else "memory"
            )
        }
        for clock, rate in rates.items():
            least = max(operations / rate.flops, moved / rate.bytes)
            found[name][clock] = spread(
                [least / seconds for seconds in getattr(times[name], clock) if seconds > 0]
            )
    return found


def under_roof(
    times: dict[str, Times], shape: Shape, precision: torch.dtype, device: torch.device
) -> dict[str, Any]:
    """The roof and the shares of it, printed and JSON-able."""
    rates, found = rates_of(times, shape, device)
    reached = shares(times, rates, shape, precision)
    best = rates["wall"]
    print(
        f"  roof: products {best.flops / 1e9:,.0f} GFLOP/s, copy {best.bytes / 1e9:,.1f} GB/s;"
        " share of it reached:"
    )
    for name, item in reached.items():
        cpu = f", CPU time {item['cpu']['median']:.2f}" if "cpu" in item else ""
        print(
            f"  {name:32} {item['wall']['median']:.2f}{cpu} (bound by {item['bound_by']})",
            flush=True,
        )
    return {**found, "shares": reached}
