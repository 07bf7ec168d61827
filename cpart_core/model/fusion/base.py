"""The contract of a fusion: everything the rest of the project may ask one, stated once.

A fusion is a frozen dataclass whose fields are its own settings. It holds no tensors: it says which
weights it needs (`weights`), and is given them by name whenever it makes alpha. So the number of
parameters, what an optimizer moves, what a checkpoint holds and what is left when segments are cut
away all follow from one list, and pages may ask a fusion without torch: a file of a fusion loads
the standard library only, and imports what it computes with where it computes.

B batch, T time, D width, S segments, C contexts, K kept segments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from cpart_core.settings.fields.method import Method

if TYPE_CHECKING:
    from torch import Tensor


class Size(NamedTuple):
    """What the shapes of a fusion's weights follow from, beside its own settings."""

    num_segments: int
    width: int


@dataclass(frozen=True)
class Weight:
    """A tensor that a fusion holds in every layer; its name is part of the checkpoint's."""

    name: str
    shape: tuple[int, ...]
    segment_axis: int | None = None
    """The axis that counts segments; None: none does, and carving leaves the tensor as it is."""
    std: float | None = None
    """Of the normal numbers it begins with; None: 1/sqrt(fan-in), as all matrices."""
    trained: bool = True
    """Whether the optimizer moves it."""
    fill: float | None = None
    """Not None: a table that begins with this number everywhere, drawn by nobody and no
    parameter."""


class PooledSum(Protocol):
    """The part of a layer's cache that is a fusion's: [B, 1, F] sum of what it pools so far."""

    query_sum: Tensor | None


class FusionInput(NamedTuple):
    """What alpha is made from. Nothing in it looks ahead, and no fusion may."""

    x_BTD: Tensor
    """The input of the feed-forward layer, in whatever number format."""
    start_BT: Tensor | None
    """Position at which each token's document begins; None: one document a row, that began `read`
    tokens before this input."""
    num_segments: int
    context_BT: Tensor | None = None
    """Context of each token, -1 unknown; given to a fusion that needs it, None to all others."""
    cache: PooledSum | None = None
    """What is kept of the tokens read before; None: nothing was."""
    read: int = 0


Tensors = Mapping[str, "Tensor"]
"""A layer's weights of the fusion by name, and nothing else."""


class Fusion(Method):
    """One way to make alpha. Subclasses are frozen dataclasses; equal ones train alike."""

    learns: ClassVar[bool] = False
    """Whether training moves alpha by gradient, so that it can be drawn to the affinities and be
    balanced."""
    needs_context: ClassVar[bool] = False
    """Whether it must be told the true context of every token: such a model can neither read text
    of unknown context nor write, and what its segments tell of contexts is no finding."""
    takes_affinities: ClassVar[bool] = False
    """Whether `take_affinities` is to be called after every new partition."""
    differs_by_token: ClassVar[bool] = True
    """False: alpha is the same for every token, so top-k would always compute the same segments."""

    def weights(self, size: Size) -> tuple[Weight, ...]:
        """What a layer holds of it, in the order in which initial numbers are drawn."""
        return ()

    def alpha(self, weights: Tensors, given: FusionInput) -> Tensor:
        """alpha [B, T, S] float32; rows sum to 1."""
        raise NotImplementedError

    def alpha_one_changed(
        self, weights: Tensors, changed: FusionInput, given_BTD: Tensor
    ) -> Tensor:
        """alpha [B, T, S] where each token has its changed x and all before it theirs of
        given_BTD (analysis/text/one_token.py). As it stands right for a fusion that looks at each
        token alone; one that looks back overrides it."""
        return self.alpha(weights, changed)

    def take_affinities(self, weights: Tensors, target_CS: Tensor) -> None:
        """Note the affinity of contexts and segments, rows sum to 1, or 0 where a context was not
        measured. Changes `weights` in place."""
        raise NotImplementedError

    def carved(self, weight: Weight, tensor: Tensor, kept: list[int]) -> Tensor:
        """What is left of a tensor when only the segments `kept` [K] are, so that alpha is that of
        the whole model with the others forbidden."""
        if weight.segment_axis is None:
            return tensor
        return tensor[(slice(None),) * weight.segment_axis + (kept,)]

    def num_parameters(self, size: Size) -> int:
        """Numbers of one layer that a checkpoint counts as parameters, the frozen ones too."""
        return sum(math.prod(weight.shape) for weight in self.weights(size) if weight.fill is None)

    def drawn(self, size: Size) -> tuple[tuple[int, ...], ...]:
        """Shapes of what is drawn by chance at the beginning, in order: two models of one seed
        begin alike where these and those of all other weights agree."""
        return tuple(weight.shape for weight in self.weights(size) if weight.fill is None)
