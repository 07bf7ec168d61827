"""What if one token alone had been fused otherwise? For every token of a batch at once, and
exactly.

Changing a layer's output at a token also changes what later tokens attend to. So each token gets a
world of its own: in the layers above, its own stream is the changed one, and all it looks back at
(keys, values, pooled fusion queries) is from the pass as it was. A world costs one forward of the
layers above, for all tokens together. Everything is without gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cpart_core.model.attention import Attention
from cpart_core.model.capture import capture
from cpart_core.model.decoder import Decoder, Layer
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.model.rotary_positions import rotate


@dataclass(frozen=True)
class Pass:
    """A batch as the model read it."""

    model: Decoder
    start_BT: Tensor
    target_BT: Tensor
    before: list[Tensor]
    """[L + 1] residual stream [B, T, D] before each layer, and after the last."""
    inputs: list[Tensor]
    """[L] what each feed-forward layer was given, [B, T, D]."""
    weight: list[Tensor]
    """[L] weights [B, T, S] at which the segments were summed."""
    loss_BT: Tensor

    def outputs(self, layer: int) -> Tensor:
        """[B, T, S, D] what each segment of a layer would add at weight 1, computed or not."""
        return segment_outputs(self.model.feedforwards()[layer], self.inputs[layer])

    def losses_with(self, layer: int, change_BTD: Tensor) -> Tensor:
        """[B, T] loss of each next token if `change` had been added to the layer's output at that
        one token and nowhere else."""
        stream = self.before[layer + 1] + change_BTD
        for number in range(layer + 1, len(self.model.layers)):
            stream = one_layer(
                self.model, number, stream, self.before[number], self.inputs[number], self.start_BT
            )
        with torch.no_grad():
            return self.model.losses(stream, self.target_BT)


@torch.no_grad()
def read(
    model: Decoder, ids_BT: Tensor, start_BT: Tensor, context_BT: Tensor, target_BT: Tensor
) -> Pass:
    """One ordinary forward, with all that the worlds look back at."""
    before: list[Tensor] = []
    inputs: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, given: before.append(given[0]))
        for layer in model.layers
    ]
    hooks += [
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        for layer in model.feedforwards()
    ]
    hooks.append(model.norm.register_forward_pre_hook(lambda _, given: before.append(given[0])))
    try:
        with capture(model) as captured:
            loss = model(ids_BT, start_BT, context_BT=context_BT, target_BT=target_BT)
            weight = [item.weight for item in captured]
    finally:
        for hook in hooks:
            hook.remove()
    return Pass(model, start_BT, target_BT, before, inputs, weight, loss)


@torch.no_grad()
def segment_outputs(layer: PartitionedFeedForward, x_BTD: Tensor) -> Tensor:
    """[B, T, S, D] at weight 1."""
    rows = slice(layer.num_shared, None)
    hidden = F.silu(F.linear(x_BTD, layer.w_gate[rows])) * F.linear(x_BTD, layer.w_up[rows])
    hidden = hidden.unflatten(-1, (layer.num_segments, layer.segment_size))
    down = layer.w_down[:, rows].unflatten(-1, (layer.num_segments, layer.segment_size))
    return torch.einsum("btsn,dsn->btsd", hidden, down)


@torch.no_grad()
def one_layer(
    model: Decoder,
    number: int,
    stream_BTD: Tensor,
    before_BTD: Tensor,
    input_BTD: Tensor,
    start_BT: Tensor,
) -> Tensor:
    """A layer in every token's own world; before and input: the stream and the feed-forward's input
    of the pass as it was."""
    layer = model.layers[number]
    assert isinstance(layer, Layer)
    T = stream_BTD.shape[1]
    given, own = layer.attention_norm(before_BTD), layer.attention_norm(stream_BTD)
    stream = stream_BTD + attend(layer.attention, given, own, model.cos[:T], model.sin[:T])
    x = layer.feedforward_norm(stream)
    alpha = layer.feedforward.fusion.one_changed(x, input_BTD, start_BT)
    return stream + layer.feedforward.summed(x, alpha)


def attend(
    attention: Attention, given_BTD: Tensor, own_BTD: Tensor, cos_Td: Tensor, sin_Td: Tensor
) -> Tensor:
    """Each token with its own query, key and value, looking back at the given ones."""
    B, T, _ = own_BTD.shape
    heads = [attention.num_heads, attention.num_kv_heads, attention.num_kv_heads]

    def parts(x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        qkv = F.linear(x_BTD, attention.w_qkv).view(B, T, -1, attention.head_width).transpose(1, 2)
        q, k, v = qkv.split(heads, dim=1)
        groups = attention.num_heads // attention.num_kv_heads
        k, v = (part.repeat_interleave(groups, dim=1) for part in (rotate(k, cos_Td, sin_Td), v))
        return rotate(q, cos_Td, sin_Td), k, v

    _, k_given, v_given = parts(given_BTD)
    q, k, v = parts(own_BTD)
    scale = attention.head_width**-0.5
    score = (q @ k_given.transpose(-1, -2)) * scale
    diagonal = torch.eye(T, dtype=torch.bool, device=q.device)
    score = torch.where(diagonal, ((q * k).sum(dim=-1) * scale)[..., None], score)
    mass = score.masked_fill(~torch.ones_like(diagonal).tril(), -torch.inf).softmax(dim=-1)
    own_mass = mass.diagonal(dim1=-2, dim2=-1)[..., None]
    y = mass.masked_fill(diagonal, 0.0) @ v_given + own_mass * v
    return F.linear(y.transpose(1, 2).reshape(B, T, -1), attention.w_out)
