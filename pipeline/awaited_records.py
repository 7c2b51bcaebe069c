"""Awaited records: the reads of `Records`, each one awaited from an event loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.event_rows import EventSearch
from edgewatch.pipeline.records import Records
from edgewatch.pipeline.types import (
    CameraName,
    Event,
    EvidenceRow,
    Feedback,
    Interval,
    ScoreBucket,
    SettingChange,
    Verdict,
)

P = ParamSpec("P")
T = TypeVar("T")


class AwaitedRecords(ABC):
    """What `Records` can be asked, for who may not wait for a disk; see there.

    Every method raises StoreError as its namesake does.
    """

    @abstractmethod
    def _reading(self) -> Records:
        """Return the records. Raises StoreError while they are not open."""

    @abstractmethod
    async def _call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of their methods in their thread."""

    @abstractmethod
    def _write_waiting(self) -> None:
        """Have what is still to be written written before the call that comes next."""

    async def verdicts(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[Verdict]:
        """Return the verdicts whose footage overlaps [since, until)."""
        self._write_waiting()
        return await self._call(self._reading().verdicts, camera, since_seconds, until_seconds)

    async def scores(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[tuple[float, float, float]]:
        """Return (end_seconds, score, threshold) of the clips that end within [since, until)."""
        self._write_waiting()
        return await self._call(self._reading().scores, camera, since_seconds, until_seconds)

    async def timeline(
        self, camera: CameraName, since_seconds: float, until_seconds: float, buckets: int
    ) -> list[ScoreBucket]:
        """Sum the scores of [since, until) up in at most so many stretches of equal length."""
        self._write_waiting()
        return await self._call(
            self._reading().timeline, camera, since_seconds, until_seconds, buckets
        )

    async def coverage(self, camera: CameraName, since_ms: int, until_ms: int) -> list[Interval]:
        """Return the intervals that overlap [since, until), whole."""
        return await self._call(self._reading().coverage, camera, since_ms, until_ms)

    async def events(
        self,
        camera: CameraName | None = None,
        since_seconds: float | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Return the newest events that were going on at or after `since`, newest last."""
        return await self._call(self._reading().events, camera, since_seconds, limit)

    async def events_between(
        self,
        camera: CameraName | None,
        since_seconds: float | None,
        until_seconds: float | None,
        limit: int = 1000,
    ) -> list[Event]:
        """Return the newest events that were going on within [since, until), newest last."""
        return await self._call(
            self._reading().events_between, camera, since_seconds, until_seconds, limit
        )

    async def events_page(
        self, search: EventSearch, *, before: tuple[float, str] | None = None, limit: int = 50
    ) -> list[Event]:
        """Return the newest events that are searched for, newest first.

        `before`: (start_seconds, event_id) of the last event of the page before this one.
        """
        return await self._call(self._reading().events_page, search, before=before, limit=limit)

    async def count_events(self, search: EventSearch) -> int:
        """Return how many events are searched for."""
        return await self._call(self._reading().count_events, search)

    async def event(self, event_id: str) -> Event | None:
        """Return an event as it is now, or None."""
        return await self._call(self._reading().event, event_id)

    async def events_with_prefix(self, prefix: str, limit: int = 2) -> list[Event]:
        """Return events whose id begins so."""
        return await self._call(self._reading().events_with_prefix, prefix, limit)

    async def open_events(self) -> list[Event]:
        """Return the events without an end, oldest first."""
        return await self._call(self._reading().open_events)

    async def feedback(self, event_id: str) -> Feedback | None:
        """Return what was said of an event, or None."""
        return await self._call(self._reading().feedback, event_id)

    async def feedback_of(self, event_ids: Sequence[str]) -> dict[str, Feedback]:
        """Return by event what was said of these."""
        return await self._call(self._reading().feedback_of, event_ids)

    async def feedback_since(self, camera: CameraName, since_seconds: float) -> list[Feedback]:
        """Return what was said of a camera's events that started at or after `since`."""
        return await self._call(self._reading().feedback_since, camera, since_seconds)

    async def evidence(self, event_id: str) -> EvidenceRow | None:
        """Return what is on disk of an event, or None."""
        return await self._call(self._reading().evidence, event_id)

    async def evidence_of(self, event_ids: Sequence[str]) -> dict[str, EvidenceRow]:
        """Return by event what is on disk of these."""
        return await self._call(self._reading().evidence_of, event_ids)

    async def evidence_oldest(self, limit: int) -> list[EvidenceRow]:
        """Return the oldest evidence that is not protected, oldest first."""
        return await self._call(self._reading().evidence_oldest, limit)

    async def evidence_in_state(self, state: str) -> list[EvidenceRow]:
        """Return all evidence in this state, oldest first."""
        return await self._call(self._reading().evidence_in_state, state)

    async def evidence_bytes(self) -> int:
        """Return the size of all evidence together, protected or not."""
        return await self._call(self._reading().evidence_bytes)

    async def setting_changes(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[SettingChange]:
        """Return the changes of a camera's settings within [since, until), in order."""
        self._write_waiting()
        return await self._call(
            self._reading().setting_changes, camera, since_seconds, until_seconds
        )

    async def settings_at(self, camera: CameraName, at_seconds: float) -> dict[str, SettingChange]:
        """Return by key the last change of a camera's settings up to a moment."""
        self._write_waiting()
        return await self._call(self._reading().settings_at, camera, at_seconds)

    async def drills(self, camera: str | None = None, limit: int = 20) -> list[DrillResult]:
        """Return the newest fire drills, newest first."""
        return await self._call(self._reading().drills, camera, limit)

    async def last_drills(self) -> dict[str, DrillResult]:
        """Return by camera its newest fire drill."""
        return await self._call(self._reading().last_drills)

    async def drills_passed(self) -> dict[str, float]:
        """Return by camera the Unix time at which its newest drill that passed began."""
        return await self._call(self._reading().drills_passed)

    async def known_since(self, camera: CameraName) -> float | None:
        """Return the Unix time at which a camera's records begin; None: there are none."""
        self._write_waiting()
        return await self._call(self._reading().known_since, camera)

    async def cameras(self) -> list[CameraName]:
        """Return the names of all cameras that anything is known of."""
        self._write_waiting()
        return await self._call(self._reading().cameras)

    async def setting(self, key: str) -> str | None:
        """Return what an operator set at run time, or None."""
        return await self._call(self._reading().setting, key)
