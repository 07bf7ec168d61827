"""How a text and its continuation share a model's context, by one rule for the terminal and the
pages. No torch: pages read it too.

At least half of the context is for reading, and all that the new tokens leave. Of a longer
text the end is read, since that is what goes on; what follows may fill the rest of the context and
ends there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """What fits."""

    ids: list[int]
    """Of the text, as far as it is read."""
    left_out: int
    """Tokens at its beginning that are not."""
    count: int
    """New tokens that can follow, at most."""


def fit(ids: list[int], max_tokens: int, context_length: int) -> Room:
    """ids: of the whole text. max_tokens: how many are asked for."""
    kept = max(context_length - max_tokens, context_length // 2, 1)
    read = ids[-kept:]
    return Room(read, len(ids) - len(read), min(max_tokens, context_length - len(read)))


def beginning_left_out(read: int, context_length: int) -> str:
    """Of a text that does not fit as a whole."""
    return (
        f"The text is longer than what fits: this model has room for {context_length:,} tokens, new"
        f" ones included, so only the text's last {read:,} were read."
    )


def early_end(read: int, made: int, max_tokens: int, context_length: int) -> str:
    """Why there are fewer new tokens than were asked for; nothing where there are not."""
    if made >= max_tokens:
        return ""
    if read + made >= context_length:
        return (
            f"It ends after {made:,} of {max_tokens:,} tokens, where the model's context of"
            f" {context_length:,} tokens is full."
        )
    return f"The model ended the text itself, after {made:,} of at most {max_tokens:,} tokens."
