"""Text on our pages: messages read as sentences, and nothing that somebody else wrote comes
alive."""

from __future__ import annotations

import html
import re

import pytest

from app.text.escape import (
    escaped,
    plain,
    readable,
    running_text_html,
    sentence,
    token_label,
    visible,
)
from app.text.readable import age


@pytest.mark.parametrize(
    "ours",
    [
        (
            "Paste some text: a few pages of each context, so that something can be learned and"
            " something held out."
        ),
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
    """The dots stand where a token holds only a part; a lone byte stays a byte, and text that only
    looks like one stays too."""
    assert readable(["a <0xE6>", "<0xBC>", "<0xA2>", "b"]) == ["a \u00b7", "\u00b7", "\u6f22", "b"]
    assert readable(["<0xC3><0xA4>x"]) == ["\u00e4x"]
    assert readable(["<0xA2>", "b"]) == ["<0xA2>", "b"]
    assert readable(["ab", "<0x", "E6>"]) == ["ab", "<0x", "E6>"]


def test_segment_numbers_stand_where_another_segment_takes_over():
    html = running_text_html(["a", "b", "c", "d"], [3, 3, 1, 3], [1.0] * 4, numbers=True)
    assert html.count("<sub>") == 3 and html.index("<sub>3</sub>a") < html.index(
        "<sub>1</sub>c"
    ) < html.index("<sub>3</sub>d")


def test_an_age_has_a_unit():
    from datetime import datetime, timedelta

    then = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
    said = [
        age(then.isoformat(), then + timedelta(seconds=seconds))
        for seconds in (1, 50, 130, 7300, 200_000)
    ]
    assert said == ["just now", "1 min ago", "2 min ago", "2 h ago", "2 days ago"]


PERSIAN, HINDI, WOMAN_CODING = (
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\u0915\u094d\u200d\u0937",
    "\U0001f469\u200d\U0001f4bb",
)
MARKS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u200b\ufeff\x00\x1b\x85\u2028"


@pytest.mark.parametrize("text", [PERSIAN, HINDI, WOMAN_CODING, "\u2764\ufe0f\u200d\U0001f525"])
def test_joiners_stay_where_they_join(text):
    """In running text, alone in a label, in a name, and in the terminal; also where a token begins
    with one."""
    from cpart_core.cli.text_table import cell

    assert visible(text) == text and cell(text) == text
    assert text in plain(text) and text in token_label(text)
    before, joiner, after = next(
        (text[:place], text[place], text[place + 1 :])
        for place, char in enumerate(text)
        if char in "\u200c\u200d"
    )
    drawn = running_text_html([before, joiner + after], [0, 1], [1.0, 1.0])
    assert re.sub("<[^>]+>", "", re.sub("<style>.*</style>", "", drawn, flags=re.DOTALL)) == text


def test_a_joiner_that_can_only_hide_is_shown():
    assert (
        plain("pay\u200dpal") == "pay\u25abpal"
        and plain("\u200cfirst") == "\u25abfirst"
        and token_label("\u200d") == "\u25ab"
    )


@pytest.mark.parametrize("mark", MARKS)
def test_no_mark_that_turns_or_breaks_a_line_stays(mark):
    """Each is a square wherever text is shown, and right-to-left text is set apart, so that it
    turns nothing beside it."""
    from cpart_core.cli.text_table import cell

    for shown in (plain(f"a{mark}b"), token_label(f"a{mark}b"), visible(f"a{mark}b")):
        assert shown == "a\u25abb"
    assert cell(f"a{mark}b") == "a?b"
    line = plain(f"\u05d0{mark}\u05d1 12")
    assert line == "\u2068\u05d0\u25ab\u05d1 12\u2069"
    assert html.unescape(escaped(PERSIAN)).startswith("\u2068")


def test_running_text_finds_its_own_direction():
    """By its first strong letter, a paragraph at a time; cards and numbers keep theirs."""
    drawn = running_text_html(
        list("\u05d0\u05d1"), [0, 1], [1.0, 1.0], ["card", "card"], numbers=True
    )
    assert '<div class="cp-text" dir="auto">' in drawn and "unicode-bidi:plaintext" in drawn
    assert re.search(r"\.cp-card\{[^}]*direction:ltr;unicode-bidi:isolate", drawn) and re.search(
        r"sub\{[^}]*unicode-bidi:isolate", drawn
    )


def test_a_mark_that_combines_has_something_to_sit_on():
    assert (
        token_label("\u0301") == "\u25cc\u0301"
        and token_label("\u093f") == "\u25cc\u093f"
        and token_label("e\u0301") == "e\u0301"
    )


def test_a_token_without_width_can_be_pointed_at():
    assert (
        running_text_html(["\u0645", "\u200c", "\u062e"], [0, 1, 2], [1.0] * 3).count(
            "cp-token cp-thin"
        )
        == 1
    )
