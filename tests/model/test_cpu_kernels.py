"""Compiled CPU kernels compute what torch's operations compute, whoever runs them, and nothing is
left to compile after `warm`."""

from __future__ import annotations

import os
import subprocess
import sys
from contextvars import ContextVar
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cpart_core.model.decoder import Decoder
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.model.fusion.attention import Attention
from cpart_core.model.kernels.cpu import use as which
from cpart_core.model.kernels.cpu.compiled_mark import mark
from cpart_core.model.kernels.gradient import transposed, weight_gradients
from cpart_core.model.kernels.routing import choose, first_greatest
from cpart_core.model.kernels.sort_tokens import laid_out
from cpart_core.model.kernels.work import Layout, Work
from cpart_core.model.next_token import next_token_losses
from cpart_core.model.rms_norm import rms_norm
from cpart_core.model.rotary_attention import rotary_attention
from cpart_core.model.warm_up import compile_cpu_kernels
from cpart_core.settings.model import ModelSettings
from cpart_core.training.loop import Trainer
from tests.training.made import made_corpus, made_settings

PROJECT = Path(__file__).resolve().parents[2]
ROWS, TOKENS, WIDTH = 6, 50, 16
KERNELS, TORCH = 0, 1 << 40


def some(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def routed(pooling: str) -> tuple[list[Tensor], Tensor]:
    """What a layer computes, with all its gradients; and whom its tokens chose. Documents begin in
    the middle of rows."""
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
            fusion=Attention(pooling=pooling, fusion_width=8),
        )
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.5 * some(*parameter.shape))
    layer.fused = True
    start = torch.zeros(ROWS, TOKENS, dtype=torch.long)
    # the other rows are one document each
    start[0, 20:], start[1, 7:], start[1, 8:], start[2, -1:] = 20, 7, 8, TOKENS - 1
    x = some(ROWS, TOKENS, WIDTH).requires_grad_()
    y = layer(x, start)
    assert layer.last_alpha is not None and layer.last_weight is not None
    total = (y * some(*y.shape)).sum() + (layer.last_alpha * some(ROWS, TOKENS, 4)).sum()
    return [
        y,
        layer.last_alpha,
        layer.last_weight,
        *torch.autograd.grad(total, [x, *layer.parameters()]),
    ], layer.last_weight > 0


