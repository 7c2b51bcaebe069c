"""Pairs of frames are seen beforehand while nothing else is to be done, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.foresight import AT_ONCE, MOST_WAITING, Foresight
from edgewatch.pipeline.errors import EngineFailed

PIXELS = np.zeros((2, 28, 28, 3), np.uint8)


def pair(number: int, camera: str = "door") -> AskedClip:
    return AskedClip(PIXELS, 1.0, "", camera=camera, times=(number, number + 0.25))


class Device:
    """Sees pairs when it is let."""

    def __init__(self) -> None:
        self.seen: list[list[float]] = []
        self.broken = False
        self._free = asyncio.Event()
        self._free.set()

    def hold(self) -> None:
        self._free.clear()

    def let(self) -> None:
        self._free.set()

    async def see(self, pairs: Sequence[AskedClip]) -> None:
        if self.broken:
            raise EngineFailed("the device is lost")
        self.seen.append([one.times[0] for one in pairs])
        await self._free.wait()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_pairs_are_seen_in_order_and_not_too_many_at_once() -> None:
    device = Device()
    foresight = Foresight(device.see)
    foresight.offer([pair(number) for number in range(AT_ONCE + 2)])
    await settled()
    assert device.seen == [[*range(AT_ONCE)], [AT_ONCE, AT_ONCE + 1]]


async def test_the_next_ones_wait_for_the_device() -> None:
    device = Device()
    foresight = Foresight(device.see)
    device.hold()
    foresight.offer([pair(0)])
    await settled()
    foresight.offer([pair(1), pair(2)])
    await settled()
    assert device.seen == [[0]]
    device.let()
    await settled()
    assert device.seen == [[0], [1, 2]]


async def test_clips_come_first_and_take_their_own_pairs_along() -> None:
    device = Device()
    foresight = Foresight(device.see)
    clip = AskedClip(PIXELS, 4.0, "Look.", camera="door", times=(0, 0.25, 1, 1.25))
    foresight.offer([pair(0)])
    with foresight.held_back([clip]), foresight.held_back([]):
        foresight.offer([pair(2), pair(0, "gate")])
        await settled()
        assert device.seen == []
    await settled()
    assert device.seen == [[2, 0]]
    assert foresight.forgone == 1


async def test_the_newest_stay_where_too_many_wait() -> None:
    device = Device()
    foresight = Foresight(device.see)
    with foresight.held_back([]):
        foresight.offer([pair(number) for number in range(MOST_WAITING + 3)])
    await settled()
    assert device.seen[0][0] == 3
    assert foresight.forgone == 3


async def test_pairs_of_a_camera_that_is_gone_are_let_go() -> None:
    device = Device()
    foresight = Foresight(device.see)
    foresight.offer([pair(0, "gate"), pair(1)])
    foresight.forget("gate")
    await settled()
    assert device.seen == [[1]]


async def test_a_device_that_fails_ends_nothing_but_its_own_pairs() -> None:
    device = Device()
    device.broken = True
    foresight = Foresight(device.see)
    foresight.offer([pair(0)])
    await settled()
    device.broken = False
    foresight.offer([pair(1)])
    await settled()
    assert device.seen == [[1]]
    assert foresight.forgone == 1


async def test_closed_it_sees_nothing_more() -> None:
    device = Device()
    foresight = Foresight(device.see)
    device.hold()
    foresight.offer([pair(0)])
    await settled()
    foresight.offer([pair(1)])
    foresight.close()
    device.let()
    await settled()
    assert device.seen == [[0]]
