from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.errors import CameraError, CameraRejected
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.preroll import PreRoll
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip, Coverage, Health, Pixels, SourceInfo
from edgewatch.pipeline.video import VideoInput
from tests.fakes.clock import ManualClock, ManualSignal
from tests.fakes.videos import CREATED_SECONDS, noisy_scene, truncate, write_video

FRONT = CameraName("front")
LONG_SECONDS = 30.0


@dataclass
class Outlet:
    """Keeps clips; refuses them once `room` clips were taken."""

    room: int = 1_000_000
    clips: list[Clip] = field(default_factory=list)
    closed: int = 0

    def offer(self, clip: Clip, /) -> bool:
        if len(self.clips) == self.room:
            return False
        self.clips.append(clip)
        return True

    def close(self) -> None:
        self.closed += 1


class Run:
    """One camera thread on a clock that jumps over its waits, and all it told."""

    def __init__(
        self,
        url: str | Path,
        *,
        replay: bool = False,
        speed: float | None = None,
        loop: bool = False,
        outlet: Outlet | None = None,
        fps: float = 4.0,
        seconds: float = 2.0,
        stride_seconds: float = 1.0,
        on_health: Callable[[Health], None] | None = None,
        first_index: int = 0,
        preroll: PreRoll | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.signal = ManualSignal(self.clock)
        self.outlet = outlet or Outlet()
        self.health: list[Health] = []
        self.infos: list[SourceInfo] = []
        self.ends: list[CameraError | None] = []
        self.unjudged: list[tuple[float, float, Coverage]] = []
        self.threads: set[str] = set()
        self._react = on_health or (lambda health: None)
        self.thread = CameraThread(
            FRONT,
            parse_source(str(url)),
            fps=fps,
            seconds=seconds,
            stride_seconds=stride_seconds,
            pixels=63_504,
            speed=speed,
            loop=loop,
            replay=replay,
            outlet=self.outlet,
            on_health=self._note,
            on_info=self.infos.append,
            on_end=self.ends.append,
            on_unjudged=lambda start, end, why: self.unjudged.append((start, end, why)),
            clock=self.clock,
            random=lambda: 0.999,
            first_index=first_index,
            reading=Reading(open_seconds=2.0, read_seconds=2.0),
            preroll=preroll,
            stop_signal=self.signal,
        )

    def finish(self) -> Run:
        self.thread.start()
        assert self.thread.join(LONG_SECONDS)
        return self

    @property
    def clips(self) -> list[Clip]:
        return self.outlet.clips

    def _note(self, health: Health) -> None:
        self.threads.add(threading.current_thread().name)
        self.health.append(health)
        self._react(health)


def states(run: Run) -> list[tuple[str, str]]:
    return [(health.state, health.reason) for health in run.health]


def media_times(run: Run) -> list[list[float]]:
    return [[round(frame.media_seconds, 2) for frame in clip.frames] for clip in run.clips]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Eight seconds at 10 pictures a second, recorded at CREATED_SECONDS."""
    return write_video(tmp_path / "door.mp4")


def test_a_replayed_recording_becomes_clips_of_its_own_time(recording: Path) -> None:
    run = Run(recording, replay=True).finish()
    first = run.clips[0]
    assert len(first.frames) == 8
    assert first.replay
    assert first.start_seconds == CREATED_SECONDS
    assert first.clip_id == "front-20240501T120000.000Z"
    assert run.clips[-1].frames[-1].media_seconds == pytest.approx(7.8, abs=0.11)
    assert first.frames[0].pixels.shape == (56, 56, 3)
    assert run.ends == [None]
    assert run.outlet.closed == 1
    assert states(run) == [("connecting", ""), ("online", ""), ("offline", "ended")]
    assert run.infos[0].codec == "h264"
    assert run.threads == {"camera-front"}


def test_a_replay_counts_what_it_did(recording: Path) -> None:
    run = Run(recording, replay=True).finish()
    stats = run.thread.stats()
    assert stats.frames_sampled <= stats.pictures_decoded < 80  # only what the frames need
    assert stats.frames_sampled == 32
    assert stats.clips == len(run.clips) == 7
    assert (stats.reconnects, stats.corrupt_packets) == (0, 0)


def test_frames_are_numbered_from_the_first_index(recording: Path) -> None:
    run = Run(recording, replay=True, first_index=500).finish()
    assert [frame.index for frame in run.clips[0].frames] == list(range(500, 508))


def test_the_same_recording_gives_the_same_clips_twice(recording: Path) -> None:
    one, two = (Run(recording, replay=True).finish() for _ in range(2))
    assert [clip.clip_id for clip in one.clips] == [clip.clip_id for clip in two.clips]
    for a, b in zip(one.clips, two.clips, strict=True):
        assert np.array_equal(a.stacked(), b.stacked())


def test_a_recording_played_live_gives_the_same_windows_as_its_replay(recording: Path) -> None:
    replayed = Run(recording, replay=True).finish()
    live = Run(recording, speed=1.0).finish()
    assert media_times(live) == media_times(replayed)
    for a, b in zip(live.clips, replayed.clips, strict=True):
        assert np.array_equal(a.stacked(), b.stacked())


def test_a_recording_played_live_is_paced_and_its_time_is_now(recording: Path) -> None:
    run = Run(recording, speed=1.0)
    began_wall, began = run.clock.wall_seconds(), run.clock.monotonic_seconds()
    run.finish()
    assert run.clips[0].start_seconds == began_wall
    for clip in run.clips:
        for frame in clip.frames:
            assert frame.captured_seconds - began == pytest.approx(frame.media_seconds)
    assert states(run)[-1] == ("offline", "ended")
    assert run.ends == [None]


def test_speed_shortens_the_waits(recording: Path) -> None:
    run = Run(recording, replay=True, speed=2.0)
    began = run.clock.monotonic_seconds()
    run.finish()
    last = run.clips[-1].frames[-1]
    assert last.captured_seconds - began == pytest.approx(last.media_seconds / 2)
    assert last.time_seconds == pytest.approx(CREATED_SECONDS + last.media_seconds)


def test_a_replay_at_full_speed_never_waits(recording: Path) -> None:
    assert Run(recording, replay=True).finish().signal.waits == []


def test_a_looping_recording_stays_online_and_no_window_spans_its_seam(recording: Path) -> None:
    run = Run(recording, speed=1.0, loop=True, outlet=Outlet(room=20)).finish()
    assert states(run) == [("connecting", ""), ("online", "")]
    assert len(run.infos) >= 3
    for clip in run.clips:
        media = [frame.media_seconds for frame in clip.frames]
        assert media == sorted(media)
    indices = sorted({frame.index for clip in run.clips for frame in clip.frames})
    assert indices == list(range(len(indices)))
    starts = [clip.start_seconds for clip in run.clips]
    assert starts == sorted(set(starts))


def test_a_looping_recording_does_not_run_ahead_of_the_clock(recording: Path) -> None:
    """The footage of a clip is over when the clip is handed over, after however many rounds."""
    ahead_seconds: list[float] = []

    class Watching(Outlet):
        def offer(self, clip: Clip, /) -> bool:
            ahead_seconds.append(clip.frames[-1].time_seconds - run.clock.wall_seconds())
            return super().offer(clip)

    run = Run(recording, speed=1.0, loop=True, outlet=Watching(room=60))
    run.finish()
    assert len(run.infos) >= 6
    assert max(ahead_seconds) < 0.01


def test_a_closed_outlet_ends_the_camera(recording: Path) -> None:
    run = Run(recording, loop=True, outlet=Outlet(room=3)).finish()
    assert run.thread.stats().clips == 3
    assert run.ends == [None]


def test_stopping_ends_a_paced_camera_and_its_footage_is_still_judged(recording: Path) -> None:
    outlet = Outlet()
    run = Run(recording, speed=1.0, loop=True, outlet=outlet)
    waits = run.signal.wait

    def stop_in_the_sixth_wait(timeout: float | None = None) -> bool:
        if len(run.signal.waits) == 6:
            run.thread.stop()
        return waits(timeout)

    run.signal.wait = stop_in_the_sixth_wait  # type: ignore[method-assign] # a test's own fake
    run.finish()
    assert [len(clip.frames) for clip in outlet.clips] == [6]
    assert run.ends == [None]
    assert outlet.closed == 1


def test_stopping_a_camera_that_waits_for_its_next_attempt_ends_it_at_once() -> None:
    offline = threading.Event()
    ended: list[CameraError | None] = []
    thread = CameraThread(
        FRONT,
        parse_source("rtsp://127.0.0.1:9/live"),
        fps=4.0,
        seconds=2.0,
        stride_seconds=1.0,
        pixels=63_504,
        speed=None,
        loop=False,
        replay=False,
        outlet=Outlet(),
        on_health=lambda health: offline.set() if health.state == "offline" else None,
        on_info=lambda info: None,
        on_end=ended.append,
        clock=ManualClock(),
        random=lambda: 0.999,
    )
    thread.start()
    assert offline.wait(LONG_SECONDS)
    thread.stop()
    assert thread.join(LONG_SECONDS)
    assert ended == [None]


def test_an_unreachable_camera_is_tried_again_with_growing_delays() -> None:
    run = Run("rtsp://admin:hush@127.0.0.1:9/live")
    waits = run.signal.wait

    def stop_after_five(timeout: float | None = None) -> bool:
        if len(run.signal.waits) == 5:
            run.thread.stop()
        return waits(timeout)

    run.signal.wait = stop_after_five  # type: ignore[method-assign] # a test's own fake
    run.finish()
    assert run.signal.waits[:3] == pytest.approx([1.0] * 3, abs=0.01)
    assert max(run.signal.waits) <= 30.0
    assert states(run) == [("connecting", ""), ("offline", "unreachable")]
    assert run.thread.stats().reconnects >= 5
    assert "hush" not in run.health[-1].detail
    assert run.ends == [None]


def test_a_recording_that_appears_later_is_then_watched(tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"

    def write_when_missed(health: Health) -> None:
        if health.reason == "not_found":
            write_video(path)

    run = Run(path, on_health=write_when_missed).finish()
    assert states(run) == [
        ("connecting", ""),
        ("offline", "not_found"),
        ("online", ""),
        ("offline", "ended"),
    ]
    assert run.signal.waits[0] == pytest.approx(1.0, abs=0.01)  # it may be mounted late


def test_an_unreadable_recording_ends_its_replay_with_the_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("no video")
    run = Run(path, replay=True).finish()
    (error,) = run.ends
    assert isinstance(error, CameraRejected)
    assert error.reason == "unreadable"
    assert run.outlet.closed == 1
    assert states(run)[-1] == ("offline", "unreadable")


def test_a_truncated_recording_is_judged_as_far_as_it_goes_and_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100, width=160, height=120, faststart=True)
    run = Run(truncate(path, keep=0.6), replay=True).finish()
    (error,) = run.ends
    assert error is not None
    assert error.reason == "truncated"
    assert len(run.clips) >= 2


def test_what_read_a_broken_recording_is_gone_before_any_garbage_collection(tmp_path: Path) -> None:
    """Its decoder's memory would else come back late: a camera that breaks off often would grow."""
    video = write_video(tmp_path / "a.mp4", frames=100, width=160, height=120, faststart=True)
    path = truncate(video, keep=0.6)
    gc.collect()
    gc.disable()
    try:
        run = Run(path, replay=True).finish()
        left = [one for one in gc.get_objects() if type(one) is VideoInput]
    finally:
        gc.enable()
    assert isinstance(run.ends[0], CameraRejected)
    assert left == []


def test_a_truncated_recording_played_live_is_logged_and_goes_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100, width=160, height=120, faststart=True)
    truncate(path, keep=0.6)
    with capture_logs() as logs:
        run = Run(path, loop=True, outlet=Outlet(room=10)).finish()
    assert states(run) == [("connecting", ""), ("online", "")]
    assert {entry["event"] for entry in logs} == {"recording truncated"}


