"""What an operator set, over restarts and changes of the file."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.kept_settings import SETTING, KeptSettings, kept_in
from edgewatch.pipeline.messages import MAX_SNOOZE_SECONDS
from edgewatch.pipeline.types import CameraName, SettingChange
from edgewatch.pipeline.watch import Watch, live_feed
from tests.fakes.clips import make_verdict
from tests.fakes.clock import ManualClock
from tests.fakes.flow import on_virtual_time

FRONT = CameraName("front")
NOON = 1_800_000_000.0


class Memory:
    """Keeps values and changes, as the store does."""

    def __init__(self, kept: str | None = None) -> None:
        self.kept = {} if kept is None else {SETTING: kept}
        self.changes: list[SettingChange] = []
        self.broken = False
        self.writes = 0

    async def setting(self, key: str) -> str | None:
        self._check()
        return self.kept.get(key)

    async def set_setting(self, key: str, value: str | None) -> None:
        self._check()
        self.writes += 1
        self.kept.pop(key, None)
        if value is not None:
            self.kept[key] = value

    async def settings_at(self, camera: CameraName, at_seconds: float) -> dict[str, SettingChange]:
        return {c.key: c for c in self.changes if c.camera == camera and c.at_seconds <= at_seconds}

    def log_change(self, change: SettingChange) -> None:
        self.changes.append(change)

    def _check(self) -> None:
        if self.broken:
            raise StoreError("the disk is full")


def plan(**changes: Any) -> CameraPlan:
    return replace(Settings().plan_for(None), name="front", url="/dev/video9", **changes)


def watch_of(file: CameraPlan) -> Watch:
    return Watch(live_feed(file), observers=(), now_seconds=NOON)


class Run:
    """One life of a service that keeps to a memory and a clock."""

    def __init__(
        self, memory: Memory, *, wall: float = NOON, file: CameraPlan | None = None
    ) -> None:
        self.kept = KeptSettings(memory, ManualClock(wall))
        self.file = file or plan()
        self.watch = watch_of(self.file)

    async def start(self) -> Watch:
        await self.kept.load([self.file])
        self.kept.restore(self.watch)
        self.kept.keep(self.watch)
        return self.watch

    async def stop(self) -> None:
        self.kept.keep(self.watch)
        assert await self.kept.save()


async def set_then_restarted(
    *, file: CameraPlan | None = None, after_seconds: float = 60.0, **attributes: Any
) -> Watch:
    """Set something in one run, and return the watch of the next, which reads `file`."""
    memory = Memory()
    first = Run(memory)
    watch = await first.start()
    for name, value in attributes.items():
        setattr(watch, name, value)
    await first.stop()
    return await Run(memory, wall=NOON + after_seconds, file=file).start()


async def test_what_an_operator_set_outlives_a_restart() -> None:
    watch = await set_then_restarted(
        enabled=False, threshold=0.8, snoozed_until_seconds=NOON + 3600
    )
    assert (watch.enabled, watch.threshold) == (False, 0.8)
    assert watch.snoozed_until_seconds == NOON + 3600
    assert watch.overridden == ("enabled", "threshold")


async def test_a_restored_snooze_is_in_force_for_events() -> None:
    watch = await set_then_restarted(snoozed_until_seconds=NOON + 3600)
    watch.policy.judge(make_verdict(NOON + 70, 0.9))
    (event,) = watch.policy.judge(make_verdict(NOON + 75, 0.9))
    assert event.suppressed_by == "snooze"


async def test_a_snooze_that_ended_meanwhile_is_over() -> None:
    watch = await set_then_restarted(snoozed_until_seconds=NOON + 30)
    assert watch.snoozed_until_seconds is None


async def test_a_clock_that_was_never_set_snoozes_nothing() -> None:
    """A box without a clock wakes in 1970: to be silent until today would be for ever."""
    watch = await set_then_restarted(snoozed_until_seconds=NOON + 3600, after_seconds=-NOON + 60)
    assert watch.snoozed_until_seconds is None
    assert MAX_SNOOZE_SECONDS < NOON


async def test_a_key_that_was_changed_in_the_file_wins_and_the_others_stay() -> None:
    file = plan(threshold=0.6)
    watch = await set_then_restarted(file=file, enabled=False, threshold=0.8)
    assert watch.threshold == 0.6
    assert watch.enabled is False


async def test_the_files_own_value_set_again_leaves_nothing_to_keep() -> None:
    memory = Memory()
    run = Run(memory)
    watch = await run.start()
    watch.threshold = 0.8
    await run.stop()
    assert SETTING in memory.kept
    watch.threshold = run.file.threshold
    await run.stop()
    assert memory.kept == {}


async def test_a_reload_that_takes_the_file_over_and_back_leaves_the_file_in_force() -> None:
    """Not the operator's older value, which came true again by chance."""
    memory = Memory()
    run = Run(memory)
    watch = await run.start()
    watch.threshold = 0.8
    run.kept.keep(watch)
    for threshold in (0.6, run.file.threshold):
        watch.change_plan(live_feed(plan(threshold=threshold)))
        run.kept.keep(watch)
    await run.stop()
    assert (await Run(memory).start()).threshold == run.file.threshold


