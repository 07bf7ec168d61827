"""A model before and after some changes: next token, losses and continuation of one text, and what
it costs each context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.analysis.statistics.bootstrap import interval
from cpart_core.analysis.statistics.by_document import DocumentSums, divided
from cpart_core.analysis.statistics.spread import rows_over_documents
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.tensors import token_tensors
from cpart_core.model.context_window import fit
from cpart_core.model.decoder import Decoder
from cpart_core.model.generate import generate
from cpart_core.model.intervention import Intervention, NeuronAblation, intervene, unchanged
from cpart_core.model.next_token import token_losses
from cpart_core.records.effects import InterventionReport

MOST_TOKENS = 8_000
"""Validation tokens, evenly over the contexts."""
SHOWN = 10

Change = Intervention | NeuronAblation


@dataclass(frozen=True)
class Question:
    """What is asked of a text."""

    text: str
    changes: tuple[Change, ...]
    max_tokens: int
    temperature: float
    seed: int
    """Of the continuation; the validation rows are those of the run's own seed."""


class Prediction(NamedTuple):
    """What the model predicts of the text."""

    probability: np.ndarray
    """[V] of the next token."""
    loss: np.ndarray
    """[T], NaN for the first."""
    continuation: list[int]


def changes_of(interventions: list[Any], neurons: list[Any]) -> tuple[Change, ...]:
    """The lists of a request, [layer, segment, kind, factor] and [layer, neuron], as changes.
    ValueError for what they cannot be."""
    found: list[Change] = []
    for entry in interventions:
        if not (isinstance(entry, list) and len(entry) == 4):
            raise ValueError(
                f"An intervention is [layer, segment, kind, factor]; given: {str(entry)[:80]}."
            )
        layer, segment, kind, factor = entry
        if (
            type(layer) is not int
            or type(segment) is not int
            or type(kind) is not str
            or type(factor) not in (int, float)
        ):
            raise ValueError(
                'An intervention is [layer, segment, kind, factor] as [2, 0, "scale", 0.5]; given:'
                f" {str(entry)[:80]}."
            )
        found.append(Intervention(layer, segment, kind, float(factor)))
    by_layer: dict[int, list[int]] = {}
    for entry in neurons:
        if not (
            isinstance(entry, list) and len(entry) == 2 and all(type(part) is int for part in entry)
        ):
            raise ValueError(
                f"A neuron is [layer, neuron], two whole numbers; given: {str(entry)[:80]}."
            )
        by_layer.setdefault(entry[0], []).append(entry[1])
    found += [
        NeuronAblation(layer, tuple(sorted(set(numbers))))
        for layer, numbers in sorted(by_layer.items())
    ]
    if not found:
        raise ValueError("Nothing is changed. Give at least one intervention or neuron.")
    return tuple(found)


def in_words(change: Change) -> str:
    """'segment 3 of layer 2 ablated'."""
    if isinstance(change, NeuronAblation):
        count = len(change.neurons)
        return f"{count} neuron{'s' if count != 1 else ''} of layer {change.layer} ablated"
    name = "the shared segment" if change.segment < 0 else f"segment {change.segment}"
    done = {
        "ablate": "ablated",
        "force": "forced",
        "forbid": "forbidden",
        "scale": f"times {change.factor:g}",
    }[change.kind]
    return f"{name} of layer {change.layer} {done}"


