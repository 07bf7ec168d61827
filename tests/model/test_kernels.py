"""Every execution of the feed-forward layer equals the plain one, gradients included, and keeps no
more than it says."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cpart_core.model.capture import capture
from cpart_core.model.kernels import dispatch as table
from cpart_core.model.kernels.cpu import use as which
from cpart_core.model.kernels.dispatch import KINDS, Entry, Shape, best, entries, takes
from cpart_core.model.kernels.few import few_tokens
from cpart_core.model.kernels.grouped import grouped_segments
from cpart_core.model.kernels.reference import reference
from cpart_core.model.kernels.sort_tokens import sort_by_segment
from cpart_core.model.kernels.sorted import (
    LEAST_ROUNDING,
    NUMBERS_OF_ROWS,
    rounding,
    sorted_segments,
)
from cpart_core.model.kernels.weighted import weighted
from cpart_core.model.kernels.work import Layout, Work
from cpart_core.model.saved_tensors import kept_until_backward
from cpart_core.model.signatures import SignatureSums
from tests.model.test_decoder import some_ids, tiny

TOKENS, WIDTH, SEGMENTS, SIZE = 60, 32, 8, 16
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""Largest norm of the difference as a share of the norm."""
PRECISIONS = pytest.mark.parametrize("precision", list(CLOSE), ids=["fp32", "bf16"])
Execution = Callable[[Work], Tensor]


