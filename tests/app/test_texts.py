"""Text on our pages: messages read as sentences, and nothing that somebody else wrote comes alive."""

from __future__ import annotations

import pytest

from app.texts import readable, running_text_html, sentence
from app.words import age


@pytest.mark.parametrize(
    "ours",
    [
        "Paste some text: a few pages of each context, so that something can be learned and something held out.",
        "fusion_step 50 must not come before first_step 100: there is nothing to fuse (yet).",
        "There is too little text - give at least two different documents.",
    ],
)
def test_a_message_of_ours_reads_as_a_sentence(ours):
    assert sentence(ours) == ours


@pytest.mark.parametrize(
    "theirs",
    [
        "see ![x](http://evil/x)",
        "see www.evil.example now",
        "WWW.evil.example",
        "mail a@b.de",
        "a :smile: b",
        "a -> b",
        "a $x$ b",
        "a <img src=x> b",
        "a **b** c",
        "a __b__ c",
        "a ~~b~~ c",
        "a `b` c",
        "# a",
        "1. a",
        "- a",
        "http://evil.example",
        "a\\b",
        "a | b",
    ],
)
def test_what_markdown_would_take_for_more_stays_in_a_code_span(theirs):
    assert sentence(theirs).startswith("`` ") and sentence(theirs).endswith(" ``")


def test_characters_of_several_tokens_can_be_read():
    """The dots stand where a token holds only a part; a lone byte stays a byte, and text that only looks like one stays too."""
    assert readable(["a <0xE6>", "<0xBC>", "<0xA2>", "b"]) == ["a \u00b7", "\u00b7", "\u6f22", "b"]
    assert readable(["<0xC3><0xA4>x"]) == ["\u00e4x"]
    assert readable(["<0xA2>", "b"]) == ["<0xA2>", "b"]
    assert readable(["ab", "<0x", "E6>"]) == ["ab", "<0x", "E6>"]


def test_segment_numbers_stand_where_another_segment_takes_over():
    html = running_text_html(["a", "b", "c", "d"], [3, 3, 1, 3], [1.0] * 4, numbers=True)
    assert html.count("<sub>") == 3 and html.index("<sub>3</sub>a") < html.index("<sub>1</sub>c") < html.index("<sub>3</sub>d")


def test_an_age_has_a_unit():
    from datetime import datetime, timedelta

    then = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
    said = [age(then.isoformat(), then + timedelta(seconds=seconds)) for seconds in (1, 50, 130, 7300, 200_000)]
    assert said == ["just now", "1 min ago", "2 min ago", "2 h ago", "2 days ago"]
