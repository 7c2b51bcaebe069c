"""The coverage ledger: for every millisecond of every camera, judged or why not.

Three sources of knowledge, the strongest first:

1. `judged`: footage that a verdict covers. It wins over everything else.
2. `dropped`: footage that was there and whose clip got no verdict, with its reason.
3. `watch`: what holds from a moment on: a reason why nothing can be judged (offline, disabled,
   ...), or "too_short" while footage flows.

Where footage flows and neither a verdict nor a drop accounts for a stretch, its length decides:
shorter than a clip's window, no clip fitted into it (before or after a gap) and "too_short" is
right; longer, a clip would have fitted and judging did not keep up: "engine_down" if the engine
was away meanwhile, else "overload".

Verdicts come late, so time is settled only when it is `settle_ms` old. Settled time never changes
again. Who sees that the clock was set says so with `clock_set`: the time jumped over was not lived
and stays uncovered, time that is lived again is told again (the store keeps the first word). A
step back that nobody tells re-lives time that is accounted for, and the ledger waits until it is
past it; a step forward that nobody tells is covered by what held before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from edgewatch.pipeline.coverage import partition, totals_ms
from edgewatch.pipeline.types import CameraName, Coverage, Interval

_STRENGTH: dict[Coverage, int] = {"judged": 3, "engine_down": 2, "overload": 2, "too_short": 0}
"""Which mark tells of footage that several clips share; `_OTHER_STRENGTH` for the rest. The tail
of a stream is reported as too short although a full clip of the same footage may have been
dropped before: then the drop is the reason."""
_OTHER_STRENGTH = 1


class Ledger:
    """Gathers what happened to each camera's footage and settles it into intervals.

    Pure: times are arguments, Unix time in whole milliseconds. All intervals ever returned for
    one camera are disjoint and in order of time, up to the next `clock_set`; together they cover
    it without a hole from its first `watch` on (after `unwatch` there is a hole until it is
    watched again).

    `settle_ms`: how late a verdict may come after its footage began (window plus latency).
    `window_ms`: length of a clip, the longest of all cameras.
    """

    def __init__(self, *, settle_ms: int = 15_000, window_ms: int = 5_000) -> None:
        self._settle_ms = settle_ms
        self._window_ms = window_ms
        self._tracks: dict[CameraName, _Track] = {}
        self._unwatched_ms: dict[CameraName, int] = {}
        self._ready: list[Interval] = []
        self._outages: list[tuple[int, int | None]] = []
        """(start, end) of the times to which the engine was away; the last may go on (None)."""

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

    def engine(self, now_ms: int, *, ready: bool) -> None:
        """Say whether the engine can judge from now on; it is taken to, until told otherwise."""
        away = bool(self._outages) and self._outages[-1][1] is None
        if not ready and not away:
            # What is still open now is just what it may have had in hand
            self._outages.append((now_ms - self._settle_ms, None))
        elif ready and away:
            self._outages[-1] = (self._outages[-1][0], now_ms)

    def clock_set(self, before_ms: int, now_ms: int) -> None:
        """Say that the clock was set from `before_ms` to `now_ms`, forward or back.

        What was open is settled by what is known of it; `advance` returns it. From `now_ms` on
        holds what held before.
        """
        for camera in list(self._tracks):
            reason = self._tracks[camera].latest_reason
            self.unwatch(camera, before_ms)
            self._tracks[camera] = _Track(camera, now_ms, [(now_ms, reason)])
        self._unwatched_ms.clear()
        away = bool(self._outages) and self._outages[-1][1] is None
        self._outages = [(now_ms, None)] if away else []

    def advance(self, now_ms: int) -> list[Interval]:
        """Settle what is older than `settle_ms`; return the newly settled intervals.

        An unexplained stretch that is still going on is settled once it has ended or is as long
        as a window, so up to `window_ms` later.
        """
        until_ms = now_ms - self._settle_ms
        for track in self._tracks.values():
            self._ready += track.settle(until_ms, self._window_ms, self._outages)
        self._forget_outages()
        return self._take_ready()

    def unwatch(self, camera: CameraName, now_ms: int) -> None:
        """Settle a camera up to now and stop watching it; `advance` returns the intervals.

        It may be watched again. Without effect if it is not watched.
        """
        if track := self._tracks.pop(camera, None):
            self._ready += track.settle(now_ms, self._window_ms, self._outages, final=True)
            self._unwatched_ms[camera] = track.settled_ms

    def close(self, now_ms: int) -> list[Interval]:
        """Stop watching every camera and return all that was left to settle."""
        for camera in list(self._tracks):
            self.unwatch(camera, now_ms)
        return self._take_ready()

    def _forget_outages(self) -> None:
        oldest_ms = min((track.settled_ms for track in self._tracks.values()), default=None)
        self._outages = [
            (away_ms, back_ms)
            for away_ms, back_ms in self._outages
            if back_ms is None or (oldest_ms is not None and back_ms > oldest_ms)
        ]

    def _take_ready(self) -> list[Interval]:
        ready, self._ready = self._ready, []
        return ready


def coverage_totals(
    intervals: Iterable[Interval], since_ms: int, until_ms: int
) -> dict[Coverage, int]:
    """Sum one camera's intervals within [since, until), in milliseconds, exactly.

    They are disjoint and in order of time.

    Time that no interval covers counts as "not_running", so that the sums add up to
    `until_ms - since_ms`. A coverage that did not occur has no entry.
    """
    spans = ((one.start_ms, one.end_ms, one.coverage) for one in intervals)
    return totals_ms(partition(spans, since_ms, until_ms))


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

    @property
    def latest_reason(self) -> Coverage:
        """What holds since it was last said."""
        return self.reasons[-1][1]

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

    def settle(
        self,
        until_ms: int,
        window_ms: int,
        outages: Iterable[tuple[int, int | None]],
        *,
        final: bool = False,
    ) -> list[Interval]:
        """Return the intervals from `settled_ms` to `until_ms` and forget what made them.

        `final`: what is not explained by now never will be. No two neighbours are equal.
        """
        settled: list[Interval] = []
        for start_ms, end_ms, coverage in self._stretches(until_ms):
            if coverage is None:
                begun_ms = start_ms if self.hole_since_ms is None else self.hole_since_ms
                long_enough = end_ms - begun_ms >= window_ms
                if end_ms == until_ms and not long_enough and not final:
                    break
                self.hole_since_ms = begun_ms
                named = _causes(start_ms, end_ms, outages) if long_enough else None
                pieces = named or [(start_ms, end_ms, "too_short")]
            else:
                self.hole_since_ms = None
                pieces = [(start_ms, end_ms, coverage)]
            for piece in pieces:
                _append(settled, Interval(self.camera, *piece))
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


def _causes(
    start_ms: int, end_ms: int, outages: Iterable[tuple[int, int | None]]
) -> list[tuple[int, int, Coverage]]:
    """Cut a stretch that ought to have been judged by whether the engine was away."""
    pieces: list[tuple[int, int, Coverage]] = []
    for away_ms, back_ms in outages:
        since_ms = max(start_ms, away_ms)
        until_ms = end_ms if back_ms is None else min(end_ms, back_ms)
        if since_ms >= until_ms:
            continue
        if start_ms < since_ms:
            pieces.append((start_ms, since_ms, "overload"))
        pieces.append((since_ms, until_ms, "engine_down"))
        start_ms = until_ms
    if start_ms < end_ms:
        pieces.append((start_ms, end_ms, "overload"))
    return pieces


def _append(settled: list[Interval], interval: Interval) -> None:
    """Add an interval; one that goes on where an equal one ends lengthens it."""
    if settled and settled[-1].coverage == interval.coverage:
        interval = replace(interval, start_ms=settled.pop().start_ms)
    settled.append(interval)
