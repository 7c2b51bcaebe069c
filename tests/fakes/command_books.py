"""Books for commands, kept in lists; they fail while `broken`."""

from __future__ import annotations

import asyncio

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.types import CameraName, Event, Feedback, SettingChange


class FakeCommandBooks:
    """Keeps what commands change; `known` are the events that there are, oldest first."""

    def __init__(self, *known: Event) -> None:
        self.known = list(known)
        self.changes: list[SettingChange] = []
        self.said: list[Feedback] = []
        self.broken = False
        self.slow: asyncio.Event | None = None
        """While it is there and not set, nothing is kept."""

    def log_change(self, change: SettingChange) -> None:
        self._check()
        self.changes.append(change)

    async def set_feedback(self, feedback: Feedback) -> None:
        if self.slow:
            await self.slow.wait()
        self._check()
        self.said.append(feedback)

    async def event(self, event_id: str) -> Event | None:
        self._check()
        return next((event for event in self.known if event.event_id == event_id), None)

    async def events(
        self,
        camera: CameraName | None = None,
        since_seconds: float | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        self._check()
        return [event for event in self.known if camera in (None, event.camera)][-limit:]

    def _check(self) -> None:
        if self.broken:
            raise StoreError("no space left on the disk")