async def test_a_reload_of_other_keys_keeps_what_was_set() -> None:
    memory = Memory()
    run = Run(memory)
    watch = await run.start()
    watch.threshold = 0.8
    watch.change_plan(live_feed(plan(schedule=("Sat",))))
    await run.stop()
    assert (await Run(memory).start()).threshold == 0.8


async def test_a_camera_that_was_removed_takes_what_was_set_with_it() -> None:
    memory = Memory()
    run = Run(memory)
    (await run.start()).enabled = False
    await run.stop()
    run.kept.forget(FRONT)
    assert await run.kept.save()
    assert memory.kept == {}


async def test_each_start_says_what_is_in_force_since_when_and_the_cure() -> None:
    memory = Memory()
    run = Run(memory)
    (await run.start()).enabled = False
    await run.stop()
    memory.changes.append(SettingChange(FRONT, "enabled", "false", NOON, "page"))
    later = Run(memory, wall=NOON + 86_400)
    with capture_logs() as logs:
        await later.start()
    (line,) = [one for one in logs if one["event"] == "operator's setting in force"]
    assert line["log_level"] == "warning"
    assert (line["key"], line["value"], line["since"][:10]) == ("enabled", "false", "2027-01-15")
    assert "change the key in the file" in line["cure"]
    # The records know whose value holds from this start on
    change = memory.changes[-1]
    assert (change.value, change.by, change.at_seconds) == ("false", "page", NOON + 86_400)


@pytest.mark.parametrize("kept", ["{", "[]", '{"front": 1}', '{"front": {"enabled": {}}}'])
async def test_what_is_damaged_is_said_and_the_file_holds(kept: str) -> None:
    with capture_logs() as logs:
        watch = await Run(Memory(kept)).start()
    assert (watch.enabled, watch.overridden) == (True, ())
    assert "operators' settings damaged" in [one["event"] for one in logs]


async def test_what_makes_no_sense_is_not_put_in_force() -> None:
    entry = {"value": 7.0, "file": 0.5, "since_seconds": NOON}
    watch = await Run(Memory(json.dumps({"front": {"threshold": entry, "zoom": entry}}))).start()
    assert watch.threshold == 0.5


async def test_a_store_in_trouble_starts_the_service_all_the_same() -> None:
    memory = Memory()
    memory.broken = True
    run = Run(memory)
    watch = await run.start()
    watch.enabled = False
    run.kept.keep(watch)
    assert not await run.kept.save()
    memory.broken = False
    assert await run.kept.save()
    assert kept_in(memory.kept[SETTING])[FRONT]["enabled"].value is False


@on_virtual_time
async def test_changes_are_written_as_they_come_and_tried_again_in_trouble() -> None:
    memory = Memory()
    run = Run(memory)
    watch = await run.start()
    task = asyncio.create_task(run.kept.run())
    memory.broken = True
    watch.threshold = 0.9
    run.kept.keep(watch)
    await asyncio.sleep(1.0)
    assert memory.writes == 0
    memory.broken = False
    await asyncio.sleep(60.0)
    assert memory.writes == 1
    run.kept.keep(watch)
    await asyncio.sleep(60.0)
    assert memory.writes == 1
    task.cancel()
