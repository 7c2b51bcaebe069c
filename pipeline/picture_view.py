"""Whether a fixed camera looks elsewhere than it used to; silent for a camera that travels."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.picture_measures import (
    Grey,
    Layout,
    layout_of,
    likeness,
    middle,
    shift_between,
)

SETTLED_SECONDS = 600.0
"""A view seen without a break for this long is a usual one; nothing is `moved` before."""
MOVED_SECONDS = 30.0
"""The new view must have stood still for this long: longer than whatever stands in the way."""
ADOPTED_SECONDS = 3600.0
"""A new view that stood for this long becomes a usual one, and the camera is fine again."""
MOST_TRAVEL_SECONDS = 5.0
"""A knock or a turn by hand is over sooner; a camera whose whole picture goes by for longer before
it stands again is on a vehicle (or tours), and its views mean nothing."""
TRAVELLER_SECONDS = 7 * 86_400.0
"""For how long after its last travel a camera counts as one that travels: a parked van stays one
over a long weekend."""

LOOK_SECONDS = 0.45
"""Views change slowly: of four pictures a second, every second one is looked at."""

_USUAL_VIEWS = 2
"""Day and infra-red night may differ so much that each is a view of its own."""
_LEAST_USUAL = 0.4
"""Mean likeness to its own average below which a view is too restless to be compared with."""
_LOST = 0.45
"""Share of the usual likeness: shifted by some 5 % of the width, turned by some 5 degrees, or
more. Twice the exposure, half the contrast or a new gamma leave 0.85 or more."""
_FOUND = 0.6
_RESTLESS = 0.4
_RESTLESS_SECONDS = 5.0
"""So long unlike its own average, a new view is given up: a passing lorry is over sooner."""
_TREND_SECONDS = 600.0
_TRAVEL_SHARE = 0.2
_LAG_SECONDS = 0.9
_TRAVEL_STILL_SHARE = 0.6
_TEXTURE = 0.5
"""Size of a layout's value from which on there is an edge."""
_LEAST_TEXTURE = 0.02


@dataclass(frozen=True, slots=True)
class Moved:
    """The camera looks elsewhere."""

    seconds: float
    """For how long the usual view has been missing."""
    likeness: float
    """To the usual view, as a share of what is usual, 0 to 1."""
    shift: tuple[float, float] | None
    """How far the old view's content moved, as shares of width and height (right and down are
    positive); None if the old view is not found."""


class _View:
    """The average layout of a view, and how like it its pictures are."""

    def __init__(self, layout: Layout, now: float) -> None:
        self.mean = layout.copy()
        self.usual = 1.0
        self.began = now
        self.seconds = 0.0
        self._unlike_seconds = 0.0

    def likeness(self, layout: Layout) -> float:
        return likeness(layout, self.mean)

    def learn(self, layout: Layout, like: float, step_seconds: float) -> None:
        self.seconds += step_seconds
        share = step_seconds / min(_TREND_SECONDS, max(self.seconds, step_seconds, 1e-6))
        self.mean += np.complex64(share) * (layout - self.mean)
        self.usual += share * (like - self.usual)
        unlike = self._unlike_seconds + step_seconds
        self._unlike_seconds = unlike if like < _RESTLESS else 0.0

    @property
    def is_given_up(self) -> bool:
        return self._unlike_seconds >= _RESTLESS_SECONDS


