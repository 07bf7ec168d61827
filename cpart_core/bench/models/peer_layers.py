"""Other people's feed-forward layers at our shapes: the mixture-of-experts blocks of
`transformers`, and the usual loop written plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpart_core.bench.models.variants import MIXTURES
from cpart_core.bench.peers import public

MOST_BYTES = 2_000_000_000
"""A peer that would copy more weights than this is left out, and the results say so."""
REFUSALS = (RuntimeError, ImportError, ValueError, KeyError, OSError)
"""How other people's code says that it does not run here: no such GPU, no package, no memory, no
network to fetch a kernel from."""


class PlainSwiGLU(nn.Module):
    """The dense layer as everybody writes it."""

    def __init__(self, width: int, neurons: int) -> None:
        super().__init__()
        self.w_gate = nn.Parameter(torch.randn(neurons, width) * width**-0.5)
        self.w_up = nn.Parameter(torch.randn(neurons, width) * width**-0.5)
        self.w_down = nn.Parameter(torch.randn(width, neurons) * neurons**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.silu(F.linear(x, self.w_gate)) * F.linear(x, self.w_up), self.w_down)


def loop_over_segments(
    x_TD: Tensor, weight_Tk: Tensor, chosen_Tk: Tensor, gate_up: Tensor, down: Tensor
) -> Tensor:
    """One segment after the other with where and index_add; gate_up [S, 2n, D], down [S, D, n]."""
    y = torch.zeros_like(x_TD, dtype=torch.promote_types(x_TD.dtype, down.dtype))
    for segment in range(len(gate_up)):
        tokens, position = torch.where(chosen_Tk == segment)
        gate, up = F.linear(x_TD[tokens], gate_up[segment]).chunk(2, dim=-1)
        output = F.linear(F.silu(gate) * up, down[segment]) * weight_Tk[tokens, position, None]
        y = y.index_add(0, tokens, output.to(y.dtype))
    return y


def copied_bytes(tokens: int, width: int, neurons: int, top_k: int, bytes_each: int) -> int:
    """What batched_mm writes for one layer: the chosen experts' three matrices anew for every
    token, and backward as many gradients."""
    return 2 * 3 * tokens * top_k * neurons * width * bytes_each


def too_much(implementation: str, copied: int) -> str | None:
    """Why this implementation is not even tried; None: it is."""
    if implementation != "batched_mm" or copied <= MOST_BYTES:
        return None
    return f"copies the weights of every token, {copied / 1e9:.0f} GB with backward"


def experts_block(
    family: str, implementation: str, width: int, neurons: int, experts: int, top_k: int
) -> nn.Module:
    """Mixtral's or OLMoE's block, router included; `neurons` of each expert."""
    from transformers import MixtralConfig, OlmoeConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
    from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock

    config: Any
    block: nn.Module
    if family == "mixtral":
        config = MixtralConfig(
            hidden_size=width,
            intermediate_size=neurons,
            num_local_experts=experts,
            num_experts_per_tok=top_k,
        )
        config._experts_implementation = implementation
        block = MixtralSparseMoeBlock(config)
    else:
        config = OlmoeConfig(
            hidden_size=width,
            intermediate_size=neurons,
            num_experts=experts,
            num_experts_per_tok=top_k,
        )
        config._experts_implementation = implementation
        block = OlmoeSparseMoeBlock(config)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return block


def peers(
    tokens: int, width: int, neurons: int, experts: int, top_k: int, precision: torch.dtype
) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """(blocks by name, why the others are left out). Weights are in the precision itself:
    grouped_mm knows no autocast."""
    blocks: dict[str, nn.Module] = {}
    left_out: dict[str, str] = {}
    if not public.transformers_there():
        return blocks, {"transformers": public.NOT_THERE}
    copied = copied_bytes(tokens, width, neurons, top_k, precision.itemsize)
    for family in MIXTURES:
        for implementation in public.experts_implementations():
            name = f"{family} {implementation}"
            if reason := too_much(implementation, copied):
                left_out[name] = reason
                continue
            blocks[name] = experts_block(family, implementation, width, neurons, experts, top_k).to(
                precision
            )
    return blocks, left_out


def why(error: Exception) -> str:
    """One line of what it says."""
    said = str(error).splitlines()
    return f"{type(error).__name__}: {said[0][:160] if said else ''}"


def working(
    runs: dict[str, Callable[[], object]],
) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """The runs that finish once, and what the others said."""
    good: dict[str, Callable[[], object]] = {}
    failed: dict[str, str] = {}
    for name, run in runs.items():
        try:
            run()
        except REFUSALS as error:
            failed[name] = why(error)
        else:
            good[name] = run
    return good, failed
