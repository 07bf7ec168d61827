"""All executions at many shapes: what the table that chooses between them is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from cpart_core.bench.harness.turns import least, take_turns
from cpart_core.model.kernels.dispatch import EXECUTIONS, KINDS, Entry, Shape
from cpart_core.model.kernels.work import Layout, Work

SEGMENTS, TOP_K = 8, 2
LAYERS = ((96, 24), (128, 48), (256, 128), (512, 256))
"""(width, neurons of a segment): the presets, and the shapes of `bench kernels`."""
GPU_LAYERS = ((256, 128), (1024, 512), (2048, 1024))
TRAINING_TOKENS, READING_TOKENS = 2048, (1, 8, 64, 512)


def sweep(
    device: torch.device, precisions: list[torch.dtype], repeats: int, quick: bool
) -> list[Entry]:
    """One entry for each shape; the executions of a shape take turns."""
    found = []
    for shape in shapes(device, precisions, quick):
        runs = {
            name: run_of(shape, name)
            for name in KINDS[shape.kind]
            if not (shape.gradient and name == "few")
        }
        seconds = least(take_turns(runs, repeats))
        found.append(Entry(shape, {name: float(f"{value:.3g}") for name, value in seconds.items()}))
        kind = "training" if shape.gradient else "reading"
        best = min(seconds, key=lambda name: seconds[name])
        print(
            f"  {shape.kind:6} {shape.precision:9} {kind} {shape.tokens} tokens, width"
            f" {shape.width}, segments of {shape.segment_size}: {best}"
        )
    return found


def shapes(device: torch.device, precisions: list[torch.dtype], quick: bool) -> Iterator[Shape]:
    layers = GPU_LAYERS if device.type == "cuda" else LAYERS
    for width, size in layers[:1] if quick else layers:
        for precision in precisions:
            name = str(precision).removeprefix("torch.")
            for kind in KINDS:
                top_k = TOP_K if kind == "topk" else SEGMENTS
                yield Shape(
                    kind, device.type, name, True, TRAINING_TOKENS, width, SEGMENTS, size, top_k
                )
                for tokens in READING_TOKENS:
                    yield Shape(
                        kind, device.type, name, False, tokens, width, SEGMENTS, size, top_k
                    )


def run_of(shape: Shape, name: str) -> Callable[[], object]:
    work = work_of(shape)
    execution = EXECUTIONS[name]
    if not shape.gradient:

        def read() -> None:
            with torch.no_grad():
                execution(work)

        return read
    leaves = [
        tensor
        for tensor in (work.x, work.weight, work.w_gate, work.w_up, work.w_down)
        if tensor is not None
    ]
    given = torch.randn_like(work.x)

    def train() -> None:
        torch.autograd.grad(execution(work), leaves, given)

    return train


def work_of(shape: Shape) -> Work:
    """Weights in fp32, as they are kept; tokens choose at random."""
    device, N, D = torch.device(shape.device), shape.segments * shape.segment_size, shape.width
    gate, up, down = (
        torch.randn(*size, device=device) * size[1] ** -0.5 for size in ((N, D), (N, D), (D, N))
    )
    x = torch.randn(shape.tokens, D, device=device, dtype=getattr(torch, shape.precision))
    alpha = torch.rand(shape.tokens, shape.segments, device=device)
    chosen = alpha.topk(shape.top_k).indices if shape.kind == "topk" else None
    weight = (
        None
        if shape.kind == "dense"
        else alpha
        if chosen is None
        else alpha * torch.zeros_like(alpha).scatter(1, chosen, 1.0)
    )
    for leaf in (x, weight, gate, up, down):
        if leaf is not None:
            leaf.requires_grad_(shape.gradient)
    return Work(x, weight, chosen, gate, up, down, Layout(0, shape.segments, shape.segment_size))
