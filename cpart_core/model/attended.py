"""Attended states: keys and values that attention may read besides the running text, of some or
all layers. A streaming window, a trained prefix and a compressed past are all of this form.

B rows, G key-value heads, M states, d head width, T running tokens.

Keys are kept as the layer projects them, NOT rotated, and are rotated when they are read. So a
state can be placed anew without rotating twice (SharedLLM's released code does, arXiv 2410.19318),
a trained prefix is the same numbers wherever it stands, and no position is past the end of a
table. It costs one rotation of the states a layer and forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cpart_core.model.cache import Cache, LayerCache
from cpart_core.model.rotary_positions import angles_at, rotate


@dataclass(frozen=True)
class LayerStates:
    """The states of one layer. What has one row serves every row of the batch."""

    keys: Tensor
    """[B or 1, G, M, d], not rotated."""
    values: Tensor
    """[B or 1, G, M, d]"""
    positions: Tensor
    """[M] or [B, M], any real numbers. A token sees no state of a position after its own: a state
    that stands for several tokens either stands at the last of them or has a mask."""
    bias: Tensor | None = None
    """[M] or [B, M], added to the scores of all heads and tokens after their scaling, as in Dodo
    (arXiv 2310.02409, eq. 16); may carry gradient. -inf leaves a state out. None = 0."""
    mask: Tensor | None = None
    """bool [M], [B, M] or [B, T, M]: which states (a token) may see. None = all."""

    def __post_init__(self) -> None:
        rows, _, count, _ = self.keys.shape
        assert self.values.shape == self.keys.shape, "one value a key"
        for name in ("positions", "bias", "mask"):
            given = getattr(self, name)
            most = 3 if name == "mask" else 2
            assert given is None or (1 <= given.dim() <= most and given.shape[-1] == count), (
                f"{name} {tuple(given.shape)} of {count} states"
            )
            assert (
                given is None or given.dim() == 1 or 1 in (rows, len(given)) or len(given) == rows
            )
        assert self.mask is None or self.mask.dtype == torch.bool, "a mask says yes or no"

    def before_text(
        self, keys_BGTd: Tensor, values_BGTd: Tensor, rope_base: float
    ) -> tuple[Tensor, Tensor]:
        """The states, rotated to their positions, and behind them the running text's keys and
        values: [B, G, M + T, d] in the text's number format."""
        cos, sin = angles_at(self.positions, self.keys.shape[-1], rope_base)
        if self.positions.dim() == 2:  # a row's own, the same for all heads
            cos, sin = cos[:, None], sin[:, None]
        placed = rotate(self.keys.float(), cos, sin)
        rows = len(keys_BGTd)
        return (
            torch.cat([placed.to(keys_BGTd.dtype).expand(rows, -1, -1, -1), keys_BGTd], dim=2),
            torch.cat(
                [self.values.to(values_BGTd.dtype).expand(rows, -1, -1, -1), values_BGTd], dim=2
            ),
        )

    def scores_mask(self, text_positions_T: Tensor, seen: int, dtype: torch.dtype) -> Tensor:
        """[B or 1, 1, T, M + seen] for scaled_dot_product_attention: bool, or with a bias what is
        added to the scores. The T newest of `seen` running tokens ask; each sees itself and what
        is before."""
        T = len(text_positions_T)
        allowed = self.positions[..., None, :] <= text_positions_T[:, None]  # [(B,) T, M]
        if self.mask is not None:
            allowed = allowed & (self.mask if self.mask.dim() == 3 else self.mask[..., None, :])
        allowed = allowed if allowed.dim() == 3 else allowed[None]
        text = torch.ones(T, seen, dtype=torch.bool, device=allowed.device).tril(seen - T)
        both = torch.cat([allowed, text.expand(len(allowed), -1, -1)], dim=-1)[:, None]
        if self.bias is None:
            return both
        bias = self.bias if self.bias.dim() == 2 else self.bias[None]
        added = torch.cat([bias, bias.new_zeros(len(bias), seen)], dim=-1)[:, None, None, :]
        return torch.where(both, added, -torch.inf).to(dtype)


@dataclass(frozen=True)
class PooledPast:
    """What document pooling remembers of text that is no longer read (its states may be gone)."""

    query_sums: tuple[Tensor, ...]
    """A layer: [B, 1, fusion width], the sum of its fusion queries."""
    tokens: int
    """How many."""


@dataclass(frozen=True)
class AttendedStates:
    """States of every layer, None for a layer without, and where the running text begins."""

    layers: tuple[LayerStates | None, ...]
    next_position: int = 0
    """Of the running text's first token. With a cache: of the first token that is in the cache."""
    pooled: PooledPast | None = None
    """None: document pooling begins with the running text."""

    def of_layer(
        self, number: int, cache: LayerCache | None
    ) -> tuple[LayerStates | None, LayerCache | None]:
        """The states of one layer, and what its document pooling goes on from (None: from the
        cache)."""
        states, pooled = self.layers[number], self.pooled
        if pooled is None:
            return states, None
        if cache is None:
            return states, LayerCache(query_sum=pooled.query_sums[number])
        if cache.query_sum is None:
            cache.query_sum = pooled.query_sums[number]
        return states, None

    @property
    def pooled_tokens(self) -> int:
        return 0 if self.pooled is None else self.pooled.tokens


def states_of_cache(
    cache: Cache, rope_base: float, chosen: Tensor | None = None, first_position: int = 0
) -> AttendedStates:
    """What a cache holds as attended states at its own positions, behind which text goes on.

    chosen: which of the cache's tokens, [M] or [B, M] whole numbers; None = all. first_position:
    of the cache's first token (0 unless it was itself read behind attended states). bf16 keys come
    back as fp32, rounded as they were.
    """
    index = torch.arange(cache.length) if chosen is None else chosen
    layers = tuple(layer_states(layer, rope_base, index, first_position) for layer in cache.layers)
    sums = tuple(layer.query_sum for layer in cache.layers if layer.query_sum is not None)
    pooled = PooledPast(sums, cache.length) if len(sums) == len(cache.layers) else None
    return AttendedStates(layers, first_position + cache.length, pooled)


def layer_states(
    cache: LayerCache, rope_base: float, index: Tensor, first_position: int
) -> LayerStates:
    """The chosen tokens of one layer's cache, their keys rotated back."""
    assert cache.kept is not None, "nothing has been read into this cache"
    index = index.to(cache.kept.device)
    filled = cache.kept[:, :, :, : cache.length]
    at = (index if index.dim() == 2 else index[None])[:, None, :, None]
    keys, values = (
        part.gather(2, at.expand(len(part), part.shape[1], -1, part.shape[3])) for part in filled
    )
    positions = first_position + index
    cos, sin = angles_at(positions, keys.shape[-1], rope_base)
    if index.dim() == 2:
        cos, sin = cos[:, None], sin[:, None]
    return LayerStates(rotate(keys.float(), cos, -sin), values, positions)
