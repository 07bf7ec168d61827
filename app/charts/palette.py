"""Colours, symbols and dashes of segments and contexts, and the scales of weights.

Every colour has a second cue, since none is told apart by everyone. Contexts wear other colours than segments, so that a segment is never taken
for a context. This file knows no figure and no page.
"""

from __future__ import annotations

SEGMENT_COLOURS = ("#1845fb", "#ff5e02", "#c91f16", "#c849a9", "#adad7d", "#86c8dd", "#578dff", "#656364")
"""Petroff's eight: smallest distance in CAM02-UCS 16.8 for deuteranopes."""

SEGMENT_COLOURS_DARK = ("#5573ff", "#ff7a2e", "#e8483f", "#d766ba", "#bdbd8e", "#86c8dd", "#82a9ff", "#96949a")
"""The same hues, the dark ones lifted to at least 3:1 on the dark background."""

SEGMENT_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "hexagon")

SHARED_COLOUR = "#8b8f98"
"""The shared segment and everything that belongs to none."""

CONTEXT_COLOURS = ("#332288", "#cc6677", "#117733", "#88a9d0", "#882255", "#999933", "#44aa99", "#b8862b", "#aa4499")
"""After Tol's muted, two of them darkened to be seen on white."""

CONTEXT_COLOURS_DARK = ("#8f86ea", "#e08a99", "#4fbf78", "#a9cdf0", "#d2699b", "#c6c65e", "#5fcdb9", "#ddcc77", "#c773bb")

CONTEXT_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

CONTEXT_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down", "hexagon")

WEIGHT_SCALE = "Cividis"
"""For weights, masses and shares: one hue order for every reader, darker = less."""

MUTED = {False: "#c7ccd5", True: "#3b4350"}
"""What is not selected, on light and dark."""


def segment_colour(segment: int, dark: bool = False) -> str:
    """Hex colour of a segment; the shared segment (-1) is grey. From the ninth on colours repeat and the symbol differs."""
    if segment < 0:
        return SHARED_COLOUR
    colours = SEGMENT_COLOURS_DARK if dark else SEGMENT_COLOURS
    return colours[segment % len(colours)]


def segment_symbol(segment: int) -> str:
    """Plotly marker symbol of a segment. The pair (colour, symbol) is unique for the first 64 segments."""
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


def discrete_scale(num_segments: int, dark: bool = False, shared: bool = False) -> list[list[float | str]]:
    """A plotly colour scale of flat steps, for a heat map of segment numbers.

    Give the heat map zmin = -1.5 (with shared) or -0.5, and zmax = num_segments - 0.5.
    """
    numbers = list(range(-1 if shared else 0, num_segments))
    scale: list[list[float | str]] = []
    for place, segment in enumerate(numbers):
        colour = segment_colour(segment, dark)
        scale += [[place / len(numbers), colour], [(place + 1) / len(numbers), colour]]
    return scale
