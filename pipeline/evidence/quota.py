"""Space and age: the oldest evidence that nobody protects goes first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, Protocol

import structlog

from edgewatch.config.sections import Evidence
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.trouble import EvidenceFailed
from edgewatch.pipeline.types import EvidenceRow

log = structlog.get_logger(__name__)

DAY_SECONDS = 86_400.0
BATCH = 200
"""Rows looked at in one go."""


class QuotaBooks(Protocol):
    """What is written down of evidence on disk."""

    async def evidence(self, event_id: str) -> EvidenceRow | None:
        """Return what is on disk of an event."""

    async def delete_evidence(self, event_id: str) -> None:
        """Forget what was on disk of an event."""

    async def evidence_oldest(self, limit: int) -> list[EvidenceRow]:
        """Return the oldest evidence that is not protected, oldest first."""

    async def evidence_bytes(self) -> int:
        """Return the size of all evidence together."""


InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
Busy = Callable[[], Collection[str]]


class Quota:
    """Keeps evidence within `evidence.max_bytes` and `max_age_days`, and the disk from filling."""

    def __init__(self, settings: Evidence, folder: EvidenceFolder, books: QuotaBooks) -> None:
        self.used_bytes = 0
        """When it was last looked."""
        self.removed = 0
        self._settings = settings
        self._folder = folder
        self._books = books

    async def keep(self, *, now_seconds: float, busy: Busy, in_thread: InThread) -> str | None:
        """Remove what must go; return why nothing more can be kept, None if it can.

        `busy`: asked for the events whose evidence is being written, which is never removed.
        Nothing is removed because of what others put on the disk. Raises StoreError,
        EvidenceFailed.
        """
        self.used_bytes = await self._books.evidence_bytes()
        gone: set[str] = set()
        try:
            while going := await self._going({*busy(), *gone}, busy, now_seconds):
                for row in going:
                    gone.add(row.event_id)
                    await self._remove(row, in_thread)
        finally:
            if gone:
                log.info("evidence removed", events=len(gone), bytes_left=self.used_bytes)
        return await self._obstacle(in_thread)

    async def _going(self, spared: set[str], busy: Busy, now_seconds: float) -> list[EvidenceRow]:
        """Return which of the oldest must go, oldest first, a bounded part of them.

        `spared`: those not to be looked at; books in trouble may still name what is gone already.
        """
        oldest = await self._books.evidence_oldest(BATCH + len(spared))
        spared.update(busy())
        before_seconds = now_seconds - self._settings.max_age_days * DAY_SECONDS
        left_bytes = self.used_bytes
        going: list[EvidenceRow] = []
        for row in oldest:
            if row.event_id in spared:
                continue
            fits = left_bytes <= self._settings.max_bytes
            if len(going) == BATCH or (row.created_seconds >= before_seconds and fits):
                break
            going.append(row)
            left_bytes -= row.size_bytes
        return going

    async def _remove(self, row: EvidenceRow, in_thread: InThread) -> None:
        now = await self._books.evidence(row.event_id)
        if now is not None and now.protected:
            return  # only just, on the page
        await in_thread(partial(self._folder.delete, row.folder, row.event_id))
        await self._books.delete_evidence(row.event_id)
        self.used_bytes -= row.size_bytes
        self.removed += 1

    async def _obstacle(self, in_thread: InThread) -> str | None:
        if self.used_bytes > self._settings.max_bytes:
            return (
                "protected evidence takes all of evidence.max_bytes: "
                "protect less of it, or raise the limit"
            )
        try:
            free_bytes: int = await in_thread(self._folder.free_bytes)
        except EvidenceFailed as error:
            return str(error)
        if free_bytes < self._settings.reserve_bytes:
            return (
                f"the disk has {free_bytes // 1_000_000} MB left, which are kept for the "
                "database (evidence.reserve_bytes): free space there"
            )
        return None
