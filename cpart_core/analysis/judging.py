"""The judge of texts: how likely it finds one after another, and how independent of the writers it is. Everything goes by text, so that
writers and judge may have different tokenizers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.source import Source
from cpart_core.runs.folder import Run
from cpart_core.training.losses import token_losses

ROWS_AT_ONCE = 32


@torch.no_grad()
def nats_of(judge: Source, pairs: Sequence[tuple[str, str]], progress: Progress = silent) -> tuple[np.ndarray, np.ndarray]:
    """(nats per token of each text given the one before it, how many tokens that is): both [len(pairs)]. NaN for a text without a token.

    What the judge cannot read at once is cut: the text at its end, what stands before at its beginning.
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
    order = sorted((number for number in range(len(rows)) if counts[number] > 0), key=lambda number: len(rows[number]))
    for first in range(0, len(order), ROWS_AT_ONCE):
        progress(first / len(order), "")
        chosen = order[first : first + ROWS_AT_ONCE]
        longest = max(len(rows[number]) for number in chosen)
        ids_BT = torch.tensor([rows[number] + [0] * (longest - len(rows[number])) for number in chosen])
        losses_BT = token_losses(judge.model(ids_BT[:, :-1]), ids_BT[:, 1:]).numpy()
        for number, losses in zip(chosen, losses_BT, strict=True):
            end = len(rows[number]) - 1
            nats[number] = losses[end - counts[number] : end].mean()
    return nats, np.array(counts, dtype=np.int64)


def relation(judge: Run, writers: Sequence[Run]) -> tuple[bool, str]:
    """(whether nothing ties the judge to a writer, what is known of it, in sentences)."""
    ties = []
    for writer in {run.id: run for run in writers}.values():
        tie = tied(judge, writer)
        if tie:
            ties.append(tie)
    same_text = [run for run in writers if run.info.fingerprint == judge.info.fingerprint]
    text = "the same training text" if same_text else "other training text"
    seed = judge.settings.training.seed
    if ties:
        return False, f"Not independent: {'; '.join(ties)}."
    return True, f"Independent of all compared: its own first weights and batches (seed {seed}), on {text} as the first of them."


def tied(judge: Run, writer: Run) -> str:
    """What ties the two, as half a sentence; empty when nothing does. Names are left out: whoever shows this knows which run is meant."""
    if judge.id == writer.id:
        return "the judge is itself among the compared, and finds its own kind of text likely"
    one, other = judge.info, writer.info
    cut = {info.carved.run for info in (one, other) if info.carved is not None}
    if cut & {judge.id, writer.id} or (len(cut) == 1 and one.carved and other.carved):
        return f"the judge and {writer.id} are cut from the same weights"
    families = {info.twin_of or info.id for info in (one, other)}
    same_seed = one.settings.training.seed == other.settings.training.seed and one.fingerprint == other.fingerprint
    if len(families) == 1 or same_seed:
        return f"the judge saw the very same batches as {writer.id}, in the same order"
    return ""