@pytest.mark.parametrize("pooling", ["document", "token"])
def test_fusion_by_cpu_kernels_is_fusion(pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for least in (KERNELS, TORCH):
        monkeypatch.setattr(which, "FROM", ContextVar("from", default=least))
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
    for least in (KERNELS, TORCH):
        monkeypatch.setattr(which, "FROM", ContextVar("from", default=least))
        order, slot_weight = laid_out(chosen, weight, multiple, torch.float32)
        found.append([*order, slot_weight])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def made() -> list[Tensor]:
    """Of each pass that sums over rows, something it made."""
    x, weight = some(700, 24).requires_grad_(), some(24).requires_grad_()
    qkv = some(2, 40, 48).bfloat16().requires_grad_()
    angle = torch.outer(torch.arange(40.0), torch.tensor([1.0, 0.1, 0.01, 0.001]))
    cos, sin = (torch.cat([part, part], dim=1) for part in (angle.cos(), angle.sin()))
    losses = next_token_losses(
        some(2, 40, 8).bfloat16(), some(100, 8), torch.arange(80).view(2, 40)
    )
    y = (
        rms_norm(x, weight, 1e-5, torch.float32).square().sum()
        + rotary_attention(qkv, cos, sin, 2).float().square().sum()
    )
    return [losses, *torch.autograd.grad(y, [x, weight, qkv]), *routed("document")[0]]


THREADS = """
import torch
from cpart_core.model.kernels.cpu import use as which
from tests.model.test_cpu_kernels import made
which.FROM.set(0)
found = []
for threads in (1, 2):
    torch.set_num_threads(threads)
    found.append(made())
    assert torch.get_num_threads() == threads, "numba told OpenMP another number when it began"
from cpart_core.model.kernels.cpu.numbers import MOST_THREADS
assert MOST_THREADS == 2
assert all(torch.equal(one, two) for one, two in zip(*found, strict=True)), "bits differ"
"""


def test_the_number_of_threads_changes_no_bit() -> None:
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("least", [KERNELS, TORCH])
def test_of_equals_the_first_are_chosen_everywhere(
    least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(which, "FROM", ContextVar("from", default=least))
    alpha = torch.tensor([[0.25] * 4, [0.1, 0.4, 0.1, 0.4], [0.4, 0.2, 0.2, 0.2]])
    weight, chosen = choose(alpha, 2, 4.0)
    assert torch.equal(chosen, first_greatest(alpha, 2)) and chosen.tolist() == [
        [0, 1],
        [1, 3],
        [0, 1],
    ]
    assert torch.equal(weight, torch.zeros_like(alpha).scatter(1, chosen, 1.0) * alpha * 4.0)


def test_a_token_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(which, "FROM", ContextVar("from", default=KERNELS))
    for token in (-1, 100):
        with pytest.raises(IndexError, match="vocabulary has 0 to 99"):
            next_token_losses(some(1, 4, 8).bfloat16(), some(100, 8), torch.full((1, 4), token))


def test_whoever_listens_to_a_norm_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Analyses read the stream by hooks on norms: a kernel must not go past them."""
    monkeypatch.setattr(which, "FROM", ContextVar("from", default=KERNELS))
    model = Decoder(made_settings().model, 50)
    heard: list[str] = []
    for name, module in model.named_modules():
        if "norm" in name:
            module.register_forward_hook(lambda *_, name=name: heard.append(name))
    model(torch.zeros(1, 4, dtype=torch.long))
    assert (
        sorted(heard) == sorted(name for name, _ in model.named_modules() if "norm" in name)
        and len(heard) >= 3
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_a_number_stays_none(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that went wrong is found by its loss: a kernel must not make numbers of what is
    none."""
    monkeypatch.setattr(which, "FROM", ContextVar("from", default=KERNELS))
    hidden = some(1, 4, 8).bfloat16()
    hidden[0, 1, 2] = bad
    lost = next_token_losses(hidden, some(100, 8), torch.arange(4)[None])
    assert not lost[0, 1].isfinite() and lost[0, [0, 2, 3]].isfinite().all()
    qkv = some(1, 6, 48).bfloat16().requires_grad_()
    with torch.no_grad():
        qkv[0, 3, 0] = bad
    y = rotary_attention(qkv, torch.ones(6, 8), torch.zeros(6, 8), 2)
    # nobody before it sees it
    assert y[0, :3].isfinite().all() and not y[0, 3, :8].isfinite().any()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("execution", ["dense", "soft", "topk"])
def test_cpu_kernels_borrow_no_weight(
    execution: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """numpy marks what it was lent, and FSDP2 then cannot free a layer's gathered weights."""
    monkeypatch.setattr(which, "FROM", ContextVar("from", default=KERNELS))
    trainer = Trainer(
        made_settings(precision=precision, execution=execution, first_step=1, fusion_step=1),
        made_corpus(),
    )
    trainer.train_step()
    trainer.train_step()
    assert all(weight.untyped_storage().resizable() for weight in trainer.model.parameters())


def test_nothing_is_left_to_compile_after_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_cpu_kernels()
    assert mark().exists() and which.FROM.get() == which.LEAST_NUMBERS
    monkeypatch.setattr(which, "FROM", ContextVar("from", default=KERNELS))
    from cpart_core.model.kernels.cpu.numbers import seconds_compiling

    before = seconds_compiling()
    for precision in ("bf16", "fp32"):
        for execution in ("dense", "soft", "topk"):
            trainer = Trainer(
                made_settings(
                    precision=precision, execution=execution, first_step=1, fusion_step=1
                ),
                made_corpus(),
            )
            trainer.train_step()
            trainer.train_step()
    assert seconds_compiling() == before


@pytest.mark.parametrize("size", [(1, 1), (32, 64), (33, 31), (70, 40)])
def test_what_is_transposed_for_weight_gradients_is_the_transpose_at_every_size(
    size: tuple[int, int],
) -> None:
    neurons, width = size
    x, dy = some(TOKENS, width).bfloat16(), some(TOKENS, width + 1).bfloat16()[:, 1:]
    assert torch.equal(transposed(dy), dy.T), "a view, too"
    d_gate_up, hidden = some(TOKENS, 2 * neurons).bfloat16(), some(TOKENS, neurons).bfloat16()
    w_gate = some(neurons, width)
    work = Work(x, None, None, w_gate, w_gate + 1, w_gate.T.contiguous(), Layout(0, 1, neurons))
    found = {}
    for least in (KERNELS, TORCH):
        with which.cpu_kernels_from(least):
            found[least] = weight_gradients(work, x, d_gate_up, dy, hidden)
    for ours, theirs, weight in zip(
        found[KERNELS], found[TORCH], (work.w_gate, work.w_up, work.w_down), strict=True
    ):
        assert ours.shape == weight.shape and ours.dtype == weight.dtype
        torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=1e-3 * float(theirs.abs().max()))
