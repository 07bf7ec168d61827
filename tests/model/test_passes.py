"""Compiled passes compute what torch's operations compute, whoever runs them, and nothing is left to compile after `warm`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cpart_core.config import ModelSettings
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.model.kernels.order import laid_out
from cpart_core.model.next_token import next_token_losses
from cpart_core.model.norm import rms_norm
from cpart_core.model.passes import which
from cpart_core.model.passes.mark import mark
from cpart_core.model.rotary_attention import rotary_attention
from cpart_core.model.warm import compile_passes
from cpart_core.training.loop import Trainer
from tests.training.made import made_corpus, made_settings

ROWS, TOKENS, WIDTH = 3, 50, 16
PASSES, TORCH = 0, 1 << 40


def some(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def routed(pooling: str) -> tuple[list[Tensor], Tensor]:
    """What a layer computes, with all its gradients; and whom its tokens chose. Documents begin in the middle of rows."""
    layer = PartitionedFeedForward(
        ModelSettings(
            width=WIDTH,
            num_heads=2,
            num_kv_heads=2,
            num_neurons=40,
            shared_neurons=8,
            num_segments=4,
            top_k=2,
            execution="topk",
            pooling=pooling,
            fusion_width=8,
        )
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.5 * some(*parameter.shape))
    layer.fused = True
    start = torch.zeros(ROWS, TOKENS, dtype=torch.long)
    start[0, 20:], start[1, 7:], start[1, 8:], start[2, -1:] = 20, 7, 8, TOKENS - 1
    x = some(ROWS, TOKENS, WIDTH).requires_grad_()
    y = layer(x, start)
    assert layer.last_alpha is not None and layer.last_weight is not None
    total = (y * some(*y.shape)).sum() + (layer.last_alpha * some(ROWS, TOKENS, 4)).sum()
    return [y, layer.last_alpha, layer.last_weight, *torch.autograd.grad(total, [x, *layer.parameters()])], layer.last_weight > 0


@pytest.mark.parametrize("pooling", ["document", "token"])
def test_fusion_by_passes_is_fusion(pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for least in (PASSES, TORCH):
        monkeypatch.setattr(which, "LEAST_NUMBERS", least)
        found.append(routed(pooling))
    (ours, chosen), (theirs, wanted) = found
    assert torch.equal(chosen, wanted)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.detach().abs().max()))


@pytest.mark.parametrize("multiple", [1, 32])
def test_tokens_lie_as_sorting_lays_them(multiple: int, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.rand(TOKENS, 6, generator=torch.Generator().manual_seed(0))
    weight[:, 3] = 0.0  # chosen by nobody
    chosen = weight.topk(2).indices
    found = []
    for least in (PASSES, TORCH):
        monkeypatch.setattr(which, "LEAST_NUMBERS", least)
        order, slot_weight = laid_out(chosen, weight, multiple, torch.float32)
        found.append([*order, slot_weight])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def trained_a_little() -> list[Tensor]:
    """Of each pass that sums over rows, something it made."""
    x, weight = some(700, 24).requires_grad_(), some(24).requires_grad_()
    qkv = some(2, 40, 48).bfloat16().requires_grad_()
    angle = torch.outer(torch.arange(40.0), torch.tensor([1.0, 0.1, 0.01, 0.001]))
    cos, sin = (torch.cat([part, part], dim=1) for part in (angle.cos(), angle.sin()))
    losses = next_token_losses(some(2, 40, 8).bfloat16(), some(100, 8), torch.arange(80).view(2, 40))
    y = rms_norm(x, weight, 1e-5, torch.float32).square().sum() + rotary_attention(qkv, cos, sin, 2).float().square().sum()
    return [losses, *torch.autograd.grad(y, [x, weight, qkv]), *routed("document")[0]]


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(which, "LEAST_NUMBERS", PASSES)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(trained_a_little())
            assert torch.get_num_threads() == threads  # numba tells OpenMP another number when it begins
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_a_number_stays_none(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that went wrong is found by its loss: a pass must not make numbers of what is none."""
    monkeypatch.setattr(which, "LEAST_NUMBERS", PASSES)
    hidden = some(1, 4, 8).bfloat16()
    hidden[0, 1, 2] = bad
    lost = next_token_losses(hidden, some(100, 8), torch.arange(4)[None])
    assert not lost[0, 1].isfinite() and lost[0, [0, 2, 3]].isfinite().all()
    qkv = some(1, 6, 48).bfloat16().requires_grad_()
    with torch.no_grad():
        qkv[0, 3, 0] = bad
    y = rotary_attention(qkv, torch.ones(6, 8), torch.zeros(6, 8), 2)
    assert y[0, :3].isfinite().all() and not y[0, 3, :8].isfinite().any()  # nobody before it sees it


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("execution", ["dense", "soft", "topk"])
def test_passes_borrow_no_weight(execution: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy marks what it was lent, and FSDP2 then cannot free a layer's gathered weights."""
    monkeypatch.setattr(which, "LEAST_NUMBERS", PASSES)
    trainer = Trainer(made_settings(precision=precision, execution=execution, first_step=1, fusion_step=1), made_corpus())
    trainer.train_step()
    trainer.train_step()
    assert all(weight.untyped_storage().resizable() for weight in trainer.model.parameters())


def test_nothing_is_left_to_compile_after_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_passes()
    assert mark().exists() and which.LEAST_NUMBERS > 0
    monkeypatch.setattr(which, "LEAST_NUMBERS", PASSES)
    before = which.seconds_compiling()
    for precision in ("bf16", "fp32"):
        for execution in ("dense", "soft", "topk"):
            trainer = Trainer(made_settings(precision=precision, execution=execution, first_step=1, fusion_step=1), made_corpus())
            trainer.train_step()
            trainer.train_step()
    assert which.seconds_compiling() == before
