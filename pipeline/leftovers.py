"""Leftovers: what the broker still keeps of cameras, topics and settings of an earlier run.

What is retained outlives the service: a camera that was renamed while it was down would stand
there for ever, and in Home Assistant too. So the topics are remembered in the store, and those
that this run does not use are taken away.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Protocol

import structlog

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.retained import RetainedBoard
from edgewatch.pipeline.types import CameraName

SETTING = "mqtt.retained"
"""Under which the store keeps the topics: a list in JSON."""

log = structlog.get_logger(__name__)


class Memory(Protocol):
    """Where the topics are remembered; a StoreThread in the product. Each may raise StoreError."""

    async def setting(self, key: str) -> str | None:
        """Return what was kept, or None."""

    async def set_setting(self, key: str, value: str | None) -> None:
        """Keep a value."""

    async def cameras(self) -> list[CameraName]:
        """Return the names of all cameras that anything is known of."""


class Leftovers:
    """Takes down what earlier runs left at the broker, and remembers what this one puts there."""

    def __init__(self, board: RetainedBoard, memory: Memory, *, always: Iterable[str]) -> None:
        self._board = board
        self._memory = memory
        self._always = frozenset(always)
        """Topics that are not on the board and are the service's all the same: its status."""
        self._saved: frozenset[str] = frozenset()

    async def take_down(self, wanted: Collection[str], topics: Topics) -> None:
        """Have the broker forget every topic of earlier runs that is not `wanted` any more."""
        try:
            earlier = await self._earlier(topics)
        except StoreError as error:
            log.warning("leftovers at the broker not looked for", detail=str(error))
            return
        gone = sorted(earlier - frozenset(wanted) - self._always)
        for topic in gone:
            self._board.take_down(topic)
        if gone:
            log.info("leftovers at the broker taken down", topics=len(gone), first=gone[0])

    async def run(self) -> None:
        """Remember the board's topics whenever they change, until cancelled."""
        while True:
            self._board.topics_changed.clear()
            await self.save()
            await self._board.topics_changed.wait()

    async def save(self) -> None:
        """Remember the board's topics as they are now; a store in trouble delays it."""
        # With those still to be taken down: the broker may be away until the next start.
        topics = self._board.topics | self._always
        if topics == self._saved:
            return
        try:
            await self._memory.set_setting(SETTING, json.dumps(sorted(topics)))
            self._saved = topics
        except StoreError as error:
            log.warning("topics at the broker not remembered", detail=str(error))

    async def _earlier(self, topics: Topics) -> frozenset[str]:
        kept = await self._memory.setting(SETTING)
        if kept is not None:
            return _read(kept)
        # An earlier version of edgewatch remembered nothing, but its books name the cameras.
        cameras = await self._memory.cameras()
        return frozenset(topic for camera in cameras for topic in topics.retained_of(camera))


def _read(kept: str) -> frozenset[str]:
    try:
        topics = json.loads(kept)
    except ValueError:
        topics = None
    if not isinstance(topics, list):
        log.warning("topics at the broker forgotten", detail=f"setting {SETTING} cannot be read")
        return frozenset()
    return frozenset(topic for topic in topics if isinstance(topic, str) and _publishable(topic))


def _publishable(topic: str) -> bool:
    return (
        bool(topic)
        and len(topic.encode("utf-8", "replace")) < 65_536
        and not set(topic) & set("+#\0")
    )
