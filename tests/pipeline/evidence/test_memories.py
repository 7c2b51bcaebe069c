from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.evidence.memories import ANSWER_SECONDS, MOST_WANTED, WantedMemories
from edgewatch.pipeline.types import CameraName
from tests.fakes.clips import FRONT
from tests.fakes.clock import VirtualTimeLoop


class Engine:
    """Remembers every clip but those that it cannot, and those over which it hangs."""

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        if clip_id == "broken":
            raise EngineFailed("it was restarted")
        if clip_id == "hangs":
            await asyncio.sleep(10 * ANSWER_SECONDS)
        return None if clip_id == "forgotten" else f"{camera} {clip_id}".encode()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        yield runner


def test_what_the_engine_remembers_is_handed_over(runner: asyncio.Runner) -> None:
    taken: list[bytes] = []
    wakes: list[None] = []
    memories = WantedMemories(Engine(), on_change=lambda: wakes.append(None))
    for clip_id in ("broken", "a", "forgotten", "b"):
        memories.want(FRONT, clip_id, taken.append)
    runner.run(memories.ask())
    assert taken == [b"front a", b"front b"]
    assert len(wakes) == 4
    assert memories.left_out == 0


def test_an_engine_that_hangs_holds_nobody_up(runner: asyncio.Runner) -> None:
    taken: list[bytes] = []
    memories = WantedMemories(Engine(), on_change=lambda: None)
    for clip_id in ("hangs", "a", "b"):
        memories.want(FRONT, clip_id, taken.append)

    async def asked() -> float:
        loop = asyncio.get_running_loop()
        began_seconds = loop.time()
        await memories.ask()
        return loop.time() - began_seconds

    assert runner.run(asked()) == pytest.approx(ANSWER_SECONDS)
    assert taken == []
    assert memories.left_out == 3
    memories.want(FRONT, "c", taken.append)
    runner.run(memories.ask())
    assert taken == [b"front c"]


def test_only_so_many_are_wanted_at_once(runner: asyncio.Runner) -> None:
    taken: list[bytes] = []
    memories = WantedMemories(Engine(), on_change=lambda: None)
    for number in range(MOST_WANTED + 2):
        memories.want(FRONT, f"c{number}", taken.append)
    runner.run(memories.ask())
    assert (len(taken), memories.left_out) == (MOST_WANTED, 2)
