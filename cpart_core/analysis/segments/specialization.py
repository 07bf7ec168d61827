"""Do segments mean anything? What the segment of a token says about its context and its text, on
validation documents alone.

The estimates and their chance are nulls.py's; this file reads the model and counts what goes beside
them.
"""

from __future__ import annotations

import numpy as np
import torch

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.segments.profiles import dead_segments, present_segments
from cpart_core.analysis.source import Source, mean_over, validation_batches
from cpart_core.analysis.statistics.information import entropy
from cpart_core.analysis.statistics.nulls import Effort, Informations, Reading, Tables, informations
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.tensors import token_tensors
from cpart_core.model.kernels.routing import first_greatest
from cpart_core.records.specialization import SegmentUse, Specialization

MOST_TOKENS = 60_000
"""Validation tokens read, evenly over the contexts."""
MOST_NUMBERS = 24_000_000
"""Tokens x layers x segments held at once (each twice, 4 bytes): of large models fewer tokens are
read."""
FEWEST_SEEN = 20
"""For T: tokens seen less often are left out, since a handful of sights says nothing about where a
token goes."""
COMMITTEE_MASS = 0.6
MOST_SEGMENTS_TRIED = 16
"""Up to this many segments every committee is tried; above, the best one found by always adding the
segment that helps most."""


