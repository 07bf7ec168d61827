"""One text through a model, token by token: losses, fusion weights and what segments add. Plain
data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trace:
    """One text through the model: fusion weights at every token and layer."""

    run: str
    step: int
    text: str
    tokens: tuple[str, ...]
    """[T] the text of each token; bytes that are no whole character are shown as hex such as
    `<0xC3>`."""
    token_ids: np.ndarray
    """[T]"""
    prompt_tokens: int
    """How many of the tokens are the given text; the rest was generated."""
    alpha: np.ndarray
    """[L, T, S] fusion weights; sum to 1 over S."""
    weight: np.ndarray
    """[L, T, S] the factor (so called on every screen) of each segment's output: S * alpha, 0 where
    not computed, 1 where execution is dense."""
    norm: np.ndarray
    """[L, T, S] norm of each segment's weighted output contribution."""
    shared_norm: np.ndarray
    """[L, T] norm of the shared segment's contribution; 0 without one."""
    entropy: np.ndarray
    """[L, T] bits, of alpha."""
    loss: np.ndarray
    """[T] nats at which the model saw this token coming; NaN for the first."""
