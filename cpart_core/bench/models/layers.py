"""Our feed-forward layer and what it is compared with, as runs of forward and backward at one shape
and precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cpart_core.bench.models.peer_layers import PlainSwiGLU, loop_over_segments, peers, working
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.model.fusion.attention import Attention
from cpart_core.model.kernels.dispatch import EXECUTIONS
from cpart_core.model.kernels.work import Work
from cpart_core.model.saved_tensors import kept_until_backward
from cpart_core.settings.model import ModelSettings

SEGMENTS, TOP_K, ROWS = 8, 2, 16


@dataclass(frozen=True)
class Shape:
    """tokens are ROWS documents; no shared segment, as other people's layers have none."""

    width: int
    neurons: int
    tokens: int

    def settings(self, execution: str, pooling: str = "token") -> ModelSettings:
        return ModelSettings(
            width=self.width,
            num_neurons=self.neurons,
            shared_neurons=0,
            num_segments=SEGMENTS,
            top_k=TOP_K,
            execution=execution,
            fusion=Attention(pooling=pooling),
        )


@dataclass
class Bench:
    """What is timed at one shape and precision: runs by name, and why others are left out."""

    runs: dict[str, Callable[[], object]]
    left_out: dict[str, str]


def layer(
    settings: ModelSettings, execution: str | None, device: torch.device
) -> PartitionedFeedForward:
    """A layer with weights; execution: the one that it always takes, None: as the table says."""
    made = PartitionedFeedForward(settings)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    if execution is not None:
        run = EXECUTIONS[execution]

        def always(work: Work, gradient: bool) -> Tensor:
            return run(work)

        made.compute = always
    return made.to(device)


def both_ways(
    module: nn.Module,
    forward: Callable[[Tensor], Tensor],
    x: Tensor,
    precision: torch.dtype,
    cast: bool,
) -> Callable[[], object]:
    """Forward and backward; cast: weights stay in fp32 and autocast casts them, as in training."""
    given = torch.randn_like(x)
    device = x.device.type

    def run() -> None:
        module.zero_grad(set_to_none=True)
        x.grad = None
        with torch.autocast(
            device, dtype=torch.bfloat16, enabled=cast and precision == torch.bfloat16
        ):
            y = forward(x)
        y.backward(given.to(y.dtype))

    return run


def with_router(plain: PlainSwiGLU, router: PartitionedFeedForward) -> Callable[[Tensor], Tensor]:
    """The ideal: a dense layer of the active size, and the fusion weights computed, both ways."""

    def forward(x: Tensor) -> Tensor:
        alpha = router.fusion(x, None)
        y = plain(x)
        return y + alpha.mean().to(y.dtype)  # so that backward goes through the router

    return forward


def looped(made: PartitionedFeedForward) -> Callable[[Tensor], Tensor]:
    """Our layer's function by the usual loop."""

    def forward(x: Tensor) -> Tensor:
        alpha = made.fusion(x, None).flatten(0, 1)
        weight, chosen = alpha.topk(TOP_K, dim=-1)
        S, n, D = made.num_segments, made.segment_size, x.shape[-1]
        gate_up = torch.cat([made.w_gate.view(S, n, D), made.w_up.view(S, n, D)], dim=1)
        down = made.w_down.view(D, S, n).transpose(0, 1)
        return loop_over_segments(
            x.flatten(0, 1), weight * SEGMENTS, chosen, gate_up, down
        ).view_as(x)

    return forward


def bench_of(shape: Shape, precision: torch.dtype, device: torch.device, with_peers: bool) -> Bench:
    x = torch.randn(
        ROWS, shape.tokens // ROWS, shape.width, dtype=precision, device=device, requires_grad=True
    )
    active = shape.neurons // SEGMENTS * TOP_K
    dense, ideal = (
        PlainSwiGLU(shape.width, shape.neurons).to(device),
        PlainSwiGLU(shape.width, active).to(device),
    )
    loop = layer(shape.settings("topk"), None, device)
    nets: dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]] = {
        "dense": (dense, dense),
        "ideal": (ideal, with_router(ideal, loop)),
        "loop": (loop, looped(loop)),
    }
    ours: dict[str, tuple[str, str | None]] = {
        "soft": ("soft", None),
        "top-2": ("topk", None),
        "before fusion": ("dense", None),
    }
    ours |= {f"top-2 {name}": ("topk", name) for name in ("sorted", "grouped", "weighted")}
    for name, (execution, forced) in ours.items():
        made = layer(shape.settings(execution), forced, device)
        nets[name] = (made, made)
    made = layer(shape.settings("topk", "document"), None, device)
    nets["top-2 by document"] = (made, made)
    runs = {
        name: both_ways(net, forward, x, precision, True) for name, (net, forward) in nets.items()
    }
    left_out: dict[str, str] = {}
    if with_peers:
        blocks, left_out = peers(
            shape.tokens, shape.width, shape.neurons // SEGMENTS, SEGMENTS, TOP_K, precision
        )
        tried = {
            name: both_ways(block.to(device), block, x, precision, False)
            for name, block in blocks.items()
        }
        good, failed = working(tried)
        runs |= good
        left_out |= failed
    return Bench(runs, left_out)


def kept_bytes(shape: Shape, device: torch.device) -> dict[str, int]:
    """Bytes that autograd keeps of one fp32 forward, each storage once, without the layer's input
    and weights."""
    x = torch.randn(ROWS, shape.tokens // ROWS, shape.width, device=device, requires_grad=True)
    dense = PlainSwiGLU(shape.width, shape.neurons).to(device)
    nets: dict[str, nn.Module] = {"dense": dense}
    nets |= {
        name: layer(shape.settings(execution), None, device)
        for name, execution in (("soft", "soft"), ("top-2", "topk"))
    }
    return {
        name: sum(kept_until_backward(partial(net, x), (x, *net.parameters())))
        for name, net in nets.items()
    }