def measure_specialization(
    source: Source,
    corpus: Corpus,
    seed: int,
    progress: Progress = silent,
    effort: Effort | None = None,
) -> Specialization:
    """One forward over validation rows, then counting. ValueError where no validation text has a
    context yet."""
    effort = effort or Effort()
    settings = source.model.settings
    num_columns = settings.num_layers * settings.num_segments
    batches = validation_batches(
        corpus, settings.context_length, min(MOST_TOKENS, MOST_NUMBERS // num_columns), seed
    )
    reading = read(source, batches, part_of(progress, 0.0, 0.4))
    num_layers, num_contexts = settings.num_layers, len(corpus.contexts)
    tables = Tables(reading, FEWEST_SEEN)
    groups = (slice(0, num_layers), slice(num_layers, None))
    found = informations(tables, groups, seed, effort, part_of(progress, 0.4, 0.99))
    uses = [use(reading.share[:, group], every) for group, every in zip(groups, found, strict=True)]
    tokens = np.bincount(reading.context, minlength=num_contexts)
    mass = mean_over(
        context_sums(reading.share[:, groups[0]], reading.context, num_contexts),
        tokens[None, :, None],
    )
    pairs, by_chance = chosen_pairs(reading.share[:, groups[1]], settings.top_k)
    return Specialization(
        run=source.run,
        step=source.step,
        seed=seed,
        contexts=corpus.contexts,
        documents_by_context=np.bincount(tables.context_of, minlength=num_contexts),
        tokens_by_context=tokens,
        context_entropy=float(entropy(tokens)),
        token_entropy=float(entropy(np.bincount(tables.token))),
        fewest_seen=FEWEST_SEEN,
        token_kinds=len(np.unique(tables.token)),
        token_share=float(tables.covered.mean()),
        top_k=settings.top_k,
        execution=settings.execution,
        shuffles=effort.shuffles,
        token_shuffles=effort.token_shuffles,
        resamples=effort.resamples,
        mass=uses[0],
        choice=uses[1],
        mass_by_context=mass,
        committee=committee_share(mass),
        dead=dead_segments(mass),
        present=present_segments(mass, settings.top_k),
        pairs=pairs,
        pairs_by_chance=by_chance,
    )


def read(source: Source, batches: list[Batch], progress: Progress = silent) -> Reading:
    """Columns 0..L-1 of the reading are alpha, L..2L-1 the choice: 1/k to each of the k greatest
    alpha."""
    layers, settings = source.model.feedforwards(), source.model.settings
    shares, contexts, documents, tokens = [], [], [], []
    for number, batch in enumerate(batches):
        progress(
            number / len(batches),
            f"Reading batch {number + 1} of {len(batches)} of the validation text",
        )
        context = batch.context[:, :-1].reshape(-1).astype(np.int64)
        known = np.flatnonzero(context >= 0)
        with torch.no_grad():
            given = token_tensors(batch)
            source.model(given.inputs, given.start, context_BT=given.context)
        alpha = torch.stack(
            [layer.last_alpha.flatten(0, 1) for layer in layers if layer.last_alpha is not None],
            dim=1,
        ).float()[known]
        choice = torch.zeros_like(alpha).scatter(
            -1, first_greatest(alpha, settings.top_k), 1 / settings.top_k
        )
        shares.append(torch.cat([alpha, choice], dim=1).numpy())
        contexts.append(context[known])
        documents.append(batch.document[:, :-1].reshape(-1)[known].astype(np.int64))
        tokens.append(batch.ids[:, :-1].reshape(-1)[known])
    if not sum(map(len, contexts)):
        raise ValueError(
            "No validation text has a context yet, so there is nothing for segments to tell apart."
            " Contexts come with the first partition."
        )
    return Reading(
        np.concatenate(shares),
        np.concatenate(contexts),
        np.concatenate(documents),
        np.concatenate(tokens),
    )


def use(share_KLS: np.ndarray, found: Informations) -> SegmentUse:
    load = share_KLS.mean(axis=0, dtype=np.float64)
    return SegmentUse(entropy(load), found.context, found.token, found.context_given_token, load)


def context_sums(share_KLS: np.ndarray, context_K: np.ndarray, num_contexts: int) -> np.ndarray:
    """[L, C, S]"""
    one_hot = (context_K == np.arange(num_contexts)[:, None]).astype(np.float32)
    return np.tensordot(one_hot, share_KLS, axes=1).transpose(1, 0, 2).astype(np.float64)


def committee_share(mass_LCS: np.ndarray) -> np.ndarray:
    """[L] size / S of the smallest set of segments, the same for all contexts, with at least 60 %
    of the mass in every context.

    A standing committee (arXiv 2601.03425) is small: an even fusion gives 0.6, segments of one
    context each more than 0.6.
    """
    mass = mass_LCS[:, ~np.isnan(mass_LCS).any(axis=(0, 2))]
    return np.array([committee_size(layer) for layer in mass]) / mass.shape[2]


def committee_size(mass_CS: np.ndarray) -> int:
    """Members of the smallest committee of one layer."""
    num_segments = mass_CS.shape[1]
    if num_segments <= MOST_SEGMENTS_TRIED:
        members = (np.arange(2**num_segments)[:, None] >> np.arange(num_segments)) & 1
        enough = (members @ mass_CS.T >= COMMITTEE_MASS - 1e-6).all(axis=1)
        return int(members[enough].sum(axis=1).min())
    held, left = np.zeros(len(mass_CS)), list(range(num_segments))
    while held.min(initial=1.0) < COMMITTEE_MASS - 1e-6 and left:
        gain = np.minimum(held[:, None] + mass_CS[:, left], COMMITTEE_MASS).sum(axis=0)
        held = held + mass_CS[:, left.pop(int(gain.argmax()))]
    return num_segments - len(left)


def chosen_pairs(choice_KLS: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(share of tokens that choose both, the same by chance), [L, S, S] each.

    By chance: proportional to how often each of the two is chosen, scaled to the k (k - 1) ordered
    pairs that every token has.
    """
    chosen = (choice_KLS > 0).astype(np.float32).transpose(1, 0, 2)
    pairs = (chosen.transpose(0, 2, 1) @ chosen).astype(np.float64) / chosen.shape[1]
    often = np.diagonal(pairs, axis1=1, axis2=2)
    by_chance = often[:, :, None] * often[:, None, :]
    same = np.eye(pairs.shape[1], dtype=bool)
    pairs[:, same] = by_chance[:, same] = 0.0
    total = by_chance.sum(axis=(1, 2), keepdims=True)
    by_chance = np.divide(
        by_chance * k * (k - 1), total, out=np.zeros_like(by_chance), where=total > 0
    )
    pairs[:, same] = by_chance[:, same] = np.nan
    return pairs, by_chance


def answer(asked: Asked) -> Specialization:
    """The request `specialization`."""
    return measure_specialization(
        asked.source(), asked.corpus(), asked.values["seed"], asked.progress
    )
