"""The visible list of fusions. Adding one = one file and one line here."""

from __future__ import annotations

from dataclasses import fields

from cpart_core.model.fusion.attention import Attention
from cpart_core.model.fusion.base import Fusion
from cpart_core.model.fusion.oracle import Oracle
from cpart_core.model.fusion.random import RandomRouter
from cpart_core.model.fusion.uniform import Uniform
from cpart_core.settings.model import ModelSettings

FUSIONS: dict[str, type[Fusion]] = {
    kind.name: kind
    for kind in (
        Uniform,
        Attention,
        RandomRouter,
        Oracle,
    )
}


def fusion_of(model: ModelSettings) -> Fusion:
    """The fusion that these settings choose, with its own settings taken from them."""
    kind = FUSIONS[model.fusion]
    return kind(**{item.name: getattr(model, item.name) for item in fields(kind)})  # type: ignore[arg-type]
