"""An event's evidence read back: what was judged, and the same clips decoded again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.pictures import pixel_hash
from edgewatch.pipeline.evidence.placing import Stretch, where
from edgewatch.pipeline.mask import Mask
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip, Frame
from edgewatch.pipeline.video import open_video

SAME_PLACE_SECONDS = 0.005
"""A picture so near to where a frame was is that frame."""

Pixels = Literal["same", "differ", "missing", "not hashed", "reencoded"]
"""Of a clip: every byte as it was judged; not so; not all of it is in the video; nothing to compare
with; the video was encoded anew, so that they cannot be the same."""


class CaseUnreadable(Exception):
    """An event's evidence is not there, or not in a form that can be used."""


@dataclass(frozen=True, slots=True)
class KeptClip:
    """One clip as the JSON tells it."""

    clip_id: str
    label: str
    score: float
    threshold: float
    engine: str
    prompt_hash: str
    start_seconds: float
    end_seconds: float
    fps: float
    frames: tuple[int, ...]

    @property
    def anomalous(self) -> bool:
        """Whether its score reached the threshold then."""
        return self.label == "Anomaly"


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """One frame as the JSON tells it."""

    index: int
    slot: int
    media_seconds: float
    time_seconds: float
    pixels: str | None


@dataclass(frozen=True, slots=True)
class KeptCase:
    """An event's JSON, as far as judging again needs it."""

    event_id: str
    camera: CameraName
    peak_score: float
    prompt: str
    area_pixels: int
    ignore: Sequence[Sequence[tuple[float, float]]]
    reencoded: bool
    stretches: tuple[Stretch, ...]
    frames: Mapping[int, KeptFrame]
    clips: tuple[KeptClip, ...]
    video: Path
    memory: bytes | None
    """What the engine knew before it judged the first clip."""
    memory_lost: bool
    """Whether it was kept, and is not there any more."""


def read_case(folder: EvidenceFolder, where_: str, event_id: str) -> KeptCase:
    """Read the evidence of an event from its folder. Raises CaseUnreadable with the reason."""
    told = folder.read_sidecar(where_, event_id)
    if told is None:
        raise CaseUnreadable(f"{where_}/{event_id}.json is missing or damaged")
    video = folder.path(where_, event_id, ".mp4")
    if told.get("state") != "ready" or not video.exists():
        why = told.get("detail") or "it is still being recorded, or was removed"
        raise CaseUnreadable(f"there is no video of event {event_id}: {why}")
    try:
        return _case(folder, where_, told, video)
    except (KeyError, TypeError, ValueError) as error:
        raise CaseUnreadable(
            f"{where_}/{event_id}.json is of another edgewatch, or damaged ({error})"
        ) from error


def decoded_frames(case: KeptCase) -> dict[int, Frame]:
    """Decode the frames that were judged, by index, with the product's own sampling.

    Raises CaseUnreadable if the video cannot be read.
    """
    places = {
        frame.index: at
        for frame in case.frames.values()
        if (at := where(case.stretches, frame.time_seconds)) is not None
    }
    waiting = sorted(places.items(), key=lambda one: one[1])
    mask = Mask(case.ignore)

    def choose(stamp_seconds: float | None) -> KeptFrame | None:
        while waiting and stamp_seconds is not None:
            index, at_seconds = waiting[0]
            if stamp_seconds < at_seconds - SAME_PLACE_SECONDS:
                return None
            waiting.pop(0)
            if stamp_seconds <= at_seconds + SAME_PLACE_SECONDS:
                return case.frames[index]
        return None

    found: dict[int, Frame] = {}
    try:
        with open_video(parse_source(str(case.video)), Reading()) as video:
            for results in video.sampled(choose, area_pixels=case.area_pixels):
                for sampled in results:
                    kept = sampled.ticket
                    pixels, ignored = mask.hide(sampled.pixels)
                    found[kept.index] = Frame(
                        camera=case.camera,
                        index=kept.index,
                        slot=kept.slot,
                        pixels=pixels,
                        media_seconds=kept.media_seconds,
                        time_seconds=kept.time_seconds,
                        captured_seconds=0.0,
                        ignored=ignored,
                    )
    except (CameraError, ValueError) as error:
        raise CaseUnreadable(f"the video cannot be read: {error}") from error
    return found


def clip_again(case: KeptCase, clip: KeptClip, frames: Mapping[int, Frame]) -> Clip | None:
    """Return a clip made anew; None if not all of its frames were found."""
    if any(index not in frames for index in clip.frames):
        return None
    return Clip(
        clip_id=clip.clip_id,
        camera=case.camera,
        frames=tuple(frames[index] for index in clip.frames),
        fps=clip.fps,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
    )


def compare(case: KeptCase, clip: KeptClip, again: Clip | None) -> Pixels:
    """Say whether a clip's pixels are those that were judged."""
    if again is None:
        return "missing"
    if case.reencoded:
        return "reencoded"
    hashes = [case.frames[index].pixels for index in clip.frames]
    if None in hashes:
        return "not hashed"
    same = [pixel_hash(frame.pixels) for frame in again.frames] == hashes
    return "same" if same else "differ"


def _case(folder: EvidenceFolder, where_: str, told: Mapping[str, Any], video: Path) -> KeptCase:
    event, camera, sampling = told["event"], told["camera"], told["camera"]["sampling"]
    event_id = str(event["event_id"])
    memory = None
    if told["memory"] is not None:
        path = folder.path(where_, event_id, ".npz")
        memory = path.read_bytes() if path.exists() else None
    return KeptCase(
        event_id=event_id,
        camera=CameraName(camera["name"]),
        peak_score=float(event["peak_score"]),
        prompt=str(camera["prompt"]),
        area_pixels=int(sampling["pixels"]),
        ignore=tuple(tuple((float(x), float(y)) for x, y in one) for one in sampling["ignore"]),
        reencoded=bool(told["video"]["reencoded"]),
        stretches=tuple(Stretch(**one) for one in told["video"]["stretches"]),
        frames={one["index"]: KeptFrame(**one) for one in told["frames"]},
        clips=tuple(map(_clip, told["clips"])),
        video=video,
        memory=memory,
        memory_lost=told["memory"] is not None and memory is None,
    )


def _clip(told: Mapping[str, Any]) -> KeptClip:
    names = ("clip_id", "label", "score", "threshold", "engine", "prompt_hash")
    times = ("start_seconds", "end_seconds", "fps")
    return KeptClip(**{name: told[name] for name in (*names, *times)}, frames=tuple(told["frames"]))
