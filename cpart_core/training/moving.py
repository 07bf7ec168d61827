"""Which numbers a run moves: all of its model, or a part of it, while the rest stays bit for bit.

Only what moves gets a gradient and is known to the optimizer, so nothing else is decayed, clipped
or has moments. A block of a matrix is trained where it lies: the optimizer holds a view of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from cpart_core.model.decoder import Decoder
from cpart_core.model.permute import NEURON_AXIS

EXTRA = "extra."
"""Before the names of parameters that an objective brings along."""


@dataclass(frozen=True)
class Block:
    """A parameter of the model by its name, or some rows (axis 0) or columns (axis 1) of it."""

    parameter: str
    axis: int = 0
    first: int = 0
    end: int | None = None
    """The one after the last; None = all of the parameter."""

    @property
    def name(self) -> str:
        """What the optimizer's state is stored under."""
        if self.end is None:
            return self.parameter
        return f"{self.parameter}[{self.axis}:{self.first}:{self.end}]"


class Part(Protocol):
    """A part of a model that is to move."""

    def blocks(self, model: Decoder) -> Sequence[Block]:
        """ValueError where the model has no such part."""


@dataclass(frozen=True)
class Nothing:
    """No weight of the model: only what the objective brings along."""

    def blocks(self, model: Decoder) -> Sequence[Block]:
        return ()


@dataclass(frozen=True)
class Parameters:
    """Whole parameters, by how their names end: `("fusion.keys",)`."""

    endings: tuple[str, ...]

    def blocks(self, model: Decoder) -> Sequence[Block]:
        names = [name for name, _ in model.named_parameters()]
        for ending in self.endings:
            if not any(name.endswith(ending) for name in names):
                raise ValueError(f"No parameter of this model ends in {ending!r}: {names}")
        return [Block(name) for name in names if name.endswith(self.endings)]


@dataclass(frozen=True)
class Segments:
    """The neurons of some segments, in every layer: rows of W_gate and W_up, columns of W_down."""

    numbers: tuple[int, ...]
    """-1 = the shared segment."""

    def blocks(self, model: Decoder) -> Sequence[Block]:
        layout = model.feedforwards()[0].layout
        blocks = []
        for segment in self.numbers:
            first = 0 if segment == -1 else layout.first_row(segment)
            end = layout.num_shared if segment == -1 else first + layout.segment_size
            if not -1 <= segment < layout.num_segments or first == end:
                raise ValueError(
                    f"This model has no segment {segment}; it has 0 to {layout.num_segments - 1}"
                    f" and {layout.num_shared} shared neurons (-1)."
                )
            blocks += [
                Block(f"layers.{number}.feedforward.{name}", axis, first, end)
                for number in range(len(model.layers))
                for name, axis in NEURON_AXIS.items()
            ]
        return blocks


class View(NamedTuple):
    """A block of a matrix as the optimizer sees it."""

    block: Block
    of: nn.Parameter
    """The whole matrix, of which the gradient is computed."""
    parameter: nn.Parameter
    """The block itself: the same memory."""

    def cut(self, tensor: Tensor) -> Tensor:
        assert self.block.end is not None
        return tensor.narrow(self.block.axis, self.block.first, self.block.end - self.block.first)


@dataclass(frozen=True)
class Moving:
    """What the optimizer of a run is given."""

    named: dict[str, nn.Parameter]
    """By the name that its state is stored under."""
    views: tuple[View, ...] = ()
    extra: Mapping[str, nn.Parameter] = field(default_factory=dict)
    """Of `named`: what the objective brought along, by the objective's own names."""
    all_of_model: bool = True
    """Otherwise segments stay as they are, and signatures are not measured: both belong to the
    rest."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.named.values())

    def cut_gradients(self) -> None:
        """After backward: give each block its part of the matrix's gradient, and forget the
        rest."""
        for view in self.views:
            assert view.of.grad is not None
            view.parameter.grad = view.cut(view.of.grad)
        for view in self.views:
            view.of.grad = None


def freeze_all_but(model: Decoder, blocks: Sequence[Block]) -> None:
    """Ask no gradient of parameters of which no block moves. Before the model is spread over
    processes, which sum what has a gradient."""
    moving = {block.parameter for block in blocks}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in moving)


def moving_of(
    model: Decoder, blocks: Sequence[Block] | None, extra: Mapping[str, nn.Parameter]
) -> Moving:
    """What moves of a model as its processes hold it. blocks: None = whatever asks for a
    gradient."""
    parameters = dict(model.named_parameters())
    brought = {f"{EXTRA}{name}": parameter for name, parameter in extra.items()}
    if blocks is None:
        asked = {name: entry for name, entry in parameters.items() if entry.requires_grad}
        return Moving(asked | brought, extra=extra)
    views = []
    named = {}
    for block in blocks:
        whole = parameters[block.parameter]
        if block.end is None:
            named[block.name] = whole
        else:
            data = whole.data.narrow(block.axis, block.first, block.end - block.first)
            views.append(View(block, whole, nn.Parameter(data)))
            named[block.name] = views[-1].parameter
    return Moving(named | brought, tuple(views), extra, all_of_model=False)
