"""A model's words made fit to be shown: data, never markup or instructions. Pure."""

from __future__ import annotations

import re
import unicodedata

MOST_CHARACTERS = 600

_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?\s*(think|answer)\s*>|<\|[^|>]*\|?>?", re.IGNORECASE)


def cleaned(words: str, most_characters: int = MOST_CHARACTERS) -> str:
    """Return words on one line, without thoughts, tags and what cannot be seen; bounded in length.

    Left out are control and format characters (terminal escapes, writing direction), halves of
    surrogate pairs and private ones. A text that is cut ends in "…", after a whole word if it can.
    """
    text = _TAG.sub(" ", _THOUGHT.sub(" ", words))
    text = "".join(sign if _is_shown(sign) else " " for sign in text)
    text = " ".join(text.split())
    if len(text) <= most_characters:
        return text
    text = text[: most_characters - 1]
    whole, _, part = text.rpartition(" ")
    return (whole if whole and len(part) < 40 else text).rstrip(" ,;:") + "…"


def _is_shown(sign: str) -> bool:
    return not unicodedata.category(sign).startswith("C")
