"""What a decoder must remember to go on from where it stopped: keys and values, and the running sum behind document pooling."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class LayerCache:
    """One layer's memory. keys, values [B, H, T, D/H]; query_sum [B, 1, fusion width]: the sum of fusion queries so far."""

    keys: Tensor | None = None
    values: Tensor | None = None
    query_sum: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new positions and return all of them."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values


@dataclass
class Cache:
    """Memory of all layers for one document read from its beginning. length: tokens read so far."""

    layers: list[LayerCache] = field(default_factory=list)
    length: int = 0

    @classmethod
    def empty(cls, num_layers: int) -> Cache:
        return cls([LayerCache() for _ in range(num_layers)])
