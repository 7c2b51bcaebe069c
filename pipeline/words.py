"""Words about suspects: found at lower priority, after the event was sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.types import CameraName, Clip, Verdict
from edgewatch.pipeline.watch import Watch

SUSPECTS_WAITING = 8
QUIET_SECONDS = 10.0
"""Longest wait for a moment in which no live clip is judged or waits."""
CLEARER = 0.5
"""A later clip is tried if it leaves at most this share of the doubt that the given-up one left."""


@dataclass(frozen=True, slots=True, eq=False)
class _Suspect:
    """A clip to be described, for the event that was open when it was judged."""

    watch: Watch
    event_id: str
    clip: Clip
    score: float

    @property
    def is_open(self) -> bool:
        """Whether the event still goes on; afterwards words would come to nothing."""
        event = self.watch.policy.open_event
        return event is not None and event.event_id == self.event_id


@dataclass(frozen=True, slots=True)
class _Case:
    """What became of the words about a camera's newest event."""

    event_id: str
    state: Literal["wanted", "given_up"]
    score: float
    """Of the clip that was, or is to be, described."""

    def yields_to(self, score: float) -> bool:
        """Whether a later clip of the event, with this score, may be described instead."""
        doubt, given_up_doubt = 1.0 - score, 1.0 - self.score
        return self.state == "given_up" and score > self.score and doubt <= CLEARER * given_up_doubt


class Words:
    """Describes the clip that opened an event; the words go out as its `update`.

    Screening goes first: words are looked for only while no live clip is judged or waits, one clip
    at a time, and are given up when the wait grows long, too many wait, or the engine is busy. A
    later clip of the same event that leaves far less doubt may then be described instead.
    All methods belong to the event loop.
    """

    def __init__(self, *, judge: Judge, chronicle: Chronicle, wanted: bool) -> None:
        self._judge = judge
        self._chronicle = chronicle
        self._wanted = wanted
        self._cases: dict[CameraName, _Case] = {}
        self._suspects: asyncio.Queue[_Suspect | None] = asyncio.Queue()
        self._quiet = asyncio.Event()
        self._voice = asyncio.Lock()
        """Held by whoever has a clip described: one at a time."""
        self._ending = False
        self._speaking: asyncio.Timeout | None = None
        """Cuts a description short at the end; how long one may take, the judge knows."""

    @property
    def wanted(self) -> bool:
        """Whether any are looked for."""
        return self._wanted

    def screening(self, busy: bool) -> None:
        """Say whether live clips are judged, or wait to be."""
        if busy:
            self._quiet.clear()
        else:
            self._quiet.set()

    async def consider(self, watch: Watch, clip: Clip, verdict: Verdict) -> None:
        """Ask for words if a judged clip belongs to an open event that has none.

        Returns at once for a live camera. A recording waits for its words, so that a replay says
        the same each time.
        """
        event = watch.policy.open_event
        if not self._wanted or event is None or not verdict.anomalous:
            return
        case = self._cases.get(watch.camera)
        if case and case.event_id == event.event_id and not case.yields_to(verdict.score):
            return
        self._cases[watch.camera] = _Case(event.event_id, "wanted", verdict.score)
        suspect = _Suspect(watch, event.event_id, clip, verdict.score)
        if not watch.feed.live:
            await self._describe(suspect)
        elif self._ending or self._suspects.qsize() >= SUSPECTS_WAITING:
            self._give_up(suspect)
        else:
            self._suspects.put_nowait(suspect)

    def forget(self, camera: CameraName) -> None:
        """Drop what is kept of a camera that is gone."""
        self._cases.pop(camera, None)

    def end(self) -> None:
        """Give up all words, now and later, and let `run` return. May be called again."""
        self._ending = True
        self._quiet.set()
        self._suspects.put_nowait(None)
        if self._speaking is not None:
            self._speaking.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Describe suspects until the end."""
        while (suspect := await self._suspects.get()) is not None:
            await self._describe(suspect)

    async def _describe(self, suspect: _Suspect) -> None:
        async with self._voice:
            is_quiet = await self._is_quiet()
            if self._ending or not is_quiet or not suspect.is_open:
                self._give_up(suspect)
                return
            words = await self._words_of(suspect.clip)
        if not words:
            self._mark_given_up(suspect)  # counted by whoever gave up
            return
        watch = suspect.watch
        async with watch.recording:
            events = watch.policy.describe(suspect.event_id, words)
            if not events:  # it ended meanwhile
                self._chronicle.stats.words_given_up += 1
            await self._chronicle.events(watch, events)

    async def _is_quiet(self) -> bool:
        """Wait for a moment without live clips; False if there is none in time."""
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                while not self._quiet.is_set():
                    await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    async def _words_of(self, clip: Clip) -> str:
        try:
            async with asyncio.timeout(None) as self._speaking:
                return await self._judge.describe(clip)
        except TimeoutError:
            self._chronicle.stats.words_given_up += 1
            return ""
        finally:
            self._speaking = None

    def _give_up(self, suspect: _Suspect) -> None:
        self._chronicle.stats.words_given_up += 1
        self._mark_given_up(suspect)

    def _mark_given_up(self, suspect: _Suspect) -> None:
        case = self._cases.get(suspect.watch.camera)
        if case is not None and case.event_id == suspect.event_id:
            self._cases[suspect.watch.camera] = _Case(case.event_id, "given_up", suspect.score)
