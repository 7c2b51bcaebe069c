"""Which decoded pictures become frames: their size, their place in time and on the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

PATCH = 28
"""Sides of a frame are multiples of this: the vision models' patch, merged two by two."""

BACKWARD_SECONDS = 0.5
"""Time stamps that step back by less are a muxer's disorder, by more a stream that restarted."""

LONGEST_LEAP_SECONDS = 86_400.0
"""A longer leap forward is no pause but a damaged or restarted time stamp."""

_EARLY = 0.4
_AREA_WEIGHT = 0.25


def gap_seconds(fps: float) -> float:
    """Return the longest time between two pictures of one stretch of footage sampled at `fps`."""
    return max(1.5, 3.0 / fps)


@lru_cache(maxsize=64)
def target_size(
    width: int, height: int, pixels: int, *, sample_aspect_ratio: float = 1.0
) -> tuple[int, int]:
    """Return (width, height) of a frame, both multiples of 28.

    Of the sizes with 0.8 to 1.05 times the wanted area, which is `pixels` or the source's own
    area if that is smaller, it is the one nearest in aspect ratio; one per cent of aspect counts
    as much as four of area. `sample_aspect_ratio`: width of a source pixel over its height.
    """
    if width < 1 or height < 1 or pixels < 1 or sample_aspect_ratio <= 0:
        raise ValueError("sizes are positive")
    aspect = width * sample_aspect_ratio / height
    cells = min(pixels, width * height * sample_aspect_ratio) / PATCH**2

    def cost(size: tuple[int, int]) -> float:
        across, down = size
        area_error = abs(math.log(across * down / cells))
        return abs(math.log(across / down / aspect)) + _AREA_WEIGHT * area_error

    fitting = [
        (across, down)
        for down in range(1, math.floor(1.05 * cells) + 1)
        for across in range(math.ceil(0.8 * cells / down), math.floor(1.05 * cells / down) + 1)
    ]
    if not fitting:  # a source of a few cells only: take what is nearest
        across, down = math.sqrt(cells * aspect), math.sqrt(cells / aspect)
        fitting = list(product(_whole(across), _whole(down)))
    across, down = min(fitting, key=cost)
    return across * PATCH, down * PATCH


def _whole(cells: float) -> tuple[int, int]:
    """Return the whole numbers below and above, at least 1."""
    return max(1, math.floor(cells)), max(1, math.ceil(cells))


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a picture stands in its stream."""

    media_seconds: float
    """Since the stream's first picture; never falls."""
    jumped: bool
    """The stream's time jumped before this picture: a new stretch of footage begins."""


class Timeline:
    """Places the pictures of one connection, in order of presentation, by their time stamps.

    The first picture is at 0.0, whatever its stamp. A missing stamp is taken to follow the
    picture before at the usual distance. Stamps that restart go on where the picture before
    was; stamps that leap forward, by up to a day, are followed.
    """

    def __init__(self, *, picture_seconds: float, gap_seconds: float) -> None:
        """`picture_seconds`: the declared distance of pictures, until a real one was seen."""
        self._picture_seconds = picture_seconds
        self._gap_seconds = gap_seconds
        self._origin_seconds: float | None = None
        self._media_seconds = 0.0
        self._is_first = True

    def place(self, stamp_seconds: float | None) -> Placed:
        """Place the next picture; `stamp_seconds` is its presentation time, None if unknown."""
        before = self._media_seconds
        if stamp_seconds is None:
            if not self._is_first:
                self._media_seconds += self._picture_seconds
            self._is_first = False
            return Placed(self._media_seconds, jumped=False)
        if self._origin_seconds is None:
            # Live streams may begin with pictures whose time is not known yet
            step = 0.0 if self._is_first else self._picture_seconds
            self._origin_seconds = stamp_seconds - before - step
            self._is_first = False
        step = stamp_seconds - self._origin_seconds - before
        jumped = step < -BACKWARD_SECONDS or step > self._gap_seconds
        if not -BACKWARD_SECONDS <= step <= LONGEST_LEAP_SECONDS:
            self._origin_seconds = stamp_seconds - before - self._picture_seconds
            step = self._picture_seconds
        elif step < 0:
            step = 0.0
        elif 0 < step <= self._gap_seconds:
            self._picture_seconds = step
        self._media_seconds = before + step
        return Placed(self._media_seconds, jumped)


class FrameSampler:
    """Chooses, by time alone, at most one picture for each slot of a grid of `fps`.

    The grid begins at the first picture. A slot takes the first picture at or after its time, or
    up to 0.4 picture intervals before it: so sources whose rate is the grid's own or no multiple
    of it (25, 29.97, jittering stamps) don't skip a slot for a picture a hair too early, and the
    choice is not a toss-up for 30, where pictures stand exactly half an interval off.
    """

    def __init__(self, fps: float, *, first_slot: int = 0) -> None:
        """`first_slot`: that of the first picture, where the grid goes on from another one."""
        self._fps = fps
        self._origin_seconds: float | None = None
        self._before_seconds = 0.0
        self._first_slot = first_slot
        self._last_slot = first_slot - 1

    def wants(self, media_seconds: float) -> int | None:
        """Return the slot that this picture fills, or None if it is not needed.

        To be asked of every picture in order; slots of a slow source are left out.
        """
        if self._origin_seconds is None:
            self._origin_seconds = self._before_seconds = media_seconds
            self._first_slot = max(self._last_slot + 1, math.ceil(media_seconds * self._fps - 1e-6))
        interval = min(media_seconds - self._before_seconds, 1.0 / self._fps)
        self._before_seconds = media_seconds
        early = max(1e-6, _EARLY * interval)
        slot = self._first_slot + math.floor(
            (media_seconds - self._origin_seconds + early) * self._fps
        )
        if slot <= self._last_slot:
            return None
        self._last_slot = slot
        return slot

    def restart(self) -> None:
        """Begin a new grid at the next picture; slots go on growing."""
        self._origin_seconds = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture that becomes a frame."""

    slot: int
    """Its place on the grid; see `Frame.slot`."""
    media_seconds: float
    """Since the stream's first picture."""
    jumped: bool
    """The stream's time jumped since the sample before: a new stretch of footage begins."""
    stamp_seconds: float | None = None
    """In the stream's own count; None if it has none."""


class Sampling:
    """Places and chooses the pictures of one connection: a `Timeline` with a `FrameSampler`."""

    def __init__(self, fps: float, *, picture_seconds: float, first_slot: int = 0) -> None:
        """`picture_seconds`: the declared distance of pictures, until a real one was seen."""
        self._timeline = Timeline(picture_seconds=picture_seconds, gap_seconds=gap_seconds(fps))
        self._sampler = FrameSampler(fps, first_slot=first_slot)

    def choose(self, stamp_seconds: float | None) -> Sample | None:
        """Take the next picture's time stamp; return its sample, or None if it is not needed.

        To be asked of every picture in order. The first one after a jump is always needed.
        """
        placed = self._timeline.place(stamp_seconds)
        if placed.jumped:
            self._sampler.restart()
        slot = self._sampler.wants(placed.media_seconds)
        if slot is None:
            return None
        return Sample(slot, placed.media_seconds, placed.jumped, stamp_seconds)
