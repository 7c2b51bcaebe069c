"""Resemblance: decoded pictures against drawn ones; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.truth import Mask
from edgewatch.pipeline.types import Pixels

Grey = npt.NDArray[np.float32]
"""float32, shape (height, width): luma in 8-bit steps."""

MOST_ERROR: Final = 6.0
"""Mean absolute error of luma that constant quality 20 stays below, grain of 8 steps included."""
_TELLING: Final = 1.25
"""Two pictures are told apart if they differ by this many times what the codec did to one."""
_VISIBLE: Final = 0.5
_LEAST_SIGNAL: Final = 6.0
"""A change must be seen if it is this many times the codec's noise, as a matched filter sees it:
below, a handful of pixels may rightly be lost."""
_LEAST_CONTRAST: Final = 1.5
"""And this many times the noise of a single pixel: fainter haze may go as a whole."""
_USUAL_NOISE: Final = 9.0
"""Mean square error of a decoded pixel, until it has been measured."""
_LAG_PICTURES: Final = 3
"""An encoder may leave out a thin veil until it has grown: for so many pictures in a row."""
_ENOUGH: Final = 0.05
"""Part of a picture outside the mask that tells the codec's noise."""


def luma(pixels: Pixels) -> Grey:
    """Weigh red, green and blue as BT.601 does."""
    weights = np.array((0.299, 0.587, 0.114), np.float32)
    return np.asarray(pixels.astype(np.float32) @ weights, np.float32)


@dataclass(slots=True)
class Fidelity:
    """How far decoded pictures are from drawn ones."""

    errors: list[float] = field(default_factory=list)

    def add(self, decoded: Grey, drawn: Grey) -> None:
        """Take one picture."""
        self.errors.append(float(np.abs(decoded - drawn).mean()))

    @property
    def worst(self) -> float:
        """Mean absolute error of the worst picture; 0 without any."""
        return max(self.errors, default=0.0)


@dataclass(slots=True)
class Order:
    """Whether each decoded picture is nearest to the drawn one of its own number.

    Held against the picture before and the one after; where those are so alike that the codec did
    more to a picture than time did (a frozen camera, an empty yard), nothing can be told, and the
    picture is not counted.
    """

    told: int = 0
    """Pictures that could be told from their neighbours."""
    wrong: list[int] = field(default_factory=list)
    """Numbers of those that are nearer to a neighbour."""
    _earlier: list[tuple[int, Grey, Grey]] = field(default_factory=list)

    def add(self, index: int, decoded: Grey, drawn: Grey) -> None:
        """Take pictures one after the other."""
        if self._earlier:
            before, was_decoded, was_drawn = self._earlier.pop()
            self._compare(before, was_decoded, was_drawn, drawn)
            self._compare(index, decoded, drawn, was_drawn)
        self._earlier.append((index, decoded, drawn))

    def _compare(self, index: int, decoded: Grey, own: Grey, other: Grey) -> None:
        to_own = float(np.square(decoded - own).mean())
        to_other = float(np.square(decoded - other).mean())
        apart = float(np.square(own - other).mean())
        if apart <= _TELLING**2 * min(to_own, to_other):
            return
        self.told += 1
        if to_other < to_own and index not in self.wrong:
            self.wrong.append(index)


@dataclass(slots=True)
class Survival:
    """Whether what was put into pictures is still there when they are decoded.

    Of each picture: how much of the difference that the incident made (with - without) is in
    decoded - without: 1 all of it, 0 nothing. A projection, so that noise has little say.
    """

    first_changed: int | None = None
    """First picture of which anything was changed."""
    first_seen: int | None = None
    last_seen: int | None = None
    expected: int = 0
    noise: float = _USUAL_NOISE
    """Mean square error that the codec makes where nothing was put in."""
    lost: list[int] = field(default_factory=list)
    """Pictures in which the change must be seen and is not, for longer than the codec may lag."""
    _waiting: list[int] = field(default_factory=list)

    def add(
        self, index: int, decoded: Pixels, drawn: Pixels, without: Pixels, mask: Mask | None
    ) -> None:
        """Take one picture; `mask` is the region that was changed (None or empty: none)."""
        changed = np.zeros(decoded.shape[:2], np.bool_) if mask is None else mask
        self._measure_noise(decoded, drawn, ~changed)
        if not changed.any():
            return
        seen, meant, plain = (
            pixels[changed].astype(np.float32).ravel() for pixels in (decoded, drawn, without)
        )
        signal = meant - plain
        self.first_changed = index if self.first_changed is None else self.first_changed
        energy = float(signal @ signal)
        if energy <= 0:
            return
        share = float((seen - plain) @ signal) / energy
        if share >= _VISIBLE:
            self.first_seen = index if self.first_seen is None else self.first_seen
            self.last_seen = index
        strong = energy >= _LEAST_SIGNAL**2 * self.noise
        if strong and energy / signal.size >= _LEAST_CONTRAST**2 * self.noise:
            self._expect(index, visible=share >= _VISIBLE)

    def _expect(self, index: int, *, visible: bool) -> None:
        self.expected += 1
        if visible:
            self._waiting.clear()
            return
        self._waiting.append(index)
        if len(self._waiting) > _LAG_PICTURES:
            self.lost += self._waiting if len(self._waiting) == _LAG_PICTURES + 1 else [index]

    def _measure_noise(self, decoded: Pixels, drawn: Pixels, outside: Mask) -> None:
        if outside.mean() >= _ENOUGH:
            apart = decoded[outside].astype(np.float32) - drawn[outside]
            self.noise = max(1.0, float(np.square(apart).mean()))
