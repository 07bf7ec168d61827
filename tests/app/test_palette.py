"""Colours always come with a second cue, are seen on their background, and other people's text never comes alive."""

from __future__ import annotations

import html
import re

import pytest

from app.charts import palette
from app.charts.theme import DARK, LIGHT
from app.texts import code_span, escaped, plain, running_text_html
from tests.app.test_config import contrast

HOSTILE = ("<script>alert(1)</script>", "``` `` `", "![x](http://evil/x)", "a\u202eb\u0000c", "$x$ :red[y] ->", '" onload="x')


def test_colour_and_symbol_together_name_a_segment():
    pairs = [(palette.segment_colour(segment), palette.segment_symbol(segment)) for segment in range(64)]
    assert len(set(pairs)) == 64
    assert palette.segment_colour(-1) == palette.SHARED_COLOUR != palette.segment_colour(7)
    looks = [(palette.context_colour(context), palette.context_dash(context)) for context in range(18)]
    assert len(set(looks)) == 18


def test_no_context_wears_a_segments_colour():
    assert not set(palette.CONTEXT_COLOURS) & set(palette.SEGMENT_COLOURS)
    assert not set(palette.CONTEXT_COLOURS_DARK) & set(palette.SEGMENT_COLOURS_DARK)


def test_colours_are_seen_on_the_dark_background():
    for colour in (*palette.SEGMENT_COLOURS_DARK, *palette.CONTEXT_COLOURS_DARK, palette.SHARED_COLOUR):
        assert contrast(colour, DARK.background) >= 3, colour


def test_lines_of_contexts_are_seen_on_white():
    low = [colour for colour in palette.CONTEXT_COLOURS if contrast(colour, LIGHT.background) < 2.4]
    assert not low


@pytest.mark.parametrize("shared", [False, True])
def test_each_number_has_its_own_step_of_the_scale(shared):
    scale = palette.discrete_scale(5, shared=shared)
    numbers = list(range(-1 if shared else 0, 5))
    assert [colour for _, colour in scale[::2]] == [palette.segment_colour(number) for number in numbers]
    assert scale[0][0] == 0 and scale[-1][0] == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_stays_text(text):
    span = code_span(text)
    fence = re.match("`+", span).group()
    assert span == f"{fence} {plain(text)} {fence}" and fence not in plain(text)
    assert "<" not in escaped(text) and '"' not in escaped(text)
    shown = running_text_html([text], [0], [1.0], hover=[text]).partition("</style>")[2]
    assert (
        "<script" not in shown
        and html.unescape(re.sub("<[^>]+>", "", shown)).count(text.replace("\u202e", "\u25ab").replace("\u0000", "\u25ab")) >= 1
    )


def test_running_text_marks_where_the_model_took_over():
    shown = running_text_html(["a", "b", "c"], [0, 1, 2], [0.0, 0.5, 2.0], prompt_tokens=2).partition("</style>")[2]
    assert shown.index("cp-here") > shown.index(">b<") and shown.count('class="cp-token"') == 3
