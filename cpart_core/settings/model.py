"""Settings of the decoder and its partitioned layers. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.model.fusion.attention import Attention
from cpart_core.model.fusion.base import Fusion
from cpart_core.model.fusion.methods import FUSIONS
from cpart_core.settings.fields.method import chosen
from cpart_core.settings.fields.setting import AskedCase, setting

WEIGHED: AskedCase = {"execution": ("soft", "topk")}
"""Fusion weights are applied."""


@dataclass(frozen=True)
class ModelSettings:
    """The decoder (Llama's layout) and its partitioned feed-forward layers."""

    num_layers: int = setting(4, "Decoder layers", low=1, high=64, unit="layers", advanced=False)
    width: int = setting(
        128, "Width of the residual stream", low=16, high=8192, unit="numbers", advanced=False
    )
    num_heads: int = setting(4, "Attention heads", low=1, high=128, unit="heads")
    num_kv_heads: int = setting(
        4,
        "Key and value heads; fewer than heads = grouped-query attention",
        low=1,
        high=128,
        unit="heads",
    )
    num_neurons: int = setting(
        512,
        "Neurons of each feed-forward layer, shared ones included",
        low=8,
        high=65_536,
        unit="neurons",
        advanced=False,
    )
    context_length: int = setting(128, "Longest input", low=8, high=8192, unit="tokens")
    num_segments: int = setting(
        8,
        "Segments of each layer, not counting the shared one",
        low=1,
        high=256,
        unit="segments",
        advanced=False,
    )
    shared_neurons: int = setting(
        128,
        "Neurons of the shared segment, whose weight is always 1; 0 = no shared segment",
        low=0,
        high=32_768,
        unit="neurons",
    )
    execution: str = setting(
        "topk",
        "What is computed: every neuron at weight 1 (dense), all segments weighted (soft), or only"
        " the chosen segments (topk)",
        choices=("dense", "soft", "topk"),
        advanced=False,
    )
    top_k: int = setting(
        2,
        "Segments computed for each token when the execution is topk",
        low=1,
        high=256,
        unit="segments",
        advanced=False,
        when=({"execution": ("topk",)},),
    )
    fusion: Fusion = chosen(
        FUSIONS, Attention(), "How fusion weights are made", advanced=False, when=(WEIGHED,)
    )
    weight_scale: int = setting(
        0,
        "A segment counts this times its fusion weight; 0 = the number of segments. A carved model"
        " keeps the number of the one it was cut from",
        low=0,
        high=256,
        unit="segments",
        when=(WEIGHED,),
    )
    rope_base: float = setting(
        10_000.0, "Base of the rotary position frequencies", low=10.0, high=1e8
    )
