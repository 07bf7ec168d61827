"""What a decoder must remember to go on from where it stopped: keys and values, and the running sum
behind document pooling."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

LEAST_ROOM = 32


@dataclass
class LayerCache:
    """One layer's memory. kept [2, B, H, room, D/H]: keys and values, of which the first `length`
    positions are filled; room doubles when it is full. query_sum [B, 1, fusion width]: the sum of
    fusion queries so far."""

    kept: Tensor | None = None
    length: int = 0
    query_sum: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new positions [B, H, T, D/H] and return all of them."""
        B, H, T, d = keys.shape
        wanted = self.length + T
        if self.kept is None or self.kept.shape[3] < wanted:
            grown = keys.new_empty(2, B, H, max(2 * wanted, LEAST_ROOM), d)
            if self.kept is not None:
                grown[..., : self.length, :] = self.kept[..., : self.length, :]
            self.kept = grown
        self.kept[0, ..., self.length : wanted, :] = keys
        self.kept[1, ..., self.length : wanted, :] = values
        self.length = wanted
        return self.kept[0, ..., :wanted, :], self.kept[1, ..., :wanted, :]

    def keep_rows(self, rows: Tensor) -> None:
        """Forget all rows of the batch but these."""
        if self.kept is not None:
            self.kept = self.kept[:, rows]
        if self.query_sum is not None:
            self.query_sum = self.query_sum[rows]


@dataclass
class Cache:
    """Memory of all layers for one document read from its beginning. length: tokens read so far."""

    layers: list[LayerCache] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Positions that every layer has read."""
        return self.layers[-1].length

    def keep_rows(self, rows: Tensor) -> None:
        """Forget all rows of the batch but these."""
        for layer in self.layers:
            layer.keep_rows(rows)

    @classmethod
    def empty(cls, num_layers: int) -> Cache:
        return cls([LayerCache() for _ in range(num_layers)])
