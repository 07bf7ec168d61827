"""Laws of attended states: what attention reads besides the running text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cpart_core.model.attended import AttendedStates, LayerStates, PooledPast, states_of_cache
from cpart_core.model.attention import Attention
from cpart_core.model.cache import Cache
from cpart_core.model.decoder import Decoder
from cpart_core.model.generate import generate
from tests.model.test_decoder import some_ids, tiny

ROPE = 10_000.0
FAR, NEAR = 14, 10
"""Tokens read first, which become states, and tokens that follow."""


def read_far(model: Decoder, ids: Tensor) -> Cache:
    cache = Cache.empty(len(model.layers))
    with torch.no_grad():
        model(ids[:, :FAR], cache=cache)
    return cache


def far_states(
    model: Decoder, ids: Tensor, chosen: Tensor | None = None, first: int = 0
) -> AttendedStates:
    return states_of_cache(read_far(model, ids), model.settings.rope_base, chosen, first)


def changed(states: AttendedStates, **fields: object) -> AttendedStates:
    """The same of every layer."""
    return replace(
        states,
        layers=tuple(layer and replace(layer, **fields) for layer in states.layers),  # type: ignore[arg-type]
    )


def without(states: AttendedStates, number: int) -> AttendedStates:
    """The states of all layers but one state."""
    left = torch.tensor([place for place in range(FAR) if place != number])
    layers = [
        replace(
            layer,
            keys=layer.keys[:, :, left],
            values=layer.values[:, :, left],
            positions=layer.positions[left],
        )
        for layer in states.layers
        if layer is not None
    ]
    return replace(states, layers=tuple(layers))


@pytest.mark.parametrize("pooling", ["token", "document"])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_states_cut_from_a_cache_are_the_cache(pooling: str, kv_heads: int) -> None:
    model, ids = tiny(execution="soft", pooling=pooling, num_kv_heads=kv_heads), some_ids()
    whole = model(ids)[:, FAR:]
    going_on = model(ids[:, FAR:], cache=read_far(model, ids))
    beside = model(ids[:, FAR:], attended=far_states(model, ids))
    assert torch.allclose(beside, going_on, atol=2e-5) and torch.allclose(beside, whole, atol=2e-5)
    alone = model(ids[:, FAR:])
    assert not torch.allclose(alone, whole, atol=1e-2), "the far text matters, or this says nothing"


@pytest.mark.parametrize("pooling", ["token", "document"])
def test_text_behind_states_goes_on_in_a_cache(pooling: str) -> None:
    model, ids = tiny(execution="soft", pooling=pooling), some_ids()
    states, cache = far_states(model, ids), Cache.empty(2)
    parts = [
        model(ids[:, first:last], cache=cache, attended=states)
        for first, last in ((FAR, 17), (17, 18), (18, 24))
    ]
    assert torch.allclose(torch.cat(parts, dim=1), model(ids)[:, FAR:], atol=2e-5)
    again = states_of_cache(cache, ROPE, first_position=FAR)
    assert again.layers[0] is not None and again.layers[0].positions.tolist() == [*range(FAR, 24)]


def test_generation_beside_states_is_generation_behind_the_text() -> None:
    model, ids = tiny(execution="topk"), some_ids(1, 20)
    states = far_states(model, ids)
    told = list(generate(model, ids[0, FAR:].tolist(), max_tokens=4, attended=states))
    assert told == list(generate(model, ids[0].tolist(), max_tokens=4)) and len(told) == 4


def test_rows_choose_states_of_their_own() -> None:
    model, ids = tiny(), some_ids()
    chosen = torch.tensor([[0, 3, 9], [1, 12, 13]])
    together = model(ids[:, FAR:], attended=far_states(model, ids, chosen))
    for row in (0, 1):
        alone = far_states(model, ids[row : row + 1], chosen[row])
        assert torch.allclose(
            together[row], model(ids[row : row + 1, FAR:], attended=alone)[0], atol=2e-5
        )


def test_a_bias_of_minus_infinity_leaves_a_state_out() -> None:
    model, ids = tiny(), some_ids()
    states = far_states(model, ids)
    out = without(states, 5)
    wanted = model(ids[:, FAR:], attended=out)
    bias = torch.zeros(FAR)
    bias[5] = -torch.inf
    shut = bias == 0
    for given in (changed(states, bias=bias), changed(states, mask=shut)):
        assert torch.allclose(model(ids[:, FAR:], attended=given), wanted, atol=2e-5)
    assert not torch.allclose(model(ids[:, FAR:], attended=states), wanted, atol=1e-3)


def test_a_bias_of_0_and_a_mask_of_all_change_nothing() -> None:
    model, ids = tiny(), some_ids()
    states = far_states(model, ids)
    plain = model(ids[:, FAR:], attended=states)
    nothing = changed(
        states, bias=torch.zeros(2, FAR), mask=torch.ones(2, NEAR, FAR, dtype=torch.bool)
    )
    assert torch.allclose(model(ids[:, FAR:], attended=nothing), plain, atol=1e-6)


def test_no_states_are_no_states() -> None:
    """To the bit: a layer of None is the layer as it always was."""
    model, ids = tiny(), some_ids()
    assert torch.equal(model(ids, attended=AttendedStates((None, None))), model(ids))


def test_a_layer_may_have_none() -> None:
    model, ids = tiny(), some_ids()
    states = far_states(model, ids)
    upper, lower = (
        replace(states, layers=(None, states.layers[1])),
        replace(states, layers=(states.layers[0], None)),
    )
    found = [model(ids[:, FAR:], attended=given) for given in (states, upper, lower)]
    assert not any(
        torch.allclose(a, b, atol=1e-3)
        for a, b in ((found[0], found[1]), (found[0], found[2]), (found[1], found[2]))
    )
    shut = torch.zeros(FAR, dtype=torch.bool)
    assert states.layers[0] is not None
    same = replace(states, layers=(replace(states.layers[0], mask=shut), states.layers[1]))
    assert torch.allclose(model(ids[:, FAR:], attended=same), found[1], atol=2e-5)


def test_no_token_sees_a_state_that_position_or_mask_forbids() -> None:
    """Which token sees which state, by gradient, of every layer at once."""
    model, ids = tiny(), some_ids(1)
    states = far_states(model, ids)
    positions = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, FAR, FAR + 1, FAR + 3, FAR + 9, FAR + 40])
    mask = torch.ones(1, NEAR, FAR, dtype=torch.bool)
    mask[0, :4, 2] = False  # state 2 is open to the tokens from the fourth on
    mask[0, :, 7] = False
    layers = []
    for layer in states.layers:
        assert layer is not None
        layers.append(
            replace(
                layer,
                keys=layer.keys.clone().requires_grad_(),
                values=layer.values.clone().requires_grad_(),
                positions=positions,
                mask=mask,
            )
        )
    logits = model(ids[:, FAR:], attended=replace(states, layers=tuple(layers)))
    for token in range(NEAR):
        given = [part for layer in layers for part in (layer.keys, layer.values)]
        found = torch.autograd.grad(logits[0, token].square().sum(), given, retain_graph=True)
        reached = sum(gradient.abs().sum(dim=(0, 1, 3)) for gradient in found) > 0
        wanted = (positions <= FAR + token) & mask[0, token]
        assert torch.equal(reached, wanted), f"token {token}"


def test_states_never_see_the_text() -> None:
    """No logit depends on a later token, states or not, and what was read does not change."""
    model, ids = tiny(), some_ids(1)
    states = far_states(model, ids)
    before = [layer.keys.clone() for layer in states.layers if layer is not None]
    seen: list[Tensor] = []
    hook = model.layers[0].register_forward_pre_hook(
        lambda _, args: seen.append(args[0].requires_grad_())
    )
    logits = model(ids[:, FAR:], attended=states)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, 4].square().sum(), seen[0])
    assert gradient[:, 5:].abs().max() == 0 and gradient[:, 4].abs().min() > 0
    after = [layer.keys for layer in states.layers if layer is not None]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
def test_attention_with_states_is_the_formula(heads: tuple[int, int]) -> None:
    """softmax(q k / sqrt d + bias) v over states and text, and its gradients, written out with
    every key head repeated."""
    H, G = heads
    model = tiny(num_kv_heads=G)
    attention, generator = model.layers[0].attention, torch.Generator().manual_seed(1)
    assert isinstance(attention, Attention)
    x = torch.randn(2, 6, 32, generator=generator)
    keys, values = (torch.randn(2, G, 5, 8, generator=generator).requires_grad_() for _ in "kv")
    bias = torch.randn(2, 5, generator=generator).requires_grad_()
    places = torch.tensor([0.0, 2.5, 3.0, -7.0, 10.0])
    states = LayerStates(keys, values, places, bias)
    cos, sin = model.angles(11, 6)
    ours = attention(x, cos, sin, states=states, position=11)

    def rotated(vectors: Tensor, at: Tensor) -> Tensor:
        pair = torch.complex(*vectors.double().chunk(2, dim=-1))
        turn = at.double()[:, None] * ROPE ** (-torch.arange(0, 8, 2).double() / 8)
        both = pair * torch.polar(torch.ones_like(turn), turn)
        return torch.cat([both.real, both.imag], dim=-1)

    q, k, v = F.linear(x, attention.w_qkv).view(2, 6, -1, 8).transpose(1, 2).split([H, G, G], dim=1)
    now = torch.arange(11, 17)
    k = torch.cat([rotated(keys, places), rotated(k, now)], dim=2).repeat_interleave(H // G, dim=1)
    v = torch.cat([values, v], dim=2).double().repeat_interleave(H // G, dim=1)
    added = torch.cat([bias, torch.zeros(2, 6)], dim=1)[:, None, None].double()
    later = torch.ones(6, 11, dtype=torch.bool).triu(6)
    score = (rotated(q, now) @ k.transpose(2, 3) / 8**0.5 + added).masked_fill(later, -torch.inf)
    y = (score.softmax(dim=-1) @ v).transpose(1, 2).reshape(2, 6, 32)
    wanted = F.linear(y, attention.w_out.double())
    assert torch.allclose(ours.double(), wanted, atol=1e-5)
    given = [keys, values, bias]
    for found, exact in zip(
        torch.autograd.grad(ours.square().sum(), given),
        torch.autograd.grad(wanted.square().sum(), given),
        strict=True,
    ):
        assert found.abs().min() > 0 and torch.allclose(found, exact.float(), atol=1e-4, rtol=1e-4)


def test_one_row_of_states_serves_every_row_and_can_be_trained() -> None:
    """A prefix: [1, G, M, d] and its bias, learned while the model stays."""
    model, ids = tiny().requires_grad_(False), some_ids(3)
    keys, values = (torch.zeros(1, 2, 4, 8).normal_(std=0.1).requires_grad_() for _ in "kv")
    bias = torch.zeros(4, requires_grad=True)
    prefix = LayerStates(keys, values, torch.arange(4), bias)
    states = AttendedStates((prefix, None), next_position=4)
    optimizer, losses = torch.optim.Adam([keys, values, bias], lr=0.3), []
    for _ in range(20):
        loss = model(ids[:, :-1], target_BT=ids[:, 1:], attended=states).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.01 and bias.abs().min() > 0
    rows = [model(ids[row : row + 1, :-1], attended=states) for row in range(3)]
    assert torch.allclose(model(ids[:, :-1], attended=states), torch.cat(rows), atol=2e-5)


def test_positions_are_relative_and_have_no_end() -> None:
    """States and text moved together, far past the trained window, read the same; moved apart,
    not."""
    model, ids = tiny(), some_ids()
    states = far_states(model, ids)
    plain = model(ids[:, FAR:], attended=states)
    moved = changed(states, positions=torch.arange(FAR) + 5000)
    assert torch.allclose(
        model(ids[:, FAR:], attended=replace(moved, next_position=5000 + FAR)), plain, atol=2e-3
    )
    elsewhere = changed(states, positions=torch.full((FAR,), 2))
    assert not torch.allclose(model(ids[:, FAR:], attended=elsewhere), plain, atol=1e-2)
    with pytest.raises(ValueError, match="reads at most 24"):
        model(some_ids(2, 25), attended=states)


def test_a_pooled_past_is_of_one_document_a_row() -> None:
    model, ids = tiny(execution="soft", pooling="document"), some_ids()
    states = far_states(model, ids)
    assert isinstance(states.pooled, PooledPast) and states.pooled.tokens == FAR
    restarted = model(ids[:, FAR:], attended=replace(states, pooled=None))
    assert not torch.allclose(restarted, model(ids)[:, FAR:], atol=1e-3)
    with pytest.raises(AssertionError, match="of one document a row"):
        model(ids[:, FAR:], torch.zeros(2, NEAR, dtype=torch.long), attended=states)


def test_bf16_uses_our_attention_without_states_and_torchs_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Training on a CPU in bf16: the attention by row is asked unless there are states, whose
    logits are those of fp32 within bf16, and gradient reaches everything."""
    monkeypatch.setattr("cpart_core.model.attention.pays", lambda _: True)
    model, ids = tiny(num_kv_heads=4), some_ids()
    called: list[int] = []
    for layer in model.layers:
        ours = layer.attention.compute
        layer.attention.compute = lambda *given, ours=ours: (called.append(1), ours(*given))[1]
    states = far_states(model, ids)
    exact = model(ids[:, FAR:], attended=states)
    bias = torch.zeros(FAR, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        model(ids[:, FAR:])
        assert len(called) == 2
        model(ids[:, FAR:], attended=AttendedStates((None, None)))
        assert len(called) == 4, "a layer without states is as quick as ever"
        rounded = model(ids[:, FAR:], attended=changed(states, bias=bias))
    assert len(called) == 4
    assert (rounded - exact).abs().max() < 0.03 * exact.abs().max()
    rounded.float().square().mean().backward()
    assert bias.grad is not None and bias.grad.abs().min() > 0
    assert model.layers[0].attention.w_qkv.grad.abs().max() > 0
