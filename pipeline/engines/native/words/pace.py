"""How fast a description is written beside screening. Pure."""

from __future__ import annotations

import math

SHARE = 0.04
"""Of a busy device's time: screening is to lose less than a twentieth."""
UNKNOWN_SECONDS = 0.02
"""What a token is taken to cost until it is known."""

ENOUGH = 8
"""Tokens in a row, behind a first, of which the cost of one is told."""


class Pace:
    """Says when the next token may be written.

    While no clip came since the last one and none is computed, at once; else so seldom that tokens
    take no more than their share of the time.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._token_seconds = UNKNOWN_SECONDS
        self._asked_seconds = -math.inf
        self._asked_batches = 0
        self._first_seconds = -math.inf
        """When the first of the tokens came that no batch came between."""
        self._behind_first = 0
        self._came_batches = -1

    def allows(self, now_seconds: float, *, batches: int, busy: bool) -> bool:
        """`batches`: how many were launched so far. `busy`: one of them is computed now."""
        if not busy and batches == self._asked_batches:
            return True
        return now_seconds - self._asked_seconds >= self._token_seconds / self._share

    def asked(self, now_seconds: float, *, batches: int) -> None:
        """Note that a token is to be computed."""
        self._asked_seconds, self._asked_batches = now_seconds, batches

    def came(self, now_seconds: float, *, batches: int) -> None:
        """Note that a token came: several with no batch between tell what one costs.

        Several, as the first two may have waited together to be taken.
        """
        if batches != self._came_batches:
            self._first_seconds, self._behind_first, self._came_batches = now_seconds, 0, batches
            return
        self._behind_first += 1
        if self._behind_first >= ENOUGH:
            self._token_seconds = (now_seconds - self._first_seconds) / self._behind_first
