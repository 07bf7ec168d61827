"""A tiny corpus, model and run on disk for the analysis tests: made in a blink, never trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from cpart_core.analysis.source import Source
from cpart_core.corpus.document import Corpus, Split
from cpart_core.corpus.store import save_corpus
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.model.decoder import Decoder
from cpart_core.model.fusion.attention import Attention
from cpart_core.records.training import Snapshot
from cpart_core.runs.checkpoint import Checkpoint, save_checkpoint
from cpart_core.runs.checkpoint_files import CheckpointConfig
from cpart_core.runs.create import create_run
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import write_info
from cpart_core.runs.snapshots import save_snapshot
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.run import Settings

MODEL = ModelSettings(
    num_layers=2,
    width=16,
    num_heads=2,
    num_kv_heads=2,
    num_neurons=20,
    context_length=32,
    num_segments=4,
    shared_neurons=4,
    fusion=Attention(fusion_width=8),
)
CONTEXTS = ("letters", "digits")


def made_corpus(documents: int = 12) -> Corpus:
    """Two contexts that share no token; the validation text has words of its own (VALIDATION), so
    that nobody can mix up the splits."""
    from cpart_core.corpus.build import fingerprint_of

    rng = np.random.default_rng(0)

    def text(context: int, mark: str) -> str:
        words = ("abc", "bcd", "cde", mark) if context == 0 else ("12", "345", "67")
        return " ".join(rng.choice(words) for _ in range(30))

    labels = [number % 2 for number in range(documents)]
    train = [text(label, "train") for label in labels]
    validation = [text(label, "valid") for label in labels]
    tokenizer = Tokenizer.train([*train, "valid"], 280)
    corpus = Corpus(
        CONTEXTS,
        False,
        split_of(tokenizer, train, labels, "t"),
        split_of(tokenizer, validation, labels, "v"),
        tokenizer.to_json(),
        "",
        (),
        (),
    )
    return replace(corpus, fingerprint=fingerprint_of(corpus))


def split_of(tokenizer: Tokenizer, texts: list[str], labels: list[int], name: str) -> Split:
    ids = [[*tokenizer.encode(text), tokenizer.end] for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(document) for document in ids])]).astype(np.int64)
    titles = tuple(f"{name}{number}" for number in range(len(texts)))
    return Split(
        np.concatenate([np.array(document, dtype=np.uint16) for document in ids]),
        starts,
        np.array(labels, dtype=np.int16),
        titles,
    )


def made_source(corpus: Corpus, settings: ModelSettings = MODEL) -> Source:
    tokenizer = Tokenizer.from_json(corpus.tokenizer_json)
    model = Decoder(settings, tokenizer.vocabulary_size, seed=1)
    # Neurons have moved: rows are not in the order of the neurons' numbers.
    for layer in model.feedforwards():
        layer.neuron_id.copy_(
            torch.randperm(settings.num_neurons, generator=torch.Generator().manual_seed(2))
        )
    return Source("made", 10, model.eval().requires_grad_(False), tokenizer)


def planted_snapshot(
    step: int,
    num_layers: int = 2,
    num_neurons: int = 48,
    num_contexts: int = 4,
    partitioned: bool = True,
    noise: float = 0.1,
    num_segments: int = 0,
) -> Snapshot:
    """Neuron n belongs to segment and context n % C: there its signature is 8 times the others.
    Layers differ in scale.

    num_segments: 0 = as many as contexts.
    """
    S = num_segments or num_contexts
    rng = np.random.default_rng(step)
    home = np.arange(num_neurons) % num_contexts
    signature = np.where(home[:, None] == np.arange(num_contexts), 0.8, 0.1) * np.exp(
        noise * rng.normal(size=(num_layers, num_neurons, num_contexts))
    )
    signature *= np.array([1.0, 0.3, 0.5, 0.7])[:num_layers, None, None]
    return Snapshot(
        step=step,
        segment_of=np.tile(home, (num_layers, 1)).astype(np.int16),
        signature=(signature / signature.max(axis=(1, 2), keepdims=True)).astype(np.float16),
        signature_scale=np.ones(num_layers, dtype=np.float32),
        signature_tokens=np.full(num_contexts, 1000.0),
        fusion_mass=np.full((num_layers, num_contexts, S), 1 / S),
        chosen_share=np.ones((num_layers, num_contexts, S)),
        fusion_tokens=np.full(num_contexts, 1000),
        partitioned=partitioned,
        frozen=False,
    )


def snapshot_of_made(step: int) -> Snapshot:
    """One of a run that made_run makes; step 0 is before its first partition."""
    return planted_snapshot(
        step,
        num_neurons=MODEL.num_neurons,
        num_contexts=len(CONTEXTS),
        partitioned=step > 0,
        num_segments=MODEL.num_segments,
    )


def made_run(corpus: Corpus, source: Source, run_id: str) -> Run:
    """A run folder with corpus, one checkpoint (step 10) and snapshots of steps 0, 10 (the last
    with a partition)."""
    settings = replace(Settings(), model=MODEL)
    run = create_run(settings, None, run_id=run_id)
    write_info(
        run.folder,
        replace(
            run.info, contexts=corpus.contexts, vocabulary_size=source.tokenizer.vocabulary_size
        ),
    )
    save_corpus(corpus, run.folder / "corpus")
    config = CheckpointConfig(MODEL, source.tokenizer.vocabulary_size, 10, True)
    save_checkpoint(
        run.folder / "checkpoints",
        Checkpoint(
            config, source.model.state_dict(), {"none": torch.zeros(1)}, {}, corpus.tokenizer_json
        ),
        keep=3,
    )
    for step in (0, 10):
        save_snapshot(run.folder, snapshot_of_made(step))
    return open_run(run_id)