def test_a_recording_without_pictures_is_unreadable_and_not_looped_in_vain(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=30, width=160, height=120, faststart=True)
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    path.write_bytes(content[:start] + bytes(len(content) - start))
    run = Run(path, replay=True).finish()
    (error,) = run.ends
    assert error is not None
    assert error.reason == "unreadable"
    assert run.thread.stats().corrupt_packets > 0


def test_variable_frame_rates_are_sampled_by_time(tmp_path: Path) -> None:
    steps = [0.04, 0.04, 0.3, 0.11, 0.07, 0.5, 0.02] * 10
    stamps = [0.0, *itertools.accumulate(steps)]
    run = Run(write_video(tmp_path / "a.mkv", stamps=stamps), replay=True).finish()
    frames = {frame.index: frame for clip in run.clips for frame in clip.frames}
    for frame in frames.values():
        assert round(frame.media_seconds, 2) in {round(stamp, 2) for stamp in stamps}
        assert -0.1 <= frame.media_seconds - frame.slot / 4.0 <= 0.25
    assert len({frame.slot for frame in frames.values()}) == len(frames)


def test_a_gap_in_a_recording_ends_the_window_and_keeps_its_time(tmp_path: Path) -> None:
    stamps = [*(i / 10 for i in range(30)), *(20 + i / 10 for i in range(30))]
    run = Run(write_video(tmp_path / "a.mkv", stamps=stamps), replay=True).finish()
    for clip in run.clips:
        assert clip.duration_seconds < 2.6
    assert {round(clip.start_seconds - CREATED_SECONDS) // 20 for clip in run.clips} == {0, 1}


def test_a_gap_in_a_recording_played_live_is_not_waited_for(tmp_path: Path) -> None:
    stamps = [*(i / 10 for i in range(30)), *(3600 + i / 10 for i in range(30))]
    path = write_video(tmp_path / "a.mkv", stamps=stamps)
    run = Run(path, speed=1.0).finish()
    assert sum(run.signal.waits) < 10
    assert run.clips[-1].end_seconds - run.clips[0].start_seconds < 10
    assert media_times(run) == media_times(Run(path, replay=True).finish())


def test_a_change_of_size_never_shares_a_window(tmp_path: Path) -> None:
    write_video(tmp_path / "1.mp4", frames=20)
    write_video(tmp_path / "2.mp4", frames=20, width=160, height=120)
    run = Run(tmp_path, replay=True).finish()
    for clip in run.clips:
        assert len({frame.pixels.shape for frame in clip.frames}) == 1
    assert len({clip.frames[0].pixels.shape for clip in run.clips}) == 2


def test_a_directory_is_played_in_order_and_times_grow_over_its_files(tmp_path: Path) -> None:
    for number in (10, 2, 1):  # all claim to have been recorded at the same time
        write_video(tmp_path / f"clip{number}.mp4", frames=9 + number, fps=5)
    run = Run(tmp_path, replay=True).finish()
    assert [info.duration_seconds for info in run.infos] == pytest.approx([2.0, 2.2, 3.8])
    starts = [clip.start_seconds for clip in run.clips]
    assert starts == sorted(set(starts))
    assert run.ends == [None]


@pytest.mark.parametrize("replay", [True, False])
def test_windows_span_the_seams_of_a_drive_but_not_its_gaps(tmp_path: Path, replay: bool) -> None:
    for second in (0, 4, 8, 30):  # four seconds each: the last begins after a gap
        write_video(tmp_path / f"20240501_1200{second:02d}F.mp4", frames=20, fps=5)
    run = Run(tmp_path, replay=replay, fps=5.0, seconds=2.0, stride_seconds=2.0).finish()
    (whole, alone) = (
        [clip for clip in run.clips if (clip.frames[0].index < 60) is before]
        for before in (True, False)
    )
    assert [index for clip in whole for index in (one.index for one in clip.frames)] == [*range(60)]
    times = [frame.media_seconds for clip in whole for frame in clip.frames]
    assert times == pytest.approx([0.2 * index for index in range(60)])
    assert alone[0].frames[0].index == 60
    assert alone[0].frames[0].media_seconds == 0.0
    if replay:
        return
    assert run.unjudged == []  # what was recorded later is played at once: nothing is missing


def test_a_recording_that_broke_off_is_not_joined_to_the_next(tmp_path: Path) -> None:
    write_video(tmp_path / "20240501_120000.mp4", frames=20, fps=5)
    (tmp_path / "20240501_120004.mp4").write_text("no video")
    write_video(tmp_path / "20240501_120008.mp4", frames=20, fps=5)
    run = Run(tmp_path, replay=True, fps=5.0, seconds=8.0, stride_seconds=8.0).finish()
    assert [(clip.frames[0].index, clip.frames[-1].index) for clip in run.clips] == [
        (0, 19),
        (20, 39),
    ]


@dataclass
class WritingOutlet(Outlet):
    """Lets a recorder write the rest of its file when the first clip was made of it."""

    file: Path = Path()
    rest: bytes = b""

    def offer(self, clip: Clip, /) -> bool:
        if not self.clips:
            with self.file.open("ab") as file:
                file.write(self.rest)
        return super().offer(clip)


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_a_file_that_is_still_being_written_is_read_as_far_as_it_then_goes(
    tmp_path: Path, suffix: str
) -> None:
    path = write_video(
        tmp_path / f"now{suffix}",
        frames=120,
        width=320,
        height=240,
        draw=noisy_scene,
        codec_options={"qp": "4", "preset": "ultrafast"},  # more than FFmpeg reads ahead
    )
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half])
    outlet = WritingOutlet(file=path, rest=content[half:])
    run = Run(path, speed=1.0, outlet=outlet).finish()
    assert run.ends == [None]
    frames = {frame.index for clip in run.clips for frame in clip.frames}
    assert frames == set(range(48))


