"""Sampling of a continuation, token by token, with a KV cache; of one text or of many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cpart_core.model.attended import AttendedStates
from cpart_core.model.cache import Cache
from cpart_core.model.decoder import Decoder


def generate(
    model: Decoder,
    ids: list[int],
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: int | None = None,
    attended: AttendedStates | None = None,
) -> Iterator[int]:
    """Yield up to max_tokens new ids after the given ones, until `stop` (which is not yielded) or
    the model's context_length is full.

    temperature 0 takes the most probable token; top_k 0 and top_p 1 are off. The same seed gives
    the same text. attended: states read beside the text. Raises ValueError for settings out of
    range or an empty or too long start.
    """
    check_sampling(max_tokens, temperature, top_k, top_p)
    count = check_room(model, ids, max_tokens)
    return sample(model, ids, count, temperature, top_k, top_p, seed, stop, attended)


def check_room(model: Decoder, ids: list[int], max_tokens: int) -> int:
    """How many tokens can follow, at most max_tokens; ValueError where none can."""
    room = model.settings.context_length - len(ids)
    if not ids:
        raise ValueError("Give at least one token to start from.")
    if room < 1:
        raise ValueError(
            f"The text is {len(ids)} tokens long; this model reads at most"
            f" {model.settings.context_length}, so nothing can follow."
        )
    return min(max_tokens, room)


def sample(
    model: Decoder,
    ids: list[int],
    count: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int,
    stop: int | None,
    attended: AttendedStates | None,
) -> Iterator[int]:
    device = model.embedding.device
    generator = torch.Generator().manual_seed(seed)
    cache = Cache.empty(model.settings.num_layers)
    given = torch.tensor([ids], device=device)
    for _ in range(count):
        with torch.no_grad():
            logits = model(given, cache=cache, attended=attended)[0, -1].float().cpu()
        token = choose(logits, temperature, top_k, top_p, generator)
        if token == stop:
            return
        yield token
        given = torch.tensor([[token]], device=device)


def generate_batch(
    model: Decoder,
    prompts: list[list[int]],
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seeds: list[int] | None = None,
    stop: int | None = None,
) -> list[list[int]]:
    """The new ids of each prompt, all prompts at once; the same as `generate` of each alone gives,
    with its own seed (default 0).

    Nothing is padded: all rows stand at the same position, and a row whose prompt is longer is fed
    its own next token while the shorter ones are sampled. Rows that are done leave the batch.
    Raises ValueError as `generate` does.
    """
    check_sampling(max_tokens, temperature, top_k, top_p)
    seeds = [0] * len(prompts) if seeds is None else seeds
    if len(seeds) != len(prompts):
        raise ValueError(
            f"There are {len(seeds)} seeds for {len(prompts)} prompts; give one for each."
        )
    rows = [
        Row(ids, check_room(model, ids, max_tokens), torch.Generator().manual_seed(seed))
        for ids, seed in zip(prompts, seeds, strict=True)
    ]
    if rows:
        advance(
            model,
            rows,
            lambda logits, row: choose(logits, temperature, top_k, top_p, row.generator),
            stop,
        )
    return [row.made for row in rows]


@dataclass
class Row:
    """One text that is being written: up to `count` new ids behind `given`."""

    given: list[int]
    count: int
    generator: torch.Generator
    made: list[int] = field(default_factory=list)
    done: bool = False

    def token(self, position: int) -> int:
        return (
            self.given[position]
            if position < len(self.given)
            else self.made[position - len(self.given)]
        )

    def take(self, token: int, stop: int | None) -> None:
        if token == stop:
            self.done = True
            return
        self.made.append(token)
        self.done = len(self.made) == self.count


@torch.no_grad()
def advance(
    model: Decoder, rows: list[Row], pick: Callable[[Tensor, Row], int], stop: int | None
) -> None:
    """Read what all prompts have, then go on position by position until every row is done."""
    device, cache = model.embedding.device, Cache.empty(model.settings.num_layers)
    position = min(len(row.given) for row in rows)
    ids = torch.tensor([row.given[:position] for row in rows], device=device)
    while True:
        logits = model(ids, cache=cache)[:, -1].float().cpu()
        for row, logits_V in zip(rows, logits, strict=True):
            if position >= len(row.given):
                row.take(pick(logits_V, row), stop)
        left = [number for number, row in enumerate(rows) if not row.done]
        if not left:
            return
        if len(left) < len(rows):
            cache.keep_rows(torch.tensor(left, device=device))
            rows = [rows[number] for number in left]
        ids = torch.tensor([[row.token(position)] for row in rows], device=device)
        position += 1


def generate_rows(
    model: Decoder,
    rows: list[list[int]],
    *,
    max_tokens: int,
    temperature: float,
    seeds: list[int],
    never: int | None = None,
) -> list[list[int]]:
    """max_tokens new ids behind each row, all rows at once: many times as fast as one after
    another. Rows are cut at their beginning to the
    length of the shortest; where the context is full, the older half is forgotten and the text goes
    on. Each row has its seed. never: an id that is not drawn
    (<|end|>, where a text has to go on). Raises ValueError for settings out of range or an empty row.
    """
    check_sampling(max_tokens, temperature, 0, 1.0)
    room = model.settings.context_length
    shortest = min([room - 1, *map(len, rows)])
    if shortest < 1:
        raise ValueError("Give at least one token to start from.")
    texts = [row[-shortest:] for row in rows]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def pick(logits_V: Tensor, row: Row) -> int:
        if never is not None:
            logits_V[never] = -torch.inf
        return choose(logits_V, temperature, 0, 1.0, row.generator)

    window, left = shortest, max_tokens
    while left:
        count = min(left, room - window + 1)
        some = [
            Row(text[-window:], count, generator)
            for text, generator in zip(texts, generators, strict=True)
        ]
        advance(model, some, pick, None)
        for text, row in zip(texts, some, strict=True):
            text += row.made
        window, left = room // 2, left - count
    return [text[shortest:] for text in texts]


def choose(
    logits_V: Tensor, temperature: float, top_k: int, top_p: float, generator: torch.Generator
) -> int:
    """One token id from logits."""
    if temperature == 0:
        return int(logits_V.argmax())
    ordered, order = (logits_V / temperature).sort(descending=True, stable=True)
    if top_k:
        ordered = ordered[:top_k]
    probability = ordered.softmax(dim=-1)
    # Nucleus (arXiv 1904.09751): the fewest tokens whose mass reaches top_p; the first one always
    # stays.
    mass_before = probability.cumsum(dim=-1) - probability
    probability = probability * (mass_before < top_p)
    return int(order[torch.multinomial(probability, 1, generator=generator)])


def check_sampling(max_tokens: int, temperature: float, top_k: int, top_p: float) -> None:
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; give at least 1.")
    if not 0.0 <= temperature <= 10.0:
        raise ValueError(f"temperature is {temperature}; allowed: 0 (most probable token) to 10.")
    if top_k < 0:
        raise ValueError(f"top_k is {top_k}; give 0 (off) or how many tokens to choose from.")
    if not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p is {top_p}; allowed: above 0, up to 1 (off).")
