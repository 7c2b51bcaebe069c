"""Kept settings: what an operator set over MQTT or on the page outlives a restart of the service.

The file stays the truth: what was set holds only as long as the file says what it said then. A
change of the key in the file, and setting the file's own value again, both take it back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import structlog

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.messages import MAX_SNOOZE_SECONDS, iso_utc
from edgewatch.pipeline.types import CameraName, SettingChange
from edgewatch.pipeline.watch import Watch

SETTING = "operator.settings"
"""Under which the store keeps all of it: by camera and key, in JSON."""
RETRY_SECONDS = 30.0
"""Until a store in trouble is tried again."""

SNOOZE = "snooze_seconds"
By = Literal["mqtt", "page", "cli", "settings"]

log = structlog.get_logger(__name__)


class Memory(Protocol):
    """Where it is kept; a StoreThread in the product. Each may raise StoreError."""

    async def setting(self, key: str) -> str | None:
        """Return what was kept, or None."""

    async def set_setting(self, key: str, value: str | None) -> None:
        """Keep a value; None removes it."""

    async def settings_at(self, camera: CameraName, at_seconds: float) -> dict[str, SettingChange]:
        """Return by key the last change of a camera's settings up to a moment."""

    def log_change(self, change: SettingChange) -> None:
        """Write down from when on a value holds, soon."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One setting as an operator set it."""

    value: bool | float
    """Of a snooze: the Unix time at which it ends."""
    file: bool | float | None
    """What the file said then; None: the file has no such key."""
    since_seconds: float

    @classmethod
    def read(cls, data: Any) -> Kept:
        """Take it from JSON. Raises ValueError, TypeError or KeyError."""
        kept = cls(data["value"], data["file"], float(data["since_seconds"]))
        if not isinstance(kept.value, bool | int | float):
            raise ValueError("its value is no number")
        return kept


Cameras = dict[CameraName, dict[str, Kept]]


class KeptSettings:
    """Remembers what differs from the file, and puts it in force again at the next start.

    All methods belong to the event loop.
    """

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._known: Cameras = {}
        self._by: dict[tuple[CameraName, str], By] = {}
        self._changed = asyncio.Event()
        self._saved: str | None = None

    async def load(self, plans: Iterable[CameraPlan]) -> None:
        """Read what an earlier run kept of these cameras; in trouble, which is logged, nothing."""
        wanted = [CameraName(plan.name) for plan in plans]
        try:
            text = self._saved = await self._memory.setting(SETTING)
            self._known = _read(text, wanted) if text else {}
            for camera in self._known:
                held = await self._memory.settings_at(camera, self._clock.wall_seconds())
                self._by |= {(camera, key): change.by for key, change in held.items()}
        except StoreError as error:
            log.warning("operators' settings not read", detail=str(error), cure="the file holds")
        except (ValueError, TypeError, KeyError) as error:
            log.warning("operators' settings damaged", detail=str(error), cure="the file holds")

    def restore(self, watch: Watch) -> None:
        """Put in force what was set for a camera, before it starts, as far as it still holds."""
        now_seconds = self._clock.wall_seconds()
        plan = watch.feed.plan
        for key, kept in self._known.get(watch.camera, {}).items():
            match key:
                case "enabled" if kept.file == plan.enabled:
                    watch.enabled = bool(kept.value)
                    text = str(watch.enabled).lower()
                case "threshold" if kept.file == plan.threshold and 0 <= kept.value <= 1:
                    watch.threshold = float(kept.value)
                    text = f"{watch.threshold:g}"
                case "snooze_seconds" if 0 < kept.value - now_seconds <= MAX_SNOOZE_SECONDS:
                    watch.snoozed_until_seconds = float(kept.value)
                    watch.policy.snooze(watch.snoozed_until_seconds)
                    text = f"{kept.value - now_seconds:g}"
                case _:
                    log.info("operator's setting is over", camera=watch.camera, key=key)
                    continue
            self._tell(watch, key, kept, text, now_seconds)

    def keep(self, watch: Watch) -> None:
        """Remember what differs from the file now; cheap to call again with the same."""
        now_seconds = self._clock.wall_seconds()
        plan, before = watch.feed.plan, self._known.get(watch.camera, {})
        held: dict[str, tuple[bool | float, bool | float | None]] = {}
        if watch.enabled != plan.enabled:
            held["enabled"] = watch.enabled, plan.enabled
        if watch.threshold != plan.threshold:
            held["threshold"] = watch.threshold, plan.threshold
        if watch.snoozed_until_seconds is not None and watch.snoozed_until_seconds > now_seconds:
            held[SNOOZE] = watch.snoozed_until_seconds, None
        kept = {key: Kept(value, file, now_seconds) for key, (value, file) in held.items()}
        for key, one in kept.items():
            old = before.get(key)
            if old is not None and (old.value, old.file) == (one.value, one.file):
                kept[key] = old
        if kept != before:
            self._known[watch.camera] = kept
            self._changed.set()

    def forget(self, camera: CameraName) -> None:
        """Let go of a camera that was removed."""
        if self._known.pop(camera, None):
            self._changed.set()

    async def run(self) -> None:
        """Write down what changed, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.save():
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def save(self) -> bool:
        """Write it down as it is now; False if the store could not take it, which is logged."""
        tables = {
            camera: {key: asdict(one) for key, one in table.items()}
            for camera, table in sorted(self._known.items())
            if table
        }
        text = json.dumps(tables) if tables else None
        if text == self._saved:
            return True
        try:
            await self._memory.set_setting(SETTING, text)
        except StoreError as error:
            log.warning("operators' settings not kept", detail=str(error))
            return False
        self._saved = text
        return True

    def _tell(self, watch: Watch, key: str, kept: Kept, text: str, now_seconds: float) -> None:
        log.warning(
            "operator's setting in force",
            camera=watch.camera,
            key=key,
            value=text,
            file=kept.file,
            since=iso_utc(kept.since_seconds),
            cure="set it again over MQTT or on the page, or change the key in the file",
        )
        by = self._by.get((watch.camera, key), "mqtt")
        try:
            self._memory.log_change(SettingChange(watch.camera, key, text, now_seconds, by))
        except StoreError as error:
            log.error("change of setting not written", camera=watch.camera, reason=str(error))


def kept_in(text: str | None) -> Cameras:
    """Read what the store keeps. Raises ValueError, TypeError or KeyError if it is damaged."""
    return _read(text, None) if text else {}


def _read(text: str, wanted: Iterable[CameraName] | None) -> Cameras:
    tables = json.loads(text)
    if not (isinstance(tables, dict) and all(isinstance(one, dict) for one in tables.values())):
        raise ValueError("it is no table of cameras")
    names = tables if wanted is None else [name for name in wanted if name in tables]
    return {
        CameraName(name): {key: Kept.read(one) for key, one in tables[name].items()}
        for name in names
    }
