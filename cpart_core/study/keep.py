"""What a quarter of the segments is worth: chosen for each context on training documents, measured on held-out ones, beside chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cpart_core.analysis.held_out import Rows, document_losses
from cpart_core.analysis.keep_k import Wish, rank_segments, texts_of
from cpart_core.analysis.source import Sources
from cpart_core.model.carve import carve
from cpart_core.model.decoder import Decoder
from cpart_core.runs.folder import Run

CHOOSING_DOCUMENTS = 8
RANKING = "effect"
RANDOM_DRAWS = 3


@dataclass(frozen=True)
class KeptQuarter:
    """The carved models of all contexts of one checkpoint; costs are shares of the whole model's loss, mean over contexts."""

    cost: float
    cost_by_chance: float
    whole_bytes: int
    """Weights of the whole model in memory."""
    carved_bytes: int
    """Weights of a carved one; all contexts keep as many segments."""


def keep_quarter(run: Run, step: int) -> KeptQuarter | None:
    """None where a layer has too few segments to leave any out. Contexts without training or validation text are left out."""
    sources = Sources()
    source, corpus = sources.source(run, step), sources.corpus(run)
    model = source.model
    L, S = model.settings.num_layers, model.settings.num_segments
    if S < 2:
        return None
    keep, seed = max(1, S // 4), run.settings.training.seed
    draws = [np.random.default_rng([seed, draw]).permuted(np.tile(np.arange(S), (L, 1)), axis=1)[:, :keep] for draw in range(RANDOM_DRAWS)]
    costs, chances, carved_bytes = [], [], 0
    for context in corpus.contexts:
        wish = Wish(context, "", RANKING, CHOOSING_DOCUMENTS, seed)
        try:
            texts = texts_of(wish, corpus, source.tokenizer, model.settings.context_length)
        except ValueError:
            continue
        whole = document_losses(model, texts.measured).mean()
        kept = carve(model, rank_segments(source, wish, texts.choosing)[1][:, :keep])
        carved_bytes = weight_bytes(kept)
        costs.append(cost(kept, texts.measured, whole))
        chances.append(float(np.mean([cost(carve(model, drawn), texts.measured, whole) for drawn in draws])))
    if not costs:
        return None
    return KeptQuarter(float(np.mean(costs)), float(np.mean(chances)), weight_bytes(source.model), carved_bytes)


def cost(model: Decoder, rows: Rows, whole: float) -> float:
    """Rise of the loss as a share of the whole model's."""
    return float(document_losses(model, rows).mean() / whole - 1.0)


def weight_bytes(model: Decoder) -> int:
    """Bytes of the weights, each storage once."""
    with torch.no_grad():
        return sum({p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in model.parameters()}.values())
