"""A run so small that training it whole takes a second, and how to compare two of them."""

from __future__ import annotations

import random
from typing import Any

from cpart_core.corpus.document import Document, Gathered
from cpart_core.runs.create import create_run
from cpart_core.runs.folder import Run
from cpart_core.settings.run import Settings

TINY = Settings().with_values(
    {
        "vocabulary_size": 280,
        "discovered_contexts": 2,
        "num_layers": 2,
        "width": 32,
        "num_heads": 2,
        "num_kv_heads": 2,
        "num_neurons": 32,
        "shared_neurons": 0,
        "num_segments": 4,
        "context_length": 16,
        "fusion_width": 8,
        "steps": 40,
        "batch_size": 4,
        "warmup_steps": 4,
        "first_step": 6,
        "every": 6,
        "freeze_step": 24,
        "fusion_step": 12,
        "signature_every": 2,
        "evaluate_every": 10,
        "evaluation_rows": 2,
        "snapshot_every": 10,
        "checkpoint_every": 10,
        "device": "cpu",
        "threads": 1,
    }
)


def gathered(labelled: bool = True) -> Gathered:
    """Two contexts, sums and weekdays, 30 documents each."""
    chance = random.Random(0)
    days = ("monday", "tuesday", "wednesday", "thursday", "friday")
    sums = [
        " ".join(
            f"{a} + {b} = {a + b};"
            for a, b in ((chance.randrange(50), chance.randrange(50)) for _ in range(12))
        )
        for _ in range(30)
    ]
    weeks = [
        " ".join(f"{chance.choice(days)} follows {chance.choice(days)}." for _ in range(12))
        for _ in range(30)
    ]
    texts = [("sums", text) for text in sums] + [("days", text) for text in weeks]
    return Gathered(
        tuple(
            Document(text, name if labelled else "", f"{name} {i}")
            for i, (name, text) in enumerate(texts)
        ),
        (),
    )


def tiny_run(labelled: bool = True, **changes: Any) -> Run:
    """A new run that waits to be trained."""
    return create_run(TINY.with_values(changes).check(), gathered(labelled), "tiny")
