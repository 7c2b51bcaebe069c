from __future__ import annotations

import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import pytest

from edgewatch.pipeline.evidence.order import Order
from edgewatch.pipeline.evidence.outcome import Outcome
from edgewatch.pipeline.evidence.recording import Recording
from edgewatch.pipeline.evidence.trouble import EvidenceFailed
from edgewatch.pipeline.evidence.video_file import VideoFile, mended, open_video_file
from edgewatch.pipeline.preroll import KeptPacket, PreRoll
from tests.fakes.clips import FRONT
from tests.fakes.clock import ManualClock
from tests.fakes.packets import FPS, Sender

KINDS = [
    ("libx264", 0, ".ts"),
    ("libx264", 3, ".ts"),
    ("libx264", 3, ".mp4"),
    ("libx265", 0, ".ts"),
    ("libx265", 3, ".mp4"),
    ("mjpeg", 0, ".avi"),
    ("mpeg4", 0, ".mp4"),
]


class Rig:
    """One camera, one recording, and a clock."""

    def __init__(self, tmp_path: Path, *, seconds: float = 20.0, most_bytes: int = 10**8) -> None:
        self.clock = ManualClock()
        self.ring = PreRoll(seconds=seconds, most_bytes=most_bytes)
        self.path = tmp_path / "front" / "2026-11-21" / "event.mp4"

    def recording(
        self,
        *,
        pre_seconds: float = 5.0,
        post_seconds: float = 2.0,
        most_seconds: float = 600.0,
        most_bytes: int = 10**9,
        open_file: object = open_video_file,
    ) -> Recording:
        now_seconds = self.clock.wall_seconds()
        order = Order(
            "event",
            FRONT,
            self.ring,
            self.path,
            begin_seconds=now_seconds - pre_seconds,
            until_seconds=now_seconds + post_seconds,
            most_seconds=most_seconds,
            most_bytes=most_bytes,
        )
        return Recording(
            order,
            monotonic_seconds=self.clock.monotonic_seconds,
            open_file=open_file,  # type: ignore[arg-type] # some tests bring their own
        )

    def end(self, recording: Recording, in_seconds: float) -> None:
        recording.end(
            self.clock.wall_seconds() + in_seconds,
            self.clock.monotonic_seconds() + in_seconds + 1.5,
        )


def finished(recording: Recording, sender: Sender | None = None) -> Outcome:
    """Go on until it is finished."""
    for _ in range(200):
        if outcome := recording.step():
            return outcome
        if sender is not None:
            sender.send(0.5)
    raise AssertionError("it is never finished")


