"""Signs of trouble in a picture's brightness and detail: dark, covered, flickering."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.picture_measures import Grey, Look, middle

DARK_BRIGHT = 30.0
"""Nearly nothing (1 % outside the captions) is brighter than this level: a capped lens with its
gain up shows 5 to 25, a night scene with a single lamp in it more than 60."""
NOT_DARK_BRIGHT = 40.0

NO_DETAIL = 0.3
"""Detail at half size below which nothing can be seen; a dim yard in infra-red has 0.85."""
SOME_DETAIL = 0.4
LOST_SHARE = 0.25
"""Share of the usual fine detail that is too little. A blur of 2 pixels at the frame's size (15
at 1080p) leaves 0.1 to 0.3; clear pictures of one camera differ by up to a half."""
REGAINED_SHARE = 0.4
SURE_SECONDS = 60.0
"""Detail seen for this long is what the camera usually shows."""
PLAIN_SECONDS = 1800.0
"""A picture that had no detail ever since it was first seen is taken for a plain view then."""
FORGOTTEN_SECONDS = 86_400.0
"""What was usual a day ago no longer counts if it never came back: the view was changed."""

_SURE_AFTER_PLAIN_SECONDS = 300.0
_GLIMPSE_SECONDS = 1.0
_RISE_SECONDS = 300.0
_FALL_SECONDS = 1200.0
"""Usual detail falls slower than it rises, but fast enough for dusk, which takes an hour."""
_SPREADS = 4.0
_LEAST_LOST_SHARE = 0.1

FLICKER_TURNS = 6
FLICKER_SECONDS = 8.0
"""So many turns of the brightness within this time are flicker; up to 3 s a swing."""
_CALM_SECONDS = 1.6
_SWING_LEVELS = 12.0
_SWING_SHARE = 0.15
"""A swing counts from this share of the mean brightness, and at least so many levels, on.
Headlights, lorries and the shade of trees swing the middle of all pixels by up to 8."""


class Darkness:
    """Whether a picture shows nothing but black; with hysteresis."""

    def __init__(self) -> None:
        self.is_dark = False

    def see(self, look: Look) -> bool:
        """Take the next picture; True if it is dark."""
        self.is_dark = look.bright < (NOT_DARK_BRIGHT if self.is_dark else DARK_BRIGHT)
        return self.is_dark


class Detail:
    """Whether a picture lost its detail, against what this camera usually shows.

    `now` is a clock in seconds that never falls and counts only time in which pictures came.
    Not to be fed with dark pictures.
    """

    def __init__(self) -> None:
        self.is_plain = False
        """The view has never shown detail for long: whether it is covered cannot be told."""
        self.share = 1.0
        """Detail left, as a share of the usual."""
        self._usual: float | None = None
        self._spread = 0.1
        self._is_lost = False
        self._lost_since: float | None = None
        self._seen_seconds = 0.0

    def see(self, look: Look, now: float, step_seconds: float) -> bool:
        """Take the next picture; True if its detail is lost."""
        fine = math.log(max(look.fine, 0.01))
        self.share = 1.0 if self._usual is None else math.exp(min(0.0, fine - self._usual))
        nothing = look.coarse < (SOME_DETAIL if self._is_lost else NO_DETAIL)
        if self._usual is None:
            self._is_lost = self._get_to_know(fine, step_seconds, nothing=nothing)
        else:
            least = REGAINED_SHARE if self._is_lost else self._least_share()
            self._is_lost = nothing or self.share < least
            if not self._is_lost:
                self._follow(fine, step_seconds)
        self._note_loss(now)
        return self._is_lost

    def _least_share(self) -> float:
        """A camera whose detail comes and goes (on a vehicle) must lose more of it."""
        return max(_LEAST_LOST_SHARE, min(LOST_SHARE, math.exp(-_SPREADS * self._spread)))

    def _get_to_know(self, fine: float, step_seconds: float, *, nothing: bool) -> bool:
        if nothing:
            # Something sharp came by and went: the lens sees, there is only nothing to see
            if self._seen_seconds >= _GLIMPSE_SECONDS:
                self.is_plain = True
            self._seen_seconds = 0.0
            return not self.is_plain
        self._seen_seconds += step_seconds
        sure_seconds = _SURE_AFTER_PLAIN_SECONDS if self.is_plain else SURE_SECONDS
        if self._seen_seconds >= sure_seconds:
            self._usual, self.is_plain = fine, False
        return False

    def _follow(self, fine: float, step_seconds: float) -> None:
        assert self._usual is not None
        off = fine - self._usual
        self._usual += min(1.0, step_seconds / (_RISE_SECONDS if off > 0 else _FALL_SECONDS)) * off
        self._spread += min(1.0, step_seconds / _FALL_SECONDS) * (abs(off) - self._spread)

    def _note_loss(self, now: float) -> None:
        if not self._is_lost:
            self._lost_since = None
            return
        if self._lost_since is None:
            self._lost_since = now
        seconds = now - self._lost_since
        if self._usual is not None and seconds >= FORGOTTEN_SECONDS:
            self._usual, self._seen_seconds, self._lost_since = None, 0.0, now
        elif self._usual is None and seconds >= PLAIN_SECONDS:
            self.is_plain = True


class Flicker:
    """Whether the brightness of the whole picture keeps swinging up and down.

    Looks at the middle of all pixels' changes, so that what moves in the picture hardly counts.
    """

    def __init__(self) -> None:
        self.levels = 0.0
        """Size of the last swing."""
        self._before: npt.NDArray[np.int16] | None = None
        self._turns: deque[float] = deque(maxlen=FLICKER_TURNS)
        self._level = self._extreme = self._start = 0.0
        self._direction = 0

    def pause(self) -> None:
        """Note a break in the pictures."""
        self._before = None
        self._turns.clear()
        self._direction = 0

    def see(self, small: Grey, mean: float, now: float) -> bool:
        """Take the next picture; True while it flickers."""
        picture = small[::4, ::4].astype(np.int16)
        if self._before is not None and self._before.shape == picture.shape:
            self._level += middle(picture - self._before)
            self._note_turn(max(_SWING_LEVELS, _SWING_SHARE * mean), now)
        self._before = picture
        return (
            len(self._turns) == FLICKER_TURNS
            and now - self._turns[0] <= FLICKER_SECONDS
            and now - self._turns[-1] <= _CALM_SECONDS
        )

    def _note_turn(self, swing: float, now: float) -> None:
        """Follow the level to its turning points, where it comes back by at least a swing."""
        if self._direction == 0:
            if abs(self._level - self._extreme) < swing:
                return
            self._direction = 1 if self._level > self._extreme else -1
            self._start, self._extreme = self._extreme, self._level
        elif (self._level - self._extreme) * self._direction > 0:
            self._extreme = self._level
        elif abs(self._level - self._extreme) >= swing:
            self._turns.append(now)
            self.levels = abs(self._extreme - self._start)
            self._start, self._extreme = self._extreme, self._level
            self._direction = -self._direction
