"""Books of evidence kept in memory."""

from __future__ import annotations

from dataclasses import replace

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.types import EvidenceRow


class FakeEvidenceBooks:
    """Keeps rows as the store does; `broken`: it takes none."""

    def __init__(self) -> None:
        self.rows: dict[str, EvidenceRow] = {}
        self.broken = False

    async def save_evidence(self, row: EvidenceRow) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        known = self.rows.get(row.event_id)
        self.rows[row.event_id] = replace(row, protected=bool(known and known.protected))

    async def evidence(self, event_id: str) -> EvidenceRow | None:
        return self.rows.get(event_id)

    async def delete_evidence(self, event_id: str) -> None:
        self.rows.pop(event_id, None)

    async def evidence_oldest(self, limit: int) -> list[EvidenceRow]:
        free = [row for row in self.rows.values() if not row.protected]
        return sorted(free, key=lambda row: row.created_seconds)[:limit]

    async def evidence_in_state(self, state: str) -> list[EvidenceRow]:
        return [row for row in self.rows.values() if row.state == state]

    async def evidence_bytes(self) -> int:
        return sum(row.size_bytes for row in self.rows.values())