def report_intervention(
    source: Source, corpus: Corpus, question: Question, rows_seed: int, progress: Progress = silent
) -> InterventionReport:
    """Everything before and after. ValueError for an empty text, sampling out of range, or changes
    that this model cannot make."""
    model, tokenizer = source.model, source.tokenizer
    ids = tokenizer.encode(question.text)
    if not ids:
        raise ValueError("The text is empty. Type or choose some text first.")
    ids = fit(ids, question.max_tokens, model.settings.context_length).ids
    # what cannot be changed is said before anything is read
    with intervene(model, question.changes):
        progress(0.05, "Reading the text with the change")
        after = predict(source, ids, question)
    progress(0.2, "Reading the text without it")
    with intervene(model, unchanged(question.changes)):
        before = predict(source, ids, question)
    shown = sorted(
        {*top(before.probability), *top(after.probability)},
        key=lambda token: -before.probability[token],
    )
    measured = by_context(model, corpus, question.changes, rows_seed, part_of(progress, 0.3, 1.0))
    return InterventionReport(
        run=source.run,
        step=source.step,
        text=tokenizer.decode(ids),
        changes=tuple(in_words(change) for change in question.changes),
        tokens=tuple(tokenizer.token_text(token) for token in ids),
        loss_before=before.loss,
        loss_after=after.loss,
        next_tokens=tuple(tokenizer.token_text(token) for token in shown),
        next_before=before.probability[shown],
        next_after=after.probability[shown],
        continuation_before=tuple(tokenizer.token_text(token) for token in before.continuation),
        continuation_after=tuple(tokenizer.token_text(token) for token in after.continuation),
        temperature=question.temperature,
        seed=question.seed,
        contexts=corpus.contexts,
        context_before=measured.before,
        context_after=measured.after,
        change_low=measured.low,
        change_high=measured.high,
        tokens_by_context=measured.tokens,
        documents_by_context=measured.documents,
    )


def top(probability_V: np.ndarray) -> list[int]:
    return [int(token) for token in np.argsort(-probability_V, kind="stable")[:SHOWN]]


def predict(source: Source, ids: list[int], question: Question) -> Prediction:
    """The text, as the model is at this moment."""
    given = torch.tensor([ids])
    with torch.no_grad():
        logits = source.model(given)[0].float()
    loss = np.full(len(ids), np.nan, dtype=np.float32)
    loss[1:] = torch.nn.functional.cross_entropy(
        logits[:-1], given[0, 1:], reduction="none"
    ).numpy()
    wanted = min(question.max_tokens, source.model.settings.context_length - len(ids))
    made = generate(
        source.model,
        ids,
        max_tokens=wanted,
        temperature=question.temperature,
        seed=question.seed,
        stop=source.tokenizer.end,
    )
    return Prediction(logits[-1].softmax(dim=-1).numpy(), loss, list(made))


class Measured(NamedTuple):
    """Losses by context [C], and the interval of their change."""

    before: np.ndarray
    after: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tokens: np.ndarray
    documents: np.ndarray


def by_context(
    model: Decoder, corpus: Corpus, changes: Sequence[Change], seed: int, progress: Progress
) -> Measured:
    """Fixed validation rows with and without the changes."""
    sums = DocumentSums(corpus.validation.context, len(corpus.contexts), 2)
    batches = rows_over_documents(corpus, model.settings.context_length, MOST_TOKENS, seed)
    for number, batch in enumerate(batches):
        progress(
            number / len(batches),
            f"Batch {number + 1} of {len(batches)} of the validation text, with the change and"
            " without",
        )
        document = batch.document[:, :-1]
        sums.count(document)
        for column in range(2):
            with intervene(model, changes if column else unchanged(changes)):
                sums.add(column, document, losses_of(model, batch))
    fold = np.zeros(len(sums.tokens), dtype=np.int64)
    mean = sums.means(fold)[0]
    drawn = divided(*(part[:, 0] for part in sums.redrawn(fold, seed)))
    low, high = interval(drawn[..., 1] - drawn[..., 0])
    return Measured(
        mean[:, 0], mean[:, 1], low, high, sums.tokens_by_context, sums.documents_by_context
    )


def losses_of(model: Decoder, batch: Batch) -> np.ndarray:
    """[B, T] nats."""
    tokens = token_tensors(batch)
    with torch.no_grad():
        logits = model(tokens.inputs, tokens.start, context_BT=tokens.context)
    return token_losses(logits, tokens.targets).numpy()


def answer(asked: Asked) -> InterventionReport:
    """The request `intervention`; its changes are checked before the model is loaded."""
    values = asked.values
    question = Question(
        values["text"],
        changes_of(values["interventions"], values["neurons"]),
        values["max_tokens"],
        values["temperature"],
        values["seed"],
    )
    return report_intervention(
        asked.source(), asked.corpus(), question, asked.run_seed, asked.progress
    )