@pytest.fixture(params=[0, 1 << 40], ids=["cpu kernels", "torch"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies between products, by compiled CPU kernels and by torch's operations."""
    monkeypatch.setattr(which, "FROM", ContextVar("from", default=request.param))


def some_work(shared: int, k: int | None, weighted: bool = True) -> Work:
    """Segment 3 is chosen by nobody."""
    generator = torch.Generator().manual_seed(shared)
    N = shared + SEGMENTS * SIZE
    x, gate, up, down = (
        0.3 * torch.randn(*shape, generator=generator)
        for shape in ((TOKENS, WIDTH), (N, WIDTH), (N, WIDTH), (WIDTH, N))
    )
    alpha = torch.rand(TOKENS, SEGMENTS, generator=generator)
    alpha[:, 3] = 0.0
    chosen = None if k is None else alpha.topk(k).indices
    weight = alpha if chosen is None else alpha * torch.zeros_like(alpha).scatter(1, chosen, 1.0)
    leaves = [tensor.requires_grad_() for tensor in (x, weight, gate, up, down)]
    return Work(
        leaves[0],
        leaves[1] if weighted else None,
        chosen,
        *leaves[2:],
        Layout(shared, SEGMENTS, SIZE),
    )


def gradients(
    execution: Execution, work: Work, precision: torch.dtype
) -> tuple[Tensor, list[Tensor]]:
    y = execution(replace(work, x=work.x.to(precision)))
    given = torch.randn(y.shape, generator=torch.Generator().manual_seed(9))
    leaves = [
        tensor
        for tensor in (work.x, work.weight, work.w_gate, work.w_up, work.w_down)
        if tensor is not None
    ]
    found = list(torch.autograd.grad(y, leaves, given.to(precision)))
    if work.chosen is not None:
        # what the others would be worth is nobody's question: their weight is 0
        found[1] = found[1].gather(1, work.chosen)
    return y.detach().float(), found


def far(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().norm() / b.detach().norm())


@pytest.mark.usefixtures("both_ways")
@PRECISIONS
@pytest.mark.parametrize("shared", [0, 8])
@pytest.mark.parametrize("k", [1, 2, 8])
@pytest.mark.parametrize("execution", [weighted, sorted_segments, grouped_segments])
def test_topk_equals_the_plain_execution(
    execution: Execution, k: int, shared: int, precision: torch.dtype
) -> None:
    work = some_work(shared, k)
    y, found = gradients(execution, work, precision)
    wanted_y, wanted = gradients(reference, work, torch.float32)
    assert far(y, wanted_y) < CLOSE[precision]
    assert max(far(a, b) for a, b in zip(found, wanted, strict=True)) < CLOSE[precision]


@pytest.mark.usefixtures("both_ways")
@PRECISIONS
@pytest.mark.parametrize("fused", [False, True])
def test_soft_and_dense_equal_the_plain_execution(fused: bool, precision: torch.dtype) -> None:
    work = some_work(8, None, weighted=fused)
    y, found = gradients(weighted, work, precision)
    wanted_y, wanted = gradients(reference, work, torch.float32)
    assert far(y, wanted_y) < CLOSE[precision]
    assert max(far(a, b) for a, b in zip(found, wanted, strict=True)) < CLOSE[precision]


@pytest.mark.parametrize("shared", [0, 8])
@pytest.mark.parametrize("tokens", [1, 3, TOKENS])
def test_few_tokens_equal_the_plain_execution(tokens: int, shared: int) -> None:
    work = some_work(shared, 2)
    assert work.weight is not None and work.chosen is not None
    part = replace(
        work, x=work.x[:tokens], weight=work.weight[:tokens], chosen=work.chosen[:tokens]
    )
    assert far(few_tokens(part), reference(part)) < 1e-5


class Products(TorchDispatchMode):
    """Counts products of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ in ("mm", "addmm", "addmm_", "_grouped_mm")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shared", [0, 8])
@pytest.mark.parametrize("execution", [weighted, sorted_segments, grouped_segments])
def test_weights_that_do_not_move_get_no_gradient_and_cost_no_product(
    execution: Execution, shared: int
) -> None:
    found = []
    for moves in (True, False):
        work = some_work(shared, None if execution is weighted else 2)
        for weight in (work.w_gate, work.w_up, work.w_down):
            weight.requires_grad_(moves)
        assert work.weight is not None
        y = execution(work)
        with Products() as products:
            y.square().sum().backward()
        assert all((w.grad is not None) == moves for w in (work.w_gate, work.w_up, work.w_down))
        found.append((products.count, work.x.grad, work.weight.grad))
    (with_weights, *wanted), (without, *given) = found
    assert all(map(torch.equal, wanted, given))
    assert without < with_weights


@pytest.mark.parametrize("exact", [True, False])
def test_every_pair_has_a_slot_of_its_segment(exact: bool) -> None:
    chosen = some_work(0, 3).chosen
    assert chosen is not None
    order = sort_by_segment(chosen, SEGMENTS, 8, exact)
    ends = order.size.cumsum(0)
    segment = torch.searchsorted(ends, order.slot, right=True)
    assert torch.equal(segment, chosen)
    assert torch.equal(order.tokens[order.slot], torch.arange(TOKENS)[:, None].expand(-1, 3))
    assert (
        order.slot.unique().numel() == TOKENS * 3
        and (order.size % 8 == 0).all()
        and len(order.tokens) % 8 == 0
    )
    assert not exact or len(order.tokens) == ends[-1]


def kept_bytes(execution: Execution, work: Work) -> int:
    """What autograd keeps until backward, without the layer's inputs, and the weights and their
    copies."""
    leaves = [
        tensor
        for tensor in (work.x, work.weight, work.w_gate, work.w_up, work.w_down)
        if tensor is not None
    ]
    copies = (2 * work.w_gate.nbytes, work.w_down.nbytes)
    return sum(
        size for size in kept_until_backward(lambda: execution(work), leaves) if size not in copies
    )


def test_topk_keeps_one_hidden_row_for_each_chosen_segment() -> None:
    pairs = TOKENS * 2
    row = 2 * SIZE + 1  # gate, up and the weight
    assert kept_bytes(sorted_segments, some_work(0, 2)) <= pairs * row * 4
    ends = 4 * SEGMENTS  # where each segment's rows end, as int32
    assert kept_bytes(grouped_segments, some_work(0, 2)) <= (pairs + 7 * SEGMENTS) * row * 4 + ends


def test_soft_keeps_less_than_the_plain_dense_layer() -> None:
    dense = kept_bytes(reference, some_work(8, None, weighted=False))
    assert kept_bytes(weighted, some_work(8, None)) <= 0.85 * dense


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("execution", ["dense", "soft", "topk"])
def test_signatures_told_in_backward_are_those_of_the_activations(execution: str) -> None:
    model, ids = tiny(execution=execution), some_ids()
    group = torch.zeros_like(ids)
    sums = SignatureSums(2, 72, 1, 0.0, torch.device("cpu"))
    with sums.measure(model, group):
        model(ids).square().mean().backward()
    with capture(model, gradients=True) as layers:
        model(ids).square().mean().backward()
    for layer, item, measured in zip(model.feedforwards(), layers, sums.mean(), strict=True):
        wanted = torch.zeros(72).index_copy(0, layer.neuron_id, item.contribution.sum(dim=(0, 1)))
        torch.testing.assert_close(torch.from_numpy(measured)[:, 0], wanted, rtol=1e-4, atol=1e-7)


def test_the_table_names_what_there_is_and_what_can_go_backward() -> None:
    assert all(set(entry.seconds) <= set(KINDS[entry.shape.kind]) for entry in entries())
    assert all("few" not in entry.seconds for entry in entries() if entry.shape.gradient)
    shape = Shape("topk", "cpu", "float32", True, 4096, 256, 8, 128, 2)
    assert (
        best(replace(shape, device="cuda")) == "weighted"
        and best(replace(shape, device="cuda", precision="bfloat16")) == "grouped"
    )
    near, far_off = Entry(shape, {}), Entry(replace(shape, tokens=64, gradient=False), {})
    assert near.shape.distance(replace(shape, tokens=2048)) == 1 and far_off.shape.distance(
        shape
    ) == float("inf")


def test_the_grouped_product_is_not_asked_for_rows_that_it_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = Shape("topk", "cpu", "float32", True, TOKENS, WIDTH, SEGMENTS, SIZE, 2)
    monkeypatch.setattr(table, "entries", lambda: (Entry(shape, {"grouped": 1.0, "sorted": 2.0}),))
    choose = table.best.__wrapped__  # what is remembered is of the real table
    assert choose(shape) == "grouped"
    assert choose(replace(shape, segment_size=10)) == choose(replace(shape, width=30)) == "sorted"
    assert choose(replace(shape, segment_size=12)) == "grouped" and not takes(
        "grouped", replace(shape, segment_size=12, precision="bfloat16")
    )
    assert (
        choose(replace(shape, device="cuda", precision="bfloat16", segment_size=12)) == "weighted"
    )


@pytest.mark.parametrize("tokens", [1, 31, 256, 2048, 2049, 6000, 65_536])
def test_a_segment_has_few_numbers_of_rows_where_each_is_compiled(tokens: int) -> None:
    multiple = rounding(tokens, torch.bfloat16)
    assert multiple % LEAST_ROUNDING == 0 and -(-tokens // multiple) <= NUMBERS_OF_ROWS
    assert rounding(tokens, torch.float32) == 1
