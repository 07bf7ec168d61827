"""Which execution is fastest where: table.json, measured by `bench kernels --write`, and a rule for devices that it does not know."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

from torch import Tensor

from cpart_core.model.kernels.few import few_tokens
from cpart_core.model.kernels.grouped import grouped_segments
from cpart_core.model.kernels.sorted import sorted_segments
from cpart_core.model.kernels.weighted import weighted
from cpart_core.model.kernels.work import Work

TOPK: dict[str, Callable[[Work], Tensor]] = {
    "sorted": sorted_segments,
    "grouped": grouped_segments,
    "weighted": weighted,
    "few": few_tokens,
}
"""Executions of top-k. `few` has no backward; `grouped` cannot tell contributions."""

TABLE = Path(__file__).with_name("table.json")
FEW_TOKENS = 8
"""Without a measurement: up to so many tokens, reading only the chosen rows beats sorting."""


@dataclass(frozen=True)
class Shape:
    """What the best execution depends on. device: cpu or cuda; precision: float32 or bfloat16; gradient: is backward to follow?"""

    device: str
    precision: str
    gradient: bool
    tokens: int
    width: int
    segments: int
    segment_size: int
    top_k: int

    def distance(self, other: Shape) -> float:
        """Doublings between the shapes; infinite where the kind differs."""
        if (self.device, self.precision, self.gradient) != (other.device, other.precision, other.gradient):
            return math.inf
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("tokens", "width", "segments", "segment_size", "top_k"))
        return sum(abs(math.log2(mine / theirs)) for mine, theirs in pairs)


@dataclass(frozen=True)
class Entry:
    """One measured shape: seconds of each execution that ran."""

    shape: Shape
    seconds: dict[str, float]


@cache
def entries() -> tuple[Entry, ...]:
    """The measured shapes."""
    return tuple(Entry(Shape(**item["shape"]), item["seconds"]) for item in json.loads(TABLE.read_text("utf-8"))["entries"])


@lru_cache(maxsize=4096)
def best(shape: Shape) -> str:
    """The execution that was fastest at the nearest measured shape."""
    measured = min(entries(), key=lambda entry: entry.shape.distance(shape), default=None)
    if measured is not None and measured.shape.distance(shape) < math.inf:
        return min(measured.seconds, key=lambda name: measured.seconds[name])
    if shape.device == "cuda":
        return "grouped" if shape.precision == "bfloat16" else "weighted"  # the grouped product of fp32 waits for the host
    return "few" if shape.tokens <= FEW_TOKENS and not shape.gradient else "sorted"


def shape_of(work: Work, gradient: bool) -> Shape:
    assert work.chosen is not None
    T, D = work.x.shape
    precision = str(work.x.dtype).removeprefix("torch.")
    layout = work.layout
    return Shape(work.x.device.type, precision, gradient, T, D, layout.num_segments, layout.segment_size, work.chosen.shape[1])


def fastest(work: Work, gradient: bool) -> Tensor:
    """[T, D] by the best execution."""
    if work.chosen is None or work.layout.num_segments == work.chosen.shape[1]:
        return weighted(work)
    name = best(shape_of(work, gradient))
    if name == "grouped" and work.contribution is not None:
        name = "weighted"
    return TOPK[name](work)


def write(measured: list[Entry], machine: dict[str, object]) -> None:
    """Replace the measured shapes of the devices that were measured; those of others stay."""
    devices = {entry.shape.device for entry in measured}
    kept = [entry for entry in entries() if entry.shape.device not in devices]
    document = {"machine": machine, "entries": [asdict(entry) for entry in [*kept, *measured]]}
    TABLE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    entries.cache_clear()
    best.cache_clear()
