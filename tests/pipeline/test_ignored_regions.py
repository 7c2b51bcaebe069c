"""Ignored regions on their way from the settings into frames, live and replayed."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edgewatch.config.settings import Settings
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.mask import GREY
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip, Frame, Health
from edgewatch.pipeline.watch import Watch, live_feed
from tests.fakes.clock import ManualClock, ManualSignal
from tests.fakes.videos import noisy_scene, write_video

RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
MOST = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.94), (0.0, 0.94))


@dataclass
class Outlet:
    clips: list[Clip] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def offer(self, clip: Clip, /) -> bool:
        self.clips.append(clip)
        return True

    def close(self) -> None:
        self.closed.set()


@dataclass
class Seen:
    clips: list[Clip]
    health: list[Health]
    latest: Frame | None
    """What the page shows of the camera."""


def run(video: Path, *, ignore: Iterable[object], replay: bool) -> Seen:
    """Read a recording to its end, as one or as a camera."""
    outlet, clock, health = Outlet(), ManualClock(), list[Health]()
    thread = CameraThread(
        CameraName("front"),
        parse_source(str(video)),
        fps=4.0,
        seconds=2.0,
        stride_seconds=1.0,
        pixels=63_504,
        speed=None if replay else 1.0,
        loop=False,
        replay=replay,
        outlet=outlet,
        on_health=health.append,
        on_info=lambda info: None,
        on_end=lambda error: None,
        clock=clock,
        random=lambda: 0.5,
        reading=Reading(ignore=tuple(ignore)),  # type: ignore[arg-type]
        stop_signal=ManualSignal(clock),
    )
    thread.start()
    assert outlet.closed.wait(30)
    return Seen(outlet.clips, health, thread.latest_frame)


@pytest.mark.parametrize("replay", [True, False])
def test_every_frame_of_every_clip_is_masked_and_says_so(tmp_path: Path, replay: bool) -> None:
    video = write_video(tmp_path / "a.mp4", width=336, height=196, frames=60, draw=noisy_scene)
    plain, masked = (run(video, ignore=one, replay=replay) for one in ([], [RIGHT]))
    assert len(plain.clips) == len(masked.clips) > 3
    for before, after in zip(plain.clips, masked.clips, strict=True):
        for open_, hidden in zip(before.frames, after.frames, strict=True):
            assert open_.ignored is None
            assert hidden.ignored is not None
            assert (hidden.pixels[hidden.ignored] == GREY).all()
            assert (hidden.pixels[~hidden.ignored] == open_.pixels[~hidden.ignored]).all()
            assert hidden.ignored.mean() == pytest.approx(0.5, abs=0.01)
    assert masked.latest is not None
    assert masked.latest.ignored is not None
    assert (masked.latest.pixels[masked.latest.ignored] == GREY).all()
    frames = [frame for clip in masked.clips for frame in clip.frames]
    assert len({id(frame.ignored) for frame in frames}) == 1


def test_a_camera_of_which_nearly_all_is_ignored_is_neither_covered_nor_dark(
    tmp_path: Path,
) -> None:
    video = write_video(
        tmp_path / "a.avi", codec="ffvhuff", width=336, height=196, frames=700, draw=noisy_scene
    )
    seen = run(video, ignore=[MOST], replay=False)
    assert [one.state for one in seen.health] == ["connecting", "online", "offline"]
    assert len(seen.clips) > 60


def test_a_dark_camera_is_dark_whatever_is_ignored_of_it(tmp_path: Path) -> None:
    """Grey regions must not make a black picture look lit."""
    video = write_video(
        tmp_path / "a.avi",
        codec="ffvhuff",
        width=336,
        height=196,
        frames=400,
        draw=lambda index, width, height: noisy_scene(index, width, height) // 64,
    )
    seen = run(video, ignore=[MOST], replay=False)
    assert "dark" in [one.state for one in seen.health]


def test_new_regions_open_the_source_anew_and_other_keys_do_not() -> None:
    plan = replace(Settings().plan_for(None), name="front", url="/dev/video9")
    watch = Watch(live_feed(plan), observers=(), now_seconds=0.0)
    assert watch.change_plan(live_feed(replace(plan, ignore=(RIGHT,))))
    assert not watch.change_plan(live_feed(replace(plan, ignore=(RIGHT,), threshold=0.9)))
    assert watch.change_plan(live_feed(plan))


def test_regions_of_the_settings_reach_how_a_camera_is_read() -> None:
    plan = replace(Settings().plan_for(None), ignore=(RIGHT, MOST))
    assert Reading.of(plan).ignore == (RIGHT, MOST)
    assert not Reading().ignore
