"""What a child writes on its standard output and error: kept in part, and without secrets."""

from __future__ import annotations

import re
from collections import deque

LINES_KEPT = 20
MOST_LINE = 300
"""Characters of a line that are kept."""
_MOST_OPEN_BYTES = 8_192
"""A line that is longer is taken as ended."""

_SECRETS = re.compile(
    r"hf_\w{8,}"  # a token of Hugging Face
    r"|nvapi-[\w-]{8,}"
    r"|(?<=://)[^/\s@]+(?=@)"  # user:password of an address
    r"|(?<=earer )[\w.~+/=-]+"
    r"|(?i:(?<=token=)|(?<=token: )|(?<=password=)|(?<=password: )|(?<=secret=)|(?<=api_key=))\S+"
)
_DULL = re.compile(r"^\W*$")


class Output:
    """The last lines of a child. Pure: bytes in, lines out."""

    def __init__(self) -> None:
        self._open = b""
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)

    def take(self, piece: bytes) -> list[str]:
        """Take in what was written; return the lines that it ended."""
        *ended, self._open = (self._open + piece).replace(b"\r", b"\n").split(b"\n")
        if len(self._open) > _MOST_OPEN_BYTES:
            ended.append(self._open)
            self._open = b""
        lines = [line for line in map(shown, ended) if not _DULL.match(line)]
        self._lines.extend(lines)
        return lines

    @property
    def last(self) -> str:
        """The last line that says something; empty if there is none."""
        left = shown(self._open)
        if left and not _DULL.match(left):
            return left
        return self._lines[-1] if self._lines else ""


def shown(line: bytes) -> str:
    """Return a line fit to be logged: bounded, without control characters, secrets masked."""
    text = line[: 4 * MOST_LINE].decode("utf-8", "replace")
    text = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    return _SECRETS.sub("***", text)[:MOST_LINE]