def test_an_unreadable_file_of_a_directory_is_skipped_and_listed(tmp_path: Path) -> None:
    write_video(tmp_path / "1.mp4", frames=20)
    (tmp_path / "2.mp4").write_text("no video")
    write_video(tmp_path / "3.mp4", frames=20)
    with capture_logs() as logs:
        run = Run(tmp_path, replay=True).finish()
    assert len(run.infos) == 2
    (error,) = run.ends
    assert error is not None
    assert "1 of 3 recordings" in str(error)
    assert "2.mp4" in str(error)
    assert [entry["event"] for entry in logs] == ["recording skipped"]


def test_a_live_directory_goes_on_without_its_unreadable_file(tmp_path: Path) -> None:
    write_video(tmp_path / "1.mp4", frames=20)
    (tmp_path / "2.mp4").write_text("no video")
    run = Run(tmp_path, loop=True, outlet=Outlet(room=10)).finish()
    assert states(run) == [("connecting", ""), ("online", "")]


def test_a_fault_of_our_own_is_logged_and_the_camera_tried_again(recording: Path) -> None:
    raised: list[bool] = []

    def fail_once(health: Health) -> None:
        if health.state == "online" and not raised:
            raised.append(True)
            raise RuntimeError("a bug")

    with capture_logs() as logs:
        run = Run(recording, on_health=fail_once).finish()
    assert ("offline", "internal") in states(run)
    assert states(run)[-2:] == [("online", ""), ("offline", "ended")]
    (entry,) = [entry for entry in logs if entry["event"] == "camera thread failed"]
    assert "RuntimeError: a bug" in entry["traceback"]


