"""A token's own world is what brute force gives: one forward for every single changed token."""

from __future__ import annotations

import pytest
import torch

from cpart_core.analysis.text.one_token import read
from cpart_core.model.decoder import Decoder
from cpart_core.model.fusion.attention import Attention
from cpart_core.model.intervention import Intervention, intervene
from cpart_core.settings.fields.method import with_flat
from cpart_core.settings.model import ModelSettings

TINY = ModelSettings(
    num_layers=3,
    width=16,
    num_heads=4,
    num_kv_heads=2,
    num_neurons=40,
    shared_neurons=8,
    num_segments=4,
    context_length=12,
    fusion=Attention(fusion_width=8),
)
T = 11
START = torch.tensor([[0] * T, [0] * 4 + [4] * 7])


def made(execution: str, pooling: str, fusion: str = "attention") -> tuple[Decoder, torch.Tensor]:
    model = Decoder(
        with_flat(TINY, {"execution": execution, "pooling": pooling, "fusion": fusion}, "model"),
        vocabulary_size=30,
        seed=5,
    )
    with torch.no_grad():
        for layer in model.feedforwards():
            layer.w_down.mul_(8)  # so that a change at one layer is heard in the next
    return model, torch.randint(0, 30, (2, T + 1), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("execution", "pooling", "fusion"),
    [
        ("topk", "document", "attention"),
        ("topk", "token", "attention"),
        ("soft", "document", "random"),
        ("dense", "token", "attention"),
        ("topk", "token", "oracle"),
    ],
)
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_it_is_what_a_forward_for_each_token_gives(
    execution: str, pooling: str, fusion: str, layer: int
) -> None:
    model, ids = made(execution, pooling, fusion)
    context = torch.zeros(2, T, dtype=torch.long)
    passed = read(model, ids[:, :-1], START, context, ids[:, 1:])
    change = torch.randn(2, T, 16, generator=torch.Generator().manual_seed(2))
    found = passed.losses_with(layer, change)
    for token in range(T):
        alone = torch.zeros_like(change)
        alone[:, token] = change[:, token]
        hook = model.feedforwards()[layer].register_forward_hook(
            lambda _, __, y, alone=alone: y + alone
        )
        with torch.no_grad():
            logits = model(ids[:, :-1], START, context_BT=context)[:, token]
        hook.remove()
        wanted = torch.nn.functional.cross_entropy(logits, ids[:, token + 1], reduction="none")
        torch.testing.assert_close(found[:, token], wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        passed.losses_with(layer, torch.zeros_like(change)), passed.loss_BT, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("execution", ["topk", "soft", "dense"])
def test_segment_outputs_at_their_weights_are_what_ablation_takes_away(execution: str) -> None:
    model, ids = made(execution, "document")
    passed = read(model, ids[:, :-1], START, torch.zeros(2, T, dtype=torch.long), ids[:, 1:])
    last = len(model.layers) - 1
    taken = passed.outputs(last)[:, :, 1] * passed.weight[last][..., 1:2]
    with intervene(model, [Intervention(last, 1, "ablate")]), torch.no_grad():
        logits = model(ids[:, :-1], START)
    wanted = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    ).view(2, T)
    torch.testing.assert_close(passed.losses_with(last, -taken), wanted, rtol=1e-4, atol=1e-4)
