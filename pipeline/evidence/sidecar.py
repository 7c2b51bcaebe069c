"""The JSON beside a video: all that made an event's verdicts, so that they can be had again. Pure.

Its form is told in docs/evidence.md; `edgewatch verify` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.evidence.outcome import Outcome
from edgewatch.pipeline.evidence.pictures import clip_hash
from edgewatch.pipeline.evidence.placing import where
from edgewatch.pipeline.messages import event_payload, iso_utc
from edgewatch.pipeline.types import Clip, Event, Frame, SourceInfo, Verdict

SCHEMA = 1
MOST_CLIPS = 1000
"""So many clips of an event are told; an event of hours has more, and they are counted."""


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """One frame of a clip, without its pixels."""

    index: int
    slot: int
    media_seconds: float
    time_seconds: float

    @classmethod
    def of(cls, frame: Frame) -> FrameFacts:
        """Take a frame's facts."""
        return cls(frame.index, frame.slot, frame.media_seconds, frame.time_seconds)


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """One judged clip, without its pixels."""

    verdict: Verdict
    fps: float
    frames: tuple[FrameFacts, ...]

    @classmethod
    def of(cls, clip: Clip, verdict: Verdict) -> ClipFacts:
        """Take a clip's facts."""
        return cls(verdict, clip.fps, tuple(map(FrameFacts.of, clip.frames)))


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of an event at one moment."""

    event: Event
    plan: CameraPlan
    info: SourceInfo | None
    clips: tuple[ClipFacts, ...]
    clips_left_out: int = 0
    memory_clip: str | None = None
    """The clip before whose judging the engine knew what was kept beside; None: nothing was."""
    began_seconds: float | None = None
    """Unix time at which the video begins, as long as it is being recorded."""
    outcome: Outcome | None = None

    def with_clip(self, clip: ClipFacts) -> Case:
        """Return the case with one more clip."""
        if len(self.clips) >= MOST_CLIPS:
            return replace(self, clips_left_out=self.clips_left_out + 1)
        return replace(self, clips=(*self.clips, clip))


def document(case: Case, hashes: Mapping[int, str], *, size_bytes: int = 0) -> dict[str, Any]:
    """Return a case as a JSON object; `hashes`: of frames, by index."""
    outcome = case.outcome
    state = "recording" if outcome is None else outcome.state
    frames = {one.index: one for clip in case.clips for one in clip.frames}
    return {
        "schema": SCHEMA,
        "state": state,
        "detail": "" if outcome is None else outcome.detail,
        "event": event_payload(case.event),
        "camera": _camera(case.plan),
        "stream": _stream(case.info, outcome),
        "video": _video(case, size_bytes),
        "memory": None
        if case.memory_clip is None
        else {"file": f"{case.event.event_id}.npz", "before_clip": case.memory_clip},
        "frames": [_frame(one, hashes) for one in frames.values()],
        "clips": [_clip(one, case, hashes) for one in case.clips],
        "clips_left_out": case.clips_left_out,
    }


def _camera(plan: CameraPlan) -> dict[str, Any]:
    """Return how a camera was sampled and judged; its address is not told."""
    return {
        "name": plan.name,
        "sampling": {
            "fps": plan.clips.fps,
            "seconds": plan.clips.seconds,
            "stride_seconds": plan.clips.stride_seconds,
            "pixels": plan.clips.pixels,
            "ignore": getattr(plan, "ignore", ()),
            "hwaccel": plan.hwaccel,
        },
        "events": plan.events.model_dump(),
        "threshold": plan.threshold,
        "prompt": plan.prompt,
    }


def _stream(info: SourceInfo | None, outcome: Outcome | None) -> dict[str, Any]:
    coding = None if outcome is None else outcome.source
    return {
        "codec": coding.codec if coding else info.codec if info else None,
        "width": info.width if info else None,
        "height": info.height if info else None,
        "fps": info.fps if info else None,
        "time_base": str(coding.time_base) if coding else None,
        "decoding": info.decoding if info else None,
    }


def _video(case: Case, size_bytes: int) -> dict[str, Any]:
    outcome = case.outcome
    began = case.began_seconds
    if outcome is not None and outcome.stretches:
        began = outcome.stretches[0].start_seconds
    told: dict[str, Any] = {
        "file": f"{case.event.event_id}.mp4",
        "start": None if began is None else iso_utc(began),
        "start_seconds": began,
    }
    if outcome is None:
        return told
    return told | {
        "seconds": outcome.seconds,
        "size_bytes": size_bytes,
        "codec": outcome.codec,
        "reencoded": outcome.reencoded,
        "packets": outcome.packets,
        "missed_packets": outcome.missed_packets,
        "truncated": outcome.cut or None,
        "stretches": [
            {
                "at_seconds": one.at_seconds,
                "start_seconds": one.start_seconds,
                "end_seconds": one.end_seconds,
            }
            for one in outcome.stretches
        ],
        "gaps": [
            {"at_seconds": one.at_seconds, "seconds": one.seconds, "why": one.why}
            for one in outcome.gaps
        ],
    }


def _frame(frame: FrameFacts, hashes: Mapping[int, str]) -> dict[str, Any]:
    return {
        "index": frame.index,
        "slot": frame.slot,
        "media_seconds": frame.media_seconds,
        "time_seconds": frame.time_seconds,
        "pixels": hashes.get(frame.index),
    }


def _clip(clip: ClipFacts, case: Case, hashes: Mapping[int, str]) -> dict[str, Any]:
    verdict = clip.verdict
    indices = [one.index for one in clip.frames]
    known = [hashes[index] for index in indices if index in hashes]
    stretches = case.outcome.stretches if case.outcome else ()
    first, last = clip.frames[0].time_seconds, clip.frames[-1].time_seconds
    return {
        "clip_id": verdict.clip_id,
        "label": verdict.label,
        "score": verdict.score,
        "threshold": verdict.threshold,
        "engine": verdict.engine,
        "prompt_hash": verdict.prompt_hash,
        "warming_up": verdict.warming_up,
        "uncertain": verdict.uncertain,
        "start": iso_utc(verdict.start_seconds),
        "end": iso_utc(verdict.end_seconds),
        "start_seconds": verdict.start_seconds,
        "end_seconds": verdict.end_seconds,
        "media_start_seconds": verdict.media_start_seconds,
        "media_end_seconds": verdict.media_end_seconds,
        "fps": clip.fps,
        "frames": indices,
        "pixels": clip_hash(known) if len(known) == len(indices) else None,
        "in_video": _span(where(stretches, first), where(stretches, last)),
        "evidence": [
            {
                "kind": one.kind,
                "strength": one.strength,
                "where": one.where,
                "detail": one.detail,
            }
            for one in verdict.evidence
        ],
    }


def _span(first: float | None, last: float | None) -> Sequence[float] | None:
    """Where in the video the first and the last frame of a clip are; None if not all is in it."""
    return None if first is None or last is None else (first, last)
