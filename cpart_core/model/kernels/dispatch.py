"""Which execution is fastest where: table.json, measured by `bench kernels --write`, and a rule for
devices that it does not know."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from torch import Tensor

from cpart_core.model.kernels.few import few_tokens
from cpart_core.model.kernels.grouped import grouped_segments
from cpart_core.model.kernels.reference import reference
from cpart_core.model.kernels.sorted import sorted_segments
from cpart_core.model.kernels.weighted import weighted
from cpart_core.model.kernels.work import Work

EXECUTIONS: dict[str, Callable[[Work], Tensor]] = {
    "plain": reference,
    "weighted": weighted,
    "sorted": sorted_segments,
    "grouped": grouped_segments,
    "few": few_tokens,
}
"""The first two compute every segment too. `few` has no backward; `plain` and `grouped` cannot tell
contributions."""
TELLING = {"plain": "weighted", "grouped": "sorted"}
"""What stands in for those that cannot, when a listener wants contributions."""
KINDS = {
    "dense": ("plain", "weighted"),
    "soft": ("weighted",),
    "topk": ("weighted", "sorted", "grouped", "few"),
}
"""What a layer computes (all at weight 1, all weighted, the chosen ones alone) -> the executions
that may be fastest at it.

Plain soft fusion is left out: it keeps a quarter more than the dense layer."""

TABLE = Path(__file__).with_name("table.json")
GROUPED_BYTES = 16
FEW_TOKENS = 8
"""Without a measurement: up to so many tokens, reading only the chosen rows beats sorting."""


@dataclass(frozen=True)
class Shape:
    """What the best execution depends on. kind: of KINDS; device: cpu or cuda; precision: float32
    or bfloat16; gradient: is backward to follow?"""

    kind: str
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
        if any(
            getattr(self, name) != getattr(other, name)
            for name in ("kind", "device", "precision", "gradient")
        ):
            return math.inf
        pairs = (
            (getattr(self, name), getattr(other, name))
            for name in ("tokens", "width", "segments", "segment_size", "top_k")
        )
        return sum(abs(math.log2(mine / theirs)) for mine, theirs in pairs)


@dataclass(frozen=True)
class Entry:
    """One measured shape: seconds of each execution that ran."""

    shape: Shape
    seconds: dict[str, float]


@cache
def entries() -> tuple[Entry, ...]:
    """The measured shapes."""
    return tuple(
        Entry(Shape(**item["shape"]), item["seconds"])
        for item in json.loads(TABLE.read_text("utf-8"))["entries"]
    )


def takes(name: str, shape: Shape) -> bool:
    """Whether an execution may compute this shape. torch's grouped product wants every row to begin
    at a multiple of 16 bytes.

    And in bf16 on a CPU oneDNN compiles a product for every new number of rows: measuring the same
    tokens again and again hides that, training meets new numbers at every step, and `sorted` rounds
    them up to few.
    """
    size = 2 if shape.precision == "bfloat16" else 4
    if (
        name == "grouped"
        and shape.device == "cpu"
        and shape.precision == "bfloat16"
        and shape.gradient
    ):
        return False
    return name != "grouped" or (
        shape.width * size % GROUPED_BYTES == 0 and shape.segment_size * size % GROUPED_BYTES == 0
    )


@lru_cache(maxsize=4096)
def best(shape: Shape) -> str:
    """The execution that was fastest at the nearest measured shape."""
    measured = min(entries(), key=lambda entry: entry.shape.distance(shape), default=None)
    if measured is not None and measured.shape.distance(shape) < math.inf:
        return min(
            (name for name in measured.seconds if takes(name, shape)),
            key=lambda name: measured.seconds[name],
        )
    if shape.kind != "topk":
        return "plain" if shape.kind == "dense" else "weighted"
    # the grouped product of fp32 waits for the host, and so does sorting
    if shape.device == "cuda":
        return (
            "grouped" if shape.precision == "bfloat16" and takes("grouped", shape) else "weighted"
        )
    return "few" if shape.tokens <= FEW_TOKENS and not shape.gradient else "sorted"


def shape_of(work: Work, gradient: bool) -> Shape:
    T, D = work.x.shape
    layout, precision = work.layout, str(work.x.dtype).removeprefix("torch.")
    kind = "dense" if work.weight is None else "soft" if work.chosen is None else "topk"
    top_k = layout.num_segments if work.chosen is None else work.chosen.shape[1]
    return Shape(
        kind,
        work.x.device.type,
        precision,
        gradient,
        T,
        D,
        layout.num_segments,
        layout.segment_size,
        top_k,
    )


def fastest(work: Work, gradient: bool) -> Tensor:
    """[T, D] by the best execution. Where all segments are chosen, choosing is soft fusion."""
    if work.chosen is not None and work.chosen.shape[1] == work.layout.num_segments:
        work = replace(work, chosen=None)
    name = best(shape_of(work, gradient))
    return EXECUTIONS[name if work.contribution is None else TELLING.get(name, name)](work)


def write(measured: list[Entry], machine: dict[str, object]) -> None:
    """Replace the measured shapes of the devices that were measured; those of others stay."""
    devices = {entry.shape.device for entry in measured}
    kept = [entry for entry in entries() if entry.shape.device not in devices]
    document = {"machine": machine, "entries": [asdict(entry) for entry in [*kept, *measured]]}
    TABLE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    entries.cache_clear()
    best.cache_clear()
