"""The coverage ledger: for every millisecond of every camera, judged or why not.

Three sources of knowledge, the strongest first:

1. `judged`: footage that a verdict covers. It wins over everything else.
2. `dropped`: footage that was there and whose clip got no verdict, with its reason.
3. `watch`: what holds from a moment on: a reason why nothing can be judged (offline, disabled,
   ...), or "too_short" while footage flows.

Where footage flows and neither a verdict nor a drop accounts for a stretch, its length decides:
shorter than a clip's window, no clip fitted into it (before or after a gap) and "too_short" is
right; longer, a clip would have fitted and judging did not keep up: "overload".

Verdicts come late, so time is settled only when it is `settle_ms` old. Settled time never changes
again: a wall clock that is set back re-lives time that is already accounted for, and the ledger
waits until it is past it. A clock set forward is covered by what held before the jump.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from edgewatch.pipeline.types import CameraName, Coverage, Interval

_STRENGTH: dict[Coverage, int] = {"judged": 3, "engine_down": 2, "overload": 2, "too_short": 0}
"""Which mark tells of footage that several clips share; `_OTHER_STRENGTH` for the rest. The tail
of a stream is reported as too short although a full clip of the same footage may have been
dropped before: then the drop is the reason."""
_OTHER_STRENGTH = 1


class Ledger:
    """Gathers what happened to each camera's footage and settles it into intervals.

    Pure: times are arguments, Unix time in whole milliseconds. All intervals ever returned for
    one camera are disjoint and in order of time; together they cover it without a hole from its
    first `watch` on (after `unwatch` there is a hole until it is watched again). Within one call's
    list no two adjacent intervals of a camera have the same coverage.

    `settle_ms`: how late a verdict may come after its footage began (window plus latency).
    `window_ms`: length of a clip, the longest of all cameras.
    """

    def __init__(self, *, settle_ms: int = 15_000, window_ms: int = 5_000) -> None:
        self._settle_ms = settle_ms
        self._window_ms = window_ms
        self._tracks: dict[CameraName, _Track] = {}
        self._unwatched_ms: dict[CameraName, int] = {}
        self._ready: list[Interval] = []

    def watch(self, camera: CameraName, now_ms: int, reason: Coverage) -> None:
        """Say what holds from now on: why nothing can be judged, or "too_short": footage flows.

        The first call begins the camera. Raises ValueError for "judged", which only a verdict
        can say.
        """
        if reason == "judged":
            raise ValueError("only judged() can say that footage was judged")
        track = self._tracks.get(camera)
        if track is None:
            start_ms = max(now_ms, self._unwatched_ms.get(camera, now_ms))
            self._tracks[camera] = _Track(camera, start_ms, [(start_ms, reason)])
        else:
            track.change_reason(now_ms, reason)

    def judged(self, camera: CameraName, start_ms: int, end_ms: int) -> None:
        """Note footage that a verdict covers; ignored where time is settled or not watched."""
        if track := self._tracks.get(camera):
            track.mark(start_ms, end_ms, "judged")

    def dropped(self, camera: CameraName, start_ms: int, end_ms: int, coverage: Coverage) -> None:
        """Note footage whose clip will get no verdict; another clip's verdict still wins.

        Ignored where time is settled or not watched. Raises ValueError for "judged".
        """
        if coverage == "judged":
            raise ValueError("a dropped clip was not judged")
        if track := self._tracks.get(camera):
            track.mark(start_ms, end_ms, coverage)

    def advance(self, now_ms: int) -> list[Interval]:
        """Settle what is older than `settle_ms`; return the newly settled intervals.

        An unexplained stretch that is still going on is settled once it has ended or is as long
        as a window, so up to `window_ms` later.
        """
        until_ms = now_ms - self._settle_ms
        for track in self._tracks.values():
            self._ready += track.settle(until_ms, self._window_ms, final=False)
        return self._take_ready()

    def unwatch(self, camera: CameraName, now_ms: int) -> None:
        """Settle a camera up to now and stop watching it; `advance` returns the intervals.

        It may be watched again. Without effect if it is not watched.
        """
        if track := self._tracks.pop(camera, None):
            self._ready += track.settle(now_ms, self._window_ms, final=True)
            self._unwatched_ms[camera] = track.settled_ms

    def close(self, now_ms: int) -> list[Interval]:
        """Stop watching every camera and return all that was left to settle."""
        for camera in list(self._tracks):
            self.unwatch(camera, now_ms)
        return self._take_ready()

    def _take_ready(self) -> list[Interval]:
        ready, self._ready = self._ready, []
        return ready


def coverage_totals(
    intervals: Iterable[Interval], since_ms: int, until_ms: int
) -> dict[Coverage, int]:
    """Sum one camera's disjoint intervals within [since, until), in milliseconds, exactly.

    Time that no interval covers counts as "not_running", so that the sums add up to
    `until_ms - since_ms`. A coverage that did not occur has no entry.
    """
    totals: dict[Coverage, int] = {}
    missing_ms = max(0, until_ms - since_ms)
    for interval in intervals:
        length_ms = min(interval.end_ms, until_ms) - max(interval.start_ms, since_ms)
        if length_ms > 0:
            totals[interval.coverage] = totals.get(interval.coverage, 0) + length_ms
            missing_ms -= length_ms
    if missing_ms:
        totals["not_running"] = totals.get("not_running", 0) + missing_ms
    return totals


@dataclass(slots=True)
class _Track:
    """One camera's time that is not settled yet; everything in it lies after `settled_ms`."""

    camera: CameraName
    settled_ms: int
    reasons: list[tuple[int, Coverage]]
    """(from when, what holds), in order; the first holds at `settled_ms`."""
    marks: list[tuple[int, int, Coverage]] = field(default_factory=list)
    """(start, end, coverage) in the order told."""
    hole_since_ms: int | None = None
    """Where the unexplained stretch began that reaches up to `settled_ms`, if one does."""

    def change_reason(self, now_ms: int, reason: Coverage) -> None:
        # After a clock was set back, what was said for a later time is void: the last word counts.
        self.reasons = [known for known in self.reasons if known[0] < now_ms]
        self.reasons.append((now_ms, reason))

    def mark(self, start_ms: int, end_ms: int, coverage: Coverage) -> None:
        start_ms = max(start_ms, self.settled_ms)
        if start_ms >= end_ms:
            return
        if self.marks:
            last_start_ms, last_end_ms, last_coverage = self.marks[-1]
            if coverage == last_coverage and last_start_ms <= start_ms <= last_end_ms:
                self.marks[-1] = (last_start_ms, max(last_end_ms, end_ms), coverage)
                return
        self.marks.append((start_ms, end_ms, coverage))

    def settle(self, until_ms: int, window_ms: int, *, final: bool) -> list[Interval]:
        """Return the intervals from `settled_ms` to `until_ms` and forget what made them."""
        settled: list[Interval] = []
        for start_ms, end_ms, coverage in self._stretches(until_ms):
            if coverage is None:
                begun_ms = start_ms if self.hole_since_ms is None else self.hole_since_ms
                long_enough = end_ms - begun_ms >= window_ms
                if end_ms == until_ms and not long_enough and not final:
                    break
                coverage = "overload" if long_enough else "too_short"
                self.hole_since_ms = begun_ms
            else:
                self.hole_since_ms = None
            if settled and settled[-1].coverage == coverage:
                start_ms = settled.pop().start_ms
            settled.append(Interval(self.camera, start_ms, end_ms, coverage))
            self.settled_ms = end_ms
        self._forget_settled()
        return settled

    def _stretches(self, until_ms: int) -> list[tuple[int, int, Coverage | None]]:
        """Cut [settled, until) into stretches of one coverage each; None is unexplained."""
        cuts = {self.settled_ms, until_ms}
        cuts.update(start_ms for start_ms, _ in self.reasons)
        cuts.update(cut for start_ms, end_ms, _ in self.marks for cut in (start_ms, end_ms))
        edges = sorted(cut for cut in cuts if self.settled_ms <= cut <= until_ms)
        stretches: list[tuple[int, int, Coverage | None]] = []
        for start_ms, end_ms in pairwise(edges):
            coverage = self._coverage_at(start_ms)
            if stretches and stretches[-1][2] == coverage:
                start_ms = stretches.pop()[0]
            stretches.append((start_ms, end_ms, coverage))
        return stretches

    def _coverage_at(self, at_ms: int) -> Coverage | None:
        marked = [coverage for start, end, coverage in self.marks if start <= at_ms < end]
        if marked:
            return max(marked, key=lambda mark: _STRENGTH.get(mark, _OTHER_STRENGTH))
        reason = [reason for start, reason in self.reasons if start <= at_ms][-1]
        return None if reason == "too_short" else reason

    def _forget_settled(self) -> None:
        self.marks = [mark for mark in self.marks if mark[1] > self.settled_ms]
        holding = [known for known in self.reasons if known[0] <= self.settled_ms][-1:]
        self.reasons = holding + [known for known in self.reasons if known[0] > self.settled_ms]
