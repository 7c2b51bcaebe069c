"""The rows of evidence on their way into the books; those are away now and then."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from edgewatch.pipeline.evidence.quota import QuotaBooks
from edgewatch.pipeline.types import EvidenceRow

MOST_ROWS = 5_000
"""Events whose rows wait; those of more are left out."""


class EvidenceBooks(QuotaBooks, Protocol):
    """Where is written down what is on disk; a StoreThread in the product."""

    async def save_evidence(self, row: EvidenceRow) -> None:
        """Keep what is on disk of an event."""

    async def evidence_in_state(self, state: str) -> list[EvidenceRow]:
        """Return all evidence in this state."""


class WaitingRows:
    """The newest row of each event, as long as it is not in the books."""

    def __init__(self, books: EvidenceBooks, *, on_change: Callable[[], None]) -> None:
        self.left_out = 0
        self._books = books
        self._on_change = on_change
        self._rows: dict[str, EvidenceRow] = {}

    @property
    def events(self) -> Collection[str]:
        """Whose rows they are."""
        return self._rows.keys()

    def keep(self, row: EvidenceRow) -> None:
        """Take an event's row; it replaces one that waits."""
        if row.event_id not in self._rows and len(self._rows) >= MOST_ROWS:
            self.left_out += 1
            return
        self._rows[row.event_id] = row
        self._on_change()

    async def save(self) -> None:
        """Write all down. Raises StoreError: what is not written then waits on."""
        while self._rows:
            row = next(iter(self._rows.values()))
            await self._books.save_evidence(row)
            if self._rows.get(row.event_id) is row:
                del self._rows[row.event_id]
