"""A score on the scale from random text (0) to human text (1), with its interval over documents.
numpy only.

(model - random) / (human - random): papers.md's reading of 'contextual coherence', which arXiv
2501.12901 reports and does not define. The scale itself is measured, so its interval is part of the
score's; where human and random text cannot be told apart there is no score. The score is not
clipped: a bland text may lie beyond 1, an incoherent one below 0.
"""

from __future__ import annotations

import numpy as np

from cpart_core.analysis.statistics.bootstrap import counts_of, interval
from cpart_core.records.coherence import Anchored

RESAMPLES = 2000
FEWEST = 4
"""Documents; an interval over fewer means nothing."""


def anchored(model_P: np.ndarray, human_P: np.ndarray, random_P: np.ndarray, seed: int) -> Anchored:
    """Values of the same P documents; those where one is NaN are left out of all. The interval is a
    percentile bootstrap over documents."""
    known = np.isfinite(model_P) & np.isfinite(human_P) & np.isfinite(random_P)
    values = np.stack([model_P[known], human_P[known], random_P[known]])
    P = values.shape[1]
    nothing = float("nan")
    if P < FEWEST:
        return Anchored(nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, P)
    times = counts_of(P, RESAMPLES, np.random.default_rng([seed, 34])) / P
    model, human, random = values @ times.T
    gap_low, gap_high = (float(edge) for edge in interval(human - random))
    mean = values.mean(axis=1)
    score = low = high = nothing
    if gap_low > 0:
        score = float((mean[0] - mean[2]) / (mean[1] - mean[2]))
        low, high = (
            float(edge) for edge in interval((model - random) / np.maximum(human - random, 1e-9))
        )
    return Anchored(
        float(mean[0]), float(mean[1]), float(mean[2]), score, low, high, gap_low, gap_high, P
    )
