"""The picture of what CPart is: text -> segments of every layer -> fusion weights -> next token. An
SVG in the page's own colours.

It says nothing of any run: the heights of the bars are no measurement, and the picture says so.
"""

from __future__ import annotations

import streamlit as st

from app.text.palette import segment_colour

TOKENS = ("def", "area", "(", "r", ")", ":")
WEIGHTS = ((0.75, 0.1, 0.5, 0.15), (0.2, 0.85, 0.1, 0.3), (0.15, 0.55, 0.2, 0.8))
"""Heights of the drawn bars, by layer and segment."""

STYLE = """.cp-picture svg{width:100%;max-width:1000px;height:auto;display:block}
.cp-picture text{font-family:"Source Sans","Source Sans Pro",system-ui,sans-serif;fill:var(--st-text-color,currentColor)}
.cp-picture .soft{opacity:.66}
.cp-picture .rule{stroke:var(--st-border-color,#888);stroke-width:1;fill:none}
.cp-picture .box{fill:var(--st-secondary-background-color,none);stroke:var(--st-border-color,#888)}
.cp-picture .tall{display:none;max-width:340px}
@media (max-width:640px){.cp-picture .wide{display:none}.cp-picture .tall{display:block}}
"""

ABOUT = (
    "Drawing: a text goes through layers whose neurons are divided into segments; fusion weights "
    "sum the segments' outputs; the model predicts the next token."
)


def drawing(dark: bool) -> str:
    """The drawing as HTML: a wide one, and a tall one for narrow windows."""
    return f'<div class="cp-picture" role="img" aria-label="{ABOUT}">{wide(dark)}{tall(dark)}</div>'


def show_picture(dark: bool) -> None:
    """Draw it. As a component, since st.html takes no SVG."""
    (draw_dark if dark else draw_light)(key="picture")


def text(
    x: float,
    y: float,
    said: str,
    size: int = 14,
    kind: str = "",
    anchor: str = "start",
    weight: int = 400,
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" class="{kind}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{said}</text>'
    )


def tokens(x: float, y: float, dark: bool) -> str:
    """The text as a column of tokens."""
    pieces = []
    for place, token in enumerate(TOKENS):
        top = y + 25 * place
        pieces.append(f'<rect class="box" x="{x}" y="{top}" width="58" height="20" rx="4"/>')
        pieces.append(
            f'<text x="{x + 29}" y="{top + 14.5}" font-size="13" text-anchor="middle"'
            f' style="font-family:ui-monospace,monospace">{token}</text>'
        )
    return "".join(pieces)


def layer(x: float, y: float, number: int, dark: bool) -> str:
    """One layer: four segments of neurons, and above each its fusion weight as a bar."""
    pieces = [
        f'<rect class="box" x="{x}" y="{y}" width="168" height="150" rx="8"/>',
        text(x + 12, y + 20, f"layer {number}", 13, "soft"),
    ]
    for segment in range(4):
        left, colour = x + 14 + 37 * segment, segment_colour(segment, dark)
        weight = WEIGHTS[number][segment]
        height = 44 * weight
        pieces.append(
            f'<rect x="{left}" y="{y + 76 - height}" width="28" height="{height}" rx="2"'
            f' fill="{colour}" fill-opacity="0.9"/>'
        )
        pieces.append(f'<path class="rule" d="M{left - 2} {y + 77.5}h32"/>')
        for row in range(3):
            for column in range(3):
                opacity = 0.35 + 0.6 * weight
                pieces.append(
                    f'<circle cx="{left + 5 + 9 * column}" cy="{y + 92 + 11 * row}" r="3.6"'
                    f' fill="{colour}" fill-opacity="{opacity:.2f}"/>'
                )
        pieces.append(text(left + 14, y + 138, str(segment), 12, "soft", "middle"))
    return "".join(pieces)


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight arrow, to the right or downwards."""
    head = f"M{x2 - 6} {y2 - 4}l6 4l-6 4" if y1 == y2 else f"M{x2 - 4} {y2 - 6}l4 6l4 -6"
    return f'<path class="rule" d="M{x1} {y1}L{x2} {y2}{head}" style="stroke-width:1.5"/>'


def next_token(x: float, y: float, dark: bool) -> str:
    """Candidates for the next token."""
    pieces = []
    for place, (token, share) in enumerate((("return", 0.8), ("pass", 0.4), ("r", 0.25))):
        top = y + 26 * place
        pieces.append(
            f'<rect x="{x + 58}" y="{top + 3}" width="{70 * share}" height="12" rx="2"'
            ' fill="var(--st-primary-color,#3f66e0)" fill-opacity="0.85"/>'
        )
        pieces.append(
            f'<text x="{x + 52}" y="{top + 14}" font-size="13" text-anchor="end"'
            f' style="font-family:ui-monospace,monospace">{token}</text>'
        )
    return "".join(pieces)


def wide(dark: bool) -> str:
    pieces = [
        text(8, 16, "text", 14, weight=600),
        text(96, 16, "layers: neurons lie in segments, fusion weights sum them", 14, weight=600),
        text(752, 16, "next token", 14, weight=600),
    ]
    pieces.append(tokens(8, 36, dark))
    for number in range(3):
        left = 98 + 212 * number
        pieces += [
            arrow(left - 28 if number == 0 else left - 40, 108, left - 6, 108),
            layer(left, 33, number, dark),
        ]
    pieces += [arrow(694, 108, 730, 108), next_token(742, 72, dark)]
    pieces.append(
        text(
            112,
            206,
            "bars: the fusion weights of one token \u00b7 dots: neurons \u00b7 0\u20133: segments"
            " \u00b7 a drawing, not a measurement",
            12,
            "soft",
        )
    )
    return f'<svg class="wide" viewBox="0 0 880 216" aria-hidden="true">{"".join(pieces)}</svg>'


def tall(dark: bool) -> str:
    pieces = [
        text(4, 16, "text", 15, weight=600),
        '<rect class="box" x="4" y="26" width="312" height="30" rx="5"/>',
    ]
    pieces.append(
        '<text x="16" y="46" font-size="15" style="font-family:ui-monospace,monospace">def'
        " area(r):</text>"
    )
    pieces.append(text(4, 92, "layers of segments", 15, weight=600))
    for number in range(2):
        top = 102 + 178 * number
        pieces += [layer(74, top, number, dark), arrow(158, top + 152, 158, top + 174)]
    pieces += [text(4, 476, "next token", 15, weight=600), next_token(60, 486, dark)]
    pieces.append(
        text(4, 586, "bars: fusion weights of one token \u00b7 dots: neurons", 13, "soft")
    )
    pieces.append(text(4, 604, "a drawing, not a measurement", 13, "soft"))
    return f'<svg class="tall" viewBox="0 0 320 612" aria-hidden="true">{"".join(pieces)}</svg>'


draw_light = st.components.v2.component("cpart_picture_light", html=drawing(False), css=STYLE)
draw_dark = st.components.v2.component("cpart_picture_dark", html=drawing(True), css=STYLE)
