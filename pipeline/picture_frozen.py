"""Whether a stream's picture stands still although its time goes on.

A live sensor never makes the same picture twice: its noise differs. But an encoder may repeat
the picture it sent last where little changed, up to its next key frame, where all is coded anew.
So a still stretch is no evidence until it is longer than the camera's distance of key frames.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from edgewatch.pipeline.picture_measures import Grey, halved

FROZEN_SECONDS = 20.0
"""Still for this long is frozen. Key frames are 1 to 4 s apart on most cameras, up to 20 s with
"smart" codecs; what is seen later of a real failure is paid back by `since`."""
FROZEN_BUT_CLOCK_SECONDS = 60.0
"""The same where a small place goes on changing: a clock burnt in behind the part that hangs. A
live, still scene with a clock looks just so between two key frames, hence the longer limit."""
LONGEST_FROZEN_SECONDS = 120.0
"""The limit never grows beyond this, however long a camera was seen to repeat itself."""

_LEAST_PICTURES = 8
"""A very slow stream shows too few pictures in the limit's time to tell."""
_SPECK_LEVELS = 2
_SPECK_SHARE = 0.005
"""Difference that is still the same picture: an encoder polishing a frozen one changes a few
pixels by one or two levels; live noise that passes the encoder changes far more of them."""
_CLOCK_SHARE = 0.02
"""Largest part of the picture that a changing clock may take, counted in blocks it ever touched."""
_RECODED_LEVELS = 12
_RECODED_SHARE = 0.02
"""Up to this share of blocks may differ by more than coding noise in a picture that is only coded
anew; beyond, something happened in the scene."""
_REMEMBERED = 12
"""Pictures known since the scene last changed. A recorder that codes a frozen picture again and
again sends a few versions of it in turn (one a key frame); a looped recording sends far more."""


@dataclass(frozen=True, slots=True)
class Still:
    """A stretch in which nothing new was seen, longer than the limit."""

    seconds: float
    clock_share: float
    """Share of the picture that went on changing, 0.0 if none."""


class Stillness:
    """Fed with every picture, says whether the stream is frozen. Keeps one grey picture.

    `now` is a clock in seconds that never falls and counts only time in which pictures came.
    """

    def __init__(self) -> None:
        self._anchor: Grey | None = None
        self._known: deque[int] = deque(maxlen=_REMEMBERED)
        self._touched = np.zeros((0, 0), bool)
        self._same_since = self._calm_since = 0.0
        self._same_pictures = self._calm_pictures = 0
        self._limit_factor = 1.0

    @property
    def limit_seconds(self) -> float:
        """After how much stillness this camera counts as frozen."""
        return FROZEN_SECONDS * self._limit_factor

    def see(self, grey: Grey, now: float) -> Still | None:
        """Take the next picture; return the still stretch it belongs to, None while alive."""
        self._same_pictures += 1
        self._calm_pictures += 1
        if self._anchor is None or self._anchor.shape != grey.shape:
            self._begin(grey, zlib.crc32(grey.data), now, is_same_scene=False)
        else:
            self._compare(self._anchor, grey, now)
        return self._verdict(now)

    def _verdict(self, now: float) -> Still | None:
        if self._same_pictures >= _LEAST_PICTURES and now - self._same_since >= self.limit_seconds:
            return Still(now - self._same_since, 0.0)
        calm_limit = FROZEN_BUT_CLOCK_SECONDS * self._limit_factor
        if self._calm_pictures >= _LEAST_PICTURES and now - self._calm_since >= calm_limit:
            return Still(now - self._calm_since, float(self._touched.mean()))
        return None

    def _compare(self, anchor: Grey, grey: Grey, now: float) -> None:
        difference = np.asarray(cv2.absdiff(grey, anchor), np.uint8)
        changed = cv2.countNonZero(difference)
        if changed <= _SPECK_SHARE * grey.size and int(difference.max()) <= _SPECK_LEVELS:
            return
        picture = zlib.crc32(grey.data)
        is_known = picture in self._known
        self._touched |= _touched_blocks(difference)
        if float(self._touched.mean()) <= _CLOCK_SHARE:
            if not is_known:
                self._note_new(picture, now)
            return
        blocks = _blocks(difference)
        if np.count_nonzero(blocks > _RECODED_LEVELS) > _RECODED_SHARE * blocks.size:
            self._begin(grey, picture, now, is_same_scene=False)
        elif not is_known:
            self._begin(grey, picture, now, is_same_scene=True)
        else:
            self._calm_since, self._calm_pictures = now, 0
            self._touched[:] = False

    def _begin(self, grey: Grey, picture: int, now: float, *, is_same_scene: bool) -> None:
        if is_same_scene:
            self._learn(now)
        else:
            self._known.clear()
        self._anchor = grey
        self._touched = np.zeros((grey.shape[0] // 2 // 2, grey.shape[1] // 2 // 2), bool)
        self._calm_since, self._calm_pictures = now, 0
        self._note_new(picture, now)

    def _note_new(self, picture: int, now: float) -> None:
        self._known.append(picture)
        self._same_since, self._same_pictures = now, 0

    def _learn(self, now: float) -> None:
        """Wait longer if the same scene came back coded anew: the encoder had only paused."""
        seconds = max(
            now - self._same_since,
            (now - self._calm_since) * FROZEN_SECONDS / FROZEN_BUT_CLOCK_SECONDS,
        )
        if seconds >= self.limit_seconds / 2:
            longest = LONGEST_FROZEN_SECONDS / FROZEN_SECONDS
            self._limit_factor = min(longest, max(1.0, 2 * seconds / FROZEN_SECONDS))


def _touched_blocks(difference: Grey) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    _, mask = cv2.threshold(difference, _SPECK_LEVELS, 255, cv2.THRESH_BINARY)
    return _blocks(np.asarray(mask, np.uint8)) > 0


def _blocks(picture: Grey) -> Grey:
    return halved(halved(picture))
