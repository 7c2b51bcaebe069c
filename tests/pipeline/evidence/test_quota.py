from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewatch.config.sections import Evidence
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.quota import BATCH, DAY_SECONDS, Quota
from edgewatch.pipeline.types import EvidenceRow
from tests.fakes.clips import FRONT
from tests.fakes.evidence_books import FakeEvidenceBooks

WHERE = "front/2026-11-01"
NOW_SECONDS = 100 * DAY_SECONDS


async def at_once(work: Callable[[], Any]) -> Any:
    return work()


def with_old(tmp_path: Path, count: int, books: FakeEvidenceBooks) -> Quota:
    folder = EvidenceFolder(tmp_path)
    for number in range(count):
        event_id = f"e{number:04}"
        folder.write(folder.path(WHERE, event_id, ".jpg"), b"picture")
        books.rows[event_id] = EvidenceRow(
            event_id, FRONT, "ready", "", WHERE, 7, float(number), False
        )
    return Quota(Evidence(reserve_bytes=0), folder, books)


def pictures(tmp_path: Path) -> list[str]:
    return sorted(path.stem for path in tmp_path.rglob("*.jpg"))


async def keep(quota: Quota, busy: set[str] | None = None) -> str | None:
    return await quota.keep(now_seconds=NOW_SECONDS, busy=lambda: busy or set(), in_thread=at_once)


async def test_much_goes_in_parts_and_what_is_being_written_stays(tmp_path: Path) -> None:
    books = FakeEvidenceBooks()
    quota = with_old(tmp_path, 2 * BATCH + 20, books)
    assert await keep(quota, {"e0000", "e0300"}) is None
    assert sorted(books.rows) == ["e0000", "e0300"]
    assert pictures(tmp_path) == ["e0000", "e0300"]
    assert (quota.removed, quota.used_bytes) == (2 * BATCH + 18, 14)


async def test_what_is_protected_while_others_go_stays(tmp_path: Path) -> None:
    class Page(FakeEvidenceBooks):
        """Somebody presses the button once the first of them is gone."""

        async def delete_evidence(self, event_id: str) -> None:
            await super().delete_evidence(event_id)
            self.rows["e0002"] = replace(self.rows["e0002"], protected=True)

    books = Page()
    quota = with_old(tmp_path, 4, books)
    await keep(quota)
    assert list(books.rows) == ["e0002"]
    assert pictures(tmp_path) == ["e0002"]
    assert quota.used_bytes == 7


async def test_books_that_do_not_forget_yet_hold_nobody_up(tmp_path: Path) -> None:
    class Full(FakeEvidenceBooks):
        """A full disk: what is to be deleted waits."""

        async def delete_evidence(self, event_id: str) -> None:
            pass

    quota = with_old(tmp_path, BATCH + 5, Full())
    await keep(quota)
    assert quota.removed == BATCH + 5
    assert pictures(tmp_path) == []
