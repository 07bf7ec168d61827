"""A small made corpus with known structure: each context has its own tokens, so segments have
something to find."""

from __future__ import annotations

import numpy as np

from cpart_core.corpus.document import Corpus, Document, Gathered
from cpart_core.model.fusion.attention import Attention
from cpart_core.settings.corpus import CorpusSettings
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.partition import PartitionSettings
from cpart_core.settings.run import Settings
from cpart_core.settings.training import TrainingSettings

WORDS = {
    "river": "water fish boat stone bridge mill",
    "sums": "1 2 3 4 5 6 7 8 9 plus minus",
    "code": "def return for while x y if else",
}


def made_documents(documents: int = 12, words: int = 80, labelled: bool = True) -> Gathered:
    rng = np.random.default_rng(0)
    made = [
        Document(
            " ".join(rng.choice(vocabulary.split(), words)),
            context if labelled else "",
            f"{context} {number}",
        )
        for context, vocabulary in WORDS.items()
        for number in range(documents)
    ]
    return Gathered(tuple(made), ())


def made_corpus(labelled: bool = True) -> Corpus:
    from cpart_core.corpus.build import build_corpus

    return build_corpus(
        made_documents(labelled=labelled),
        CorpusSettings(vocabulary_size=300, discovered_contexts=3, validation_share=0.25),
        seed=0,
    )


def made_settings(**changes: object) -> Settings:
    """Two tiny layers; first partition after 4 steps, again after 8, fusion from then on."""
    settings = Settings(
        corpus=CorpusSettings(vocabulary_size=300, discovered_contexts=3, validation_share=0.25),
        model=ModelSettings(
            num_layers=2,
            width=32,
            num_heads=2,
            num_kv_heads=2,
            num_neurons=48,
            shared_neurons=0,
            num_segments=4,
            top_k=2,
            context_length=32,
            fusion=Attention(fusion_width=8),
        ),
        partition=PartitionSettings(
            first_step=4, every=4, freeze_step=8, fusion_step=8, signature_every=1
        ),
        training=TrainingSettings(
            steps=16,
            batch_size=6,
            warmup_steps=2,
            evaluate_every=8,
            snapshot_every=8,
            checkpoint_every=5,
            precision="fp32",
            device="cpu",
            threads=1,
        ),
    )
    return settings.with_values(dict(changes))
