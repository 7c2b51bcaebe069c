"""Cameras that answer wrongly, oddly or not at all: each has its reason, and is judged again."""

from __future__ import annotations

import itertools
import queue
import time
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pytest

from edgewatch.pipeline.types import Clip, Health, Pixels
from tests.fakes.clock import ManualClock
from tests.integration.camera_watch import (
    LONG_SECONDS,
    WINDOW_SECONDS,
    CameraWatch,
    watching,
)
from tests.integration.hostile_server import (
    FPS,
    PLAYABLE,
    SOUND_ONLY,
    UNKNOWN_CODEC,
    HostileServer,
    Show,
    between_keys,
    falling_silent,
    mute,
    noise,
    noise_in_pictures,
    noise_on_the_line,
    restarting_stamps,
    serving,
    show,
)

pytestmark = pytest.mark.integration

STOP_SECONDS = 3.0
"""What any number of hung cameras may take to end."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a camera, and the reason that health must give."""

    name: str
    reasons: str
    """One, or several where it depends on when the time is over."""
    show: Show | None = show
    answers: dict[str, str] = field(default_factory=dict)
    begins_well: bool = False


TROUBLES = (
    Trouble("hangs", "timed_out", show=None),
    Trouble("plays nothing", "stalled", show=mute),
    Trouble("falls silent", "stalled", show=falling_silent, begins_well=True),
    Trouble("noise for packets", "stalled", show=noise),
    Trouble("noise on the line", "stalled ended", show=noise_on_the_line),
    Trouble("noise in pictures", "corrupt", show=noise_in_pictures, begins_well=True),
    Trouble("no such path", "not_found", answers={"DESCRIBE": "404 Not Found"}),
    Trouble("too many viewers", "refused", answers={"DESCRIBE": "503 Service Unavailable"}),
    Trouble("no bandwidth", "refused", answers={"SETUP": "453 Not Enough Bandwidth"}),
    Trouble("other transport", "refused", answers={"SETUP": "461 Unsupported Transport"}),
    Trouble("does not play", "refused", answers={"PLAY": "455 Method Not Valid in This State"}),
)
"""What is tried again soon."""


@dataclass
class Told:
    """What a camera in trouble told."""

    health: list[Health] = field(default_factory=list)
    """Until it was first offline."""
    cured_clip: Clip | None = None
    """The first of what was seen after the trouble was over; None if there was none in time."""


@pytest.fixture(scope="module")
def told() -> dict[str, Told]:
    """All troubles, watched at the same time, and over at the same time: time-outs take long."""
    found = {one.name: Told() for one in TROUBLES}
    servers = {one.name: HostileServer(one.show, answers=one.answers) for one in TROUBLES}
    watches = {
        one.name: CameraWatch(
            servers[one.name].url,
            open_seconds=2.0,
            read_seconds=6.0 if one.reasons == "corrupt" else 1.0,
        )
        for one in TROUBLES
    }
    with serving(*servers.values()), watching(*watches.values()):
        for name, watch in watches.items():
            with suppress(queue.Empty):
                while not found[name].health or found[name].health[-1].state != "offline":
                    found[name].health.append(watch.next_health())
        for server in servers.values():
            server.show = show
            server.answers.clear()
        cured_seconds = time.time()
        for name, watch in watches.items():
            with suppress(queue.Empty):
                while (clip := watch.next_clip()).start_seconds < cured_seconds:
                    pass
                found[name].cured_clip = clip
    return found


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_trouble_has_its_reason_and_the_camera_is_judged_once_it_is_over(
    told: dict[str, Told], trouble: Trouble
) -> None:
    what = told[trouble.name]
    well = ["online"] if trouble.begins_well else []
    assert [one.state for one in what.health] == ["connecting", *well, "offline"]
    assert what.health[-1].reason in trouble.reasons.split()
    for secret in ("hush-hush", "admin"):
        assert secret not in what.health[-1].detail
    assert what.cured_clip is not None


@pytest.mark.parametrize(
    ("reason", "server"),
    [
        ("authentication", HostileServer(answers={"DESCRIBE": "401 Unauthorized"})),
        ("authentication", HostileServer(answers={"DESCRIBE": "403 Forbidden"})),
        ("unsupported_codec", HostileServer(media=UNKNOWN_CODEC)),
        ("no_video", HostileServer(media=SOUND_ONLY)),
    ],
    ids=["wrong password", "forbidden", "unknown codec", "sound only"],
)
def test_what_only_a_person_can_cure_is_tried_again_after_a_minute(
    reason: str, server: HostileServer
) -> None:
    watch = CameraWatch(server.url, open_seconds=1.0, clock=ManualClock())
    assert watch.signal is not None
    with serving(server), watching(watch):
        assert watch.until_offline().reason == reason
        server.answers.clear()
        server.media = PLAYABLE
        assert watch.until_online() == []
        watch.next_clip()
        waits = watch.signal.waits
    assert min(waits) >= 60.0
    # An account is locked after a few wrong passwords: each attempt may use one, no more.
    refused = len(waits)
    logins = [one for one in server.requests if one.startswith("DESCRIBE") and "Authori" in one]
    assert len(logins) <= refused


def test_stream_that_begins_between_key_frames_gives_whole_pictures_alone() -> None:
    good, late = HostileServer(), HostileServer(between_keys)
    watches = [CameraWatch(good.url, fps=FPS), CameraWatch(late.url)]
    with serving(good, late), watching(*watches):
        clips = [[watch.next_clip() for _ in range(3)] for watch in watches]
        assert [one.state for one in watches[1].health.queue] == ["connecting", "online"]
    known, seen = ([frame.pixels for clip in one for frame in clip.frames] for one in clips)
    assert all(min(difference(one, other) for other in known) < 3.0 for one in seen)


def difference(one: Pixels, other: Pixels) -> float:
    """Return the mean difference of two pictures, in steps of 0 to 255."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def test_time_stamps_that_restart_or_leap_begin_a_new_window_at_the_right_time() -> None:
    server = HostileServer(restarting_stamps)
    watch = CameraWatch(server.url)
    with serving(server), watching(watch):
        watch.until_online()
        clips = [watch.next_clip() for _ in range(6)]  # over two jumps
        now_seconds = time.time()
        assert watch.health.empty()
        assert watch.thread.stats().reconnects == 0
    assert abs(clips[-1].end_seconds - now_seconds) < 2.0
    for clip in clips:
        assert clip.duration_seconds == pytest.approx(1.0, abs=0.15)
    for before, after in itertools.pairwise(clips):
        step_seconds = after.start_seconds - before.start_seconds
        assert 0.0 < step_seconds <= 2 * WINDOW_SECONDS


def test_sixteen_hung_cameras_are_stopped_in_time() -> None:
    """With the time-outs of the field: none may be waited for."""
    servers = [HostileServer(None), HostileServer(mute), HostileServer(falling_silent)]
    watches = [
        CameraWatch(server.url, open_seconds=10.0, read_seconds=10.0)
        for server in itertools.islice(itertools.cycle(servers), 16)
    ]
    with serving(*servers):
        for watch in watches:
            watch.thread.start()
        for server, count in zip(servers, (6, 5, 5), strict=True):
            server.until_connected(count)
        for watch in watches[2::3]:
            watch.until_online()
        began_seconds = time.monotonic()
        for watch in watches:
            watch.thread.stop()
        try:
            assert all(watch.thread.join(STOP_SECONDS) for watch in watches)
            assert time.monotonic() - began_seconds <= STOP_SECONDS
        finally:
            for watch in watches:
                watch.thread.join(LONG_SECONDS)
