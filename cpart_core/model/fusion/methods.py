"""The visible list of fusions. Adding one = one file and one line here."""

from __future__ import annotations

from cpart_core.model.fusion.attention import Attention
from cpart_core.model.fusion.base import Fusion
from cpart_core.model.fusion.oracle import Oracle
from cpart_core.model.fusion.random import RandomRouter
from cpart_core.model.fusion.uniform import Uniform

FUSIONS: dict[str, type[Fusion]] = {
    kind.name: kind
    for kind in (
        Uniform,
        Attention,
        RandomRouter,
        Oracle,
    )
}
