"""Characters that show nothing and can turn or break a line: found here, for pages and terminals
alike. Standard library only.

Joiners (U+200C, U+200D) are letters of a kind: Persian, Hindi and joined emoji are wrong without
them. They stay behind a character that can be joined, and are marked where they could only hide (in
Latin text, at a beginning). Marks that turn the direction of text never stay.
"""

from __future__ import annotations

import re
import unicodedata

JOINERS = "\u200c\u200d"
UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
    r"|(?<![\u0300-\u1fff\u2100-\U0010ffff])[\u200c\u200d]"
)
RIGHT_TO_LEFT = re.compile(
    r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
"""Letters that are written from right to left."""
ISOLATED = "\u2068{}\u2069"
"""First strong isolate ... pop: what is inside has its own direction and leaves its neighbours
theirs."""
CARRIER = "\u25cc"
"""What a combining mark sits on that stands alone."""


def marked(text: str, mark: str) -> str:
    """Every character that shows nothing, as `mark`; line feeds and tabs stay."""
    return UNSEEN.sub(mark, text)


def isolated(line: str) -> str:
    """A line that has right-to-left letters, so that it turns nothing around it. Only for text in
    which `marked` left no direction marks."""
    return ISOLATED.format(line) if RIGHT_TO_LEFT.search(line) else line


def carried(text: str) -> str:
    """On a carrier where it begins with a mark that combines with what is before it."""
    return CARRIER + text if text and unicodedata.category(text[0]).startswith("M") else text
