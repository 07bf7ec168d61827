"""A decoder-only transformer in Llama's layout: RMSNorm before each block, rotary positions,
SwiGLU, tied embeddings, no biases."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpart_core.model.attended import AttendedStates, LayerStates
from cpart_core.model.attention import Attention
from cpart_core.model.cache import Cache, LayerCache
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.model.next_token import next_token_losses, token_losses
from cpart_core.model.rms_norm import Norm, rounds
from cpart_core.model.rotary_positions import angles_at, rotary_angles
from cpart_core.settings.model import ModelSettings


class Layer(nn.Module):
    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention_norm = Norm(settings.width, eps=1e-5)
        self.attention = Attention(settings)
        self.feedforward_norm = Norm(settings.width, eps=1e-5)
        self.feedforward = PartitionedFeedForward(settings)

    def forward(
        self,
        x_BTD: Tensor,
        cos_Td: Tensor,
        sin_Td: Tensor,
        start_BT: Tensor | None,
        cache: LayerCache | None,
        read: int,
        states: LayerStates | None = None,
        pool: LayerCache | None = None,
        position: int = 0,
    ) -> Tensor:
        """read: tokens of the document before these. states, position: what attention reads
        beside the text. pool: what document pooling goes on from (None: from the cache)."""
        x_BTD = x_BTD + self.attention(
            self.attention_norm(x_BTD), cos_Td, sin_Td, cache, states, position
        )
        return x_BTD + self.feedforward(
            self.feedforward_norm(x_BTD), start_BT, cache if pool is None else pool, read
        )


class Decoder(nn.Module):
    """ids [B, T] -> logits [B, T, V]. The embedding is also the output matrix."""

    def __init__(self, settings: ModelSettings, vocabulary_size: int, seed: int = 0) -> None:
        super().__init__()
        self.settings, self.vocabulary_size = settings, vocabulary_size
        self.embedding = nn.Parameter(torch.empty(vocabulary_size, settings.width))
        self.layers = nn.ModuleList([Layer(settings) for _ in range(settings.num_layers)])
        self.norm = Norm(settings.width, eps=1e-5)
        cos, sin = rotary_angles(
            settings.context_length, settings.width // settings.num_heads, settings.rope_base
        )
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.cos: Tensor
        self.sin: Tensor
        initialise(self, seed)

    def forward(
        self,
        ids_BT: Tensor,
        start_BT: Tensor | None = None,
        cache: Cache | None = None,
        context_BT: Tensor | None = None,
        target_BT: Tensor | None = None,
        attended: AttendedStates | None = None,
    ) -> Tensor:
        """Logits; given target_BT, the next token of each, its loss [B, T] in nats instead, for
        which bf16 keeps no logits.

        start_BT: position at which each token's document begins (None: one document a row); it
        bounds document pooling.

        With a cache the row continues the document read so far; start_BT must then be None.
        context_BT (-1 unknown) is read only by a fusion that needs it, which cannot do without.
        attended: states that attention reads beside the text, which then begins at their
        next_position. Raises ValueError for more running text than context_length (positions and
        states have no bound), and where a fusion that needs the context is told nothing.
        """
        read = 0 if cache is None else cache.length
        T = ids_BT.shape[1]
        if read + T > self.settings.context_length:
            raise ValueError(
                f"The text is {read + T} tokens long; this model reads at most"
                f" {self.settings.context_length}."
            )
        assert cache is None or start_BT is None, "a cache holds one document a row"
        if self.settings.fusion.needs_context:
            for feedforward in self.feedforwards():
                feedforward.fusion.set_context(context_BT)
        x_BTD = self.through_layers(
            F.embedding(ids_BT, self.embedding), 0, start_BT, cache, attended
        )
        if target_BT is None:
            return self.logits(x_BTD)
        # one number a token: FSDP2 hooks what comes out and refuses a view
        return self.losses(x_BTD, target_BT).clone()

    def read_on(
        self, x_BTD: Tensor, first: int, start_BT: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Logits from the residual stream before layer `first`: the way to go on from a changed
        stream."""
        return self.logits(self.through_layers(x_BTD, first, start_BT, cache))

    def through_layers(
        self,
        x_BTD: Tensor,
        first: int,
        start_BT: Tensor | None,
        cache: Cache | None,
        attended: AttendedStates | None = None,
    ) -> Tensor:
        """The residual stream after the last layer, from the one before layer `first`."""
        length, T = 0 if cache is None else cache.length, x_BTD.shape[1]
        position, read = length, length
        if attended is not None:
            assert len(attended.layers) == len(self.layers), "one entry a layer"
            assert attended.pooled is None or start_BT is None, "it is of one document a row"
            position, read = attended.next_position + length, attended.pooled_tokens + length
        cos_Td, sin_Td = self.angles(position, T)
        for number in range(first, len(self.layers)):
            known = None if cache is None else cache.layers[number]
            beside = () if attended is None else (*attended.of_layer(number, known), position)
            x_BTD = self.layers[number](x_BTD, cos_Td, sin_Td, start_BT, known, read, *beside)
        return x_BTD

    def angles(self, position: int, length: int) -> tuple[Tensor, Tensor]:
        """cos and sin [length, d] of text that begins at `position`, past the trained context
        too."""
        if 0 <= position and position + length <= len(self.cos):
            return self.cos[position : position + length], self.sin[position : position + length]
        places = torch.arange(position, position + length, device=self.cos.device)
        cos, sin = angles_at(places, self.cos.shape[1], self.settings.rope_base)
        return cos.to(self.cos.dtype), sin.to(self.sin.dtype)

    def logits(self, x_BTD: Tensor) -> Tensor:
        """[B, T, V] from the residual stream after the last layer."""
        return F.linear(self.norm(x_BTD), self.embedding)

    def losses(self, x_BTD: Tensor, target_BT: Tensor) -> Tensor:
        """[B, T] nats of each next token."""
        if rounds(x_BTD.device):
            return next_token_losses(self.norm(x_BTD).to(torch.bfloat16), self.embedding, target_BT)
        return token_losses(self.logits(x_BTD), target_BT)

    def feedforwards(self) -> list[PartitionedFeedForward]:
        """The partitioned layers, first to last."""
        return [layer.feedforward for layer in self.layers]  # type: ignore[misc]

    def set_fused(self, fused: bool) -> None:
        """Apply fusion weights from now on (or no longer). A model whose execution is dense never
        applies them."""
        for layer in self.feedforwards():
            layer.fused = fused and self.settings.execution != "dense"


def initialise(model: Decoder, seed: int) -> None:
    """Normal weights with std 1/sqrt(fan-in); outputs into the residual stream smaller by sqrt(2L)
    (GPT-2's rule); norms 1."""
    generator = torch.Generator().manual_seed(seed)
    given = {
        f".fusion.{weight.name}": weight.std
        for weight in model.feedforwards()[0].fusion.parts
        if weight.std is not None
    }
    depth = math.sqrt(2 * model.settings.num_layers)
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        std = 0.02 if name == "embedding" else parameter.shape[1] ** -0.5
        std = next((own for end, own in given.items() if name.endswith(end)), std)
        if name.endswith(("w_out", "w_down")):
            std /= depth
        with torch.no_grad():
            parameter.normal_(0.0, std, generator=generator)
