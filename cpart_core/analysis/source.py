"""What an analysis looks at: a checkpoint's model with its tokenizer and, where needed, the
validation text. The only file here that loads.

The newest two models are kept, so that a page's next question about the same checkpoint costs no
loading.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cpart_core.runs.folder import Run

if TYPE_CHECKING:
    from cpart_core.corpus.batches import Batch
    from cpart_core.corpus.document import Corpus
    from cpart_core.corpus.tokenizer import Tokenizer
    from cpart_core.model.decoder import Decoder

MODELS_KEPT = 2


class Source(NamedTuple):
    """One checkpoint of one run, in evaluation mode on the CPU."""

    run: str
    step: int
    model: Decoder
    tokenizer: Tokenizer


@dataclass
class Sources:
    """Loads models and corpora, and keeps the newest ones."""

    models: OrderedDict[tuple[str, int], Source] = field(default_factory=OrderedDict)
    corpora: OrderedDict[tuple[str, int], Corpus] = field(default_factory=OrderedDict)

    def source(self, run: Run, step: int) -> Source:
        """The model of a checkpoint; ValueError for a missing or damaged one."""
        from cpart_core.runs.checkpoint import load_model

        key = (str(run.folder), step)
        if key not in self.models:
            model, tokenizer, _ = load_model(run, step)
            model.requires_grad_(False)
            self.models[key] = Source(run.id, step, model, tokenizer)
        self.models.move_to_end(key)
        while len(self.models) > MODELS_KEPT:
            self.models.popitem(last=False)
        return self.models[key]

    def corpus(self, run: Run) -> Corpus:
        """The run's corpus; read again when it changed (contexts found during training are written
        into it)."""
        from cpart_core.corpus.store import load_corpus

        folder = run.folder / "corpus"
        changed = (
            max((entry.stat().st_mtime_ns for entry in folder.iterdir()), default=0)
            if folder.is_dir()
            else 0
        )
        if not changed:
            raise ValueError(f"Run {run.id} has no corpus yet; it is built before training starts.")
        key = (str(folder), changed)
        if key not in self.corpora:
            self.corpora.clear()
            self.corpora[key] = load_corpus(folder)
        return self.corpora[key]


def validation_batches(
    corpus: Corpus, context_length: int, most_tokens: int | None, seed: int
) -> list[Batch]:
    """Fixed validation rows in batches: all of them, or evenly over the contexts about
    `most_tokens` tokens.

    Rows are whole: of each context less than one row's length is left over and not read.
    """
    from cpart_core.corpus.batches import validation_rows

    num_contexts = len(corpus.contexts)
    rows = None
    if most_tokens is not None and len(corpus.validation.ids) > most_tokens:
        rows = max(1, most_tokens // (num_contexts * context_length))
    return list(
        validation_rows(
            corpus.validation,
            num_contexts,
            context_length,
            rows,
            seed,
            balanced=not corpus.discovered,
        )
    )


def mean_over(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """sums / counts where counts > 0, NaN elsewhere; counts broadcast."""
    counts = np.broadcast_to(counts, sums.shape)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
