"""Colours, symbols and dashes of segments and contexts, and the scales of weights.

Every colour has a second cue, since none is told apart by everyone. Contexts wear other colours
than segments, so that a segment is never taken for a context. This file knows no figure and no
page.
"""

from __future__ import annotations

SEGMENT_COLOURS = (
    "#1845fb",
    "#ff5e02",
    "#c91f16",
    "#c849a9",
    "#adad7d",
    "#86c8dd",
    "#578dff",
    "#5b3a1e",
)
"""Petroff's eight, but for his grey, which is the shared segment's here: the last is a brown."""

SEGMENT_COLOURS_DARK = (
    "#5573ff",
    "#ff7a2e",
    "#e8483f",
    "#d766ba",
    "#bdbd8e",
    "#86c8dd",
    "#82a9ff",
    "#61690d",
)
"""The same hues, the dark ones lifted to at least 3:1 on the dark background."""

SEGMENT_SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "star",
    "triangle-down",
    "hexagon",
)

SHARED_COLOUR = "#8b8f98"
"""The shared segment and everything that belongs to none."""

CONTEXT_COLOURS = (
    "#8b5e6c",
    "#ec7b9e",
    "#216d00",
    "#0077a3",
    "#83164d",
    "#12a469",
    "#424279",
    "#b07600",
    "#ba8ff3",
)
"""Found by a search for muted colours that lie far from one another and from those of the segments:
any two of all 18 are at least 0.1 apart in Oklab, on dark as on light."""

CONTEXT_COLOURS_DARK = (
    "#816eac",
    "#ffab5a",
    "#5db161",
    "#07a6d0",
    "#dde468",
    "#65e4bb",
    "#d0daff",
    "#af6810",
    "#d69dff",
)

CONTEXT_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

CONTEXT_SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "x",
    "star",
    "triangle-down",
    "hexagon",
)

WEIGHT_SCALE = "Cividis"
"""For weights, masses and shares: one hue order for every reader, darker = less."""

MUTED = {False: "#c7ccd5", True: "#3b4350"}
"""What is not selected, on light and dark."""


def segment_colour(segment: int, dark: bool = False) -> str:
    """Hex colour of a segment; the shared segment (-1) is grey. From the ninth on colours repeat
    and the symbol differs."""
    if segment < 0:
        return SHARED_COLOUR
    colours = SEGMENT_COLOURS_DARK if dark else SEGMENT_COLOURS
    return colours[segment % len(colours)]


def segment_symbol(segment: int) -> str:
    """Plotly marker symbol of a segment. The pair (colour, symbol) is unique for the first 64
    segments."""
    if segment < 0:
        return "line-ns-open"
    return SEGMENT_SYMBOLS[(segment + segment // len(SEGMENT_SYMBOLS)) % len(SEGMENT_SYMBOLS)]


def segment_name(segment: int) -> str:
    """How a segment is called on the screen."""
    return "shared" if segment < 0 else f"segment {segment}"


def context_colour(context: int, dark: bool = False) -> str:
    """Hex colour of a context; unknown (-1) is grey."""
    if context < 0:
        return SHARED_COLOUR
    colours = CONTEXT_COLOURS_DARK if dark else CONTEXT_COLOURS
    return colours[context % len(colours)]


def context_dash(context: int) -> str:
    """Line style of a context; with the colour unique for the first 18 contexts."""
    return CONTEXT_DASHES[context % len(CONTEXT_DASHES)]


def context_symbol(context: int) -> str:
    return "circle-open" if context < 0 else CONTEXT_SYMBOLS[context % len(CONTEXT_SYMBOLS)]


def rgba(colour: str, opacity: float) -> str:
    """'#1845fb', 0.5 -> 'rgba(24,69,251,0.50)'."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:.2f})"


def discrete_scale(
    num_segments: int, dark: bool = False, shared: bool = False
) -> list[list[float | str]]:
    """A plotly colour scale of flat steps, for a heat map of segment numbers.

    Give the heat map zmin = -1.5 (with shared) or -0.5, and zmax = num_segments - 0.5.
    """
    numbers = list(range(-1 if shared else 0, num_segments))
    scale: list[list[float | str]] = []
    for place, segment in enumerate(numbers):
        colour = segment_colour(segment, dark)
        scale += [[place / len(numbers), colour], [(place + 1) / len(numbers), colour]]
    return scale
