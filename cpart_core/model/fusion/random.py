"""The control of learned fusion: a router by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cpart_core.model.fusion.attention import Attention


@dataclass(frozen=True)
class RandomRouter(Attention):
    """Attention whose queries and keys stay as they were drawn: it says how much of an effect needs
    learned fusion weights at all."""

    name: ClassVar[str] = "random"
    help: ClassVar[str] = "a frozen random router"
    learns: ClassVar[bool] = False
