"""The tokenizer loses nothing, whatever the text."""

from __future__ import annotations

import json
from random import Random

import pytest

from cpart_core.corpus.tokenizer import END, Tokenizer

TEXTS = [
    "the cat sat on the mat, 1234 times\n" * 20,
    "def f(x):\n    return x + 1\n" * 20,
    "Žluťoučký kůň 漢字 🙂\n" * 5,
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS, 320)


def test_any_text_comes_back(tokenizer):
    random = Random(0)
    ranges = [(0, 0x80), (0, 0x300), (0x400, 0xD800), (0xE000, 0x110000), (9, 33), (0x300, 0x370)]
    for _ in range(300):
        low, high = random.choice(ranges)
        text = "".join(chr(random.randrange(low, high)) for _ in range(random.randrange(200)))
        text = text.replace("a", random.choice(TEXTS)[:50])
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_code_point_and_every_byte_comes_back(tokenizer):
    text = "".join(chr(code) for code in [*range(0xD800), *range(0xE000, 0x110000, 7)])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert {data for data in tokenizer.token_bytes if len(data) == 1} == {
        bytes([byte]) for byte in range(256)
    }


def test_the_end_token_cannot_be_spelled(tokenizer):
    for made in (tokenizer, Tokenizer.from_json(tokenizer.to_json())):
        ids = made.encode(f"a {END} b{END}")
        assert made.end not in ids and made.decode(ids) == f"a {END} b{END}"
        assert made.token_text(made.end) == END and made.decode([made.end]) == ""


def test_half_characters_are_shown_as_bytes(tokenizer):
    pieces = [tokenizer.token_text(token) for token in tokenizer.encode("\u0416")]
    assert pieces == ["<0xD0>", "<0x96>"]


def test_digits_are_single_tokens(tokenizer):
    assert [tokenizer.token_text(token) for token in tokenizer.encode("1234")] == list("1234")


def test_encoding_many_is_encoding_each(tokenizer):
    texts = [*TEXTS, "", "x" * 50_000, "\ud800 lone", " " * 9000]
    assert tokenizer.encode_many(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.decode(tokenizer.encode("\ud800")) == "\N{REPLACEMENT CHARACTER}"


def test_foreign_and_damaged_tokenizers_are_refused(tokenizer):
    data = json.loads(tokenizer.to_json())
    for change in (
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": None},
        {"added_tokens": []},
    ):
        with pytest.raises(ValueError, match="This tokenizer cannot be read"):
            Tokenizer.from_json(json.dumps(data | change))
    for text in ("", "[]", "{", tokenizer.to_json()[:-40]):
        with pytest.raises(ValueError, match="This tokenizer cannot be read"):
            Tokenizer.from_json(text)
    with pytest.raises(ValueError, match="at least 257"):
        Tokenizer.train(TEXTS, 100)
