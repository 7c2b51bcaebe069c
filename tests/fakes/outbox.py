"""An outbox in memory that keeps the contract of `edgewatch.pipeline.outbox.Outbox`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from edgewatch.pipeline.errors import StoreError


@dataclass(frozen=True, slots=True)
class Row:
    row_id: int
    topic: str
    payload: bytes


class FakeOutbox:
    """Rows added with `add` wait until they are deleted; `refuse_deletes` times it fails to."""

    def __init__(self, *, refuse_deletes: int = 0) -> None:
        self.deleted: list[int] = []
        self._rows: dict[int, Row] = {}
        self._next_id = 1
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._refuse_deletes = refuse_deletes

    def add(self, topic: str, *payloads: bytes) -> None:
        for payload in payloads:
            self._rows[self._next_id] = Row(self._next_id, topic, payload)
            self._next_id += 1
        self._filled.set()
        self._emptied.clear()

    @property
    def payloads(self) -> list[bytes]:
        return [row.payload for row in self._rows.values()]

    async def emptied(self) -> None:
        await self._emptied.wait()

    async def outbox_head(self, limit: int) -> Sequence[Row]:
        return list(islice(self._rows.values(), limit))

    async def outbox_delete(self, row_ids: Sequence[int]) -> None:
        if self._refuse_deletes:
            self._refuse_deletes -= 1
            raise StoreError("no space left on the disk")
        for row_id in row_ids:
            if self._rows.pop(row_id, None):
                self.deleted.append(row_id)
        if not self._rows:
            self._filled.clear()
            self._emptied.set()

    async def outbox_wait(self) -> None:
        await self._filled.wait()
