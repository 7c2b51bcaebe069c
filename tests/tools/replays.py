"""Replays made up by rule: recordings with given scores, their events, pictures and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgewatch.pipeline.events import EventPolicy, EventRules
from edgewatch.pipeline.thumbnails import WorstClips
from edgewatch.pipeline.types import (
    CameraName,
    Clip,
    Event,
    Evidence,
    Frame,
    SourceInfo,
    Verdict,
)
from edgewatch.tools.labels import RecordingLabel
from edgewatch.tools.recordings import Recording
from edgewatch.tools.results import RecordingResult, Replay

RECORDED_SECONDS = 1_780_000_000.0
THRESHOLD = 0.5
IMPACT = Evidence("impact", 0.9, "lower left", "3.1 times the usual motion")


def a_clip(
    start_seconds: float, *, seconds: float = 5.0, size: tuple[int, int] = (280, 168)
) -> Clip:
    """Make a clip of two frames; each is a gradient with a square that moves with time."""
    frames = tuple(
        Frame(
            camera=CameraName("front"),
            index=number,
            slot=number,
            pixels=a_picture(start_seconds + number, size),
            media_seconds=start_seconds + number * seconds / 2,
            time_seconds=RECORDED_SECONDS + start_seconds + number * seconds / 2,
            captured_seconds=1.0,
        )
        for number in (0, 1)
    )
    return Clip(
        clip_id=f"front-{start_seconds:g}",
        camera=CameraName("front"),
        frames=frames,
        fps=2.0 / seconds,
        start_seconds=RECORDED_SECONDS + start_seconds,
        end_seconds=RECORDED_SECONDS + start_seconds + seconds,
        replay=True,
    )


def a_picture(
    seconds: float, size: tuple[int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 2] = np.linspace(90, 200, height, dtype=np.uint8)[:, None]
    pixels[..., 1] = np.linspace(60, 160, width, dtype=np.uint8)[None, :]
    left = int(seconds * 17) % max(1, width - 40)
    pixels[height // 2 : height // 2 + 40, left : left + 40] = (220, 70, 50)
    return pixels


def a_verdict(
    start_seconds: float,
    score: float,
    *,
    seconds: float = 5.0,
    latency_ms: float = 40.0,
    threshold: float = THRESHOLD,
) -> Verdict:
    return Verdict(
        clip_id=f"front-{start_seconds:g}",
        camera=CameraName("front"),
        label="Anomaly" if score >= threshold else "Normal",
        score=score,
        threshold=threshold,
        start_seconds=RECORDED_SECONDS + start_seconds,
        end_seconds=RECORDED_SECONDS + start_seconds + seconds,
        media_start_seconds=start_seconds,
        media_end_seconds=start_seconds + seconds,
        engine="builtin-1",
        latency_ms=latency_ms,
        evidence=(IMPACT,) if score >= threshold else (),
        replay=True,
    )


def a_result(
    name: str,
    scores: Sequence[float],
    *,
    label: RecordingLabel | None = None,
    error: str | None = None,
    dated: bool = True,
    words: str = "Sudden impact, lower left.",
    latency_ms: float = 40.0,
    pictures: bool = True,
) -> RecordingResult:
    """Make a recording with a window every 2.5 s; its events are those of the real policy."""
    verdicts = tuple(
        a_verdict(2.5 * number, score, latency_ms=latency_ms) for number, score in enumerate(scores)
    )
    worst = WorstClips()
    for verdict in verdicts if pictures else ():
        worst.offer(a_clip(verdict.media_start_seconds), verdict)
    duration = 2.5 * len(scores) + 2.5
    return RecordingResult(
        recording=Recording(Path("/footage") / name, CameraName("front"), name),
        verdicts=verdicts,
        events=tuple(_events(verdicts, words)),
        source=SourceInfo("h264", 640, 360, 25.0, duration, RECORDED_SECONDS if dated else None),
        error=error,
        label=label,
        worst=worst.thumbnails,
    )


def a_replay(*results: RecordingResult, wall_seconds: float = 12.5) -> Replay:
    return Replay(
        results=results,
        engine="builtin-1",
        wall_seconds=wall_seconds,
        finished_seconds=RECORDED_SECONDS + 86_400.0,
        open_after=2,
        settings={"engine.kind": "builtin", "engine.threshold": THRESHOLD},
    )


def _events(verdicts: Sequence[Verdict], words: str) -> list[Event]:
    policy = EventPolicy(
        CameraName("front"),
        EventRules(close_after_seconds=5.0, cooldown_seconds=20.0),
        now_seconds=RECORDED_SECONDS,
        new_id=lambda seconds: f"event-{seconds:.1f}",
        replay=True,
    )
    events: list[Event] = []
    for verdict in verdicts:
        steps = policy.judge(verdict)
        events += steps
        if steps and steps[0].type == "new":
            events += policy.describe(steps[0].event_id, words)
    if verdicts:
        events += policy.lose(verdicts[-1].end_seconds, "stream_ended")
    return events
