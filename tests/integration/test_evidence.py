"""Evidence of real RTSP cameras, checked against the clock that their pictures show."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.settings import Settings, load_settings
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.types import Clip, Event, EvidenceRow
from edgewatch.pipeline.watch import Observer, live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled
from edgewatch.tools.evidence_case import clip_again, compare, decoded_frames, read_case
from tests.fakes.engine import FakeEngine
from tests.integration.clock_cameras import ClockCameras, clock_cameras, probed, shown_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PRE_SECONDS, POST_SECONDS = 3.0, 2.0
CODECS = {"h264": "h264", "b-frames": "h264", "h265": "hevc", "mjpeg": "h264"}
TAGS = {"h264": "avc1", "hevc": "hvc1"}
WAIT_SECONDS = 60.0
LAG_SECONDS = 1.0
"""From the making of a picture to its time on the camera's clock, at most."""


class Script:
    """Scores clips by when they were seen."""

    def __init__(self) -> None:
        self.from_seconds = self.until_seconds = 0.0

    def __call__(self, clip: Clip) -> float:
        inside = self.from_seconds <= clip.start_seconds < self.until_seconds
        return 0.9 if inside else 0.1


@dataclass
class Heard(Observer):
    """Events as they came."""

    events: list[Event] = field(default_factory=list)
    clips: int = 0

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_verdict(self, clip: Clip, verdict: object) -> None:
        self.clips += 1