class ViewWatch:
    """Fed with small pictures in which something can be seen, says whether the camera was moved.

    `now` is a clock in seconds that never falls and counts only time in which pictures came.
    """

    def __init__(self) -> None:
        self._usual: list[_View] = []
        self._new: _View | None = None
        self._lost_since: float | None = None
        self._travel = _Travel()
        self._lost_travel_seconds = self._usual_travel = 0.0
        self._travelled: float | None = None
        self._before: float | None = None
        self._moved: Moved | None = None

    @property
    def is_traveller(self) -> bool:
        """Whether the camera was found to travel, so that it is never `moved`."""
        return self._travelled is not None

    def pause(self) -> None:
        """Note a break in the pictures, or pictures that show nothing."""
        self._before = None
        self._travel.pause()

    def see(self, small: Grey, now: float) -> Moved | None:
        """Take the next picture; return where the camera now looks if that is not as usual."""
        step_seconds = 0.0 if self._before is None else now - self._before
        if self._before is not None and step_seconds < LOOK_SECONDS:
            return self._moved
        self._before = now
        self._moved = self._look(small, now, step_seconds)
        return self._moved

    def _look(self, small: Grey, now: float, step_seconds: float) -> Moved | None:
        layout = layout_of(small)
        is_travelling = self._travel.see(small, layout, now, step_seconds)
        if self._travelled is not None and now - self._travelled > TRAVELLER_SECONDS:
            self._travelled = None
        if self._travel.share > _TRAVEL_SHARE or (self._travelled is not None and is_travelling):
            self._note_traveller(now)
        if self._travelled is not None:
            return None
        share = self._usual_share(layout, step_seconds)
        if share is None or (share < _FOUND and self._lost_since is not None) or share < _LOST:
            return self._lost(layout, share, now, step_seconds, is_travelling=is_travelling)
        self._lost_since = self._new = None
        return None

    def _usual_share(self, layout: Layout, step_seconds: float) -> float | None:
        """Compare with the usual views, and learn the one it is; None if there is none."""
        if not self._usual:
            return None
        found = [(view.likeness(layout), view) for view in self._usual]
        like, view = max(found, key=lambda pair: pair[0] / pair[1].usual)
        if like >= _FOUND * view.usual:
            view.learn(layout, like, step_seconds)
        return like / view.usual

    def _lost(
        self,
        layout: Layout,
        share: float | None,
        now: float,
        step_seconds: float,
        *,
        is_travelling: bool,
    ) -> Moved | None:
        new = self._learn_new(layout, now, step_seconds)
        if share is None:
            if new.seconds >= SETTLED_SECONDS and new.usual >= _LEAST_USUAL:
                self._adopt(new)
            return None
        if self._lost_since is None:
            self._lost_since, self._lost_travel_seconds = now, 0.0
            self._usual_travel = self._travel.share
        # On a busy road lorries fill the picture now and then; only more than that is travel
        self._lost_travel_seconds += step_seconds * (is_travelling - 2 * self._usual_travel)
        if self._lost_travel_seconds > MOST_TRAVEL_SECONDS:
            self._note_traveller(now)
            return None
        if new.seconds >= ADOPTED_SECONDS and new.usual >= _LEAST_USUAL:
            self._adopt(new)
            return None
        if new.seconds < MOVED_SECONDS:
            return None
        return Moved(now - self._lost_since, max(0.0, share), self._shift(new))

    def _learn_new(self, layout: Layout, now: float, step_seconds: float) -> _View:
        if self._new is None or self._new.is_given_up:
            self._new = _View(layout, now)
        else:
            self._new.learn(layout, self._new.likeness(layout), step_seconds)
        return self._new

    def _shift(self, new: _View) -> tuple[float, float] | None:
        shapes = [view for view in self._usual if view.mean.shape == new.mean.shape]
        shifts = [shift_between(view.mean, new.mean) for view in shapes]
        return next((shift for shift in shifts if shift is not None), None)

    def _adopt(self, new: _View) -> None:
        self._usual = [*self._usual[1 - _USUAL_VIEWS :], new]
        self._new = self._lost_since = None

    def _note_traveller(self, now: float) -> None:
        self._travelled = now
        self._usual.clear()
        self._new = self._lost_since = None


class _Travel:
    """Whether the whole picture goes by, by comparing pictures about a second apart."""

    def __init__(self) -> None:
        self._pictures: deque[tuple[float, npt.NDArray[np.int16]]] = deque()
        self.share = 0.0
        """How much of the last ten minutes was spent travelling."""

    def pause(self) -> None:
        self._pictures.clear()

    def see(self, small: Grey, layout: Layout, now: float, step_seconds: float) -> bool:
        picture = small[::2, ::2].astype(np.int16)
        while len(self._pictures) > 1 and now - self._pictures[1][0] >= _LAG_SECONDS:
            self._pictures.popleft()
        seen, before = self._pictures[0] if self._pictures else (now, picture)
        is_travelling = now - seen >= _LAG_SECONDS and _goes_by(before, picture, layout)
        self._pictures.append((now, picture))
        weight = min(1.0, step_seconds / _TREND_SECONDS)
        self.share += weight * (is_travelling - self.share)
        return is_travelling


def _goes_by(before: npt.NDArray[np.int16], now: npt.NDArray[np.int16], layout: Layout) -> bool:
    edges = np.abs(layout) > _TEXTURE
    if np.count_nonzero(edges) < _LEAST_TEXTURE * edges.size:
        return False
    change = now - before
    change -= np.int16(middle(change))  # light that changes everywhere is no travel
    levels = min(6.0, max(3.0, 0.12 * float(now.std())))
    return bool((np.abs(change[edges]) < levels).mean() < _TRAVEL_STILL_SHARE)
