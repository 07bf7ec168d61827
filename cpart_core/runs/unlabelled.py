"""A corpus whose contexts were found, as it was before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cpart_core.corpus.document import Corpus


def without_found_labels(corpus: Corpus) -> Corpus:
    """A discovered corpus as before its contexts were found: a trainer that starts again finds them
    again, or restores them."""
    if not corpus.discovered:
        return corpus
    splits = {
        name: replace(split, context=np.full_like(split.context, -1))
        for name, split in (("train", corpus.train), ("validation", corpus.validation))
    }
    return replace(corpus, train=splits["train"], validation=splits["validation"])
