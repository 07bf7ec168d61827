"""Where a sentence ends, in any script: Unicode's Sentence_Terminal marks, and the blank where a
script has none. No dictionary, no model."""

from __future__ import annotations

import re
import unicodedata

LATIN = ".!?;:"
"""End a sentence where a blank follows: they stand within numbers and names too."""
TIBETAN = "\u0f0d\u0f0e"
OWN = (
    "\u0589\u061b\u061d-\u061f\u06d4\u0700-\u0702\u0837\u0839\u083d\u083e\u0964\u0965\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736"
    "\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8-\u1aab\u1b5a\u1b5b\u1b5e\u1b5f\u1b7d\u1b7e\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047-\u2049"
    "\u2e2e\u2e3c\u2e53\u2e54\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f\uaaf0\uaaf1\uabeb"
    "\ufe12\ufe15\ufe16\ufe52\ufe56\ufe57\uff01\uff0e\uff1a\uff1b\uff1f\uff61\U00011047\U00011048\U000110be-\U000110c1\U00011141-\U00011143"
    + TIBETAN
)
"""End a sentence wherever they stand: Sentence_Terminal (Unicode 15) of scripts that have marks of
their own, with the semicolons and colons that are their .!?;: and Tibetan's shad. As the inside of
a character class."""
CLOSING = "\"'\u2019\u201d\u00bb\u203a)\\]\u300d\u300f\uff09\u300b\u3009\u3011\ufe42\ufe44"
"""May stand between the mark and the end of its sentence."""
UNMARKED = "\u0e00-\u0eff"
"""Thai and Lao mark no sentence; a blank stands where another script has a mark."""
END = re.compile(rf"[{LATIN}](?=[ \t])|[{OWN}]+[{CLOSING}]*\n?|(?<=[{UNMARKED}])(?= )|\n")
ENDED = re.compile(rf"(?:[{LATIN}\n]|[{OWN}][{CLOSING}]*)$")


def parts(text: str) -> list[str]:
    """The text cut behind every mark and line end; joined they are the text."""
    cuts = [0, *(found.end() for found in END.finditer(text)), len(text)]
    return [text[begin:end] for begin, end in zip(cuts, cuts[1:], strict=False) if end > begin] or [
        text
    ]


def is_whole(text: str) -> bool:
    """Whether the text ends as a sentence or line does, blanks aside."""
    return ENDED.search(text.rstrip(" ")) is not None


def columns(text: str) -> int:
    """Its length as a reader sees it: a wide character, as of Chinese or Japanese, says as much as
    two letters."""
    return len(text) + sum(unicodedata.east_asian_width(char) in "WF" for char in text)