def test_a_lossless_outlet_is_waited_for_and_closing_it_ends_the_camera(recording: Path) -> None:
    came = threading.Event()
    mailbox: Mailbox[Clip] = Mailbox(
        capacity=1, when_full="wait", on_change=came.set, on_drop=lambda clip: None
    )
    ended = threading.Event()
    thread = CameraThread(
        FRONT,
        parse_source(str(recording)),
        fps=4.0,
        seconds=2.0,
        stride_seconds=1.0,
        pixels=63_504,
        speed=None,
        loop=False,
        replay=True,
        outlet=mailbox,
        on_health=lambda health: None,
        on_info=lambda info: None,
        on_end=lambda error: ended.set(),
        clock=ManualClock(),
        random=lambda: 0.5,
    )
    thread.start()
    assert came.wait(LONG_SECONDS)
    assert not ended.is_set()
    mailbox.close()
    assert thread.join(LONG_SECONDS)
    assert ended.is_set()


def test_a_live_camera_keeps_its_last_packets_for_evidence(tmp_path: Path) -> None:
    path = write_video(tmp_path / "gate.mp4", frames=200, gop=10, b_frames=2)
    ring = PreRoll(seconds=5.0, most_bytes=10_000_000)
    run = Run(path, speed=1.0, preroll=ring).finish()
    kept = ring.since(0)
    assert kept[0].packet.key
    assert kept[0].packet.coding.codec == "h264"
    stamps = [packet.stamp_seconds for packet, _ in kept]
    assert 5.0 <= max(stamps) - min(stamps) <= 7.0
    assert max(stamps) == pytest.approx(19.9)
    assert len(run.clips) > 15
    # Each packet lies where the frames decoded from it do
    frames = {round(one.media_seconds, 3): one for clip in run.clips for one in clip.frames}
    placed = {round(packet.stamp_seconds, 3): seconds for packet, seconds in kept}
    shared = frames.keys() & placed.keys()
    assert len(shared) > 10
    for at in shared:
        assert placed[at] == pytest.approx(frames[at].time_seconds, abs=1e-6)


def test_a_frozen_picture_is_said_and_not_judged_until_it_moves_again(tmp_path: Path) -> None:
    def freezing(index: int, width: int, height: int) -> Pixels:
        return noisy_scene(min(index, 100) if index < 500 else index, width, height)

    path = write_video(tmp_path / "yard.avi", codec="ffvhuff", frames=600, draw=freezing)
    run = Run(path, speed=1.0).finish()
    assert [(one.state, one.reason) for one in run.health] == [
        ("connecting", ""),
        ("online", ""),
        ("frozen", "frozen"),
        ("online", ""),
        ("offline", "ended"),
    ]
    began_seconds = run.clips[0].start_seconds
    frozen = [(start - began_seconds, end - began_seconds) for start, end, _ in run.unjudged]
    assert {why for _, _, why in run.unjudged} == {"frozen"}
    assert 25.0 <= frozen[0][0] <= 32.0  # 20 s after it froze, less a window
    assert 50.0 <= frozen[-1][1] <= 53.0
    judged = [clip.start_seconds - began_seconds for clip in run.clips]
    assert max(judged) > 55.0
    assert not [start for start in judged if 33.0 < start < 49.0]
