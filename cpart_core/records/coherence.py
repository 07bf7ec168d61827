"""What the Coherence page draws: texts of several writers from the same prompts, measured beside
human and random text. No torch here.

K writers, P prompts, W windows of a continuation. Rows of all measures: the K writers, then human
text (the true continuation), then random text (another document's).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cpart_core.records.trace import Trace


@dataclass(frozen=True)
class Writer:
    """Who wrote a text: a checkpoint, with or without interventions."""

    run: str
    step: int
    name: str
    """The run's name, for people."""
    changes: tuple[str, ...]
    """In words; empty = the model as it is."""


@dataclass(frozen=True)
class Judge:
    """Who measures: a model that is asked how likely each text is, and what turns texts into
    vectors."""

    run: str
    step: int
    name: str
    embedder: str
    """What turns texts into vectors, in words."""
    embedder_installed: bool
    """False: the judge's own hidden states stand in for a sentence embedder."""
    independent: bool
    """Nothing is known that ties the judge to a writer: neither the same run, nor cut from it, nor
    its twin on the same batches and seed."""
    relation: str
    """How the judge is related to the writers, in plain sentences."""


@dataclass(frozen=True)
class TextMeasures:
    """One continuation, measured."""

    text: str
    repetition: float
    """rep-4: share of 4-grams of the judge's tokens that were there before. NaN for fewer than 4
    tokens."""
    distinct: float
    """distinct-2: different 2-grams / all of them. NaN for fewer than 2 tokens."""
    nats: float
    """Nats per token of the judge, given the prompt."""
    tokens: int
    """Tokens of the judge that it was asked for."""
    similarity: float
    """Cosine of prompt and continuation."""
    drift: np.ndarray
    """[W] cosine of the prompt and each successive window of the continuation; NaN where it is too
    short to be cut."""


@dataclass(frozen=True)
class SideBySide:
    """One prompt, continued by 2 to 4 writers with the same seed."""

    run: str
    step: int
    prompt: str
    title: str
    """Of the held-out document; empty = a person's own text."""
    seed: int
    temperature: float
    judge: Judge
    writers: tuple[Writer, ...]
    traces: tuple[Trace, ...]
    """[K]"""
    measures: tuple[TextMeasures, ...]
    """[K], or [K + 2] with human and random text where the prompt is from a document."""


@dataclass(frozen=True)
class Anchored:
    """A mean over prompts on the scale where random text is 0 and human text is 1."""

    model: float
    human: float
    random: float
    score: float
    """(model - random) / (human - random). NaN where the measure cannot tell human from random
    text."""
    low: float
    high: float
    """95 % interval, documents drawn anew."""
    gap_low: float
    gap_high: float
    """95 % interval of human - random; where it holds 0, there is no scale and no score."""
    n: int
    """Prompts, one a document."""


@dataclass(frozen=True)
class CoherenceReport:
    """1 to 4 writers on P held-out documents."""

    run: str
    step: int
    seed: int
    temperature: float
    writers: tuple[Writer, ...]
    judge: Judge
    prompts: tuple[str, ...]
    """[P]"""
    titles: tuple[str, ...]
    contexts: tuple[str, ...]
    """[P] the context of each document; empty where not known."""
    left_out: int
    """Documents that were passed over because a writer or the judge was trained on them."""
    texts: tuple[tuple[str, ...], ...]
    """[K + 2][P]; all texts of one prompt have the same number of characters."""
    repetition: np.ndarray
    """[K + 2, P]"""
    distinct: np.ndarray
    nats: np.ndarray
    """[K + 2, P] nats per token of the judge."""
    tokens: np.ndarray
    similarity: np.ndarray
    drift: np.ndarray
    """[K + 2, P, W]"""
    order: np.ndarray
    """[K + 2, P] share of pairs in which the true next sentence is likelier than one that the same
    writer wrote for another prompt; 1/2 in the random row, where sentences are dealt out anew. NaN
    where there are fewer than 2 sentences."""
    pairs: np.ndarray
    """[K + 2, P] how many pairs that is."""
    embedding_score: tuple[Anchored, ...]
    """[K]"""
    order_score: tuple[Anchored, ...]
    """[K]"""
