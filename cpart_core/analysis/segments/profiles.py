"""What every segment of a checkpoint does on validation text: mass, contribution, typical tokens,
passages, and what its neurons like."""

from __future__ import annotations

import numpy as np
import torch

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.segments.passages import Windows, read_passages
from cpart_core.analysis.segments.typical import TokenSums
from cpart_core.analysis.source import Source, mean_over, validation_batches
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.tensors import token_tensors
from cpart_core.model.capture import LayerCapture, capture
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.records.profiles import SegmentProfiles

MOST_TOKENS = 100_000
"""Validation tokens looked at, evenly over the contexts; `tokens_by_context` says how many it
were."""


class ContextSums:
    """Sums over the tokens of each context: [L, C, S] and [L, C]. Tokens without a context yet
    count nowhere."""

    def __init__(self, num_layers: int, num_contexts: int, num_segments: int) -> None:
        self.mass, self.chosen, self.contribution = (
            np.zeros((num_layers, num_contexts, num_segments)) for _ in range(3)
        )
        self.shared = np.zeros((num_layers, num_contexts))
        self.tokens = np.zeros(num_contexts, dtype=np.int64)

    def add(
        self,
        layer: int,
        one_hot_CxK: np.ndarray,
        alpha: np.ndarray,
        weight: np.ndarray,
        norm: np.ndarray,
        shared: np.ndarray,
    ) -> None:
        """K tokens of one layer: alpha, weight, norm [K, S], shared [K]."""
        self.mass[layer] += one_hot_CxK @ alpha
        self.chosen[layer] += one_hot_CxK @ (weight > 0)
        self.contribution[layer] += one_hot_CxK @ norm
        self.shared[layer] += one_hot_CxK @ shared


def profile_segments(
    source: Source, corpus: Corpus, seed: int, progress: Progress = silent
) -> SegmentProfiles:
    """One pass over the validation rows for all means and a second over the rows of the best
    passages."""
    model = source.model
    layers, num_contexts = model.feedforwards(), len(corpus.contexts)
    batches = validation_batches(corpus, model.settings.context_length, MOST_TOKENS, seed)
    seen = count_tokens(batches, model.vocabulary_size)
    by_context = ContextSums(len(layers), num_contexts, model.settings.num_segments)
    by_token = TokenSums(seen, len(layers), model.settings.num_segments, model.settings.num_neurons)
    windows = Windows()
    for number, batch in enumerate(batches):
        progress(
            0.9 * number / len(batches),
            f"Reading batch {number + 1} of {len(batches)} of the validation text",
        )
        windows.add(number, batch, read_batch(source, batch, by_context, by_token))
    progress(0.9, "Choosing passages")
    passages = read_passages(source, corpus, batches, windows.best_of_all())
    if not passages:
        passages = [[() for _ in range(model.settings.num_segments)] for _ in layers]
    progress(0.95, "Ranking tokens")
    text = source.tokenizer.token_text
    ranked = [by_token.of_segments(number) for number in range(len(layers))]
    mass = mean_over(by_context.mass, by_context.tokens[None, :, None])
    return SegmentProfiles(
        run=source.run,
        step=source.step,
        contexts=corpus.contexts,
        tokens_by_context=by_context.tokens,
        mass=mass,
        chosen=mean_over(by_context.chosen, by_context.tokens[None, :, None]),
        contribution=mean_over(by_context.contribution, by_context.tokens[None, :, None]),
        shared_contribution=mean_over(by_context.shared, by_context.tokens[None, :]),
        size=np.full((len(layers), model.settings.num_segments), layers[0].segment_size),
        typical_tokens=tuple(
            tuple(tuple(text(token) for token in segment.ids) for segment in layer)
            for layer in ranked
        ),
        typical_lift=tuple(tuple(segment.lift for segment in layer) for layer in ranked),
        typical_count=tuple(tuple(segment.counts for segment in layer) for layer in ranked),
        passages=tuple(tuple(segments) for segments in passages),
        neuron_tokens=tuple(
            neuron_tokens(layer, by_token.of_rows(number), source)
            for number, layer in enumerate(layers)
        ),
        dead=dead_segments(mass),
        present=present_segments(
            mass, model.settings.top_k if model.settings.execution == "topk" else 2
        ),
    )


