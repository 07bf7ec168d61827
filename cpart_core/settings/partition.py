"""Settings of how neurons come to lie in segments. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.partition.base import PartitionMethod
from cpart_core.partition.gradient import Gradient
from cpart_core.partition.methods import METHODS
from cpart_core.settings.fields.method import chosen
from cpart_core.settings.fields.setting import AskedCase, Those, setting
from cpart_core.settings.model import WEIGHED

LEARNED: AskedCase = {**WEIGHED, "fusion": Those("learns")}
RECLUSTERED: AskedCase = {"method": Those("reclusters")}


@dataclass(frozen=True)
class PartitionSettings:
    """How neurons come to lie in segments, and when."""

    method: PartitionMethod = chosen(METHODS, Gradient(), "Partition method", advanced=False)
    first_step: int = setting(
        100,
        "Step of the first partition; before it the model is dense",
        low=1,
        high=10_000_000,
        unit="steps",
    )
    every: int = setting(
        50,
        "Steps between repartitions; 0 = never after the first",
        low=0,
        high=10_000_000,
        unit="steps",
        when=({**RECLUSTERED, "freeze_step": "> first_step"},),
    )
    freeze_step: int = setting(
        200,
        "Step after which segments no longer change",
        low=0,
        high=10_000_000,
        unit="steps",
        when=({**RECLUSTERED, "every": "> 0"},),
    )
    fusion_step: int = setting(
        200,
        "Step from which fusion weights are applied and top-k begins; before it every neuron counts"
        " fully",
        low=1,
        high=10_000_000,
        unit="steps",
        when=(WEIGHED,),
    )
    signature_every: int = setting(
        8, "Steps between two measurements of the signatures", low=1, high=10_000, unit="steps"
    )
    signature_decay: float = setting(
        0.9,
        "Share of the old signature kept at each measurement; 0 = only the newest",
        low=0.0,
        high=0.999,
    )
    affinity_weight: float = setting(
        0.1,
        "Weight of the affinity regulariser, which draws the fusion weights to the segments' share"
        " of the context's signature; 0 = off",
        low=0.0,
        high=10.0,
        when=(LEARNED,),
    )
    affinity_sharpness: float = setting(
        2.0,
        "Power to which the share is raised before it is a target; 1 = as it is",
        low=0.1,
        high=32.0,
        when=(
            {**LEARNED, "affinity_weight": "> 0"},
            {**WEIGHED, "fusion": Those("takes_affinities")},
        ),
    )
    balance: str = setting(
        "off",
        "Load balancing: off, over each batch, or over a running mean of batches (global)",
        choices=("off", "batch", "global"),
        when=(LEARNED,),
    )
    balance_weight: float = setting(
        0.01,
        "Weight of the load-balancing loss; used where balance is not off",
        low=0.0,
        high=10.0,
        when=({**LEARNED, "balance": ("batch", "global")},),
    )