@dataclass
class Rig:
    pipeline: Pipeline
    script: Script
    heard: dict[str, Heard]
    folder: Path

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not holds():  # noqa: ASYNC110 - threads, and files of theirs
                await asyncio.sleep(0.05)

    async def row(self, event_id: str) -> EvidenceRow:
        """Wait until an event's evidence is finished."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                row = await self.pipeline.store.evidence(event_id)
                if row is not None and row.state != "recording":
                    return row
                await asyncio.sleep(0.05)

    def told(self, row: EvidenceRow) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.path(row, ".json").read_text())
        return told

    def path(self, row: EvidenceRow, suffix: str) -> Path:
        return self.folder / row.folder / f"{row.event_id}{suffix}"


def settings_for(tmp_path: Path, cameras: dict[str, str], **evidence: Any) -> Settings:
    return load_settings(
        environ={},
        default_files=(),
        overrides={
            "service": {"data_dir": str(tmp_path), "control_socket": str(tmp_path / "c.sock")},
            "mqtt": {"host": "127.0.0.1", "port": 1},
            "clips": {"fps": 4.0, "seconds": 1.0, "stride_seconds": 0.5, "pixels": 63_504},
            "events": {
                "open_after": 2,
                "open_within": 3,
                "close_after_seconds": 1.0,
                "cooldown_seconds": 0.0,
            },
            "evidence": {
                "pre_seconds": PRE_SECONDS,
                "post_seconds": POST_SECONDS,
                "reserve_bytes": 0,
                **evidence,
            },
            "cameras": [{"name": name, "url": url} for name, url in cameras.items()],
        },
    )


@asynccontextmanager
async def rig(settings: Settings) -> AsyncIterator[Rig]:
    script = Script()
    async with assembled(
        settings,
        FakeEngine(script),
        clock=SystemClock(),
        store_path=settings.service.data_dir / "edgewatch.db",
        publish="live",
    ) as pipeline:
        heard = {plan.name: Heard() for plan in settings.plans()}
        for plan in settings.plans():
            observers = (*pipeline.observers_of(plan), heard[plan.name])
            pipeline.flow.add(live_feed(plan), observers)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(pipeline.run())
            yield Rig(pipeline, script, heard, settings.service.data_dir / "evidence")
            pipeline.flow.stop()
            await running


def ended(heard: Heard) -> bool:
    return bool(heard.events) and heard.events[-1].type == "end"


@pytest.fixture
def cameras(rtsp_available: None) -> Any:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is missing: apt install ffmpeg")
    with clock_cameras() as running:
        yield running


async def test_evidence_plays_begins_before_the_event_and_holds_the_moment(
    cameras: ClockCameras, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, {name: cameras.url(name) for name in CODECS})
    async with rig(settings) as r:
        await r.until(lambda: all(heard.clips for heard in r.heard.values()))
        began_seconds = time.time()
        r.script.from_seconds = began_seconds + PRE_SECONDS + 2.0
        r.script.until_seconds = r.script.from_seconds + 2.0
        await r.until(lambda: all(map(ended, r.heard.values())))
        ends = {name: heard.events[-1] for name, heard in r.heard.items()}
        rows = {name: await r.row(event.event_id) for name, event in ends.items()}
        late = {name: time.time() - (event.end_seconds or 0) for name, event in ends.items()}
        for name, row in rows.items():
            assert row.state == "ready", row.detail
            event, told = ends[name], r.told(row)
            assert event.video == f"{row.folder}/{event.event_id}.mp4"
            assert event.thumbnail == f"{row.folder}/{event.event_id}.jpg"
            assert r.path(row, ".jpg").read_bytes()[:2] == b"\xff\xd8"
            assert late[name] <= POST_SECONDS + 3.0
            check_video(name, r.path(row, ".mp4"), event, told)
            check_pixels(r, row)


def check_pixels(r: Rig, row: EvidenceRow) -> None:
    """What is decoded of the video is, byte for byte, what was judged."""
    case = read_case(EvidenceFolder(r.folder), row.folder, row.event_id)
    frames = decoded_frames(case)
    found = {compare(case, clip, clip_again(case, clip, frames)) for clip in case.clips}
    assert found == {"reencoded" if case.reencoded else "same"}


def check_video(name: str, video: Path, event: Event, told: dict[str, Any]) -> None:
    probe = probed(video)
    (stream,) = probe["streams"]
    assert stream["codec_name"] == CODECS[name]
    assert stream["codec_tag_string"] == TAGS[CODECS[name]]
    assert float(stream["start_time"]) == 0.0
    assert told["video"]["reencoded"] is (name == "mjpeg")
    assert told["video"]["missed_packets"] == 0
    assert told["video"]["gaps"] == []
    pictures = shown_in(video, event.start_seconds)
    assert int(stream["nb_read_frames"]) == len(pictures) == told["video"]["packets"]
    made = [one.made_seconds for one in pictures]
    assert made == sorted(made)
    assert event.end_seconds is not None
    # Begins early enough, at a key frame that is not much earlier
    assert made[0] <= event.start_seconds - PRE_SECONDS
    assert made[0] >= event.start_seconds - PRE_SECONDS - 1.5 - LAG_SECONDS
    assert made[-1] >= event.end_seconds + POST_SECONDS - LAG_SECONDS
    assert made[-1] <= event.end_seconds + POST_SECONDS + 0.5
    # The video's own time runs as the burned-in clock does
    for one in pictures:
        assert one.at_seconds - (one.made_seconds - made[0]) == pytest.approx(0.0, abs=0.25)
    # Every anomalous clip lies where the JSON says
    anomalous = [clip for clip in told["clips"] if clip["label"] == "Anomaly"]
    assert len(anomalous) == event.clips
    for clip in told["clips"]:
        first, last = clip["in_video"]
        assert clip["pixels"]
        shown = min(pictures, key=lambda one: abs(one.at_seconds - first))
        lag = clip["start_seconds"] - shown.made_seconds
        assert abs(shown.at_seconds - first) < 0.01
        assert -0.05 <= lag <= LAG_SECONDS
        assert last - first == pytest.approx(0.75, abs=0.1)


async def test_a_reconnect_within_an_event_leaves_a_hole_of_its_length(
    cameras: ClockCameras, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, {"front": cameras.url("h264")})
    async with rig(settings) as r:
        heard = r.heard["front"]
        await r.until(lambda: heard.clips > 2)
        r.script.from_seconds, r.script.until_seconds = time.time(), time.time() + 600.0
        await r.until(lambda: bool(heard.events))
        cameras.drop()
        before = heard.clips
        await r.until(lambda: heard.clips > before + 4)
        r.script.until_seconds = 0.0
        await r.until(lambda: ended(heard))
        row = await r.row(heard.events[-1].event_id)
        assert row.state == "ready", row.detail
        told, video = r.told(row), r.path(row, ".mp4")
    probed(video)
    (gap,) = told["video"]["gaps"]
    assert gap["why"] == "reconnect"
    assert len(told["video"]["stretches"]) == 2
    pictures = shown_in(video, row.created_seconds)
    after = sum(one.at_seconds < gap["at_seconds"] - 1e-3 for one in pictures)
    hole = pictures[after].made_seconds - pictures[after - 1].made_seconds
    assert gap["seconds"] == pytest.approx(hole, abs=0.5)
    for one in pictures:
        burned = one.made_seconds - pictures[0].made_seconds
        assert one.at_seconds - burned == pytest.approx(0.0, abs=0.6)
