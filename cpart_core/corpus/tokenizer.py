"""Byte-level BPE: text <-> token ids, without loss for any text. Wraps the tokenizers library;
knows no corpus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

from cpart_core.corpus.passages import SURROGATE

END = "<|end|>"
"""Ends every document. Text that spells it is ordinary text."""
LONG_RUN = re.compile(r"\S{2001}|\s{2001}")
RUN = re.compile(r"\S{1,1000}|\s{1,1000}")
"""Longer runs are cut: one pre-token of megabytes would make BPE training take minutes."""


class Tokenizer:
    """A trained tokenizer. Digits are single tokens (numbers can be added up), all else is learnt
    from the text."""

    def __init__(self, wrapped: HuggingFaceTokenizer) -> None:
        # the text "<|end|>" is text; the library's JSON does not keep this switch
        wrapped.encode_special_tokens = True
        end = wrapped.token_to_id(END)
        if end is None:
            raise ValueError(f"This tokenizer has no {END} token; it was not made by CPart.")
        self.wrapped = wrapped
        self.end: int = end
        self.vocabulary_size: int = wrapped.get_vocab_size()
        self.token_bytes = bytes_of_tokens(wrapped)
        """For each id the bytes it stands for; nothing for <|end|>."""

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> Tokenizer:
        """Learn at most `size` tokens (256 bytes and <|end|> included); a short text gives
        fewer."""
        if size < 257:
            raise ValueError(
                f"A byte-level vocabulary needs at least 257 tokens (256 bytes and {END}); got"
                f" {size}."
            )
        wrapped = HuggingFaceTokenizer(models.BPE())
        wrapped.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        wrapped.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        wrapped.train_from_iterator(
            (piece for text in texts for piece in short_runs(text)), trainer
        )
        return cls(wrapped)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Read the library's JSON; ValueError where it is damaged."""
        try:
            check_kind(json.loads(text))
            wrapped = HuggingFaceTokenizer.from_str(text)
        except Exception as error:  # noqa: BLE001  the library raises bare Exception
            raise ValueError(f"This tokenizer cannot be read: {error}") from None
        return cls(wrapped)

    def to_json(self) -> str:
        return self.wrapped.to_str()

    def encode(self, text: str) -> list[int]:
        """Ids of the text, without <|end|>. Lone surrogates, which UTF-8 cannot hold, become
        U+FFFD."""
        return [token for piece in short_runs(text) for token in self.wrapped.encode(piece).ids]

    def encode_many(self, texts: list[str]) -> list[list[int]]:
        """`encode` of each text, on all cores."""
        plain = [index for index, text in enumerate(texts) if short_runs(text) == [text]]
        encodings = self.wrapped.encode_batch_fast([texts[index] for index in plain])
        found = {index: encoding.ids for index, encoding in zip(plain, encodings, strict=True)}
        return [
            found[index] if index in found else self.encode(text)
            for index, text in enumerate(texts)
        ]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids; <|end|> gives nothing, bytes that are no UTF-8 (a character cut in
        half) give U+FFFD."""
        return b"".join(self.token_bytes[token] for token in ids).decode("utf-8", errors="replace")

    def token_text(self, token: int) -> str:
        """What one token stands for, for a person: bytes that are no whole character as <0xC3>."""
        return END if token == self.end else "".join(readable(self.token_bytes[token]))


def check_kind(data: dict[str, Any]) -> None:
    """ValueError unless the JSON describes what `Tokenizer.train` makes: foreign steps may lose
    text, or hold a pattern that never ends."""
    steps = [step["type"] for step in data["pre_tokenizer"]["pretokenizers"]]
    foreign = [
        name for name in ("normalizer", "post_processor", "truncation", "padding") if data.get(name)
    ]
    if (
        data["model"]["type"] != "BPE"
        or steps != ["Digits", "ByteLevel"]
        or foreign
        or [t["content"] for t in data["added_tokens"]] != [END]
    ):
        raise ValueError("it was not made by CPart")


def short_runs(text: str) -> list[str]:
    """The text in pieces whose runs without (or of) white space are bearable; mostly just
    [text]."""
    text = SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return RUN.findall(text) if LONG_RUN.search(text) else [text]


def readable(data: bytes) -> Iterator[str]:
    """Characters of UTF-8 bytes, with <0x..> for each byte that belongs to none."""
    position = 0
    while position < len(data):
        for length in (1, 2, 3, 4):
            try:
                char = data[position : position + length].decode("utf-8")
            except UnicodeDecodeError:
                continue
            if char:
                yield char
                position += length
                break
        else:
            yield f"<0x{data[position]:02X}>"
            position += 1


def bytes_of_tokens(wrapped: HuggingFaceTokenizer) -> list[bytes]:
    """The bytes behind each id: byte-level BPE writes the byte b as one visible character (GPT-2's
    table)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    byte_of = {chr(byte): byte for byte in visible}
    byte_of |= {
        chr(0x100 + index): byte
        for index, byte in enumerate(byte for byte in range(256) if byte not in set(visible))
    }
    table = [b""] * wrapped.get_vocab_size()
    for token, index in wrapped.get_vocab().items():
        if token == END:
            continue
        if not set(token) <= byte_of.keys() or index >= len(table):
            raise ValueError(f"This tokenizer is not byte-level BPE: token {token[:40]!r}.")
        table[index] = bytes(byte_of[char] for char in token)
    return table