def count_tokens(batches: list[Batch], vocabulary_size: int) -> np.ndarray:
    """[V] how often each token is read."""
    seen = np.zeros(vocabulary_size, dtype=np.int64)
    for batch in batches:
        seen += np.bincount(batch.ids[:, :-1].ravel(), minlength=vocabulary_size)
    return seen


def read_batch(
    source: Source, batch: Batch, by_context: ContextSums, by_token: TokenSums
) -> np.ndarray:
    """Add one batch to the sums; -> alpha [L, B, T, S]."""
    tokens = token_tensors(batch)
    context = batch.context[:, :-1].reshape(-1).astype(np.int64)
    one_hot = (context == np.arange(len(by_context.tokens))[:, None]).astype(np.float32)
    by_context.tokens += one_hot.sum(axis=1).astype(np.int64)
    alphas = []
    with torch.no_grad(), capture(source.model) as layers:
        source.model(tokens.inputs, tokens.start, context_BT=tokens.context)
        for number, item in enumerate(layers):
            hidden = item.hidden
            alpha, weight = item.alpha.float(), item.weight.float()
            norm, shared = segment_norms(item, hidden, weight)
            alpha_KS, weight_KS, norm_KS = (
                part.flatten(0, 1).numpy() for part in (alpha, weight, norm)
            )
            by_context.add(number, one_hot, alpha_KS, weight_KS, norm_KS, shared.flatten().numpy())
            by_token.add(number, tokens.inputs.flatten(), alpha.flatten(0, 1), hidden.flatten(0, 1))
            alphas.append(alpha.numpy())
    return np.stack(alphas)


def segment_norms(
    item: LayerCapture, hidden_BTN: torch.Tensor, weight_BTS: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """norm [B, T, S] of each segment's weighted output and [B, T] of the shared one's: as in the
    capture, but activations are read once."""
    layer = item.layer
    parts = [hidden_BTN[..., : layer.num_shared] @ layer.w_down[:, : layer.num_shared].T]
    for segment in range(layer.num_segments):
        first = layer.num_shared + segment * layer.segment_size
        rows = slice(first, first + layer.segment_size)
        parts.append(hidden_BTN[..., rows] @ layer.w_down[:, rows].T)
    norms = torch.stack([part.norm(dim=-1) for part in parts], dim=-1)
    return norms[..., 1:] * weight_BTS, norms[..., 0]


def neuron_tokens(
    layer: PartitionedFeedForward, ids_of_row: np.ndarray, source: Source
) -> tuple[tuple[str, ...], ...]:
    """[N] by the neurons' own numbers."""
    row_of = np.argsort(layer.neuron_id.numpy())
    return tuple(
        tuple(source.tokenizer.token_text(int(token)) for token in ids_of_row[row])
        for row in row_of
    )


def dead_segments(mass_LCS: np.ndarray) -> np.ndarray:
    """[L, S] mass below 0.1 / S in every context that has text. No text: none is dead."""
    known = ~np.isnan(mass_LCS).any(axis=(0, 2))
    below: np.ndarray = (mass_LCS[:, known] < 0.1 / mass_LCS.shape[2]).all(axis=1)
    return below & known.any()


def present_segments(mass_LCS: np.ndarray, k: int) -> np.ndarray:
    """[L, S] among the strongest k in every context that has text, and above the uniform 1 / S
    there."""
    known = ~np.isnan(mass_LCS).any(axis=(0, 2))
    mass = mass_LCS[:, known]
    k = min(k, mass.shape[2])
    least = np.sort(mass, axis=2)[:, :, -k][:, :, None]
    among: np.ndarray = ((mass >= least) & (mass > 1.001 / mass.shape[2])).all(axis=1)
    return among & known.any()


def answer(asked: Asked) -> SegmentProfiles:
    """The request `profiles`."""
    return profile_segments(asked.source(), asked.corpus(), asked.run_seed, asked.progress)
