"""Shares, relative changes and percentage points are written by one file, in one way, and nowhere
by hand."""

from __future__ import annotations

import math
import re

import pytest

from cpart_core.wording.percent import between, change, percent, points, with_interval
from tests.source_files import ROOT, files

WRITERS = {"cpart_core/wording/percent.py", "app/charts/theme.py"}
"""The text, and the axes and hovers of figures."""
OTHER_HUNDREDS = ("100 * factor", "100 * psutil")
"""Of bytes and of seconds."""
BY_HAND = re.compile(
    r"""[:"'][-+,<>=^0-9]*\.[0-9]+%["'}]"""  # f"{x:.1%}", tickformat=".0%", "%{x:.1%}"
    r"""|format="percent\""""
    r"""|\}\ ?%(?![{\w(])"""  # f"{100 * x:.0f} %"
    r"""|(?<![\w.])100(?:\.0)?\ \*\ |\ \*\ 100(?:\.0)?(?![\w.])""",
    re.VERBOSE,
)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.125, "12.5 %"),
        (0.36, "36.0 %"),
        (1.0, "100.0 %"),
        (0.0028, "0.28 %"),
        (-0.0028, "-0.28 %"),
        (0.0, "0.0 %"),
        (12.3456, "1,234.6 %"),
    ],
)
def test_a_share_has_one_look(share, said):
    assert percent(share) == said
    assert change(share) == (said if share < 0 else f"+{said}")


def test_points_are_not_percent():
    """36 % and 48.5 % lie 12.5 points apart, and 35 % apart."""
    assert points(0.485 - 0.36) == "+12.5 points" and change(0.485 / 0.36 - 1) == "+34.7 %"


def test_the_numbers_of_an_interval_have_equally_many_digits():
    assert with_interval(-0.0028, -0.0052, -0.0004, "+") == "-0.28 % (-0.52 to -0.04)"
    assert with_interval(0.4358, -0.4977, 3.104, "+") == "+43.6 % (-49.8 to +310.4)"
    assert between(0.001, 0.5) == "0.1 to 50.0 %" and percent(-0.00000001) == "0.00 %"


def test_what_is_not_known_is_a_dash():
    assert percent(math.nan) == change(math.nan) == points(math.inf) == "\u2013"


def test_no_percentage_is_written_by_hand():
    found = []
    for path in files("app", "cpart_core"):
        name = str(path.relative_to(ROOT))
        if name in WRITERS or name.startswith("cpart_core/bench/"):
            continue
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if BY_HAND.search(line) and not any(other in line for other in OTHER_HUNDREDS):
                found.append(f"{name}:{n}: {line.strip()[:90]}")
    assert not found, "\n".join(
        ["Use cpart_core/wording/percent.py (text) or app/charts/theme.py (figures):", *found]
    )


@pytest.mark.parametrize(
    "line",
    [
        'f"{share:.0%} of"',
        'tickformat=".0%"',
        '"%{x:.1%} ·"',
        'format="percent"',
        'f"{100 * share:.1f} %"',
        "x=100 * share",
        'f"{n:.1f} %"',
    ],
)
def test_the_search_finds_what_it_is_for(line):
    assert BY_HAND.search(line)
