"""One pass over validation rows: loss by context, and what fusion does there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cpart_core.corpus.batches import Batch
from cpart_core.corpus.tensors import token_tensors
from cpart_core.model.decoder import Decoder
from cpart_core.model.next_token import token_losses
from cpart_core.records.training import Evaluation
from cpart_core.training.losses import sum_by_group
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup


@dataclass(frozen=True)
class Validation:
    """What one pass found."""

    evaluation: Evaluation
    fusion_mass: np.ndarray
    """[L, C, S] mean alpha."""
    chosen_share: np.ndarray
    """[L, C, S] share of tokens for which the segment is computed."""


@torch.no_grad()
def validate(
    model: Decoder,
    rows: Sequence[Batch],
    num_contexts: int,
    device: torch.device,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Validation:
    """Each token counts once; a context without validation text is NaN in all of them. Several
    processes share the rows."""
    model.eval()
    L, S = model.settings.num_layers, model.settings.num_segments
    mass = torch.zeros(2, L, num_contexts + 1, S, device=device)
    losses: list[Tensor] = []
    contexts: list[Tensor] = []
    for whole in rows:
        batch, counts = part_of(whole, group)
        tokens = token_tensors(batch, device)
        logits = model(tokens.inputs, tokens.start, context_BT=tokens.context)
        loss = token_losses(logits, tokens.targets).flatten()
        if not counts:
            continue
        losses.append(loss)
        contexts.append(tokens.context.flatten())
        row = torch.where(contexts[-1] < 0, num_contexts, contexts[-1])
        for number, layer in enumerate(model.feedforwards()):
            assert layer.last_alpha is not None and layer.last_weight is not None
            mass[0, number].index_add_(0, row, layer.last_alpha.flatten(0, 1))
            mass[1, number].index_add_(0, row, (layer.last_weight.flatten(0, 1) > 0).float())
    mine = torch.cat(losses) if losses else torch.zeros(0, device=device)
    total, count = sum_by_group(
        mine, torch.cat(contexts) if contexts else mine.long(), num_contexts
    )
    both = torch.stack([mine.double().sum(), mine.new_tensor(len(mine), dtype=torch.float64)])
    for sums in (total, count, both, mass):
        group.sum(sums)
    by_context = total / count
    # 0 / 0 = NaN: nothing is known, which is not "unused"
    shares = (mass[:, :, :-1] / count[:, None]).cpu().numpy().astype(np.float32)
    known = by_context[count > 0]
    # Before contexts are discovered no token has one: then the loss is over all tokens alike.
    overall = float(known.mean()) if len(known) else float(both[0] / both[1])
    return Validation(
        Evaluation(overall, by_context.cpu().numpy(), count.cpu().numpy()), shares[0], shares[1]
    )


def part_of(batch: Batch, group: ProcessGroup) -> tuple[Batch, bool]:
    """This process's rows of a batch. False with its first row where it has none: all compute
    alike, as FSDP2 must, and that does not count."""
    mine = group.share(len(batch.ids))
    rows = mine if mine.stop > mine.start else slice(0, 1)
    return batch.rows(rows), mine.stop > mine.start