def times_of(path: Path) -> list[float]:
    """Time of each picture; raises where decoding fails."""
    done = subprocess.run(
        ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    return [one for one in times if one is not None]


@pytest.mark.parametrize(("codec", "b_frames", "suffix"), KINDS)
def test_a_video_reaches_from_before_to_after_the_event_and_every_picture_is_in_place(
    tmp_path: Path, codec: str, b_frames: int, suffix: str
) -> None:
    r = Rig(tmp_path)
    sender = Sender(r.ring, r.clock, codec, b_frames=b_frames, suffix=suffix)
    sender.send(15.0)
    event_seconds = r.clock.wall_seconds()
    recording = r.recording()
    assert recording.step() is None
    sender.send(3.0)
    r.end(recording, 2.0)
    outcome = finished(recording, sender)
    assert (outcome.state, outcome.cut, outcome.missed_packets) == ("ready", "", 0)
    assert outcome.reencoded == (codec in ("mjpeg", "mpeg4"))
    times = times_of(r.path)
    assert times[0] == 0.0
    assert len(times) == outcome.packets
    steps = [after - before for before, after in pairwise(times)]
    assert steps == pytest.approx([1 / FPS] * len(steps), abs=1e-3)
    (stretch,) = outcome.stretches
    assert event_seconds - 7.0 <= stretch.start_seconds <= event_seconds - 5.0
    assert stretch.end_seconds == pytest.approx(event_seconds + 5.0, abs=0.35)
    assert not r.path.with_name("event.mp4.part").exists()


def test_what_lies_behind_the_last_anomalous_clip_waits_until_it_is_wanted(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    sender = Sender(r.ring, r.clock)
    sender.send(10.0)
    event_seconds = r.clock.wall_seconds()
    recording = r.recording(post_seconds=2.0)
    sender.send(8.0)  # nothing anomalous: it will end soon
    assert recording.step() is None
    recording.end(event_seconds + 2.0, r.clock.monotonic_seconds())
    outcome = finished(recording)
    assert outcome.stretches[0].end_seconds == pytest.approx(event_seconds + 2.0, abs=0.11)


def test_what_the_ring_would_let_go_is_written_all_the_same(tmp_path: Path) -> None:
    r = Rig(tmp_path, seconds=8.0)
    sender = Sender(r.ring, r.clock)
    sender.send(10.0)
    recording = r.recording(post_seconds=1.0)
    for _ in range(60):  # a minute without an anomalous clip, the event held open
        sender.send(1.0)
        assert recording.step() is None
    recording.until(r.clock.wall_seconds() + 1.0)
    r.end(recording, 1.0)
    outcome = finished(recording, sender)
    assert outcome.missed_packets == 0
    assert outcome.seconds == pytest.approx(66.0, abs=1.5)


def test_packets_that_left_the_ring_are_counted_and_leave_a_hole(tmp_path: Path) -> None:
    r = Rig(tmp_path, seconds=5.0)
    sender = Sender(r.ring, r.clock)
    sender.send(10.0)
    recording = r.recording(pre_seconds=3.0, post_seconds=60.0)
    assert recording.step() is None
    sender.send(20.0)  # the writer was kept from writing
    assert recording.step() is None
    r.end(recording, 1.0)
    outcome = finished(recording, sender)
    assert outcome.missed_packets > 100
    (gap,) = outcome.gaps
    assert gap.why == "missed"
    assert gap.seconds == pytest.approx(outcome.missed_packets / FPS, abs=0.2)
    assert times_of(r.path)[-1] == pytest.approx(outcome.seconds, abs=0.01)


def test_a_reconnect_goes_on_in_the_same_video(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    Sender(r.ring, r.clock).send(10.0)
    recording = r.recording(post_seconds=60.0)
    assert recording.step() is None
    r.clock.advance(4.0)
    again = Sender(r.ring, r.clock)
    again.send(5.0)
    r.end(recording, 1.0)
    outcome = finished(recording, again)
    assert (outcome.state, outcome.cut) == ("ready", "")
    assert len(outcome.stretches) == 2
    (gap,) = outcome.gaps
    assert gap.why == "reconnect"
    assert gap.seconds == pytest.approx(4.1, abs=0.01)
    times = times_of(r.path)
    assert max(b - a for a, b in pairwise(times)) == pytest.approx(4.1, abs=0.2)


def test_a_reconnect_with_other_parameters_ends_the_video(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    Sender(r.ring, r.clock).send(10.0)
    recording = r.recording(post_seconds=60.0)
    assert recording.step() is None
    Sender(r.ring, r.clock, width=128).send(5.0)
    outcome = finished(recording)
    assert (outcome.state, outcome.cut) == ("ready", "parameters")
    assert len(times_of(r.path)) == outcome.packets


def test_a_video_ends_at_its_greatest_length_and_size(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    sender = Sender(r.ring, r.clock)
    sender.send(10.0)
    outcome = finished(r.recording(post_seconds=600.0, most_seconds=12.0), sender)
    assert (outcome.state, outcome.cut) == ("ready", "max_seconds")
    assert times_of(r.path)[-1] <= 12.0
    outcome = finished(r.recording(post_seconds=600.0, most_bytes=5_000), sender)
    assert (outcome.state, outcome.cut) == ("ready", "max_bytes")


def test_a_camera_that_goes_away_ends_the_video_with_what_there_is(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    Sender(r.ring, r.clock).send(10.0)
    recording = r.recording(post_seconds=60.0)
    assert recording.step() is None
    recording.finish("camera")
    outcome = recording.step()
    assert outcome is not None
    assert (outcome.state, outcome.cut) == ("ready", "camera")
    # Silence after the event's end is waited for no longer than told
    recording = r.recording(post_seconds=60.0)
    r.end(recording, 2.0)
    assert recording.step() is None
    r.clock.advance(4.0)
    assert recording.step() is not None


def test_a_camera_without_any_video_is_told(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    recording = r.recording()
    assert recording.step() is None
    recording.finish("stopped")
    outcome = recording.step()
    assert outcome is not None
    assert outcome.state == "failed"
    assert "sent no video" in outcome.detail


@pytest.mark.parametrize("step_seconds", [-3600.0, 3600.0])
def test_a_clock_that_is_set_during_an_event_breaks_no_video(
    tmp_path: Path, step_seconds: float
) -> None:
    r = Rig(tmp_path)
    sender = Sender(r.ring, r.clock)
    sender.send(10.0)
    recording = r.recording()
    assert recording.step() is None
    sender.send(1.0)
    r.clock.set_wall(r.clock.wall_seconds() + step_seconds)
    sender.clock_was_set()
    sender.send(3.0)
    recording.until(r.clock.wall_seconds() + 2.0)
    assert recording.step() is None
    sender.send(1.0)
    r.end(recording, 2.0)
    outcome = finished(recording, sender)
    assert outcome.state == "ready"
    assert outcome.missed_packets == 0
    times = times_of(r.path)
    assert times[-1] == pytest.approx(12.0, abs=1.6)
    assert max(b - a for a, b in pairwise(times)) < 0.3
    assert len(outcome.stretches) == 2
    set_back = outcome.stretches[1].start_seconds - outcome.stretches[0].end_seconds
    assert set_back == pytest.approx(step_seconds, abs=1.0)


def test_a_recording_that_hears_of_no_end_ends_all_the_same(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    recording = r.recording(most_seconds=60.0)  # and its camera sends nothing
    assert recording.step() is None
    r.clock.advance(71.0)
    outcome = recording.step()
    assert outcome is not None
    assert (outcome.state, outcome.cut) == ("failed", "max_seconds")


def test_a_folder_that_cannot_be_made_is_trouble_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "front").write_text("no folder")
    r = Rig(tmp_path)
    Sender(r.ring, r.clock).send(10.0)
    outcome = finished(r.recording())
    assert (outcome.state, outcome.disk) == ("failed", True)
    assert outcome.detail.startswith("front/2026-11-21/event.mp4: ")


def test_a_folder_that_is_cleaned_up_as_a_video_begins_is_made_again(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    sender = Sender(r.ring, r.clock)
    sender.send(10.0)
    attempts: list[Path] = []

    def open_file(path: Path, first: Sequence[KeptPacket], name: str) -> VideoFile:
        attempts.append(path)
        if len(attempts) == 1:
            path.parent.rmdir()  # the last file of older events went just now
        return open_video_file(path, first, name)

    recording = r.recording(open_file=open_file)
    r.end(recording, 1.0)
    outcome = finished(recording, sender)
    assert (outcome.state, len(attempts)) == ("ready", 2)
    assert r.path.stat().st_mode & 0o777 == 0o640


def test_what_a_kill_left_is_made_whole(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    sender = Sender(r.ring, r.clock, b_frames=2)
    sender.send(10.0)
    recording = r.recording(post_seconds=60.0)
    assert recording.step() is None
    sender.send(4.0)
    assert recording.step() is None
    part = r.path.with_name("event.mp4.part")
    left = part.read_bytes()
    for keep in (len(left), len(left) - 100):
        broken = tmp_path / f"broken-{keep}.mp4.part"
        broken.write_bytes(left[:keep])
        whole = tmp_path / f"whole-{keep}.mp4"
        assert mended(broken, whole, "front/event.mp4") >= 4.0
        times = times_of(whole)
        assert times[0] == 0.0
        assert len(times) >= 4 * FPS
    nothing = tmp_path / "nothing.mp4.part"
    nothing.write_bytes(left[:20])
    with pytest.raises(EvidenceFailed, match="front/event"):
        mended(nothing, tmp_path / "none.mp4", "front/event.mp4")


class FullDisk:
    """A video of which the disk takes only so many packets."""

    codec, reencoded = "h264", False

    def __init__(self, packets: int) -> None:
        self.left = packets
        self.closed = False

    def __call__(self, path: Path, first: Sequence[KeptPacket], name: str) -> VideoFile:
        path.write_bytes(b"a beginning")
        return self

    def write(self, packet: KeptPacket, tick: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise EvidenceFailed("front/event.mp4: the disk is full: free space there", disk=True)

    def close(self) -> None:
        self.closed = True


def test_a_full_disk_ends_the_video_and_is_told(tmp_path: Path) -> None:
    r = Rig(tmp_path)
    sender = Sender(r.ring, r.clock)
    sender.send(10.0)
    disk = FullDisk(20)
    outcome = finished(r.recording(open_file=disk), sender)
    assert (outcome.state, outcome.disk, outcome.cut) == ("failed", True, "disk")
    assert "disk is full" in outcome.detail
    assert disk.closed
