"""The judge of texts: how likely it finds one after another. Everything goes by text, so that
writers and judge may have different tokenizers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.source import Source
from cpart_core.model.next_token import token_losses

ROWS_AT_ONCE = 32


@torch.no_grad()
def nats_of(
    judge: Source, pairs: Sequence[tuple[str, str]], progress: Progress = silent
) -> tuple[np.ndarray, np.ndarray]:
    """(nats per token of each text given the one before it, how many tokens that is): both
    [len(pairs)]. NaN for a text without a token.

    What the judge cannot read at once is cut: the text at its end, what stands before at its
    beginning.
    """
    room = judge.model.settings.context_length
    known: dict[str, list[int]] = {}
    rows, counts = [], []
    for before, text in pairs:
        for part in (before, text):
            if part not in known:
                known[part] = judge.tokenizer.encode(part)
        ids = known[text][:room]
        row = [*known[before], *ids][-(room + 1) :]
        rows.append(row)
        counts.append(min(len(ids), len(row) - 1))
    nats = np.full(len(rows), np.nan)
    order = sorted(
        (number for number in range(len(rows)) if counts[number] > 0),
        key=lambda number: len(rows[number]),
    )
    for first in range(0, len(order), ROWS_AT_ONCE):
        progress(first / len(order), "")
        chosen = order[first : first + ROWS_AT_ONCE]
        longest = max(len(rows[number]) for number in chosen)
        ids_BT = torch.tensor(
            [rows[number] + [0] * (longest - len(rows[number])) for number in chosen]
        )
        losses_BT = token_losses(judge.model(ids_BT[:, :-1]), ids_BT[:, 1:]).numpy()
        for number, losses in zip(chosen, losses_BT, strict=True):
            end = len(rows[number]) - 1
            nats[number] = losses[end - counts[number] : end].mean()
    return nats, np.array(counts, dtype=np.int64)
