"""Are the segments that fusion chose the right ones? Chosen against other choices, for one token in
one layer at a time.

Only the token's own next-token loss is asked about, and only that token's choice is changed
(one_token.py), so the answer is about the choice and not about what later tokens make of it. Layers
above choose for themselves, on what they are given. Weights are never changed, only dealt out
otherwise: which segments are used is asked about, not how strongly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.source import Source
from cpart_core.analysis.statistics.bootstrap import interval
from cpart_core.analysis.statistics.by_document import RESAMPLES, DocumentSums, divided
from cpart_core.analysis.statistics.spread import rows_over_documents
from cpart_core.analysis.text.one_token import Pass, read
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.tensors import token_tensors
from cpart_core.records.effects import RouterAudit
from cpart_core.settings.model import ModelSettings

MOST_TOKENS = 4_096
MOST_ALTERNATIVES = 24
DRAWS = 4
MOST_NUMBERS = 16_000_000
"""Of the outputs of all segments at once: rows are read few at a time where the model is large."""
MOST_RANKED = 16
"""Segments of a token whose benefit is measured."""


class Tally:
    """Sums over tokens, a column a layer."""

    def __init__(self, documents: int, num_layers: int) -> None:
        """All documents count alike, so they are of one context here."""
        self.random, self.regret, self.random_regret, self.best, self.within = (
            DocumentSums(np.zeros(documents), 1, num_layers) for _ in range(5)
        )
        self.weight: list[list[np.ndarray]] = [[] for _ in range(num_layers)]
        self.benefit: list[list[np.ndarray]] = [[] for _ in range(num_layers)]
        self.loss, self.tokens = 0.0, 0


def router_audit(
    source: Source, corpus: Corpus, seed: int, progress: Progress = silent
) -> RouterAudit:
    """Raises ValueError for a checkpoint whose fusion chooses nothing."""
    model, settings = source.model, source.model.settings
    check(settings, all(layer.fused for layer in model.feedforwards()))
    batches = rows_over_documents(corpus, settings.context_length, MOST_TOKENS, seed)
    pairs, possible = swaps(settings, seed)
    tally = Tally(len(corpus.validation.context), len(model.layers))
    generator = torch.Generator().manual_seed(seed)
    for number, batch in enumerate(batches):
        for rows in few_rows(batch, settings):
            passed, document = read_rows(source, batch, rows)
            tally.loss, tally.tokens = (
                tally.loss + float(passed.loss_BT.sum()),
                tally.tokens + document.size,
            )
            for layer in range(len(model.layers)):
                share = (
                    number + rows.stop / len(batch.ids) * (layer + 1) / len(model.layers)
                ) / len(batches)
                progress(
                    min(0.97, share),
                    f"Layer {layer + 1} of {len(model.layers)}, batch {number + 1} of"
                    f" {len(batches)} of the validation text",
                )
                audit_layer(passed, layer, document, pairs, tally, generator)
    progress(0.98, "Drawing documents again for the intervals")
    return summed_up(source, seed, tally, len(pairs), possible)


def check(settings: ModelSettings, fused: bool) -> None:
    if not fused:
        raise ValueError(
            "At this checkpoint every neuron counts fully and fusion chooses nothing, so there is"
            " no choice to audit. Choose a later step."
        )
    if settings.num_segments < 2:
        raise ValueError("This model has one segment a layer, so there is no choice to audit.")


def num_chosen(settings: ModelSettings) -> int:
    """k: what counts as chosen. Where all segments are computed, the two strongest."""
    return min(settings.top_k if settings.execution == "topk" else 2, settings.num_segments - 1)


def swaps(settings: ModelSettings, seed: int) -> tuple[list[tuple[int, int]], int]:
    """(pairs of ranks by weight, one chosen and one not; how many there are). A fixed sample where
    there are many."""
    k = num_chosen(settings)
    pairs = [
        (inside, outside) for inside in range(k) for outside in range(k, settings.num_segments)
    ]
    if len(pairs) <= MOST_ALTERNATIVES:
        return pairs, len(pairs)
    picked = np.random.default_rng([seed, 19]).choice(len(pairs), MOST_ALTERNATIVES, replace=False)
    return [pairs[index] for index in sorted(picked)], len(pairs)


def few_rows(batch: Batch, settings: ModelSettings) -> list[slice]:
    """Rows that are read at once."""
    B, T = batch.ids.shape
    count = max(1, MOST_NUMBERS // (T * settings.num_segments * settings.width))
    return [slice(first, min(first + count, B)) for first in range(0, B, count)]


def read_rows(source: Source, batch: Batch, rows: slice) -> tuple[Pass, np.ndarray]:
    """The pass and the document of each token [B, T]."""
    tokens = token_tensors(batch.rows(rows))
    passed = read(source.model, tokens.inputs, tokens.start, tokens.context, tokens.targets)
    return passed, batch.document[rows, :-1]


@torch.no_grad()
def audit_layer(
    passed: Pass,
    layer: int,
    document: np.ndarray,
    pairs: list[tuple[int, int]],
    tally: Tally,
    generator: torch.Generator,
) -> None:
    """Try all other choices of one layer and add what they would have cost."""
    output_BTSD, weight_BTS = passed.outputs(layer), passed.weight[layer]
    ranked = weight_BTS.argsort(dim=-1, descending=True, stable=True)

    def changed(new_BTS: Tensor) -> Tensor:
        """[B, T] change of the loss with these weights."""
        added = torch.einsum("bts,btsd->btd", new_BTS - weight_BTS, output_BTSD)
        return passed.losses_with(layer, added) - passed.loss_BT

    def exchanged(inside: int, outside: int) -> Tensor:
        a, b = ranked[..., inside : inside + 1], ranked[..., outside : outside + 1]
        both = torch.cat([a, b], dim=-1)
        return weight_BTS.scatter(-1, both, weight_BTS.gather(-1, both.flip(-1)))

    best = torch.stack([changed(exchanged(*pair)) for pair in pairs]).amin(dim=0)
    random = [changed(dealt(weight_BTS, generator)) for _ in range(DRAWS)]
    mean = torch.stack(random).mean(dim=0)
    regret = (-best).clamp_min(0.0)
    of_random = torch.stack([(one + regret).clamp_min(0.0) for one in random]).mean(dim=0)
    none_better = (best >= 0).float()
    found = (
        (tally.random, mean),
        (tally.regret, regret),
        (tally.random_regret, of_random),
        (tally.best, none_better),
    )
    for sums, value in found:
        sums.add(layer, document, value.numpy())
        if layer == 0:
            sums.count(document)
    rank(passed, layer, document, ranked, changed, tally)


def rank(
    passed: Pass,
    layer: int,
    document: np.ndarray,
    ranked: Tensor,
    changed: Callable[[Tensor], Tensor],
    tally: Tally,
) -> None:
    """Weight and benefit of the computed segments of every token."""
    weight_BTS = passed.weight[layer]
    settings = passed.model.settings
    count = min(
        MOST_RANKED, settings.top_k if settings.execution == "topk" else settings.num_segments
    )
    weights, benefits = [], []
    for place in range(count):
        segment = ranked[..., place : place + 1]
        benefits.append(changed(weight_BTS.scatter(-1, segment, 0.0)).flatten().numpy())
        weights.append(weight_BTS.gather(-1, segment).flatten().numpy())
    weight, benefit = np.stack(weights, axis=1), np.stack(benefits, axis=1)
    tally.weight[layer].append(weight.ravel())
    tally.benefit[layer].append(benefit.ravel())
    agreement = spearman_of_rows(weight, benefit)
    # ranks that are all the same agree with nothing
    tally.within.add(layer, document.ravel(), np.nan_to_num(agreement))
    if layer == 0:
        tally.within.count(document)


def dealt(weight_BTS: Tensor, generator: torch.Generator) -> Tensor:
    """The weights of each token, dealt out to its segments at random."""
    order = torch.rand(weight_BTS.shape, generator=generator).argsort(dim=-1)
    return weight_BTS.gather(-1, order)


def spearman_of_rows(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[K] rank correlation along the rows of two [K, n]; NaN where one of them is all the same."""
    ranks = [rankdata(values, axis=1) for values in (one, other)]
    a, b = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), size, out=np.full(len(one), np.nan), where=size > 0)


