"""Recent: the newest verdicts and events, remembered so that open pages cost no query each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edgewatch.daemon.web.drawing import Point
from edgewatch.pipeline.errors import EdgewatchError, StoreError
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import CameraName, Clip, Event, Verdict
from edgewatch.pipeline.watch import Observer

MOST_POINTS = 400
MOST_EVENTS = 12
PRIME_SECONDS = 600.0


class Recent(Observer):
    """Told of every live camera; `on_step` is called with each step of an event."""

    def __init__(self, on_step: Callable[[Event], None] = lambda event: None) -> None:
        self._points: dict[CameraName, deque[Point]] = {}
        self._events: dict[str, Event] = {}
        self._on_step = on_step

    async def prime(self, store: StoreThread, camera: CameraName, now_seconds: float) -> None:
        """Take what was written before anybody listened; the disk's trouble is none of ours."""
        try:
            scores = await store.scores(camera, now_seconds - PRIME_SECONDS, now_seconds)
        except StoreError:
            return
        newer = self._points.pop(camera, deque())
        first = newer[0][0] if newer else float("inf")
        # A score that was no number is NULL on disk
        known = (one for one in scores if one[0] < first and one[1] is not None)
        points = deque(known, maxlen=MOST_POINTS)
        points.extend(newer)
        self._points[camera] = points

    async def prime_events(self, store: StoreThread) -> None:
        """Take the newest events of the time before."""
        try:
            events = await store.events(limit=MOST_EVENTS)
        except StoreError:
            return
        self._events = {one.event_id: one for one in events} | self._events

    def points(self, camera: CameraName) -> list[Point]:
        """Return a camera's newest (end, score, threshold), oldest first."""
        return list(self._points.get(camera, ()))

    @property
    def events(self) -> list[Event]:
        """The newest events of live cameras, newest first, as they are now."""
        newest = sorted(self._events.values(), key=lambda one: (one.start_seconds, one.event_id))
        return newest[: -MOST_EVENTS - 1 : -1]

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Take a verdict."""
        points = self._points.setdefault(verdict.camera, deque(maxlen=MOST_POINTS))
        if points and verdict.end_seconds < points[-1][0]:
            points.clear()  # the clock was set back: what was is not before what is
        points.append((verdict.end_seconds, verdict.score, verdict.threshold))

    def on_event(self, event: Event) -> None:
        """Take a step of an event."""
        self._events[event.event_id] = event
        if len(self._events) > 2 * MOST_EVENTS:
            self._events = {one.event_id: one for one in reversed(self.events)}
        self._on_step(event)

    def on_end(self, camera: CameraName, error: EdgewatchError | None) -> None:
        """Forget a camera that is gone."""
        self._points.pop(camera, None)
