"""Colours always come with a second cue, are seen on their background, and other people's text
never comes alive."""

from __future__ import annotations

import html
import itertools
import re

import numpy as np
import pytest

from app.charts.theme import DARK, LIGHT
from app.text import palette
from app.text.escape import code_span, escaped, plain, running_text_html
from tests.app.test_config import contrast

HOSTILE = (
    "<script>alert(1)</script>",
    "``` `` `",
    "![x](http://evil/x)",
    "a\u202eb\u0000c",
    "$x$ :red[y] ->",
    '" onload="x',
)


def test_colour_and_symbol_together_name_a_segment():
    pairs = [
        (palette.segment_colour(segment), palette.segment_symbol(segment)) for segment in range(64)
    ]
    assert len(set(pairs)) == 64
    assert palette.segment_colour(-1) == palette.SHARED_COLOUR != palette.segment_colour(7)
    looks = [
        (palette.context_colour(context), palette.context_dash(context)) for context in range(18)
    ]
    assert len(set(looks)) == 18


def oklab(colour: str) -> np.ndarray:
    """Perceptual coordinates [3] in which equal distances look alike (Ottosson 2020, "A perceptual
    color space for image processing")."""
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    axes = [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
    return np.array(axes) @ np.cbrt(np.array(cones) @ linear)


@pytest.mark.parametrize("dark", [False, True])
def test_no_two_colours_of_segments_and_contexts_look_alike(dark):
    """Nor is a segment taken for a context, or either for the shared segment's grey: they meet in
    one picture. 0.02 is just seen side by side."""
    named = {
        palette.segment_name(segment): palette.segment_colour(segment, dark)
        for segment in range(-1, 8)
    }
    named |= {f"context {context}": palette.context_colour(context, dark) for context in range(9)}
    apart = {
        pair: float(np.linalg.norm(oklab(named[pair[0]]) - oklab(named[pair[1]])))
        for pair in itertools.combinations(named, 2)
    }
    assert not {pair: distance for pair, distance in apart.items() if distance < 0.1}
    greys = [name for name, colour in named.items() if np.linalg.norm(oklab(colour)[1:]) < 0.025]
    assert greys == ["shared"], "grey belongs to the shared segment alone"


def test_colours_are_seen_on_the_dark_background():
    for colour in (
        *palette.SEGMENT_COLOURS_DARK,
        *palette.CONTEXT_COLOURS_DARK,
        palette.SHARED_COLOUR,
    ):
        assert contrast(colour, DARK.background) >= 3, colour


def test_lines_of_contexts_are_seen_on_white():
    low = [colour for colour in palette.CONTEXT_COLOURS if contrast(colour, LIGHT.background) < 2.4]
    assert not low


@pytest.mark.parametrize("shared", [False, True])
def test_each_number_has_its_own_step_of_the_scale(shared):
    scale = palette.discrete_scale(5, shared=shared)
    numbers = list(range(-1 if shared else 0, 5))
    assert [colour for _, colour in scale[::2]] == [
        palette.segment_colour(number) for number in numbers
    ]
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
        and html.unescape(re.sub("<[^>]+>", "", shown)).count(
            text.replace("\u202e", "\u25ab").replace("\u0000", "\u25ab")
        )
        >= 1
    )


def test_running_text_marks_where_the_model_took_over():
    shown = running_text_html(
        ["a", "b", "c"], [0, 1, 2], [0.0, 0.5, 2.0], prompt_tokens=2
    ).partition("</style>")[2]
    assert shown.index("cp-here") > shown.index(">b<") and shown.count('class="cp-token"') == 3
