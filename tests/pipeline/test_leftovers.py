from __future__ import annotations

import asyncio
import json

import pytest

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.leftovers import SETTING, Leftovers
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.retained import RetainedBoard
from edgewatch.pipeline.types import CameraName

TOPICS = Topics()
STATUS = TOPICS.status


class FakeMemory:
    """Settings in a dictionary; fails while `broken`."""

    def __init__(self, *topics: str, cameras: tuple[str, ...] = ()) -> None:
        self.kept = {SETTING: json.dumps(topics)} if topics else {}
        self.names = [CameraName(name) for name in cameras]
        self.broken = False
        self.saved = asyncio.Event()

    async def setting(self, key: str) -> str | None:
        self._check()
        return self.kept.get(key)

    async def set_setting(self, key: str, value: str | None) -> None:
        self._check()
        assert value is not None
        self.kept[key] = value
        self.saved.set()

    async def cameras(self) -> list[CameraName]:
        self._check()
        return self.names

    @property
    def topics(self) -> set[str]:
        return set(json.loads(self.kept[SETTING]))

    def _check(self) -> None:
        if self.broken:
            raise StoreError("no space left on the disk")


def leftovers(board: RetainedBoard, memory: FakeMemory) -> Leftovers:
    return Leftovers(board, memory, always=(STATUS,))


async def told(board: RetainedBoard) -> dict[str, bytes]:
    """Return what a broker is told; from then on it knows."""
    heard: dict[str, bytes] = {}

    async def tell(topic: str, payload: bytes, qos: int) -> None:
        heard[topic] = payload

    await board.flush(tell)
    return heard


async def test_what_is_not_wanted_any_more_is_taken_down() -> None:
    board = RetainedBoard(lasting=True)
    memory = FakeMemory("edgewatch/front/state", "edgewatch/back/state", STATUS)
    await leftovers(board, memory).take_down({"edgewatch/back/state"}, TOPICS)
    assert await told(board) == {"edgewatch/front/state": b""}


async def test_topic_that_the_broker_was_not_told_of_is_remembered_until_it_is() -> None:
    board = RetainedBoard(lasting=True)
    memory = FakeMemory("edgewatch/front/state", STATUS)
    ours = leftovers(board, memory)
    await ours.take_down((), TOPICS)
    board.put("edgewatch/yard/state", b"calm", qos=1)
    await ours.save()
    assert memory.topics == {"edgewatch/front/state", "edgewatch/yard/state", STATUS}
    await told(board)
    await ours.save()
    assert memory.topics == {"edgewatch/yard/state", STATUS}


async def test_books_of_an_earlier_version_name_the_cameras() -> None:
    board = RetainedBoard(lasting=True)
    memory = FakeMemory(cameras=("front", "yard"))
    await leftovers(board, memory).take_down(TOPICS.retained_of("yard"), TOPICS)
    assert set(await told(board)) == set(TOPICS.retained_of("front"))


@pytest.mark.parametrize("kept", ["", "{", "7", '{"a": 1}', '[1, "a/#", "", "\\u0000"]'])
async def test_memory_that_cannot_be_read_takes_nothing_down(kept: str) -> None:
    board, memory = RetainedBoard(lasting=True), FakeMemory()
    memory.kept[SETTING] = kept
    await leftovers(board, memory).take_down((), TOPICS)
    assert await told(board) == {}


async def test_store_in_trouble_keeps_nobody_from_starting() -> None:
    board, memory = RetainedBoard(lasting=True), FakeMemory("edgewatch/front/state")
    memory.broken = True
    ours = leftovers(board, memory)
    await ours.take_down((), TOPICS)
    await ours.save()
    memory.broken = False
    await ours.save()
    assert memory.topics == {STATUS}


async def test_topics_are_remembered_as_they_come() -> None:
    board, memory = RetainedBoard(lasting=True), FakeMemory()
    running = asyncio.create_task(leftovers(board, memory).run())
    try:
        async with asyncio.timeout(5.0):
            await memory.saved.wait()
            assert memory.topics == {STATUS}
            memory.saved.clear()
            board.put("edgewatch/front/state", b"calm", qos=1)
            await memory.saved.wait()
        assert memory.topics == {STATUS, "edgewatch/front/state"}
        memory.saved.clear()
        board.put("edgewatch/front/state", b"alarm", qos=1)
        await asyncio.sleep(0)
        assert not memory.saved.is_set(), "a new payload is no new topic"
    finally:
        running.cancel()
