"""Llama, Mixtral and OLMoE of `transformers` (extra: bench) at our shapes, with every experts
implementation that they offer."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

from cpart_core.settings.model import ModelSettings

NOT_THERE = "not installed (extra: bench)"


def transformers_there() -> bool:
    return find_spec("transformers") is not None


def experts_implementations() -> tuple[str, ...]:
    """All that this version of transformers offers; those for special GPUs fail elsewhere, and the
    results say why."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    return ("eager", *sorted(ALL_EXPERTS_FUNCTIONS.valid_keys()))


class Logits(nn.Module):
    """ids [B, T] -> logits [B, T, V]; nothing is kept for generation."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids_BT: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=ids_BT, use_cache=False).logits
        return logits


def llama(settings: ModelSettings, vocabulary_size: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config: Any = LlamaConfig(
        **shared(settings, vocabulary_size), intermediate_size=settings.num_neurons
    )
    return Logits(LlamaForCausalLM(config))


def mixture(
    family: str, implementation: str, settings: ModelSettings, vocabulary_size: int
) -> nn.Module:
    """As many of their experts as we have segments, each as large as one."""
    from transformers import MixtralConfig, MixtralForCausalLM, OlmoeConfig, OlmoeForCausalLM

    own = shared(settings, vocabulary_size) | {
        "intermediate_size": settings.num_neurons // settings.num_segments,
        "num_experts_per_tok": settings.top_k,
        "experts_implementation": implementation,
    }
    config: Any
    if family == "mixtral":
        config = MixtralConfig(**own, num_local_experts=settings.num_segments)
        return Logits(MixtralForCausalLM(config))
    config = OlmoeConfig(**own, num_experts=settings.num_segments)
    return Logits(OlmoeForCausalLM(config))


def shared(settings: ModelSettings, vocabulary_size: int) -> dict[str, Any]:
    """What all three families call alike. PyTorch's own attention, embedding tied, nothing kept for
    generation."""
    return {
        "vocab_size": vocabulary_size,
        "hidden_size": settings.width,
        "num_hidden_layers": settings.num_layers,
        "num_attention_heads": settings.num_heads,
        "num_key_value_heads": settings.num_kv_heads,
        "max_position_embeddings": settings.context_length,
        "tie_word_embeddings": True,
        "use_cache": False,
        "attn_implementation": "sdpa",
        "bos_token_id": None,
        "eos_token_id": None,
    }
