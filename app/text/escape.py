"""Text of other people on our pages: escaped, always. Knows HTML and markdown, no streamlit and no
run."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Sequence

from app.engine.said import shortened
from app.text.palette import rgba, segment_colour
from cpart_core.wording.printable import JOINERS, carried, isolated, marked

SQUARE = "\u25ab"
"""Shown for characters that show nothing and can turn or break a line."""


def plain(text: str, limit: int = 200) -> str:
    """One printable line: control and direction characters replaced, long text cut, right-to-left
    text set apart from what is around it."""
    line = marked(text.replace("\n", " ").replace("\t", " "), SQUARE)
    return isolated(line if len(line) <= limit else line[: limit - 1] + "\u2026")


def code_span(text: str, limit: int = 200) -> str:
    """A markdown code span that shows the text as it is: no link, image, directive or emphasis in
    it comes alive."""
    line = plain(text, limit) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=1))
    return f"{fence} {line} {fence}"


HARMLESS = re.compile(
    r"(?![\w-]*www\.)[^\W\d_](?:[^\W_]|(?<=\w)_(?=\w)|[ ,;.()'\"%?!=\u2026]|:(?="
    r" )|(?<=\w)[/|-](?=\w)|(?<=[\w)]) - (?=\w))*",
    re.ASCII,
)
"""A line in which markdown finds nothing: plain English with names of settings and numbers."""


def unmarked(markdown: str) -> str:
    """Words of ours as markdown, without the marks of code and emphasis: for pictures, which have
    none."""
    return re.sub(r":material/\w+:\s*|[`*]", "", markdown).replace("  ", " ")


def sentence(text: str, limit: int = 400) -> str:
    """A message as markdown: ours read as sentences; one that quotes what could come alive is shown
    in a code span as it is. Paths are shortened, and secrets covered."""
    text = shortened(text)
    line = plain(text, limit)
    return (
        line if HARMLESS.fullmatch(line) and "www." not in line.lower() else code_span(text, limit)
    )


def escaped(text: str, limit: int = 200) -> str:
    """For HTML and for plotly text, hover and titles."""
    return html.escape(plain(text, limit), quote=True)


def visible(token: str) -> str:
    """A token as shown in running text: a lone newline or tab gets a mark, so that it can be
    pointed at.

    A joiner at its beginning joins it to the token before, and stays.
    """
    rest = token.lstrip(JOINERS)
    return (
        (token[: len(token) - len(rest)] + marked(rest, SQUARE))
        .replace("\n", "\u21b5\n")
        .replace("\t", "\u21e5\t")
    )


def token_label(token: str, limit: int = 24) -> str:
    """A token that stands alone, as plain text: marks that combine get something to sit on."""
    return plain(carried(visible(token)), limit)


def escaped_token(token: str, limit: int = 24) -> str:
    """The same for HTML and for plotly text."""
    return html.escape(token_label(token, limit), quote=True)


BYTE = re.compile("<0x([0-9A-F]{2})>")
"""A byte of a character that a token holds only in part, as the tokenizer prints it."""


def readable(tokens: Sequence[str]) -> list[str]:
    """Tokens whose bytes make a character together, as that character: it stands at the token that
    ends it, a dot at those before.

    Bytes that make no character stay as they are.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    shown = []
    for token in tokens:
        spelled = re.split(BYTE, token)  # text, byte, text, byte, ..., text
        raw = b"".join(
            bytes([int(part, 16)]) if place % 2 else part.encode("utf-8", "replace")
            for place, part in enumerate(spelled)
        )
        text = decoder.decode(raw)
        waiting = bool(decoder.getstate()[0])
        shown.append(token if "\ufffd" in text else text + "\u00b7" * waiting)
    return shown


def token_style(segment: int, strength: float, dark: bool) -> str:
    """CSS of one token: tint by segment, opacity by strength; the underline keeps the segment
    readable where the tint is weak."""
    colour = segment_colour(segment, dark)
    opacity = 0.10 + 0.55 * min(1.0, max(0.0, strength))
    return f"background:{rgba(colour, opacity)};border-bottom:2px solid {colour}"


def running_text_html(
    tokens: Sequence[str],
    strongest: Sequence[int],
    strength: Sequence[float],
    hover: Sequence[str] | None = None,
    dark: bool = False,
    prompt_tokens: int | None = None,
    numbers: bool = False,
) -> str:
    """Running text, every token tinted by its strongest segment.

    tokens [T]; strongest [T] segment numbers; strength [T] 0..1 (opacity; divide alpha by the
    largest alpha shown); hover [T] plain text of the card shown on hover and on keyboard focus,
    lines split by newline; prompt_tokens: the tokens from there on were generated and are set off;
    numbers: also print the segment's number where another segment takes over (a second cue beside
    colour).
    """
    pieces = []
    for place, token in enumerate(readable(tokens)):
        if prompt_tokens is not None and place == prompt_tokens:
            pieces.append('<span class="cp-here" title="generated from here on"></span>')
        segment = int(strongest[place])
        card = (
            f'<span class="cp-card">{html.escape(hover[place])}</span>' if hover is not None else ""
        )
        number = (
            f"<sub>{segment}</sub>"
            if numbers and (place == 0 or segment != int(strongest[place - 1]))
            else ""
        )
        reach = ' tabindex="0"' if card else ""
        look = (
            f'class="{token_class(token)}"{reach}'
            f' style="{token_style(segment, float(strength[place]), dark)}"'
        )
        pieces.append(f"<span {look}>{number}{html.escape(visible(token))}{card}</span>")
    return f'{RUNNING_TEXT_STYLE}<div class="cp-text" dir="auto">{"".join(pieces)}</div>'


def token_class(token: str) -> str:
    """Tokens without any width get a place to point at."""
    return "cp-token cp-thin" if token and not token.strip(JOINERS) else "cp-token"


RUNNING_TEXT_STYLE = """<style>
.cp-text{unicode-bidi:plaintext;text-align:start}
.cp-text{white-space:pre-wrap;overflow-wrap:anywhere;line-height:2;font-size:1rem;font-family:"Source Code Pro",ui-monospace,monospace}
.cp-token{position:relative;border-radius:3px 3px 0 0;padding:1px 0;cursor:default}
.cp-token sub{font-size:.65em;font-weight:600;margin:0 2px 0 1px;unicode-bidi:isolate}
.cp-thin{z-index:2}
.cp-thin::after{content:"";position:absolute;inset-inline-start:-2px;top:0;width:4px;height:100%;
border-bottom:2px dotted currentColor}
.cp-token:hover,.cp-token:focus{outline:1.5px solid currentColor;outline-offset:1px}
.cp-card{direction:ltr;unicode-bidi:isolate;text-align:left}
.cp-card{display:none;position:absolute;left:0;top:1.9em;z-index:50;white-space:pre;font-size:.75rem;line-height:1.45;padding:8px 10px;
border-radius:6px;border:1px solid rgba(128,136,150,.5);background:var(--st-secondary-background-color,Canvas);color:var(--st-text-color,CanvasText);
box-shadow:0 4px 16px rgba(0,0,0,.18);pointer-events:none}
.cp-token:hover .cp-card,.cp-token:focus .cp-card{display:block}
.cp-here{border-left:2px solid currentColor;margin:0 4px;opacity:.6}
</style>"""
