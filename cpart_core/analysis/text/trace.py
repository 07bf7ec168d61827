"""One text through the model, and a continuation as it is written: fusion weights, contributions
and losses at every token."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.model.capture import capture
from cpart_core.model.context_window import fit
from cpart_core.model.generate import generate
from cpart_core.records.trace import Trace

SECONDS_BETWEEN_PARTIALS = 0.1


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn; temperature 0 takes the most probable one, top_k 0 and top_p 1
    are off."""

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    seed: int


def trace_text(source: Source, text: str, progress: Progress = silent) -> Trace:
    """The text's first `context_length` tokens through the model; `text` of the result is what was
    read. ValueError for an empty text."""
    ids = encoded(source, text)
    room = source.model.settings.context_length
    progress(0.1, f"Reading {min(len(ids), room)} of {len(ids)} tokens")
    if len(ids) > room:
        ids = ids[:room]
        text = source.tokenizer.decode(ids)
    return trace_ids(source, ids, len(ids), text)


def trace_continuation(
    source: Source, text: str, sampling: Sampling, progress: Progress = silent
) -> Trace:
    """Continue the text, telling of each token with its strongest segments as it comes, then trace
    the whole.

    How much of a long text is read: model/context_window.py. The result's `text` is what was read.
    Raises ValueError for an empty text or sampling settings out of range.
    """
    room = fit(encoded(source, text), sampling.max_tokens, source.model.settings.context_length)
    ids, wanted = room.ids, room.count
    if room.left_out:
        text = source.tokenizer.decode(ids)
    prompt_tokens = len(ids)
    sampled = generate(source.model, ids, **asdict(sampling), stop=source.tokenizer.end)
    ids, writing = list(ids), Writing(source)
    for token in sampled:
        writing.take(ids)
        ids.append(token)
        progress(
            0.9 * (len(ids) - prompt_tokens) / wanted,
            f"Token {len(ids) - prompt_tokens} of at most {wanted}",
            writing.partial(),
        )
    trace = trace_ids(source, ids, prompt_tokens, text, part_of(progress, 0.9, 1.0))
    progress(
        1.0,
        "Done",
        {
            "tokens": list(trace.tokens),
            "strongest": trace.alpha.argmax(axis=2).T.tolist(),
            "strength": rounded(trace.alpha),
        },
    )
    return trace


class Writing:
    """What can be shown of a continuation while it grows. A token's fusion weights are known once
    the model has read it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.alpha: list[np.ndarray] = []
        self.tokens: list[str] = []
        self.last_told = 0.0

    def take(self, ids: list[int]) -> None:
        """Take in what the newest forward said of the ids that it read, the last of `ids`."""
        alphas = [layer.last_alpha for layer in self.source.model.feedforwards()]
        read = np.stack([alpha[0].numpy() for alpha in alphas if alpha is not None])
        self.alpha.append(read)
        self.tokens += [
            self.source.tokenizer.token_text(token) for token in ids[len(self.tokens) :]
        ]

    def partial(self) -> dict[str, Any] | None:
        """tokens [T], strongest [T][L], strength [T][L]; None when the last one was told a moment
        ago."""
        now = time.monotonic()
        if now - self.last_told < SECONDS_BETWEEN_PARTIALS:
            return None
        self.last_told = now
        alpha = np.concatenate(self.alpha, axis=1)
        return {
            "tokens": list(self.tokens),
            "strongest": alpha.argmax(axis=2).T.tolist(),
            "strength": rounded(alpha),
        }


def rounded(alpha_LxTxS: np.ndarray) -> list[list[float]]:
    """[T][L] the greatest alpha, to four places."""
    values: list[list[float]] = alpha_LxTxS.max(axis=2).T.astype(np.float64).round(4).tolist()
    return values


def encoded(source: Source, text: str) -> list[int]:
    ids = source.tokenizer.encode(text)
    if not ids:
        raise ValueError("The text is empty. Type or choose some text first.")
    return ids


def trace_ids(
    source: Source, ids: list[int], prompt_tokens: int, text: str, progress: Progress = silent
) -> Trace:
    """All that one forward says of the ids."""
    given = torch.tensor([ids])
    with torch.no_grad(), capture(source.model) as layers:
        logits = source.model(given)
        alpha = torch.stack([layer.alpha[0] for layer in layers]).float().numpy()
        weight = torch.stack([layer.weight[0] for layer in layers]).float().numpy()
        norms = []
        for number, layer in enumerate(layers):
            progress(number / len(layers), f"Layer {number + 1} of {len(layers)}")
            norms.append((layer.norm[0], layer.shared_norm[0]))
        losses = torch.nn.functional.cross_entropy(
            logits[0, :-1].float(), given[0, 1:], reduction="none"
        )
    loss = np.full(len(ids), np.nan, dtype=np.float32)
    loss[1:] = losses.numpy()
    logs = np.log2(alpha, out=np.zeros_like(alpha), where=alpha > 0)
    return Trace(
        run=source.run,
        step=source.step,
        text=text,
        tokens=tuple(source.tokenizer.token_text(token) for token in ids),
        token_ids=np.array(ids),
        prompt_tokens=prompt_tokens,
        alpha=alpha,
        weight=weight,
        norm=torch.stack([norm for norm, _ in norms]).numpy(),
        shared_norm=torch.stack([shared for _, shared in norms]).numpy(),
        entropy=np.maximum(-(alpha * logs).sum(axis=2), 0.0),
        loss=loss,
    )


def answer(asked: Asked) -> Trace:
    """The request `trace`."""
    return trace_text(asked.source(), asked.values["text"], asked.progress)


def answer_continuation(asked: Asked) -> Trace:
    """The request `continuation`."""
    values = asked.values
    sampling = Sampling(
        values["max_tokens"],
        values["temperature"],
        values["top_k"],
        values["top_p"],
        values["seed"],
    )
    return trace_continuation(asked.source(), values["text"], sampling, asked.progress)
