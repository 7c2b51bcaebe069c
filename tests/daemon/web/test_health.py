"""The sign of life: true only while judging is really going on."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.daemon.web.health import LEAST_SILENCE_SECONDS, health_of
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import CameraName, Clip, Health
from tests.daemon.web.core import CAMERA, Core, core, settings_for
from tests.fakes.clips import make_clip
from tests.fakes.engine import FakeEngine

FRONT, BACK = CameraName("front"), CameraName("back")
TWO = CAMERA + CAMERA.replace("front", "back")
NEVER = 'schedule = ["Mon 00:00-00:01"]\n'


def judge(served: Core, camera: CameraName) -> None:
    """Have a camera be online and judged just now."""
    watch = served.pipeline.flow.watch(camera)
    assert watch is not None
    watch.set_health(Health(camera, "online", served.clock.wall_seconds()))
    served.pipeline.stats.judged(10.0, served.clock.monotonic_seconds(), camera=camera, score=0.1)


async def test_it_is_healthy_while_a_camera_is_judged(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        judge(served, FRONT)
        answer = await served.ask("GET", "/healthz")
        assert answer.status == 200
        assert await answer.json() == {
            "schema": 1,
            "healthy": True,
            "reasons": [],
            "cameras": {"wanted": 1, "judged": 1},
        }


async def test_before_the_first_verdict_it_is_not(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        answer = await served.ask("GET", "/healthz")
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["no camera is judged: 1 connecting"]


async def test_verdicts_that_stopped_coming_are_noticed(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        judge(served, FRONT)
        served.clock.advance(LEAST_SILENCE_SECONDS - 1)
        assert health_of(served.context).healthy
        served.clock.advance(2)
        report = health_of(served.context)
        assert not report.healthy
        assert report.reasons == ("no camera is judged: 1 online, but without a verdict",)


async def test_a_camera_that_went_away_does_not_count_as_judged(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        judge(served, FRONT)
        watch = served.pipeline.flow.watches[0]
        watch.set_health(Health(FRONT, "frozen", served.clock.wall_seconds()))
        assert health_of(served.context).reasons == ("no camera is judged: 1 frozen",)


async def test_one_camera_of_two_is_enough_and_the_other_is_told(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path, rest=TWO)) as served:
        judge(served, BACK)
        report = health_of(served.context)
        assert (report.healthy, report.wanted, report.judged) == (True, 2, 1)
        assert report.reasons == ("1 of 2 cameras are not judged: 1 connecting",)


@pytest.mark.parametrize("rest", [CAMERA + NEVER, CAMERA + "enabled = false\n"])
async def test_where_nothing_is_to_be_watched_it_is_healthy_and_says_so(
    tmp_path: Path, rest: str
) -> None:
    async with core(settings_for(tmp_path, rest=rest)) as served:
        # 2023-11-15 is a Wednesday, whatever the time zone
        served.clock.set_wall(1_700_050_000.0)
        report = health_of(served.context)
        assert report.healthy
        assert "scheduled off" in report.reasons[0]


async def test_without_cameras_nothing_is_watched(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path, rest="")) as served:
        assert health_of(served.context).reasons == ("no camera is configured",)


async def test_an_engine_that_is_down_is_no_judge(tmp_path: Path) -> None:
    def fail(clip: Clip) -> float:
        raise EngineFailed("out of memory")

    async with core(settings_for(tmp_path), FakeEngine(fail)) as served:
        judge(served, FRONT)
        served.pipeline.judge.stop()  # does not wait for a restart
        assert await served.pipeline.judge.judge([make_clip(0.0)]) is None
        report = health_of(served.context)
        assert not report.healthy
        assert report.reasons == ("the engine is down",)


async def test_no_camera_is_named_to_whoever_asks(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path, 'host = "0.0.0.0"')) as served:
        assert "front" not in await (await served.ask("GET", "/healthz")).text()
