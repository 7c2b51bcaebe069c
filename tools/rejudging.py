"""The clips of an event judged again, and whether its score stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.types import Answer
from edgewatch.tools.calibrating.then import calibration_words
from edgewatch.tools.evidence_case import (
    KeptCase,
    KeptClip,
    Pixels,
    clip_again,
    compare,
    decoded_frames,
)

TOLERANCE = 0.02
"""Scores of the same pixels may differ by so much: other hardware, another order of sums."""
REENCODED_TOLERANCE = 0.15
"""Where the video was encoded anew, the pixels are only alike."""


@dataclass(frozen=True, slots=True)
class ClipFinding:
    """One clip, then and now."""

    clip_id: str
    label: str
    score: float
    threshold: float
    pixels: Pixels
    score_again: float | None
    """None: not all of it is in the video, or the engine gave no answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether an event's score stands, and if not, why."""

    event_id: str
    camera: str
    stands: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    engine: str
    engine_then: str
    tolerance: float
    clips: tuple[ClipFinding, ...]

    def document(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        return asdict(self)


async def judged_again(
    case: KeptCase, engine: Engine, tolerance: float | None, *, notes: Sequence[str] = ()
) -> Finding:
    """Judge an event's clips again, in order. The engine is started; it is closed by the caller.

    `notes`: what is known beforehand of how it is judged now. Raises CaseUnreadable, EngineError.
    """
    allowed = tolerance or (REENCODED_TOLERANCE if case.reencoded else TOLERANCE)
    frames = decoded_frames(case)
    engine.instruct(case.camera, case.prompt)
    notes = [*notes, *_notes(case)]
    if case.memory is not None:
        try:
            await engine.recall(case.camera, case.memory)
        except ValueError as error:
            notes.append(f"what the engine knew then cannot be used: {error}")
    found, answers = [], list[Answer | None]()
    for clip in case.clips:
        again = clip_again(case, clip, frames)
        answer = None if again is None else (await engine.judge([again]))[0]
        answers.append(answer)
        found.append(
            ClipFinding(
                clip.clip_id,
                clip.label,
                clip.score,
                clip.threshold,
                compare(case, clip, again),
                None if answer is None or math.isnan(answer.score) else answer.score,
            )
        )
    then = case.clips[0].engine if case.clips else ""
    if then != engine.name:
        notes.append(calibration_words(then, engine.name))
    if _asked_otherwise(case.clips, answers):
        notes.append("the engine is asked something else now than then")
    reasons = _reasons(case, found, allowed)
    return Finding(
        case.event_id,
        case.camera,
        not reasons,
        tuple(reasons),
        tuple(notes),
        engine.name,
        then,
        allowed,
        tuple(found),
    )


def _notes(case: KeptCase) -> list[str]:
    notes = []
    if case.reencoded:
        notes.append("the video was encoded anew: its pixels are like those judged, not the same")
    if case.memory_lost:
        notes.append("what the engine knew then was kept, and is not there any more")
    return notes


def _reasons(case: KeptCase, found: Sequence[ClipFinding], allowed: float) -> list[str]:
    """Say why the event's score does not stand; nothing if it does."""
    anomalous = [one for one in found if one.label == "Anomaly"]
    if not anomalous:
        return ["no clip of the event was kept"]
    reasons = []
    if differing := [one for one in found if one.pixels == "differ"]:
        reasons.append(f"the pixels of {len(differing)} of {len(found)} clips are not those judged")
    peak = max(anomalous, key=lambda one: one.score)
    if peak.score < case.peak_score - allowed:
        reasons.append(f"the clip with the peak score {case.peak_score:.3f} was not kept")
    if peak.score_again is None:
        lost = "is not in the video" if peak.pixels == "missing" else "could not be judged"
        reasons.append(f"the clip with the peak score, {peak.clip_id}, {lost}")
    elif peak.score_again < peak.threshold - allowed:
        reasons.append(
            f"the peak clip scores {peak.score_again:.3f} now, below its threshold "
            f"{peak.threshold:g}"
        )
    reasons += [
        f"{one.clip_id} scores {one.score_again:.3f} now, {one.score:.3f} then "
        f"(tolerance {allowed:g})"
        for one in anomalous
        if one.score_again is not None and abs(one.score_again - one.score) > allowed
    ]
    return reasons


def _asked_otherwise(clips: Sequence[KeptClip], answers: Sequence[Answer | None]) -> bool:
    return any(
        answer is not None and answer.prompt_hash != clip.prompt_hash
        for clip, answer in zip(clips, answers, strict=True)
    )