def mean_and_interval(sums: DocumentSums, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over tokens [L], and its interval over documents."""
    fold = np.zeros(len(sums.tokens), dtype=np.int64)
    drawn = divided(*(part[:, 0] for part in sums.redrawn(fold, seed)))[:, 0]
    return sums.means(fold)[0, 0], *interval(drawn)


def pooled(weights: list[np.ndarray], benefits: list[np.ndarray]) -> float:
    """Spearman over all computed segments of all tokens; NaN where all weights are the same."""
    weight, benefit = np.concatenate(weights), np.concatenate(benefits)
    if np.ptp(weight) == 0 or np.ptp(benefit) == 0:
        return float("nan")
    return float(spearmanr(weight, benefit).statistic)


def summed_up(
    source: Source, seed: int, tally: Tally, alternatives: int, possible: int
) -> RouterAudit:
    settings = source.model.settings
    random, regret, within = (
        mean_and_interval(sums, seed) for sums in (tally.random, tally.regret, tally.within)
    )
    pooled_ranks = np.array(
        [pooled(*both) for both in zip(tally.weight, tally.benefit, strict=True)]
    )
    alone = settings.execution == "topk" and settings.top_k == 1
    rank_within = [np.where(alone | np.isnan(pooled_ranks), np.nan, values) for values in within]
    return RouterAudit(
        run=source.run,
        step=source.step,
        seed=seed,
        execution=settings.execution,
        chosen=num_chosen(settings),
        alternatives=alternatives,
        possible=possible,
        draws=DRAWS,
        loss=tally.loss / tally.tokens if tally.tokens else float("nan"),
        random_change=random[0],
        random_low=random[1],
        random_high=random[2],
        regret=regret[0],
        regret_low=regret[1],
        regret_high=regret[2],
        random_regret=mean_and_interval(tally.random_regret, seed)[0],
        best_share=mean_and_interval(tally.best, seed)[0],
        rank_correlation=pooled_ranks,
        rank_within=rank_within[0],
        rank_low=rank_within[1],
        rank_high=rank_within[2],
        tokens=tally.tokens,
        documents=int(tally.random.read.sum()),
        resamples=RESAMPLES,
    )


def answer(asked: Asked) -> RouterAudit:
    """The request `router_audit`."""
    return router_audit(asked.source(), asked.corpus(), asked.run_seed, asked.progress)
